/** The spool over a real store: nothing accepted is lost, and every delivery ends as what it was. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'vitest';
import { contentOf, QUEUED, SpoolRig } from '../../../test/support/spool-rig.ts';
import { noMetrics, silentLog } from '../../base/index.ts';
import { replies, reply } from '../../smtp/index.ts';
import { type Store, StoreError } from '../../store/index.ts';
import { ReportDecider } from '../dsn/index.ts';
import { MAX_RUNS } from './adapting.ts';
import { Reporter } from './reporter.ts';

const MINUTE = 60_000;
const VERDICT = { service: 's2', because: 'verdict', isOnContent: true } as const;
let rig: SpoolRig;
afterEach(() => rig.stop());

async function started(...args: Parameters<SpoolRig['start']>): Promise<SpoolRig> {
  rig = new SpoolRig();
  await rig.start(...args);
  return rig;
}

const byHop = ([a]: readonly unknown[], [b]: readonly unknown[]): number => (String(a) < String(b) ? -1 : 1);

const byRcpt = ([, a]: readonly unknown[], [, b]: readonly unknown[]): number => (String(a) < String(b) ? -1 : 1);

/** All counters balance at any time; the ones asked for are as expected in the end. */
async function counts(expected: Partial<Awaited<ReturnType<Store['counters']>>>): Promise<void> {
  let got: Awaited<ReturnType<Store['counters']>> | undefined;
  await rig
    .until(async () => {
      got = await rig.store.counters();
      const { accepted, delivered, reported, excepted, removed, queued, held } = got;
      assert.equal(accepted, delivered + reported + excepted + removed + queued + held);
      return Object.entries(expected).every(([name, value]) => got?.[name as keyof typeof got] === value);
    }, 'counters')
    .catch((error: Error) => assert.deepEqual({ ...got, ...expected }, got, error.message));
}

test('a mail is stored, delivered to each of its next hops with its own recipients, and gone', async () => {
  await started();
  assert.equal(await rig.accept('s.1', ['a@one.example', 'b@two.example', 'c@one.example']), undefined);
  await counts({ accepted: 3, delivered: 3, queued: 0 });
  assert.deepEqual(rig.sent.map(({ hop, mail, rcpts, octets }) => [hop, mail, rcpts, octets]).toSorted(byHop), [
    ['one', '<a@src.example>', ['<a@one.example>', '<c@one.example>'], 'Subject: x\r\n\r\nHello\r\n'],
    ['two', '<a@src.example>', ['<b@two.example>'], 'Subject: x\r\n\r\nHello\r\n'],
  ]);
  assert.equal(await rig.store.mail('s.1'), undefined);
});

test('put off by the hop: tried again when its time has come, from the store, and no sooner', async () => {
  await started();
  rig.hops.rcpt = () => reply(450, '4.2.1', 'greylisted');
  await rig.accept('s.1', ['a@one.example']);
  await rig.until(async () => (await rig.store.list({}, 10))[0]?.attempts === 1, 'first try');
  assert.equal((await rig.store.list({}, 10))[0]?.lastReply, '450 4.2.1 greylisted');
  rig.hops.rcpt = () => replies.rcptOk;
  rig.tick(4 * MINUTE);
  await new Promise(setImmediate);
  assert.equal(rig.tries, 1);
  rig.tick(MINUTE);
  await counts({ delivered: 1, queued: 0 });
  assert.equal(rig.sent[0]?.octets, 'Subject: x\r\n\r\nHello\r\n');
});

test('one recipient delivered, one refused, one later: three ends of one transaction', async () => {
  await started();
  rig.hops.rcpt = (argument) => {
    if (argument === '<no@x.example>') return reply(550, '5.1.1', 'no such user');
    return argument === '<later@x.example>' ? reply(452, '4.2.2', 'full') : replies.rcptOk;
  };
  await rig.accept('s.1', ['a@x.example', 'no@x.example', 'later@x.example']);
  await counts({ delivered: 1, excepted: 1, queued: 1 });
  assert.deepEqual(
    rig.events[0]?.failed.map((one) => [one.delivery.forwardPath, one.reply.code]),
    [['no@x.example', 550]],
  );
  assert.equal(rig.events[0]?.failed[0]?.by, undefined);
});

test('a place where nobody answers costs one try, however many mails wait for it', async () => {
  await started();
  rig.hops.rcpt = () => 'lost';
  for (let i = 0; i < 30; i++) await rig.accept(`s.${i}`, ['a@one.example']);
  await rig.until(
    async () => (await rig.store.list({}, 100)).every(({ lastReply }) => lastReply !== undefined),
    'put off',
  );
  assert.ok(rig.tries <= 3, `${rig.tries} tries`);
  rig.hops.rcpt = () => replies.rcptOk;
  rig.tick(6 * MINUTE);
  await counts({ delivered: 30, queued: 0 });
});

test('one place that is away does not hold up another', async () => {
  await started();
  rig.hops.rcpt = (_, hop) => (hop === 'one' ? 'mute' : replies.rcptOk);
  for (let i = 0; i < 10; i++) await rig.accept(`s.${i}`, ['a@one.example', 'b@two.example']);
  await counts({ delivered: 10, queued: 10 });
});

test('a claim that outlives its lease is not worked on twice', async () => {
  await started();
  rig.hops.rcpt = () => 'mute';
  await rig.accept('s.1', ['a@one.example']);
  await rig.until(() => rig.tries === 1, 'under way');
  rig.tick(31 * MINUTE);
  await rig.until(async () => (await rig.store.claim(rig.nowMs, 10)).length === 0, 'claimed again');
  assert.equal(rig.tries, 1);
});

test('what is under way stays ours for as long as it takes; what ended is not held for it', async () => {
  await started();
  rig.hops.rcpt = (_, hop) => (hop === 'one' ? 'mute' : reply(450, '4.2.1', 'greylisted'));
  await rig.accept('s.1', ['a@one.example', 'b@two.example']);
  await rig.until(async () => (await rig.store.list({}, 10)).some(({ attempts }) => attempts === 1), 'put off');
  // Another gateway's eyes: whatever is due and free.
  const free = async (): Promise<readonly number[]> =>
    (await rig.store.list({}, 10)).filter(({ isClaimed }) => !isClaimed).map(({ n }) => n);
  assert.deepEqual(await free(), [1]);
  rig.hops.rcpt = () => 'mute';
  for (let minute = 0; minute < 100; minute++) {
    rig.tick(MINUTE);
    await rig.store.counters();
    if (minute > 10) assert.deepEqual(await free(), []);
  }
  assert.equal(rig.tries, 3);
});

test('no more transactions with one place than permitted', async () => {
  await started();
  await Promise.all(Array.from({ length: 40 }, (_, i) => rig.accept(`s.${i}`, ['a@one.example'])));
  await counts({ delivered: 40 });
  assert.ok(rig.most <= 3 && rig.most > 1, `${rig.most}`);
});

test('more than stays in memory is delivered all the same, each once and whole', async () => {
  await started({ perDestination: 1 });
  const octets = (i: number): string => `Subject: ${i}\r\n\r\n${'x'.repeat(i % 50)}\r\n`;
  const all = Array.from({ length: 400 }, (_, i) => i);
  await Promise.all(all.map((i) => rig.accept(`s.${i}`, ['a@one.example'], { octets: octets(i) })));
  await counts({ delivered: 400, queued: 0 });
  assert.deepEqual(rig.sent.map((one) => one.octets).sort(), all.map(octets).sort());
});

for (const isHalfUsed of [false, true])
  test(`what waits for its turn is ${isHalfUsed ? 'read back where memory is short' : 'not read back while memory is free'}`, async () => {
    let reads = 0;
    rig = new SpoolRig();
    rig.memory = { isHalfUsed };
    await rig.start({ perDestination: 1 }, (store) => ({
      ...bound(store),
      commit: (unit) => store.commit(unit),
      read: (...args) => {
        reads++;
        return store.read(...args);
      },
    }));
    const all = Array.from({ length: 300 }, (_, i) => i);
    await Promise.all(all.map((i) => rig.accept(`s.${i}`, ['a@one.example'])));
    await counts({ delivered: 300, queued: 0 });
    assert.equal(reads > 0, isHalfUsed, `${reads}`);
  });

test('more than may wait in memory waits in the store, and is delivered when its turn comes', async () => {
  await started({}, undefined, 10);
  rig.hops.rcpt = () => 'mute';
  for (let i = 0; i < 30; i++) await rig.accept(`s.${i}`, ['a@one.example']);
  await rig.until(() => rig.spool.load === 10, 'ten are begun');
  rig.tick(1000);
  await rig.until(
    async () => (await rig.store.list({}, 100)).filter(({ isClaimed }) => !isClaimed).length === 20,
    'the others are nobody’s',
  );
  rig.hops.rcpt = () => replies.rcptOk;
  rig.answerMute();
  await rig.until(async () => {
    rig.tick(100);
    return (await rig.store.counters()).delivered === 30;
  }, 'all delivered');
  assert.equal(new Set(rig.sent.map(({ octets }) => octets)).size, 1);
});

test('a backlog for services is not begun all at once, nor taken out of the store beyond what may wait', async () => {
  await started({}, undefined, 300);
  const running: (() => void)[] = [];
  rig.adaptLater = (then) => void running.push(then);
  rig.adapt = ({ content }) => ({ kind: 'release', content, refused: new Map(), dispose: () => undefined });
  for (let i = 0; i < 400; i++)
    await rig.accept(`s.${i}`, ['a@one.example'], { lane: 'adapt', resume: { service: 's2', via: [] } });
  await rig.until(() => rig.spool.load === 300, 'begun, or waiting');
  assert.equal(running.length, MAX_RUNS);
  let most = 0;
  await rig.until(async () => {
    most = Math.max(most, running.length);
    for (const end of running.splice(0)) end();
    rig.tick(100);
    return (await rig.store.counters()).delivered === 400;
  }, 'all delivered');
  assert.ok(most <= MAX_RUNS, `${most} at a time`);
  assert.equal(rig.jobs.length, 400);
});

test('services that a reload gave to one of two recipients, while their run waited, are not passed by', async () => {
  await started();
  const running: (() => void)[] = [];
  rig.adaptLater = (then) => void running.push(then);
  for (let i = 0; i < MAX_RUNS; i++)
    await rig.accept(`s.${i}`, ['a@one.example'], { lane: 'adapt', resume: { service: 's2', via: [] } });
  await rig.accept('s.x', ['a@one.example', 'b@one.example'], { lane: 'adapt', resume: { service: 's2', via: [] } });
  await rig.until(() => rig.spool.load === MAX_RUNS + 1, 'waiting');
  let asked = 0;
  rig.keyOf = () => `${asked++ % 2}`;
  const of = () => rig.jobs.filter(({ mail }) => mail.id === 's.x').map((job) => job.deliveries.map(({ n }) => n));
  await rig.until(() => {
    for (const end of running.splice(0)) end();
    return of().length > 0 && rig.spool.load === 0;
  }, 'begun');
  assert.deepEqual(of(), [[0], [1]]);
});

test('runs that wait when the spool closes are left to the next start', async () => {
  await started();
  const running: (() => void)[] = [];
  rig.adaptLater = (then) => void running.push(then);
  for (let i = 0; i < MAX_RUNS + 5; i++)
    await rig.accept(`s.${i}`, ['a@one.example'], { lane: 'adapt', resume: { service: 's2', via: [] } });
  await rig.until(() => rig.spool.load === MAX_RUNS + 5, 'begun, or waiting');
  const stopped = rig.stop();
  for (const end of running.splice(0)) end();
  await stopped;
  assert.equal(rig.jobs.length, MAX_RUNS);
  rig.adaptLater = queueMicrotask;
  rig.adapt = ({ content }) => ({ kind: 'release', content, refused: new Map(), dispose: () => undefined });
  await rig.start();
  rig.tick(6 * MINUTE);
  await rig.until(async () => {
    rig.tick(1000);
    return (await rig.store.counters()).delivered === MAX_RUNS + 5;
  }, 'all delivered');
});

const LARGE = `Subject: large\r\n\r\n${'0123456789abcdef\r\n'.repeat(60_000)}`;

test('octets written ahead of a unit that is refused do not stay', async () => {
  await started({}, (store) =>
    Object.assign(Object.create(store) as Store, {
      ...bound(store),
      commit: (unit: Parameters<Store['commit']>[0]) =>
        unit.mails !== undefined ? Promise.reject(new StoreError('full', 'disk')) : store.commit(unit),
    }),
  );
  const answered = rig.accept('s.1', ['a@one.example'], { octets: LARGE });
  await rig.until(async () => (await rig.store.content('s.1/0'))?.size === LARGE.length, 'written ahead');
  assert.match(String(await answered), /disk/);
  await rig.until(async () => (await rig.store.content('s.1/0')) === undefined, 'discarded');
});

test('nor do those of what services made; and one whose answer alone was lost does', async () => {
  let fails = 2;
  const made: string[] = [];
  await started({}, (store) =>
    Object.assign(Object.create(store) as Store, {
      ...bound(store),
      commit: async (unit: Parameters<Store['commit']>[0]) => {
        const [first] = unit.contents ?? [];
        if (first === undefined || fails-- <= 0) return await store.commit(unit);
        made.push(first.content.id);
        // The second time it is done, and nobody hears of it.
        if (fails === 0) await store.commit(unit);
        throw new StoreError('unreachable', 'no answer');
      },
    }),
  );
  rig.adapt = () => ({ kind: 'release', content: contentOf(LARGE), refused: new Map(), dispose: () => undefined });
  rig.hops.rcpt = () => 'mute';
  await rig.accept('s.1', ['a@one.example'], { lane: 'adapt', resume: { service: 's2', via: [] } });
  for (const times of [1, 2]) {
    await rig.until(async () => (await rig.store.list({}, 1))[0]?.attempts === times, 'put off');
    for (let i = 0; i < 10; i++) await rig.store.counters();
    rig.tick(6 * MINUTE);
  }
  const [gone = '', there = ''] = made;
  assert.notEqual(gone, there);
  await rig.until(() => rig.tries === 1, 'on its way');
  assert.equal(await rig.store.content(gone), undefined);
  assert.equal((await rig.store.content(there))?.size, LARGE.length);
});

test('a mail beyond what goes in one unit arrives octet by octet', async () => {
  await started();
  await rig.accept('s.1', ['a@one.example'], { octets: LARGE });
  await counts({ delivered: 1 });
  assert.ok(rig.sent[0]?.octets === LARGE);
});

test('claimed between a commit and its answer: relayed all the same, and not left until its lease ends', async () => {
  let isClaimed: (() => void) | undefined;
  await started({}, (store) =>
    Object.assign(Object.create(store) as Store, {
      ...bound(store),
      // As a server with a connection for commits and one for questions may answer.
      commit: async (unit: Parameters<Store['commit']>[0]) => {
        await store.commit(unit);
        if (unit.contents === undefined) return;
        const polled = new Promise<void>((resolve) => {
          isClaimed = resolve;
        });
        rig.tick(1000);
        await polled;
      },
      content: async (id: string) => {
        const found = await store.content(id);
        // It is taken up in the turn after this.
        if (isClaimed !== undefined) setImmediate(isClaimed);
        return found;
      },
    }),
  );
  rig.adapt = ({ content }) => ({ kind: 'release', content, refused: new Map(), dispose: () => undefined });
  await rig.accept('s.1', ['a@one.example'], { lane: 'adapt', resume: { service: 's2', via: [] } });
  await rig.until(() => isClaimed !== undefined, 'claimed');
  for (let second = 0; second < 20 && rig.sent.length === 0; second++) {
    for (let i = 0; i < 10; i++) await rig.store.counters();
    rig.tick(1000);
  }
  await counts({ delivered: 1, queued: 0 });
  assert.equal(rig.sent.length, 1);
});

test('what was under way when we ended is taken up at the next start', async () => {
  await started();
  rig.hops.rcpt = () => 'mute';
  await rig.accept('s.1', ['a@one.example', 'b@two.example']);
  await rig.until(() => rig.tries === 2, 'under way');
  await rig.stop();
  rig.hops.rcpt = () => replies.rcptOk;
  await rig.start();
  rig.tick(1);
  await counts({ delivered: 2, queued: 0 });
});

test('an end that cannot be stored is stored later, and the mail is not sent twice for it', async () => {
  let refusals = 2;
  await started({}, (store) =>
    Object.assign(Object.create(store) as Store, {
      commit: (unit: Parameters<Store['commit']>[0]) =>
        unit.changes !== undefined && refusals-- > 0
          ? Promise.reject(new StoreError('full', 'disk'))
          : store.commit(unit),
      ...bound(store),
    }),
  );
  await rig.accept('s.1', ['a@one.example']);
  await rig.until(() => refusals === 1, 'first refusal');
  assert.equal((await rig.store.counters()).delivered, 0);
  await rig.until(() => {
    rig.tick(500);
    return refusals < 0;
  }, 'stored');
  await counts({ delivered: 1, queued: 0 });
  assert.equal(rig.sent.length, 1);
});

/** Everything of the store but `commit`, as it is. */
function bound(store: Store): Omit<Store, 'commit'> {
  return {
    leaseMs: store.leaseMs,
    renew: (...args) => store.renew(...args),
    writeContent: (id) => store.writeContent(id),
    claim: (...args) => store.claim(...args),
    claimExpired: (...args) => store.claimExpired(...args),
    take: (...args) => store.take(...args),
    nextDueMs: () => store.nextDueMs(),
    release: (...args) => store.release(...args),
    mail: (id) => store.mail(id),
    content: (id) => store.content(id),
    read: (...args) => store.read(...args),
    list: (...args) => store.list(...args),
    counters: () => store.counters(),
    close: () => store.close(),
  };
}

test('a report is stored with the end it tells of, and goes its own way', async () => {
  await started();
  rig.hops.rcpt = (argument) => (argument === '<no@x.example>' ? reply(550, '5.1.1', 'no such user') : replies.rcptOk);
  rig.reports = ({ mail, failed }) => ({
    excepted: new Map(),
    held: new Set(),
    mails: [
      {
        id: `${mail.id}.r1`,
        acceptedMs: rig.nowMs,
        reversePath: '',
        params: {},
        facts: mail.facts,
        contents: [{ id: `${mail.id}.r1/0`, octets: [Buffer.from(`Failed: ${failed.length}\r\n`)] }],
        deliveries: [
          {
            n: 0,
            content: `${mail.id}.r1/0`,
            forwardPath: mail.reversePath,
            params: {},
            destination: 'src.example',
            lane: 'relay',
            hold: undefined,
            nextMs: rig.nowMs,
            expiresMs: rig.nowMs + MINUTE,
            notes: {},
          },
        ],
      },
    ],
  });
  await rig.accept('s.1', ['no@x.example']);
  await counts({ accepted: 2, reported: 1, delivered: 1, queued: 0 });
  assert.deepEqual(
    rig.sent.map(({ mail, rcpts, octets }) => [mail, rcpts, octets]),
    [['<>', ['<a@src.example>'], 'Failed: 1\r\n']],
  );
});

test('two hops refuse in the same instant: each failure is told, and both reports are stored', async () => {
  await started();
  rig.hops.rcpt = () => reply(550, '5.1.1', 'no such user');
  const settings = {
    hostname: 'mx.example.com',
    system: { uri: 'https://mail.example.com/opes', contact: undefined, privacyPolicy: undefined },
    reports: { languages: ['en'], returnContent: 'headers', postmaster: undefined, perSenderPerHour: 9 },
  } as const;
  const reporter = new Reporter(new ReportDecider(settings.reports, silentLog, noMetrics), {
    ...settings,
    headerOctets: 10_000,
    lifetimeMs: 60 * MINUTE,
    serviceOf: () => undefined,
    wallClock: () => rig.nowMs,
    nonce: () => 'AbCdEfGhIjKl',
  });
  rig.make = (event) => reporter.make(event);
  await rig.accept('s.1', ['a@one.example', 'b@two.example']);
  // The hop wants the reports as little, and nobody is told of that.
  await counts({ accepted: 4, reported: 2, excepted: 2, queued: 0 });
});

test('told of twice: a notice that is not delivered yet does not stand in the way of the next', async () => {
  await started({ notice: true });
  rig.hops.rcpt = () => 'mute';
  rig.adapt = () => ({ kind: 'hold', service: 's2', reason: 'invalid', refused: new Map() });
  await rig.accept('s.1', ['a@one.example'], { lane: 'adapt', resume: { service: 's2', via: [] } });
  await counts({ accepted: 2, held: 1 });
  rig.tick(1);
  await rig.store.commit({ changes: [{ kind: 'queue', mail: 's.1', n: 0, nextMs: rig.nowMs }] });
  rig.spool.wake();
  rig.tick(1000);
  await rig.until(() => rig.jobs.length === 2, 'the services');
  await counts({ accepted: 3, held: 1 });
});

test('services that end after the spool was given up change nothing', async () => {
  await started();
  let end: (() => void) | undefined;
  rig.adaptLater = (then) => {
    end = then;
  };
  rig.adapt = () => ({
    kind: 'refused',
    reply: reply(554, '5.7.1', 'its service was closed'),
    by: VERDICT,
    refused: new Map(),
  });
  await rig.accept('s.1', ['a@one.example'], { lane: 'adapt', resume: { service: 's2', via: [] } });
  await rig.until(() => end !== undefined, 'the services');
  const closed = rig.spool.close(1);
  rig.tick(1000);
  await closed;
  end?.();
  for (let i = 0; i < 20; i++) await new Promise(setImmediate);
  await counts({ accepted: 1, queued: 1 });
  assert.deepEqual(rig.events, []);
});

test('an end that cannot be stored yet is waited for when the spool closes', async () => {
  let refusals = 1;
  await started({}, (store) =>
    Object.assign(Object.create(store) as Store, {
      ...bound(store),
      commit: (unit: Parameters<Store['commit']>[0]) =>
        unit.changes !== undefined && refusals-- > 0
          ? Promise.reject(new StoreError('full', 'disk'))
          : store.commit(unit),
    }),
  );
  await rig.accept('s.1', ['a@one.example']);
  await rig.until(() => refusals === 0 && rig.open_ === 0, 'refused');
  for (let i = 0; i < 5; i++) await new Promise(setImmediate);
  let isClosed = false;
  const closed = rig.spool.close(60_000).then(() => {
    isClosed = true;
  });
  for (let i = 0; i < 20; i++) await new Promise(setImmediate);
  assert.equal(isClosed, false);
  rig.tick(3000);
  await closed;
  await counts({ delivered: 1, queued: 0 });
});

test('a report that is stored while the spool closes is for the next start, and keeps nobody waiting', async () => {
  await started();
  rig.hops = { rcpt: () => 'mute', final: () => reply(554, '5.6.0', 'no') };
  rig.reports = ({ mail, failed }) => ({
    excepted: new Map(),
    held: new Set(),
    mails: failed.map(({ delivery }) => ({
      id: `${mail.id}.r1`,
      acceptedMs: rig.nowMs,
      reversePath: '',
      params: {},
      facts: mail.facts,
      contents: [{ id: `${mail.id}.r1/0`, octets: [Buffer.from('Failed\r\n')] }],
      deliveries: [{ ...delivery, content: `${mail.id}.r1/0`, expiresMs: rig.nowMs + MINUTE, hold: undefined }],
    })),
  });
  await rig.accept('s.1', ['a@one.example']);
  await rig.until(() => rig.tries === 1, 'under way');
  const closed = rig.spool.close(10_000);
  rig.answerMute();
  // No time passes.
  await closed;
  const { reported, queued } = await rig.store.counters();
  assert.deepEqual([rig.tries, reported, queued], [1, 1, 1]);
});

test('one mail that cannot be read does not keep the others it was claimed with', async () => {
  await started({}, (store) =>
    Object.assign(Object.create(store) as Store, {
      ...bound(store),
      commit: (unit: Parameters<Store['commit']>[0]) => store.commit(unit),
      mail: (id: string) => (id === 's.1' ? Promise.reject(new Error('damaged')) : store.mail(id)),
    }),
  );
  rig.hops.rcpt = () => reply(450, '4.2.1', 'greylisted');
  for (const id of ['s.1', 's.2']) await rig.accept(id, ['a@one.example']);
  await rig.until(async () => (await rig.store.list({}, 10)).every(({ attempts }) => attempts === 1), 'first tries');
  rig.hops.rcpt = () => replies.rcptOk;
  rig.tick(6 * MINUTE);
  await counts({ delivered: 1, queued: 1 });
  await rig.until(async () => (await rig.store.list({}, 10)).every(({ isClaimed }) => !isClaimed), 'given back');
});

test('a store that goes away in the middle of a poll: what was claimed is worked on when it is back', async () => {
  let isAway = false;
  let failures = 0;
  const asked = <T>(answer: () => Promise<T>): Promise<T> => {
    if (!isAway) return answer();
    failures++;
    return Promise.reject(new StoreError('unreachable', 'no answer'));
  };
  await started({}, (store) =>
    Object.assign(Object.create(store) as Store, {
      ...bound(store),
      commit: (unit: Parameters<Store['commit']>[0]) => store.commit(unit),
      claim: async (...args: Parameters<Store['claim']>) => {
        const due = await store.claim(...args);
        // The claim is the last thing it does for us.
        if (due.length > 0 && failures === 0) isAway = true;
        return due;
      },
      claimExpired: (...args: Parameters<Store['claimExpired']>) => asked(() => store.claimExpired(...args)),
      mail: (id: string) => asked(() => store.mail(id)),
      release: (...args: Parameters<Store['release']>) => asked(() => store.release(...args)),
    }),
  );
  rig.hops.rcpt = () => reply(450, '4.2.1', 'greylisted');
  for (const id of ['s.1', 's.2']) await rig.accept(id, ['a@one.example']);
  await rig.until(async () => (await rig.store.list({}, 10)).every(({ attempts }) => attempts === 1), 'first tries');
  rig.hops.rcpt = () => replies.rcptOk;
  rig.tick(6 * MINUTE);
  await rig.until(() => failures >= 3, 'it is away');
  isAway = false;
  rig.tick(2000);
  await counts({ delivered: 2, queued: 0 });
});

test('given up at the end of its life, with the last thing the hop said; the delay was told once before', async () => {
  await started();
  rig.hops.rcpt = () => reply(451, '4.3.0', 'not today');
  await rig.accept('s.1', ['a@one.example']);
  for (let i = 0; i < 13; i++) {
    const tries = rig.tries;
    await rig.until(async () => (await rig.store.counters()).queued === 0 || rig.tries >= tries, 'a try');
    await rig.until(async () => (await rig.store.list({}, 1)).every(({ attempts }) => attempts >= i + 1), 'its end');
    rig.tick(5 * MINUTE);
    await rig.until(() => rig.tries > tries || i >= 12, 'the next try');
  }
  await counts({ excepted: 1, queued: 0 });
  assert.deepEqual(
    rig.events.map(({ failed, delayed }) => [failed.length, delayed.length]),
    [
      [0, 1],
      [1, 0],
    ],
  );
  assert.equal(rig.events[1]?.failed[0]?.reply.text[0], 'not today');
});

test('services of a stored mail: what they release is stored before it is sent', async () => {
  await started();
  rig.adapt = () => ({
    kind: 'release',
    content: contentOf('adapted\r\n'),
    refused: new Map(),
    dispose: () => undefined,
  });
  await rig.accept('s.1', ['a@one.example'], { lane: 'adapt', resume: { service: 's2', via: [] } });
  await rig.until(() => rig.jobs.length === 1, 'the services');
  rig.tick(1000);
  await counts({ delivered: 1, queued: 0 });
  assert.equal(rig.sent[0]?.octets, 'adapted\r\n');
});

test('services of a stored mail: the envelope they made is the one that is sent', async () => {
  await started();
  rig.adapt = () => ({
    kind: 'release',
    content: contentOf('adapted\r\n'),
    refused: new Map(),
    rewritten: new Map([
      [
        0,
        {
          from: { path: 'z@src.example', params: {} },
          to: { path: 'c@two.example', params: {}, destination: 'two.example' },
        },
      ],
    ]),
    dispose: () => undefined,
  });
  await rig.accept('s.1', ['a@one.example', 'b@one.example'], { lane: 'adapt', resume: { service: 's2', via: [] } });
  await rig.until(() => rig.jobs.length === 1, 'the services');
  rig.tick(1000);
  await counts({ delivered: 2, queued: 0 });
  assert.deepEqual(rig.sent.map(({ hop, mail, rcpts }) => [hop, mail, rcpts.join()]).toSorted(byHop), [
    ['one', '<a@src.example>', '<b@one.example>'],
    ['two', '<z@src.example>', '<c@two.example> ORCPT=rfc822;a@one.example'],
  ]);
});

test('services that fail again: the mail stays, unsent; that refuse: its end is a failure of its content', async () => {
  await started();
  await rig.accept('s.1', ['a@one.example'], { lane: 'adapt', resume: { service: 's2', via: [] } });
  await rig.until(async () => (await rig.store.list({}, 1))[0]?.attempts === 1, 'a try in vain');
  assert.equal(rig.tries, 0);
  rig.adapt = () => ({ kind: 'refused', reply: reply(550, '5.7.1', 'virus'), by: VERDICT, refused: new Map() });
  rig.tick(6 * MINUTE);
  await counts({ excepted: 1, queued: 0 });
  assert.deepEqual(rig.events[0]?.failed[0]?.by, VERDICT);
});

test('kept aside: not tried, and ended by its own time as an exception', async () => {
  await started();
  await rig.accept('s.1', ['a@one.example'], {
    lane: 'adapt',
    recipients: [
      {
        argument: '<a@one.example>',
        domain: 'one.example',
        named: undefined,
        fate: { kind: 'hold', service: 'av', reason: 'crash' },
      },
    ],
  });
  await counts({ held: 1 });
  rig.tick(99 * MINUTE);
  await counts({ held: 1 });
  rig.tick(2 * MINUTE);
  await counts({ held: 0, excepted: 1 });
  assert.equal(rig.jobs.length + rig.tries, 0);
});

test('each recipient of what is kept aside is told, up to so many an hour', async () => {
  await started({ notice: true });
  const held = (address: string) => ({
    argument: `<${address}>`,
    domain: 'one.example',
    named: undefined,
    fate: { kind: 'hold', service: 'av', reason: 'crash' } as const,
  });
  for (const i of [1, 2, 3])
    await rig.accept(`s.${i}`, [], { lane: 'adapt', recipients: [held('a@one.example'), held('b@one.example')] });
  await counts({ held: 6, delivered: 4 });
  assert.deepEqual(rig.sent.map(({ mail, rcpts }) => [mail, rcpts.join()]).toSorted(byRcpt), [
    ['<>', '<a@one.example> NOTIFY=NEVER'],
    ['<>', '<a@one.example> NOTIFY=NEVER'],
    ['<>', '<b@one.example> NOTIFY=NEVER'],
    ['<>', '<b@one.example> NOTIFY=NEVER'],
  ]);
  assert.match(rig.sent[0]?.octets ?? '', /Subject: A mail to you is kept aside\r\n[\s\S]*From: <a@src\.example>/);
  assert.ok(rig.sent.every(({ octets, rcpts }) => octets.includes('b@one.example') === rcpts.join().includes('b@')));
});

test('what services hold later is told of as well', async () => {
  await started({ notice: true });
  rig.adapt = () => ({ kind: 'hold', service: 's2', reason: 'invalid', refused: new Map() });
  await rig.accept('s.1', ['a@one.example'], { lane: 'adapt', resume: { service: 's2', via: [] } });
  await counts({ held: 1, delivered: 1 });
  assert.deepEqual(
    rig.sent.map(({ rcpts }) => rcpts.join()),
    ['<a@one.example> NOTIFY=NEVER'],
  );
});

test('refused when it was taken: told by a report at once, and never sent', async () => {
  await started();
  await rig.accept('s.1', ['a@one.example'], {
    recipients: [
      {
        argument: '<a@one.example>',
        domain: 'one.example',
        named: undefined,
        fate: { kind: 'refused', service: 's2', because: 'verdict', reply: reply(550, '5.7.1', 'no') },
      },
    ],
  });
  await counts({ excepted: 1 });
  assert.deepEqual([rig.events[0]?.failed[0]?.reply.text, rig.events[0]?.failed[0]?.by], [['no'], VERDICT]);
  assert.equal(rig.tries, 0);
});

test('parameters of MAIL and RCPT are those the client gave', async () => {
  await started();
  const params: string[] = [];
  const open = rig.open.bind(rig);
  rig.open = (route, envelope, events) => {
    params.push([...envelope.params].join());
    return open(route, envelope, events);
  };
  await rig.accept('s.1', ['x'], {
    recipients: [
      {
        argument: '<a@one.example> ORCPT=rfc822;a@b',
        domain: 'one.example',
        named: undefined,
        fate: { kind: 'deliver' },
      },
    ],
  });
  await counts({ delivered: 1 });
  assert.deepEqual(params, ['BODY,8BITMIME']);
  assert.deepEqual(rig.sent[0]?.rcpts, ['<a@one.example> ORCPT=rfc822;a@b']);
  assert.equal(QUEUED.code, 250);
});

test('what a mail asks of OPES processors goes on from the store: by parameters, or as a field of the message', async () => {
  await started();
  const params: string[] = [];
  const open = rig.open.bind(rig);
  rig.open = (route, envelope, events) => {
    params.push([...envelope.params].join());
    return open(route, envelope, events);
  };
  const to = (recipient: string) => ({
    argument: `<${recipient}> OPESBYPASS=urn:x:b`,
    domain: 'one.example',
    named: undefined,
    fate: { kind: 'deliver' } as const,
  });
  const asks = {
    params: new Map<string, string | true>([
      ['OPESBYPASS', 'urn:x:a'],
      ['OPESAUTH', true],
    ]),
    recipients: [to('a@one.example'), to('b@one.example')] as const,
  };
  await rig.accept('s.1', ['x'], asks);
  await counts({ delivered: 2 });
  rig.speaksOpes = false;
  await rig.accept('s.2', ['x'], asks);
  await counts({ delivered: 4 });
  assert.deepEqual(params, ['OPESBYPASS,urn:x:a,OPESAUTH,true', 'OPESBYPASS,urn:x:a,OPESAUTH,true']);
  assert.ok(rig.sent[0]?.rcpts.every((rcpt) => rcpt.endsWith('> OPESBYPASS=urn:x:b')));
  const [told, untold] = rig.sent.map(({ octets }) => octets);
  assert.equal(untold, `OPES-Bypass: urn:x:a,\r\n\turn:x:b\r\n${told}`);
});

test('whom the hop refuses has no say in what the field of the others asks for', async () => {
  await started();
  rig.speaksOpes = false;
  rig.hops.rcpt = (argument) => (argument === '<no@one.example>' ? reply(550, '5.1.1', 'no') : replies.rcptOk);
  const to = (recipient: string, params: string) => ({
    argument: `<${recipient}>${params}`,
    domain: 'one.example',
    named: undefined,
    fate: { kind: 'deliver' } as const,
  });
  await rig.accept('s.1', ['x'], {
    recipients: [to('a@one.example', ' OPESBYPASS=urn:x:b'), to('no@one.example', '')],
  });
  await counts({ delivered: 1, excepted: 1 });
  assert.match(rig.sent[0]?.octets ?? '', /^OPES-Bypass: urn:x:b\r\n/);
});

test('recipients that do not meet the same services after all run apart, and each comes to its own end', async () => {
  await started();
  rig.adapt = ({ deliveries, content }) => {
    if (deliveries.length > 1) return { kind: 'split', groups: [deliveries.slice(0, 1), deliveries.slice(1)] };
    if (deliveries[0]?.n === 1) return { kind: 'hold', service: 's1', reason: 'verdict: x', refused: new Map() };
    return { kind: 'release', content, refused: new Map(), dispose: () => undefined };
  };
  await rig.accept('s.1', ['a@one.example', 'b@one.example'], {
    lane: 'adapt',
    resume: { service: undefined, via: [] },
  });
  await counts({ accepted: 2, delivered: 1, held: 1, queued: 0 });
  assert.deepEqual(
    rig.sent.map(({ rcpts }) => rcpts),
    [['<a@one.example>']],
  );
  assert.equal((await rig.store.list({}, 9))[0]?.hold?.reason, 'verdict: x');
});

test('a clock that is set back does not turn mail away for longer than a store was full', async () => {
  let refusals = 1;
  await started({}, (store) =>
    Object.assign(Object.create(store) as Store, {
      ...bound(store),
      commit: (unit: Parameters<Store['commit']>[0]) =>
        refusals-- > 0 ? Promise.reject(new StoreError('full', 'disk')) : store.commit(unit),
    }),
  );
  assert.ok(await rig.accept('s.1', ['a@one.example']));
  assert.ok(rig.spool.isFull);
  rig.nowMs -= 60 * MINUTE;
  assert.ok(!rig.spool.isFull);
});

for (const [what, rest] of [
  ['held', { kind: 'hold', service: 's2', reason: 'verdict: x' }],
  ['refused for its content', { kind: 'refused', reply: reply(550, '5.7.1', 'virus'), by: VERDICT }],
] as const)
  test(`a recipient that a service refused, of a mail that is ${what}: its own end, for its own reason`, async () => {
    await started();
    const by = { service: 's1', because: 'verdict', isOnContent: false } as const;
    rig.reports = ({ failed }) => ({
      mails: [],
      excepted: new Map(),
      held: new Set(failed.flatMap(({ delivery, by: who }) => (who?.isOnContent === true ? [delivery.n] : []))),
    });
    rig.adapt = () => ({ ...rest, refused: new Map([[1, { reply: reply(550, '5.7.1', 'not for you'), by }]]) });
    const more = { lane: 'adapt', resume: { service: 's1', via: [] } } as const;
    await rig.accept('s.1', ['a@one.example', 'b@one.example'], more);
    await counts({ held: 1, reported: 1, queued: 0 });
    assert.deepEqual(
      (await rig.store.list({ state: 'held' }, 9)).map(({ forwardPath }) => forwardPath),
      ['a@one.example'],
    );
  });
