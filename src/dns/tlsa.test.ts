import assert from 'node:assert/strict';
import { onTestFinished, test } from 'vitest';
import { type DnsScript, DnsTestServer, RCODE, withRcode } from '../../test/support/dns-server.ts';
import type { MailHost } from './mail-hosts.ts';
import { openDns } from './net/open-dns.ts';

const SHA256 = 'ab'.repeat(32);
const SHA512 = 'cd'.repeat(64);
const HOST: MailHost = {
  name: 'mx.example',
  canonical: 'mx.example',
  preference: 10,
  addresses: ['192.0.2.1'],
  isSecure: true,
};

async function lookup(script: DnsScript, host: Partial<MailHost> = {}) {
  const server = await DnsTestServer.listen({ isAuthentic: () => true, negativeTtl: 60, ...script });
  const dns = openDns({ servers: [server.server] });
  onTestFinished(async () => {
    dns.close();
    await server.close();
  });
  return { found: await dns.lookupTlsa({ ...HOST, ...host }, 25), server };
}

const words = (found: Awaited<ReturnType<typeof lookup>>['found']) =>
  found.kind === 'records'
    ? [found.base, ...found.records.map((r) => `${r.usage} ${r.selector} ${r.matching} ${r.data.length}`)]
    : found.kind;

const at = (...records: string[]): DnsScript => ({ zone: { '_25._tcp.mx.example': records } });

const ROWS: readonly (readonly [string, DnsScript, string | string[]])[] = [
  ['DANE-EE with a digest of the key', at(`TLSA 3 1 1 ${SHA256}`), ['mx.example', '3 1 1 32']],
  ['DANE-TA with a whole certificate', at('TLSA 2 0 0 3082'), ['mx.example', '2 0 0 2']],
  ['usages 0 and 1 cannot be used', at(`TLSA 0 1 1 ${SHA256}`, `TLSA 1 1 1 ${SHA256}`), ['mx.example']],
  [
    'unknown usage, selector, matching',
    at(`TLSA 4 1 1 ${SHA256}`, `TLSA 3 2 1 ${SHA256}`, `TLSA 3 1 3 ${SHA256}`),
    ['mx.example'],
  ],
  ['digests of a wrong size', at('TLSA 3 1 1 abab', `TLSA 3 1 2 ${SHA256}`, 'TLSA 3 1 0 '), ['mx.example']],
  ['usable beside unusable', at(`TLSA 1 1 1 ${SHA256}`, `TLSA 3 1 1 ${SHA256}`), ['mx.example', '3 1 1 32']],
  [
    'the strongest digest of a usage and selector',
    at(`TLSA 3 1 1 ${SHA256}`, `TLSA 3 1 2 ${SHA512}`, `TLSA 3 0 1 ${SHA256}`, 'TLSA 3 1 0 3082'),
    ['mx.example', '3 1 2 64', '3 0 1 32', '3 1 0 2'],
  ],
  ['no such name', { zone: {} }, 'none'],
  ['the name, and no such record', at('TXT x'), 'none'],
  ['records nobody vouches for', { ...at(`TLSA 3 1 1 ${SHA256}`), isAuthentic: () => false }, 'insecure'],
  ['none, and nobody vouches for it', { zone: {}, isAuthentic: () => false }, 'insecure'],
  [
    'an alias',
    { zone: { '_25._tcp.mx.example': ['CNAME tlsa.example'], 'tlsa.example': [`TLSA 3 1 1 ${SHA256}`] } },
    ['mx.example', '3 1 1 32'],
  ],
  [
    'an alias to a name that we cannot ask for: whoever has records there did not say that there are none',
    { zone: { '_25._tcp.mx.example': ['CNAME *._tcp.mx.example'], '*._tcp.mx.example': [`TLSA 3 1 1 ${SHA256}`] } },
    'failed',
  ],
  ['SERVFAIL', { lie: (heard) => ({ kind: 'say', messages: [withRcode(heard, RCODE.SERVFAIL)] }) }, 'failed'],
];

for (const [why, script, want] of ROWS) {
  test(`TLSA: ${why}`, async () => assert.deepEqual(words((await lookup(script)).found), want));
}

test('the order of records is not changed, whatever they are, and there is a cap', async () => {
  const many = Array.from({ length: 30 }, (_, i) => `TLSA 3 1 1 ${i.toString(16).padStart(2, '0').repeat(32)}`);
  const { found } = await lookup(at(...many));
  assert.ok(found.kind === 'records');
  assert.deepEqual(
    found.records.map(({ data }) => data[0]),
    Array.from({ length: 20 }, (_, i) => i),
  );
});

test('without a secure way to the host nothing is asked', async () => {
  const { found, server } = await lookup(at(`TLSA 3 1 1 ${SHA256}`), { isSecure: false });
  assert.deepEqual(found, { kind: 'insecure' });
  assert.deepEqual(server.questions, []);
});

test("the end of a host's aliases comes first, then its own name", async () => {
  const alias = { name: 'alias.example', canonical: 'mx.example' };
  const both = await lookup(
    { zone: { '_25._tcp.mx.example': [`TLSA 3 1 1 ${SHA256}`], '_25._tcp.alias.example': ['TLSA 3 1 0 00'] } },
    alias,
  );
  assert.deepEqual(words(both.found), ['mx.example', '3 1 1 32']);
  const own = await lookup({ zone: { '_25._tcp.alias.example': ['TLSA 3 1 0 00'] } }, alias);
  assert.deepEqual(words(own.found), ['alias.example', '3 1 0 1']);
  assert.deepEqual(own.server.questions, ['TLSA _25._tcp.mx.example', 'TLSA _25._tcp.alias.example']);
});
