/** Faults of ours and rows that cannot be read: one mail's matter, tried later like any failure, and reported in the end. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'vitest';
import { contentOf, SpoolRig } from '../../../test/support/spool-rig.ts';
import { replies, reply } from '../../smtp/index.ts';
import { type Json, type Store, type StoredDelivery, StoreError } from '../../store/index.ts';

const MINUTE = 60_000;
const ADAPT = { lane: 'adapt', resume: { service: 's2', via: [] } } as const;
let rig: SpoolRig;
afterEach(() => rig.stop());

async function started(wrap?: (store: Store) => Partial<Store>): Promise<void> {
  rig = new SpoolRig();
  await rig.start({}, (store) => (wrap === undefined ? store : altered(store, wrap(store))));
}

/** A store with some of its methods replaced. */
function altered(store: Store, by: Partial<Store>): Store {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(by, name) ?? Reflect.get(target, name);
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
}

/** Until the counters say so; with the clock going on by the minute, no faster than what is under way. */
async function until(expected: Partial<Awaited<ReturnType<Store['counters']>>>, forMinutes = 0): Promise<void> {
  const isSo = async (): Promise<boolean> => {
    const got = await rig.store.counters();
    return Object.entries(expected).every(([name, value]) => got[name as keyof typeof got] === value);
  };
  for (let minute = 0; minute < forMinutes; minute++) {
    // Each is behind what the store was asked before.
    for (let i = 0; i < 10; i++) await rig.store.counters();
    if (await isSo()) return;
    rig.tick(MINUTE);
  }
  await rig.until(isSo, JSON.stringify(expected));
}

/** What claims give of mail `s.bad`. */
const spoiled =
  (change: Partial<StoredDelivery>) =>
  (store: Store): Partial<Store> => ({
    claim: async (...args) =>
      (await store.claim(...args)).map((one) => (one.mail === 's.bad' ? { ...one, ...change } : one)),
    claimExpired: async (...args) =>
      (await store.claimExpired(...args)).map((one) => (one.mail === 's.bad' ? { ...one, ...change } : one)),
  });

const DAMAGED: readonly [string, Partial<StoredDelivery>][] = [
  ['no JSON', { params: {}, notes: null, isDamaged: true }],
  ['notes that are none', { notes: null }],
  ['notes that are a list', { notes: [] }],
  ['a path that is none', { notes: { rewritten: { from: 'a@b' } } }],
  ['a refusal that is none', { notes: { refused: 550 } as Json }],
  ['a refusal by nobody knows what', { notes: { refused: { code: 550, text: [] }, because: 'weather' } }],
  ['judgements that are no object', { notes: { judged: 'yes' } }],
  ['a judgement that is neither yes nor no', { notes: { judged: { 'av: true': 1 } } }],
];

for (const [what, change] of DAMAGED)
  test(`a stored delivery with ${what}: tried later, reported at its end, and the others go on`, async () => {
    await started(spoiled(change));
    rig.hops.rcpt = () => reply(450, '4.2.1', 'greylisted');
    for (const id of ['s.bad', 's.good']) await rig.accept(id, ['a@one.example']);
    await rig.until(async () => (await rig.store.list({}, 10)).every(({ attempts }) => attempts === 1), 'first tries');
    rig.hops.rcpt = () => replies.rcptOk;
    rig.tick(6 * MINUTE);
    await until({ delivered: 1, queued: 1 });
    await until({ delivered: 1, excepted: 1, queued: 0 }, 90);
    const faults = rig.lines('spool.fault');
    assert.ok(faults.every(({ mail }) => mail === 's.bad'));
    // An hour in steps of five minutes, and not one of a second.
    assert.ok(faults.length >= 8 && faults.length <= 14, `${faults.length} faults`);
    const failed = rig.events.flatMap((event) => event.failed.map((one) => [event.mail.reversePath, one.reply.code]));
    assert.deepEqual(failed, [['a@src.example', 451]]);
  });

test('a mail whose own row is damaged is reported to its sender at its end', async () => {
  await started((store) => ({
    mail: async (id) => {
      const mail = await store.mail(id);
      return mail && { ...mail, params: {}, facts: null, isDamaged: true };
    },
  }));
  rig.hops.rcpt = () => reply(450, '4.2.1', 'greylisted');
  await rig.accept('s.1', ['a@one.example']);
  await until({ excepted: 1, queued: 0 }, 90);
  assert.deepEqual(
    rig.events.map(({ mail, failed }) => [mail.reversePath, failed.length]).filter(([, failed]) => failed !== 0),
    [['a@src.example', 1]],
  );
});

test('what cannot be read from the store is not looked for every second', async () => {
  let reads = 0;
  await started(() => ({
    content: async () => {
      reads++;
      throw new StoreError('corrupt', 'damaged');
    },
  }));
  rig.hops.rcpt = () => reply(450, '4.2.1', 'greylisted');
  await rig.accept('s.1', ['a@one.example']);
  await until({ excepted: 1, queued: 0 }, 90);
  assert.ok(reads >= 8 && reads <= 14, `${reads} reads`);
});

test('content that is gone: said each time, not every second, and reported at the end', async () => {
  await started(() => ({ content: async () => undefined }));
  rig.hops.rcpt = () => reply(450, '4.2.1', 'greylisted');
  await rig.accept('s.1', ['a@one.example']);
  await until({ excepted: 1, queued: 0 }, 90);
  const lines = rig.lines('spool.incomplete').length;
  assert.ok(lines >= 8 && lines <= 14, `${lines} lines`);
});

test("an exception on the way to a hop is that mail's alone, and passes", async () => {
  await started();
  const open = rig.open.bind(rig);
  let faults = 1;
  rig.open = (route, envelope, events) => {
    if (envelope.mail === '<bad@src.example>' && faults-- > 0) throw new Error('on purpose');
    return open(route, envelope, events);
  };
  const more = { reversePath: '<bad@src.example>' };
  await Promise.all([rig.accept('s.bad', ['a@one.example'], more), rig.accept('s.good', ['a@one.example'])]);
  await until({ delivered: 1, queued: 1 });
  assert.match(String(rig.lines('spool.fault')[0]?.['error']), /on purpose\n.*at /);
  await until({ delivered: 2, queued: 0 }, 10);
  assert.deepEqual(rig.spool.load, 0);
});

test('services of a stored mail that cannot even be begun: later, and the others go on', async () => {
  await started();
  rig.adapt = () => RELEASED;
  rig.keyOf = () => {
    throw new Error('on purpose');
  };
  await rig.accept('s.bad', ['a@one.example'], ADAPT);
  await rig.accept('s.good', ['b@one.example']);
  await until({ delivered: 1, queued: 1 });
  assert.equal(rig.lines('spool.fault').length, 1);
  rig.keyOf = () => '';
  await until({ delivered: 2, queued: 0 }, 10);
});

test('a fault in what services have made: later, and once', async () => {
  await started();
  rig.adapt = () => ({ ...RELEASED, refused: undefined as unknown as typeof RELEASED.refused });
  await rig.accept('s.1', ['a@one.example'], ADAPT);
  await rig.until(() => rig.lines('spool.fault').length === 1, 'the fault');
  assert.equal(rig.tries, 0);
  rig.adapt = () => RELEASED;
  await until({ delivered: 1, queued: 0 }, 10);
  assert.equal(rig.sent.length, 1);
});

const RELEASED = {
  kind: 'release',
  content: contentOf('adapted\r\n'),
  refused: new Map(),
  dispose: () => undefined,
} as const;

test('a fault where the end is reckoned: nothing is stored, nothing is lost, and the process goes on', async () => {
  await started();
  rig.hops.rcpt = () => reply(450, '4.2.1', 'greylisted');
  rig.random = () => {
    throw new Error('on purpose');
  };
  await rig.accept('s.1', ['a@one.example']);
  await rig.until(() => rig.lines('spool.fault').length === 2, 'the faults');
  rig.hops.rcpt = () => replies.rcptOk;
  await rig.accept('s.2', ['b@two.example']);
  await until({ delivered: 1, queued: 1 });
  await rig.stop();
  rig.random = () => 0.5;
  await rig.start();
  await until({ delivered: 2, queued: 0 }, 40);
});

test('reports that are none: the end is an exception', async () => {
  await started();
  rig.hops.rcpt = () => reply(550, '5.1.1', 'no');
  rig.reports = () => undefined as unknown as ReturnType<typeof rig.reports>;
  await rig.accept('s.1', ['a@one.example']);
  await until({ excepted: 1, queued: 0 });
  assert.equal(rig.lines('report.failed').length, 1);
});

test('a dialog that fails over the news that its mail is stored does not keep the mail', async () => {
  await started();
  rig.spool.accept(rig.acceptance('s.1', ['a@one.example']), () => {
    throw new Error('on purpose');
  });
  await until({ delivered: 1, queued: 0 });
  assert.equal(rig.lines('spool.fault')[0]?.['mail'], 's.1');
});

test('held, and its mail is damaged: its time ends it all the same, and the others go on', async () => {
  await started((store) => ({
    mail: async (id) => {
      const mail = await store.mail(id);
      return mail && (id === 's.bad' ? { ...mail, params: {}, facts: null, isDamaged: true } : mail);
    },
  }));
  const [variant] = rig.acceptance('s.bad', ['a@one.example']).variants;
  const recipients = (variant?.recipients ?? []).map((one) => ({
    ...one,
    fate: { kind: 'hold', service: 's2', reason: 'timeout' } as const,
  }));
  await rig.accept('s.bad', ['a@one.example'], { recipients });
  await until({ held: 1 });
  await until({ held: 0, excepted: 1 }, 120);
  assert.deepEqual(rig.lines('quarantine.expired').length, 1);
});
