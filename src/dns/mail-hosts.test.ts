import assert from 'node:assert/strict';
import { onTestFinished, test } from 'vitest';
import { type DnsScript, DnsTestServer, RCODE, withRcode, type Zone } from '../../test/support/dns-server.ts';
import type { DnsLimits } from './limits.ts';
import type { MailLookup, Self } from './mail-hosts.ts';
import { openDns } from './net/open-dns.ts';

const US: Self = { names: new Set(['us.example']), isOwnAddress: (address) => address === '192.0.2.99' };

async function lookup(domain: string, script: DnsScript, limits: Partial<DnsLimits> = {}) {
  const server = await DnsTestServer.listen(script);
  const dns = openDns({ servers: [server.server], limits });
  onTestFinished(async () => {
    dns.close();
    await server.close();
  });
  return { found: await dns.lookupMail(domain, US), server, dns };
}

/** Each host as `preference name address address`, or the kind of what came instead. */
function inWords(found: MailLookup): string | string[] {
  if (found.kind !== 'hosts') return found.kind;
  return found.hosts.map(({ preference, name, addresses }) => [preference, name, ...addresses].join(' '));
}

const HOSTS = {
  'mx1.example': ['A 192.0.2.1', 'AAAA 2001:db8::1'],
  'mx2.example': ['A 192.0.2.2'],
  'mx6.example': ['AAAA 2001:db8::6'],
  'bare.example': ['TXT nothing here'],
  'us.example': ['A 192.0.2.99'],
} satisfies Zone;

/** What the zone says of `d.example`, and where its mail goes. */
const ROWS: readonly (readonly [why: string, records: readonly string[] | undefined, want: string | string[]])[] = [
  [
    'by preference',
    ['MX 20 mx2.example', 'MX 10 mx1.example'],
    ['10 mx1.example 2001:db8::1 192.0.2.1', '20 mx2.example 192.0.2.2'],
  ],
  ['names in any case', ['MX 10 MX2.Example'], ['10 mx2.example 192.0.2.2']],
  ['no MX: the domain itself', ['A 192.0.2.7', 'AAAA 2001:db8::7'], ['0 d.example 2001:db8::7 192.0.2.7']],
  ['no MX, IPv6 only', ['AAAA 2001:db8::7'], ['0 d.example 2001:db8::7']],
  ['MX without address: the domain itself does not count', ['MX 10 bare.example', 'A 192.0.2.7'], 'no-host'],
  ['MX that does not exist', ['MX 10 nowhere.example', 'A 192.0.2.7'], 'no-host'],
  ['one host without address', ['MX 10 bare.example', 'MX 20 mx2.example'], ['20 mx2.example 192.0.2.2']],
  ['a host named twice', ['MX 10 mx2.example', 'MX 20 mx2.example'], ['10 mx2.example 192.0.2.2']],
  ['null MX (RFC 7505)', ['MX 0 .', 'A 192.0.2.7'], 'null-mx'],
  ['null MX of any preference', ['MX 10 .'], 'null-mx'],
  ['null MX beside another means nothing', ['MX 0 .', 'MX 10 mx2.example'], ['10 mx2.example 192.0.2.2']],
  ['an address in place of a name', ['MX 10 192.0.2.1'], 'no-host'],
  ['no such domain', undefined, 'no-domain'],
  ['the domain is there and nothing else', ['TXT x'], 'no-host'],
  ['an alias of a domain with MX', ['CNAME e.example'], ['5 mx2.example 192.0.2.2']],
  ['an alias of a host', ['CNAME mx2.example'], ['0 d.example 192.0.2.2']],
  ['an alias of nothing', ['CNAME nowhere.example'], 'no-domain'],
  ['an alias of itself', ['CNAME d.example'], 'failed'],
  ['a host that is an alias: tolerated', ['MX 10 alias.example'], ['10 alias.example 192.0.2.2']],
  ['we are best', ['MX 10 us.example', 'MX 20 mx2.example'], 'loop'],
  [
    'we are second: better ones only',
    ['MX 10 mx2.example', 'MX 20 us.example', 'MX 30 mx6.example'],
    ['10 mx2.example 192.0.2.2'],
  ],
  [
    'equals of ours go too',
    ['MX 10 mx2.example', 'MX 20 us.example', 'MX 20 mx6.example'],
    ['10 mx2.example 192.0.2.2'],
  ],
  ['our address under another name', ['MX 10 mx2.example', 'MX 20 also-us.example'], ['10 mx2.example 192.0.2.2']],
  ['our address under another name, best', ['MX 10 also-us.example', 'MX 20 mx2.example'], 'loop'],
  ['the domain is our own address', ['A 192.0.2.99'], 'loop'],
  ['the better ones have no address, then we come', ['MX 10 bare.example', 'MX 20 us.example'], 'loop'],
];

for (const [why, records, want] of ROWS) {
  test(`where mail goes: ${why}`, async () => {
    const zone: Zone = {
      ...HOSTS,
      'e.example': ['MX 5 mx2.example'],
      'alias.example': ['CNAME mx2.example'],
      'also-us.example': ['A 192.0.2.99'],
      ...(records === undefined ? {} : { 'd.example': records }),
    };
    assert.deepEqual(inWords((await lookup('D.example', { zone })).found), want);
  });
}

test('names that can be none, and literals', async () => {
  const rows: readonly (readonly [string, string | string[]])[] = [
    ['a..b', 'no-domain'],
    [`${'x'.repeat(64)}.example`, 'no-domain'],
    ['1.2.3.4', 'no-domain'],
    ['[192.0.2.1]', ['0 [192.0.2.1] 192.0.2.1']],
    ['[IPv6:2001:DB8::1]', ['0 [IPv6:2001:DB8::1] 2001:db8::1']],
    ['[192.0.2.99]', 'loop'],
    ['[x400:whatever]', 'no-host'],
    ['[]', 'no-host'],
  ];
  for (const [domain, want] of rows) {
    const { found, server } = await lookup(domain, {});
    assert.deepEqual(inWords(found), want, domain);
    assert.deepEqual(server.questions, []);
  }
});

test('Unicode is asked for in ASCII', async () => {
  const { found, server } = await lookup('bücher.example', { zone: { 'xn--bcher-kva.example': ['A 192.0.2.1'] } });
  assert.deepEqual(inWords(found), ['0 xn--bcher-kva.example 192.0.2.1']);
  assert.equal(server.questions[0], 'MX xn--bcher-kva.example');
});

const servfail = (bad: (question: string) => boolean): NonNullable<DnsScript['lie']> => {
  return (heard) =>
    bad(`${heard.type} ${heard.name}`) ? { kind: 'say', messages: [withRcode(heard, RCODE.SERVFAIL)] } : undefined;
};

test('what cannot be asked is a failure, and never "there is none"', async () => {
  const zone: Zone = { ...HOSTS, 'd.example': ['MX 10 mx1.example', 'MX 20 mx2.example'] };
  const rows: readonly (readonly [string, RegExp, string | string[]])[] = [
    ['MX', /^MX/, 'failed'],
    ['all addresses', /^A/, 'failed'],
    ['one family', /^AAAA/, ['10 mx1.example 192.0.2.1', '20 mx2.example 192.0.2.2']],
    ['the best host', /^A.* mx1/, ['20 mx2.example 192.0.2.2']],
  ];
  for (const [why, bad, want] of rows) {
    const { found } = await lookup('d.example', { zone, lie: servfail((question) => bad.test(question)) });
    assert.deepEqual(inWords(found), want, why);
  }
});

test('a better host out of sight is no loop', async () => {
  const zone: Zone = { ...HOSTS, 'd.example': ['MX 10 mx1.example', 'MX 20 us.example'] };
  const { found } = await lookup('d.example', { zone, lie: servfail((question) => question.includes('mx1')) });
  assert.deepEqual(found, { kind: 'failed', detail: 'mx1.example: 127.0.0.1: SERVFAIL' });
});

test('hosts of equal preference share the load', async () => {
  const zone: Zone = {
    'd.example': ['MX 10 a.example', 'MX 10 b.example'],
    'a.example': ['A 192.0.2.1'],
    'b.example': ['A 192.0.2.2'],
  };
  const { dns } = await lookup('d.example', { zone });
  const firsts = new Set<string>();
  for (let i = 0; i < 64; i++) {
    const found = await dns.lookupMail('d.example', US);
    firsts.add(found.kind === 'hosts' ? (found.hosts[0]?.name ?? '') : found.kind);
  }
  assert.deepEqual([...firsts].sort(), ['a.example', 'b.example']);
});

test('families alternate, IPv6 first', async () => {
  const zone: Zone = {
    'd.example': ['A 192.0.2.1', 'A 192.0.2.2', 'A 192.0.2.3', 'AAAA 2001:db8::1', 'AAAA 2001:db8::2'],
  };
  const { found } = await lookup('d.example', { zone });
  const families = found.kind === 'hosts' && found.hosts[0]?.addresses.map((one) => (one.includes(':') ? 6 : 4));
  assert.deepEqual(families, [6, 4, 6, 4, 4]);
});

test('caps: MX records, addresses of a host, addresses in all; and no question beyond them', async () => {
  const many = (count: number, make: (i: number) => string) => Array.from({ length: count }, (_, i) => make(i));
  const zone: Record<string, readonly string[]> = { 'd.example': many(40, (i) => `MX ${i} h${i}.example`) };
  for (let i = 0; i < 40; i++) zone[`h${i}.example`] = i < 2 ? [] : many(12, (j) => `A 192.0.${i}.${j + 1}`);
  const { found, server } = await lookup('d.example', { zone });
  assert.ok(found.kind === 'hosts');
  assert.deepEqual(
    found.hosts.map(({ name, addresses }) => `${name} ${addresses.length}`),
    ['h2.example 8', 'h3.example 8', 'h4.example 4'],
  );
  assert.ok(!server.questions.includes('A h5.example'));
  const { found: none, server: asked } = await lookup('d.example', {
    zone: { ...zone, ...Object.fromEntries(many(30, (i) => `h${i}.example`).map((name) => [name, []])) },
  });
  assert.equal(none.kind, 'no-host');
  assert.ok(!asked.questions.includes('A h30.example'));
});

test('a host is secure where MX and addresses are; its aliases lead to its canonical name', async () => {
  const zone: Zone = { ...HOSTS, 'd.example': ['MX 10 alias.example'], 'alias.example': ['CNAME mx1.example'] };
  const rows: readonly (readonly [RegExp, boolean])[] = [
    [/./, true],
    [/^(?!MX)/, false],
    [/^(?!A )/, false],
    [/^(?!AAAA)/, false],
    [/^$/, false],
  ];
  for (const [authentic, want] of rows) {
    const { found } = await lookup('d.example', {
      zone,
      isAuthentic: (name, type) => authentic.test(`${type} ${name}`),
    });
    assert.ok(found.kind === 'hosts');
    assert.deepEqual(
      found.hosts.map(({ name, canonical, isSecure }) => [name, canonical, isSecure]),
      [['alias.example', 'mx1.example', want]],
      String(authentic),
    );
    assert.equal(found.isSecure, authentic.test('MX d.example'));
  }
});

test('a domain whose servers are slow has a deadline in all', async () => {
  const zone: Zone = { 'd.example': ['MX 10 a.example', 'MX 20 b.example', 'MX 30 c.example'] };
  const lie: DnsScript['lie'] = (heard) => (heard.type === 'MX' ? undefined : { kind: 'silent' });
  const slow = { attemptMs: 60_000, deadlineMs: 60_000 };
  const all = await lookup('d.example', { zone, lie }, { ...slow, resolveMs: 60_000, lookupMs: 100 });
  assert.deepEqual(all.found, { kind: 'failed', detail: 'the look-ups took too long' });
  const one = await lookup('d.example', { zone, lie }, { ...slow, resolveMs: 20 });
  assert.ok(one.found.kind === 'failed');
  // On a busy machine the first answer may be late already.
  assert.match(one.found.detail, /^(?:a\.example: A+ a|MX d)\.example: too slow$/);
});
