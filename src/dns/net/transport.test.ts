import assert from 'node:assert/strict';
import * as packet from 'dns-packet';
import { onTestFinished, test } from 'vitest';
import {
  type DnsScript,
  DnsTestServer,
  type Heard,
  makeRecord,
  RCODE,
  withRcode,
} from '../../../test/support/dns-server.ts';
import { DNS_LIMITS, type DnsLimits } from '../limits.ts';
import { type Domain, readDomain } from '../names.ts';
import type { Asked } from '../resolver.ts';
import { DnsTransport } from './transport.ts';

const NAME = readDomain('a.example') as Domain;
const ZONE = { 'a.example': ['A 192.0.2.1'] };
/** An attempt that nobody answers ends soon, and there are many, so that one is answered in time on a slow machine. */
const SOON: Partial<DnsLimits> = { attemptMs: 50, rounds: 100, deadlineMs: 15_000 };

async function rig(scripts: readonly DnsScript[], limits: Partial<DnsLimits> = {}) {
  const servers = await Promise.all(scripts.map((script) => DnsTestServer.listen(script)));
  const transport = new DnsTransport({
    servers: servers.map(({ server }) => server),
    trustAd: false,
    limits: { ...DNS_LIMITS, ...limits },
  });
  onTestFinished(async () => {
    transport.close();
    await Promise.all(servers.map((server) => server.close()));
  });
  const ask = (name = NAME) => transport.ask({ name, type: 'A' });
  return { servers, transport, ask };
}

function addresses(asked: Asked): readonly string[] {
  assert.equal(asked.kind, 'answer', JSON.stringify(asked));
  return asked.kind !== 'answer' ? [] : asked.answer.records.map((r) => ('address' in r ? r.address : r.type));
}

const forged = (heard: Heard): packet.Packet => ({
  ...heard.right,
  answers: [makeRecord('a.example', 'A 192.0.2.66')],
});

test('a question goes with AD and DO and a small EDNS size, and is answered', async () => {
  const { ask, servers } = await rig([{ zone: ZONE }]);
  assert.deepEqual(addresses(await ask()), ['192.0.2.1']);
  const [heard] = servers[0]?.heard ?? [];
  assert.ok(heard);
  assert.ok((heard.flags & packet.AUTHENTIC_DATA) !== 0 && (heard.flags & packet.RECURSION_DESIRED) !== 0);
  assert.ok(heard.hasEdns);
});

test('ids and ports are not the same again and not in a row', async () => {
  const { ask, servers } = await rig([{ zone: ZONE }]);
  for (let i = 0; i < 24; i++) await ask();
  const heard = servers[0]?.heard ?? [];
  for (const values of [heard.map(({ id }) => id), heard.map(({ remotePort }) => remotePort)]) {
    assert.ok(new Set(values).size > 20, values.join());
    assert.ok(values.slice(1).filter((value, i) => value === (values[i] ?? 0) + 1).length < 8, values.join());
  }
});

/** Each lie comes first and the truth behind it, by the same way. */
const LIES: Readonly<Record<string, (heard: Heard) => packet.Packet | Buffer>> = {
  'wrong id': (heard) => ({ ...forged(heard), id: heard.id ^ 1 }),
  'wrong name': (heard) => ({ ...forged(heard), questions: [{ name: 'b.example', type: 'A', class: 'IN' }] }),
  'wrong type': (heard) => ({ ...forged(heard), questions: [{ name: 'a.example', type: 'AAAA', class: 'IN' }] }),
  'wrong class': (heard) => ({ ...forged(heard), questions: [{ name: 'a.example', type: 'A', class: 'CH' }] }),
  'two questions': (heard) => ({
    ...forged(heard),
    questions: [...(heard.right.questions ?? []), { name: 'b.example', type: 'A', class: 'IN' }],
  }),
  'no question': (heard) => ({ ...forged(heard), questions: [] }),
  'a query': (heard) => ({ ...forged(heard), type: 'query' }),
  'no octets': () => Buffer.alloc(0),
  garbage: () => Buffer.from('garbage, and more of it'),
};

for (const [lie, make] of Object.entries(LIES)) {
  test(`not taken for the answer: ${lie}`, async () => {
    const { ask } = await rig([
      { zone: ZONE, lie: (heard) => ({ kind: 'say', messages: [make(heard), heard.right] }) },
    ]);
    assert.deepEqual(addresses(await ask()), ['192.0.2.1']);
  });
}

test('an answer from another port of the same machine is not heard', async () => {
  const { ask } = await rig([
    { zone: ZONE, lie: (heard) => ({ kind: 'spoof', message: forged(heard), truth: heard.right }) },
  ]);
  assert.deepEqual(addresses(await ask()), ['192.0.2.1']);
});

test('a flood of guesses leads to TCP', async () => {
  const { ask, servers } = await rig([
    {
      zone: ZONE,
      lie: (heard) =>
        heard.via === 'tcp'
          ? undefined
          : {
              kind: 'say',
              messages: Array.from({ length: 30 }, (_, i) => ({ ...forged(heard), id: heard.id ^ (i + 1) })),
            },
    },
  ]);
  assert.deepEqual(addresses(await ask()), ['192.0.2.1']);
  assert.equal(servers[0]?.questions.at(-1), 'A a.example/tcp');
});

test('what does not fit comes by TCP, in whatever pieces', async () => {
  const zone = { 'a.example': Array.from({ length: 120 }, (_, i) => `A 192.0.2.${i + 1}`) };
  const truncated = (heard: Heard): packet.Packet => ({
    ...heard.right,
    flags: (heard.right.flags ?? 0) | packet.TRUNCATED_RESPONSE,
    answers: [],
  });
  const { ask, servers } = await rig([
    { zone, lie: (heard) => (heard.via === 'udp' ? { kind: 'say', messages: [truncated(heard)] } : undefined) },
  ]);
  assert.equal(addresses(await ask()).length, 120);
  assert.deepEqual(servers[0]?.questions, ['A a.example', 'A a.example/tcp']);
});

/** By TCP each of these ends that server's turn; the next server has the truth. */
const TCP_LIES: Readonly<Record<string, (heard: Heard) => ReturnType<NonNullable<DnsScript['lie']>>>> = {
  'truncated again': (heard) => ({
    kind: 'say',
    messages: [{ ...heard.right, flags: (heard.right.flags ?? 0) | packet.TRUNCATED_RESPONSE }],
  }),
  'another id': (heard) => ({ kind: 'say', messages: [{ ...forged(heard), id: heard.id ^ 1 }] }),
  'too much': () => ({ kind: 'raw', octets: Buffer.alloc(65_000, 0xff) }),
  'too little': () => ({ kind: 'raw', octets: Buffer.from([0, 40, 1]) }),
  nothing: () => ({ kind: 'raw', octets: Buffer.alloc(0) }),
  silence: () => ({ kind: 'silent' }),
};

for (const [lie, make] of Object.entries(TCP_LIES)) {
  test(`over TCP: ${lie}; the next server is asked`, async () => {
    const truncated = (heard: Heard) => ({ ...heard.right, flags: packet.TRUNCATED_RESPONSE });
    const liar: DnsScript = {
      zone: ZONE,
      lie: (heard) => (heard.via === 'udp' ? { kind: 'say', messages: [truncated(heard)] } : make(heard)),
    };
    const { ask, servers } = await rig([liar, { zone: ZONE }], lie === 'silence' ? SOON : {});
    assert.deepEqual(addresses(await ask()), ['192.0.2.1']);
    assert.equal(servers[0]?.questions[0], 'A a.example');
  });
}

test('a server that refuses, fails or is not there is left for the next', async () => {
  for (const rcode of [RCODE.SERVFAIL, RCODE.REFUSED]) {
    const { ask, servers } = await rig([
      { lie: (heard) => ({ kind: 'say', messages: [withRcode(heard, rcode)] }) },
      { zone: ZONE },
    ]);
    assert.deepEqual(addresses(await ask()), ['192.0.2.1']);
    assert.equal(servers[0]?.heard.length, 1);
  }
  const { ask } = await rig([{ lie: () => ({ kind: 'silent' }) }, { zone: ZONE }], SOON);
  assert.deepEqual(addresses(await ask()), ['192.0.2.1']);
});

test('a server that is not there is noticed at once', async () => {
  const { ask, servers } = await rig([{}, { zone: ZONE }], { attemptMs: 60_000, deadlineMs: 60_000 });
  await servers.shift()?.close();
  assert.deepEqual(addresses(await ask()), ['192.0.2.1']);
});

test('where every server fails there is one failure that says why, after so many rounds', async () => {
  const liar: DnsScript = { lie: (heard) => ({ kind: 'say', messages: [withRcode(heard, RCODE.SERVFAIL)] }) };
  const { ask, servers } = await rig([liar, liar]);
  assert.deepEqual(await ask(), { kind: 'failed', detail: '127.0.0.1: SERVFAIL' });
  assert.deepEqual(
    servers.map(({ heard }) => heard.length),
    [2, 2],
  );
});

test('a server that does not know EDNS is asked without', async () => {
  for (const make of [
    (heard: Heard) => withRcode(heard, RCODE.FORMERR),
    // Just the header.
    (heard: Heard) => packet.encode({ ...withRcode(heard, RCODE.FORMERR), questions: [] }),
  ]) {
    const { ask, servers } = await rig([
      { zone: ZONE, lie: (heard) => (heard.hasEdns ? { kind: 'say', messages: [make(heard)] } : undefined) },
    ]);
    assert.deepEqual(addresses(await ask()), ['192.0.2.1']);
    assert.deepEqual(
      servers[0]?.heard.map(({ hasEdns }) => hasEdns),
      [true, false],
    );
  }
});

test('a message that claims more records than the cap is not read', async () => {
  const huge = (heard: Heard): Buffer => {
    const octets = packet.encode(heard.right);
    octets.writeUInt16BE(65_535, 6);
    return octets;
  };
  const { ask } = await rig([{ zone: ZONE, lie: (heard) => ({ kind: 'say', messages: [huge(heard)] }) }]);
  assert.deepEqual(await ask(), {
    kind: 'failed',
    detail: '127.0.0.1: an answer that breaks the rule record-count',
  });
});

test('a question has one deadline whatever the servers do', async () => {
  const mute: DnsScript = { lie: () => ({ kind: 'silent' }) };
  const { ask, servers } = await rig([mute, mute, mute], { attemptMs: 40, deadlineMs: 100, rounds: 100 });
  assert.deepEqual(await ask(), { kind: 'failed', detail: '127.0.0.1: no answer in time' });
  const asked = servers.reduce((sum, { heard }) => sum + heard.length, 0);
  assert.ok(asked <= 4, `${asked} questions in 100 ms`);
});

test('so many at once, so many that wait, and no more', async () => {
  const gate = Promise.withResolvers<void>();
  const zone = Object.fromEntries(Array.from({ length: 6 }, (_, i) => [`n${i}.example`, ['A 192.0.2.1']]));
  const { ask, servers } = await rig([{ zone, lie: () => ({ kind: 'hold', until: gate.promise }) }], {
    parallel: 2,
    waiting: 3,
    attemptMs: 60_000,
    deadlineMs: 60_000,
  });
  const all = Array.from({ length: 6 }, (_, i) => ask(readDomain(`n${i}.example`)));
  assert.deepEqual(await all[5], { kind: 'failed', detail: 'too many questions at once' });
  while ((servers[0]?.heard.length ?? 0) < 2) await new Promise(setImmediate);
  assert.equal(servers[0]?.heard.length, 2);
  gate.resolve();
  for (const asked of await Promise.all(all.slice(0, 5))) assert.deepEqual(addresses(asked), ['192.0.2.1']);
  assert.equal(servers[0]?.heard.length, 5);
});

test('one that waits too long for its turn fails', async () => {
  const { ask } = await rig([{ lie: () => ({ kind: 'silent' }) }], {
    parallel: 1,
    attemptMs: 60,
    deadlineMs: 60,
    rounds: 1,
  });
  const outcomes = await Promise.all([ask(), ask(readDomain('b.example')), ask(readDomain('c.example'))]);
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ['failed', 'failed', 'failed'],
  );
});

test('close ends what is under way and what waits, and what comes later', async () => {
  const { ask, transport, servers } = await rig([{ lie: () => ({ kind: 'silent' }) }], {
    parallel: 1,
    attemptMs: 60_000,
    deadlineMs: 60_000,
  });
  const both = [ask(), ask(readDomain('b.example'))];
  while (servers[0]?.heard.length === 0) await new Promise(setImmediate);
  transport.close();
  for (const asked of [...both, ask()])
    assert.deepEqual(await asked, { kind: 'failed', detail: 'the resolver is closed' });
});

test('the AD bit is believed of this machine, and of others only where the operator says so', async () => {
  const server = await DnsTestServer.listen({ zone: ZONE, isAuthentic: () => true });
  onTestFinished(() => server.close());
  // 0.0.0.0 leads to the same server, and is no loopback address.
  for (const [host, trustAd, want] of [
    ['127.0.0.1', false, true],
    ['0.0.0.0', false, false],
    ['0.0.0.0', true, true],
  ] as const) {
    const servers = [{ ...server.server, host }];
    const asked = await new DnsTransport({ servers, trustAd, limits: DNS_LIMITS }).ask({ name: NAME, type: 'A' });
    assert.deepEqual(addresses(asked), ['192.0.2.1']);
    assert.equal(asked.kind === 'answer' && asked.answer.isAuthentic, want, `${host} ${trustAd}`);
  }
});

test('a server that answers nothing, as it neither knows nor asks others, says nothing of the name', async () => {
  const referral = (heard: Heard): packet.Packet => ({
    ...heard.right,
    flags: packet.RECURSION_DESIRED,
    answers: [],
    authorities: [{ type: 'NS', name: '.', ttl: 60, class: 'IN', data: 'a.root-servers.example' }],
  });
  const lame: DnsScript = { zone: ZONE, lie: (heard) => ({ kind: 'say', messages: [referral(heard)] }) };
  const alone = await rig([lame]);
  assert.match(JSON.stringify(await alone.ask()), /"failed".*no recursion/);
  const { ask } = await rig([lame, { zone: ZONE }]);
  assert.deepEqual(addresses(await ask()), ['192.0.2.1']);
});
