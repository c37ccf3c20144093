/** Our resolver against a real one that validates DNSSEC: what is secure, what is not, and what was forged. */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, test } from 'vitest';
import { type Dns, type Domain, type MailLookup, openDns, readDomain } from '../../src/dns/index.ts';
import { startUnbound, type ZoneLines } from '../support/unbound.ts';

const SELF = { names: new Set<string>(), isOwnAddress: () => false };
const KEY = 'ab'.repeat(32);

const LINES: ZoneLines = [
  '@ MX 20 mx2',
  '@ MX 10 mx1',
  'mx1 A 192.0.2.1',
  'mx1 AAAA 2001:db8::1',
  'mx2 A 192.0.2.2',
  `_25._tcp.mx1 TLSA 3 1 1 ${KEY}`,
  'null MX 0 .',
  'bare TXT "nothing"',
  'alias CNAME mx2',
  '_mta-sts TXT "v=STSv1; " "id=20260101"',
  // More than a datagram holds.
  ...Array.from({ length: 60 }, (_, i) => `many MX ${i} host-with-a-rather-long-name-${i}.hosts.example.invalid.`),
];

let dns: Dns;
beforeAll(async () => {
  const { server } = await startUnbound({ 'example.com': LINES, 'example.org': LINES, 'example.net': LINES });
  dns = openDns({ servers: [server] });
});
afterAll(() => dns.close());

const hosts = (found: MailLookup) =>
  found.kind === 'hosts'
    ? found.hosts.map(({ name, addresses, isSecure }) => [name, ...addresses, isSecure].join(' '))
    : found.kind;

test('a signed domain: its hosts are secure, and have TLSA records or are shown to have none', async () => {
  const found = await dns.lookupMail('example.com', SELF);
  assert.deepEqual(hosts(found), ['mx1.example.com 2001:db8::1 192.0.2.1 true', 'mx2.example.com 192.0.2.2 true']);
  assert.ok(found.kind === 'hosts');
  const [first, second] = found.hosts;
  assert.ok(first !== undefined && second !== undefined);
  assert.deepEqual(await dns.lookupTlsa(first, 25), {
    kind: 'records',
    base: 'mx1.example.com',
    records: [{ usage: 3, selector: 1, matching: 1, data: Buffer.from(KEY, 'hex') }],
  });
  assert.deepEqual(await dns.lookupTlsa(second, 25), { kind: 'none' });
});

test('the same domain unsigned: the same hosts, none of them secure', async () => {
  const found = await dns.lookupMail('example.org', SELF);
  assert.deepEqual(hosts(found), ['mx1.example.org 2001:db8::1 192.0.2.1 false', 'mx2.example.org 192.0.2.2 false']);
  assert.ok(found.kind === 'hosts' && found.hosts[0] !== undefined);
  assert.deepEqual(await dns.lookupTlsa(found.hosts[0], 25), { kind: 'insecure' });
});

test('what was forged is no answer: the address of one host, and the mail goes to the other', async () => {
  const found = await dns.resolver.resolve(readDomain('mx1.example.net') as Domain, 'A');
  assert.deepEqual(found, { kind: 'failed', detail: '127.0.0.1: SERVFAIL' });
  assert.deepEqual(hosts(await dns.lookupMail('example.net', SELF)), [
    'mx1.example.net 2001:db8::1 true',
    'mx2.example.net 192.0.2.2 true',
  ]);
});

test('the other ends', async () => {
  for (const [domain, want] of [
    ['null.example.com', 'null-mx'],
    ['bare.example.com', 'no-host'],
    ['nothing.example.com', 'no-domain'],
    ['alias.example.com', ['alias.example.com 192.0.2.2 true']],
  ] as const)
    assert.deepEqual(hosts(await dns.lookupMail(domain, SELF)), want, domain);
});

test('an answer larger than a datagram comes whole', async () => {
  const found = await dns.resolver.resolve(readDomain('many.example.com') as Domain, 'MX');
  assert.ok(found.kind === 'records' && found.isSecure);
  assert.equal(found.records.length, 60);
});

test('strings of a TXT record are one text', async () => {
  const found = await dns.resolver.resolve(readDomain('_mta-sts.example.com') as Domain, 'TXT');
  assert.deepEqual(found.kind === 'records' && found.records.map(({ text }) => text), ['v=STSv1; id=20260101']);
});
