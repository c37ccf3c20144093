import assert from 'node:assert/strict';
import { test } from 'vitest';
import { type Domain, readDomain } from '../names.ts';
import type { RecordOf, RecordType } from '../records.ts';
import type { Resolve, Resolved } from '../resolver.ts';
import { type Fetched, StsPolicies } from './policies.ts';

const DOMAIN = readDomain('example.com') as Domain;
const NAME = readDomain('_mta-sts.example.com') as Domain;
const DAY_MS = 86_400_000;

const file = (mx: string, maxAgeS: number): Fetched => ({
  kind: 'fetched',
  octets: Buffer.from(`version: STSv1\nmode: enforce\nmx: ${mx}\nmax_age: ${maxAgeS}\n`),
});

/** The world of one domain, to be changed at will. */
function rig() {
  const world = {
    nowMs: 0,
    /** A record, or one of the words `missing` and `failed`. */
    txt: 'v=STSv1; id=1',
    file: file('mx.example.com', 604_800),
  };
  const counts = { txt: 0, fetched: 0 };
  const resolver: Resolve = {
    async resolve<T extends RecordType>(name: Domain, type: T): Promise<Resolved<T>> {
      counts.txt++;
      assert.deepEqual([name, type], [NAME, 'TXT']);
      if (world.txt === 'failed') return { kind: 'failed', detail: 'SERVFAIL' };
      if (world.txt === 'missing') return { kind: 'no-domain', isSecure: false };
      const record: RecordOf<'TXT'> = { type: 'TXT', name, ttlS: 1, text: world.txt };
      return { kind: 'records', records: [record as RecordOf<T>], name, isSecure: false };
    },
  };
  const policies = new StsPolicies(
    resolver,
    async (domain) => {
      assert.equal(domain, DOMAIN);
      counts.fetched++;
      return world.file;
    },
    () => world.nowMs,
  );
  const lookup = async () => {
    const found = await policies.lookup(DOMAIN);
    return found.kind === 'policy' ? found.policy.mx.join() : (found.detail ?? 'none');
  };
  return { world, counts, lookup };
}

test('no record: no policy, and no web server is asked', async () => {
  const { world, counts, lookup } = rig();
  for (const txt of ['missing', 'v=spf1 -all', 'v=STSv1; id=!']) {
    world.txt = txt;
    assert.equal(await lookup(), 'none');
  }
  world.txt = 'failed';
  assert.equal(await lookup(), 'SERVFAIL');
  assert.equal(counts.fetched, 0);
});

test('a policy is kept while its id is the same, and fetched where the id is new', async () => {
  const { world, counts, lookup } = rig();
  assert.equal(await lookup(), 'mx.example.com');
  world.file = file('new.example.com', 604_800);
  assert.equal(await lookup(), 'mx.example.com');
  assert.equal(counts.fetched, 1);
  world.txt = 'v=STSv1; id=2';
  assert.equal(await lookup(), 'new.example.com');
  assert.equal(counts.fetched, 2);
});

test('what is kept counts whatever happens to the record and the web server, until max_age', async () => {
  const { world, lookup } = rig();
  await lookup();
  world.file = { kind: 'failed', detail: 'ECONNREFUSED' };
  for (const txt of ['missing', 'failed', 'v=STSv1; id=2', 'v=STSv1; id=1']) {
    world.txt = txt;
    world.nowMs += DAY_MS;
    assert.equal(await lookup(), 'mx.example.com', txt);
  }
  world.nowMs = 7 * DAY_MS - 1;
  assert.equal(await lookup(), 'mx.example.com');
  world.nowMs = 7 * DAY_MS;
  assert.equal(await lookup(), 'policy of example.com: ECONNREFUSED');
});

test('it is fetched anew each day, so that it does not run out', async () => {
  const { world, counts, lookup } = rig();
  await lookup();
  for (let day = 1; day <= 20; day++) {
    world.nowMs = day * DAY_MS;
    assert.equal(await lookup(), 'mx.example.com');
  }
  assert.equal(counts.fetched, 21);
});

test('a web server that fails, or tells no policy, is left alone for a while', async () => {
  for (const [broken, detail] of [
    [{ kind: 'failed', detail: 'status 404' } as const, 'policy of example.com: status 404'],
    [{ kind: 'fetched', octets: Buffer.from('<html>') } as const, 'policy of example.com: breaks the rule policy-line'],
  ] as const) {
    const { world, counts, lookup } = rig();
    world.file = broken;
    for (let i = 0; i < 3; i++) assert.equal(await lookup(), detail);
    assert.equal(counts.fetched, 1);
    world.txt = 'v=STSv1; id=2';
    await lookup();
    assert.equal(counts.fetched, 2, 'another id is tried at once');
    world.nowMs = 300_000;
    world.file = file('mx.example.com', 1);
    assert.equal(await lookup(), 'mx.example.com');
  }
});

test('equal questions at one time are one; max_age 0 holds for one mail', async () => {
  const { world, counts, lookup } = rig();
  await Promise.all([lookup(), lookup(), lookup()]);
  assert.deepEqual(counts, { txt: 1, fetched: 1 });
  world.txt = 'v=STSv1; id=0';
  world.file = file('mx.example.com', 0);
  for (let i = 0; i < 2; i++) assert.equal(await lookup(), 'mx.example.com');
  assert.equal(counts.fetched, 3);
});
