import assert from 'node:assert/strict';
import { test } from 'vitest';
import { DNS_LIMITS, type DnsLimits } from './limits.ts';
import type { Answer } from './message.ts';
import { type Domain, readDomain } from './names.ts';
import type { DnsRecord, RecordType } from './records.ts';
import { type Asked, Resolver } from './resolver.ts';

const name = (text: string): Domain => {
  const domain = readDomain(text);
  assert.ok(domain);
  return domain;
};
const a = (owner: string, address: string, ttlS = 300): DnsRecord => ({ type: 'A', name: name(owner), ttlS, address });
const cname = (owner: string, target: string, ttlS = 300): DnsRecord => ({
  type: 'CNAME',
  name: name(owner),
  ttlS,
  target: name(target),
});
const answer = (records: readonly DnsRecord[], more: Partial<Answer> = {}): Asked => ({
  kind: 'answer',
  answer: { isDomain: true, records, isAuthentic: true, negativeTtlS: undefined, octets: 100, ...more },
});

/** A resolver over given answers, with a clock to be set. */
function rig(script: Readonly<Record<string, Asked>>, limits: Partial<DnsLimits> = {}) {
  const asked: string[] = [];
  const clock = { nowMs: 0 };
  const resolver = new Resolver(
    async (question) => {
      asked.push(`${question.type} ${question.name}`);
      return script[`${question.type} ${question.name}`] ?? { kind: 'failed', detail: 'not in the script' };
    },
    () => clock.nowMs,
    { ...DNS_LIMITS, ...limits },
  );
  const resolve = (owner: string, type: RecordType = 'A') => resolver.resolve(name(owner), type);
  return { asked, clock, resolve, script };
}

test('an answer is kept for its least TTL and not a moment longer', async () => {
  const { asked, clock, resolve } = rig({
    'A a.example': answer([a('a.example', '192.0.2.1', 60), a('a.example', '192.0.2.2', 30)]),
  });
  const first = await resolve('a.example');
  assert.deepEqual(first.kind === 'records' && first.records.map((r) => 'address' in r && r.address), [
    '192.0.2.1',
    '192.0.2.2',
  ]);
  clock.nowMs = 29_999;
  assert.equal(await resolve('a.example'), first);
  assert.equal(asked.length, 1);
  clock.nowMs = 30_000;
  await resolve('a.example');
  assert.equal(asked.length, 2);
});

test('TTLs have a floor and a ceiling', async () => {
  const { asked, clock, resolve } = rig({
    'A zero.example': answer([a('zero.example', '192.0.2.1', 0)]),
    'A ages.example': answer([a('ages.example', '192.0.2.1', 0x7fff_ffff)]),
  });
  for (const [owner, ttlS] of [
    ['zero.example', 1],
    ['ages.example', 86_400],
  ] as const) {
    clock.nowMs = 0;
    asked.length = 0;
    await resolve(owner);
    clock.nowMs = ttlS * 1000 - 1;
    await resolve(owner);
    assert.equal(asked.length, 1, owner);
    clock.nowMs = ttlS * 1000;
    await resolve(owner);
    assert.equal(asked.length, 2, owner);
  }
});

test('"there is none" is kept as the SOA says, within bounds; a failure a moment', async () => {
  const rows: readonly (readonly [Asked, string, number])[] = [
    [answer([], { negativeTtlS: 120 }), 'no-data', 120],
    [answer([], { isDomain: false, negativeTtlS: 60 }), 'no-domain', 60],
    [answer([], { isDomain: false, negativeTtlS: 999_999 }), 'no-domain', 3600],
    [answer([]), 'no-data', 1],
    [{ kind: 'failed', detail: 'SERVFAIL' }, 'failed', 5],
  ];
  for (const [said, kind, ttlS] of rows) {
    const { asked, clock, resolve } = rig({ 'A a.example': said });
    assert.equal((await resolve('a.example')).kind, kind);
    clock.nowMs = ttlS * 1000 - 1;
    await resolve('a.example');
    assert.equal(asked.length, 1, `${kind} ${ttlS}`);
    clock.nowMs = ttlS * 1000;
    await resolve('a.example');
    assert.equal(asked.length, 2, `${kind} ${ttlS}`);
  }
});

test('equal questions at one time are one; another type is another question', async () => {
  const { asked, resolve } = rig({ 'A a.example': answer([a('a.example', '192.0.2.1')]) });
  const [one, two, other] = await Promise.all([
    resolve('a.example'),
    resolve('A.example.'),
    resolve('a.example', 'AAAA'),
  ]);
  assert.equal(one, two);
  assert.equal(other.kind, 'failed');
  assert.deepEqual(asked, ['A a.example', 'AAAA a.example']);
});

test('aliases are followed within a message and beyond it; the least TTL of the way counts', async () => {
  const { asked, clock, resolve } = rig({
    'A a.example': answer([cname('b.example', 'c.example', 20), cname('a.example', 'b.example', 50)]),
    'A c.example': answer([a('c.example', '192.0.2.3')]),
  });
  const found = await resolve('a.example');
  assert.ok(found.kind === 'records');
  assert.deepEqual([found.name, found.records.length, found.isSecure], ['c.example', 1, true]);
  assert.deepEqual(asked, ['A a.example', 'A c.example']);
  clock.nowMs = 20_000;
  await resolve('a.example');
  assert.equal(asked.length, 4);
});

test('an answer is secure only where every message of the way was', async () => {
  for (const [first, second] of [
    [true, false],
    [false, true],
  ]) {
    const { resolve } = rig({
      'A a.example': answer([cname('a.example', 'b.example')], { isAuthentic: first === true }),
      'A b.example': answer([a('b.example', '192.0.2.3')], { isAuthentic: second === true }),
    });
    const found = await resolve('a.example');
    assert.equal(found.kind === 'records' && found.isSecure, false);
  }
});

test('the code of an answer is about the last name of its chain', async () => {
  const { asked, resolve } = rig({
    'A a.example': answer([cname('a.example', 'gone.example')], { isDomain: false }),
    'A b.example': answer([cname('b.example', 'c.example')], { negativeTtlS: 10 }),
  });
  assert.equal((await resolve('a.example')).kind, 'no-domain');
  assert.equal((await resolve('b.example')).kind, 'no-data');
  assert.equal(asked.length, 2);
});

test('loops and long chains end', async () => {
  const chain = (length: number) => {
    const links = Array.from({ length }, (_, i) => cname(`n${i}.example`, `n${i + 1}.example`));
    return answer([...links, a(`n${length}.example`, '192.0.2.1')]);
  };
  const { asked, resolve, script } = rig({
    'A self.example': answer([cname('self.example', 'self.example')]),
    'A x.example': answer([cname('x.example', 'y.example')]),
    'A y.example': answer([cname('y.example', 'x.example')]),
  });
  assert.equal((await resolve('self.example')).kind, 'failed');
  assert.equal((await resolve('x.example')).kind, 'failed');
  assert.ok(asked.length <= 1 + 9 + 1, asked.join());
  const long = { ...script, 'A n0.example': chain(8) };
  assert.equal((await rig(long).resolve('n0.example')).kind, 'records');
  assert.equal((await rig({ ...script, 'A n0.example': chain(9) }).resolve('n0.example')).kind, 'failed');
});

test('records of names that were not asked for are not believed', async () => {
  const { resolve } = rig({
    'A a.example': answer([a('victim.example', '192.0.2.66'), cname('other.example', 'a.example')]),
  });
  assert.equal((await resolve('a.example')).kind, 'no-data');
});

test('the cache has a bound in entries and in octets', async () => {
  const script: Record<string, Asked> = {};
  for (let i = 0; i < 50; i++) script[`A n${i}.example`] = answer([a(`n${i}.example`, '192.0.2.1')], { octets: 100 });
  for (const limits of [{ cacheEntries: 10 }, { cacheOctets: 1000 }]) {
    const { asked, resolve } = rig(script, limits);
    for (let i = 0; i < 50; i++) await resolve(`n${i}.example`);
    asked.length = 0;
    await resolve('n40.example');
    assert.equal(asked.length, 0);
    await resolve('n39.example');
    assert.equal(asked.length, 1);
  }
});
