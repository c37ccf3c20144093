import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { afterEach, test } from 'vitest';
import { scratchFolder } from '../../../test/support/scratch.ts';
import { silentLog } from '../../base/index.ts';
import { type NewDelivery, type NewMail, openStore, type Store } from '../../store/index.ts';
import type { ActReport, Finding, QueueOrder } from './port.ts';
import { StoreQueueAdmin } from './queue-admin.ts';

const NOW = 1_800_000_000_000;
const DAY = 24 * 3600 * 1000;
const OCTETS = Buffer.from('Subject: hi\r\nFrom: a@src.example\r\n\r\nText\r\n');
const HOLD = { service: 'av', reason: 'timeout', heldMs: NOW - DAY };

const opened: Store[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((store) => store.close()));
});

class Rig {
  readonly store: Store;
  readonly admin: StoreQueueAdmin;
  readonly logged: Readonly<Record<string, unknown>>[] = [];
  nowMs = NOW;
  woken = 0;
  /** What the spool works on, whoever has the claim. */
  readonly underWay = new Set<string>();
  /** What the spool is to give back. */
  readonly left: string[] = [];

  constructor(store: Store) {
    this.store = store;
    const log = { ...silentLog, info: (event: string, fields = {}) => void this.logged.push({ event, ...fields }) };
    this.admin = new StoreQueueAdmin({
      store,
      spool: {
        wake: () => void this.woken++,
        isUnderWay: ({ mail, n }) => this.underWay.has(`${mail}#${n}`),
        giveBack: (all) => void this.left.push(...all.map(({ mail, n }) => `${mail}#${n}`)),
      },
      book: undefined,
      wallClock: () => this.nowMs,
      log,
      lifetimeMs: 5 * DAY,
      keepMs: 30 * DAY,
    });
  }

  /** Stored, and nobody works on it. */
  async put(id: string, ...deliveries: Partial<NewDelivery>[]): Promise<void> {
    await this.store.commit({ mails: [makeMail(id, deliveries)] });
    await this.store.release(deliveries.map((_, n) => ({ mail: id, n })));
  }

  /** What was done to each, and that the counters balance with what is there. */
  async act(order: QueueOrder): Promise<string[]> {
    const { entries, done, refused } = found(await this.admin.act(order));
    assert.equal(entries.filter((one) => one.refused === undefined).length, done);
    assert.equal(entries.length, done + refused);
    await this.balance();
    return entries.map(({ id, refused: why = 'done' }) => `${id} ${why}`);
  }

  async balance(): Promise<void> {
    const { accepted, ...ends } = await this.admin.counters();
    assert.equal(
      Object.values(ends).reduce((sum, one) => sum + one, 0),
      accepted,
    );
    const all = await this.store.list({}, 10_000);
    const held = all.filter(({ hold }) => hold !== undefined).length;
    assert.deepEqual([ends.queued, ends.held], [all.length - held, held]);
  }
}

async function rig(): Promise<Rig> {
  const made: { rig?: Rig } = {};
  const clock = () => made.rig?.nowMs ?? NOW;
  const store = await openStore({ dataDir: scratchFolder('admin'), url: 'sqlite', clock });
  opened.push(store);
  made.rig = new Rig(store);
  return made.rig;
}

function makeMail(id: string, deliveries: readonly Partial<NewDelivery>[]): NewMail {
  return {
    id,
    acceptedMs: NOW - 2 * DAY,
    reversePath: 'a@src.example',
    params: {},
    facts: { mail: id.replace(/\.v\d$/, ''), session: { id: 's', listener: 'mx' } },
    contents: [{ id: `${id}/0`, octets: [OCTETS] }],
    deliveries: deliveries.map((one, n) => ({
      n,
      content: `${id}/0`,
      forwardPath: `user${n}@one.example`,
      params: {},
      destination: 'one.example',
      lane: 'adapt',
      hold: undefined,
      nextMs: NOW + DAY,
      expiresMs: NOW + 3 * DAY,
      notes: {},
      ...one,
    })),
  };
}

function found<T>(finding: Finding<T>): T {
  assert.ok('found' in finding, JSON.stringify(finding));
  return finding.found;
}

test('a list tells states, pages through everything, and finds by id and by address', async () => {
  const { admin, put, store } = bound(await rig());
  await put('s.1', {}, { hold: HOLD });
  await put('s.1.v2', { forwardPath: 'Bob@two.example' });
  await store.claim(NOW + DAY, 1);
  const seen: string[] = [];
  let after: { seq: number; n: number } | undefined;
  do {
    const page = await admin.list({}, 2, after);
    seen.push(...page.entries.map(({ id, state, trace }) => `${id} ${state} ${trace}`));
    after = page.after;
  } while (after !== undefined);
  assert.deepEqual(seen, ['s.1#0 active s.1', 's.1#1 held s.1', 's.1.v2#0 queued s.1']);
  const ids = async (filter: Parameters<typeof admin.list>[0]) =>
    (await admin.list(filter, 99)).entries.map(({ id }) => id);
  assert.deepEqual(await ids({ state: 'held' }), ['s.1#1']);
  assert.deepEqual(await ids({ id: 's.1.' }), ['s.1.v2#0']);
  assert.deepEqual(await ids({ text: 'bob@' }), ['s.1.v2#0']);
});

test('an id is a mail, one of its recipients, or the beginning of one mail only', async () => {
  const { admin, put, act } = bound(await rig());
  await put('s.1', {}, {});
  await put('s.10', {});
  await put('t.1', {});
  const shown = async (id: string) => {
    const finding = await admin.show(id);
    return 'found' in finding ? finding.found.deliveries.map((one) => one.id) : finding;
  };
  assert.deepEqual(await shown('s.1'), ['s.1#0', 's.1#1'], 'a whole id goes before the beginning of others');
  assert.deepEqual(await shown('s.1#1'), ['s.1#1']);
  assert.deepEqual(await shown('t'), ['t.1#0']);
  assert.deepEqual(await shown('s'), { missing: 'ambiguous', some: ['s.1', 's.10'] });
  for (const id of ['s.2', 's.1#2', 't#1', '', '#0', 's.1#', 's.1#-1', `s.1#${'9'.repeat(30)}`, 'x'.repeat(300), 'a b'])
    assert.deepEqual(await shown(id), { missing: 'unknown' }, id);
  assert.deepEqual(await admin.act({ act: 'remove', id: 's' }), { missing: 'ambiguous', some: ['s.1', 's.10'] });
  assert.deepEqual(await act({ act: 'remove', id: 's.10' }), ['s.10#0 done']);
});

test('a mail is shown with all that is known, and its octets as they are', async () => {
  const { admin, put } = bound(await rig());
  await put('s.1', { hold: HOLD, notes: { service: 'av' }, params: { NOTIFY: 'NEVER' } });
  const { deliveries, facts, ...mail } = found(await admin.show('s.1'));
  assert.deepEqual(mail, {
    mail: 's.1',
    trace: 's.1',
    acceptedMs: NOW - 2 * DAY,
    from: 'a@src.example',
    params: {},
    hasMore: false,
    header: 'Subject: hi\r\nFrom: a@src.example\r\n',
    octets: OCTETS.length,
    sha256: createHash('sha256').update(OCTETS).digest('hex'),
  });
  assert.deepEqual(facts, { mail: 's.1', session: { id: 's', listener: 'mx' } });
  assert.deepEqual(deliveries[0]?.held, { service: 'av', reason: 'timeout', sinceMs: NOW - DAY });
  assert.deepEqual([deliveries[0]?.notes, deliveries[0]?.params], [{ service: 'av' }, { NOTIFY: 'NEVER' }]);
  const message = found(await admin.message('s.1#0'));
  const chunks: Uint8Array[] = [];
  for await (const chunk of message.chunks) chunks.push(chunk);
  assert.deepEqual(Buffer.concat(chunks), OCTETS);
  assert.equal(message.octets, OCTETS.length);
});

test('a release gives one recipient back to the queue, with a new life, past what may be bypassed', async () => {
  const one = await rig();
  const { store, put, act } = bound(one);
  await put('s.1', { hold: HOLD, notes: { service: 'av' } }, { hold: HOLD });
  assert.deepEqual(await act({ act: 'release', id: 's.1#0' }), ['s.1#0 done']);
  assert.equal(one.woken, 1);
  const [released, held] = await store.list({}, 9);
  assert.equal(held?.hold?.service, 'av');
  assert.deepEqual(
    [released?.hold, released?.lane, released?.nextMs, released?.expiresMs, released?.notes, released?.isClaimed],
    [undefined, 'adapt', NOW, NOW + 5 * DAY, { service: 'av', isReleased: true }, false],
  );
  assert.deepEqual(await act({ act: 'release', id: 's.1' }), ['s.1#0 not-held', 's.1#1 done']);
  assert.deepEqual(
    one.logged.map(({ event, act: what, n, heldBy }) => [event, what, n, heldBy]),
    [
      ['operator', 'release', 0, 'av: timeout'],
      ['operator', 'release', 1, 'av: timeout'],
    ],
  );
});

test('what was refused when it was taken, and is held, is for the services to say anew when it is released', async () => {
  const { store, put, act } = bound(await rig());
  const refused = { code: 550, enhanced: '5.7.1', text: ['no'] };
  await put('s.1', {
    hold: { ...HOLD, reason: 'refused' },
    notes: { service: 'av', named: 'x@y.example', refused, because: 'verdict' },
  });
  await act({ act: 'release', id: 's.1' });
  assert.deepEqual((await store.list({}, 1))[0]?.notes, { service: 'av', named: 'x@y.example', isReleased: true });
});

test('what an operator holds goes on as it was when it is released', async () => {
  const { store, put, act } = bound(await rig());
  await put('s.1', { notes: { service: 'av', via: [] } }, { lane: 'relay' });
  assert.deepEqual(await act({ act: 'hold', id: 's.1' }), ['s.1#0 done', 's.1#1 done']);
  const held = await store.list({ state: 'held' }, 9);
  assert.deepEqual(
    held.map(({ hold, expiresMs }) => [hold, expiresMs]),
    Array(2).fill([{ service: 'operator', reason: 'operator', heldMs: NOW }, NOW + 30 * DAY]),
  );
  assert.deepEqual(await act({ act: 'hold', id: 's.1' }), ['s.1#0 held', 's.1#1 held']);
  assert.deepEqual(await act({ act: 'retry', id: 's.1#0' }), ['s.1#0 held']);
  assert.deepEqual(await act({ act: 'release', id: 's.1' }), ['s.1#0 done', 's.1#1 done']);
  const queued = await store.list({ state: 'queued' }, 9);
  assert.deepEqual(
    queued.map(({ lane, notes }) => [lane, notes]),
    [
      ['adapt', { service: 'av', via: [] }],
      ['relay', {}],
    ],
  );
});

test('what is being delivered is left alone, and nobody else works on what is being changed', async () => {
  const one = await rig();
  const { store, put, act } = bound(one);
  await put('s.1', { nextMs: NOW }, {});
  assert.equal((await store.claim(NOW, 9)).length, 1);
  for (const what of ['remove', 'hold', 'retry'] as const)
    assert.deepEqual(await act({ act: what, id: 's.1#0' }), ['s.1#0 active'], what);
  assert.deepEqual(await act({ act: 'remove', id: 's.1' }), ['s.1#0 active', 's.1#1 done']);
  // The delivery under way ends as if nobody had asked.
  await store.commit({ changes: [{ kind: 'end', mail: 's.1', n: 0, as: 'delivered' }] });
  await one.balance();
  const { delivered, removed, accepted } = await store.counters();
  assert.deepEqual([accepted, delivered, removed], [2, 1, 1]);
});

test('a try that outlasts its claim is left alone, too', async () => {
  const one = await rig();
  await one.put('s.1', {}, {});
  one.underWay.add('s.1#0');
  assert.deepEqual(await one.act({ act: 'remove', id: 's.1' }), ['s.1#0 active', 's.1#1 done']);
  assert.equal((await one.admin.list({}, 9)).entries[0]?.state, 'active');
  one.underWay.clear();
  assert.deepEqual(await one.act({ act: 'remove', id: 's.1' }), ['s.1#0 done']);
});

test('a change that cannot be stored leaves everything to others again', async () => {
  const one = await rig();
  await one.put('s.1', {}, {});
  const failing: Store = Object.assign(Object.create(one.store) as Store, {
    commit: () => Promise.reject(new Error('disk full')),
    take: one.store.take.bind(one.store),
    release: one.store.release.bind(one.store),
    list: one.store.list.bind(one.store),
  });
  const admin = new Rig(failing).admin;
  await assert.rejects(admin.act({ act: 'remove', id: 's.1' }), /disk full/);
  assert.deepEqual(await one.act({ act: 'remove', id: 's.1' }), ['s.1#0 done', 's.1#1 done']);
});

test('where not even that can be stored the spool sees to it', async () => {
  const one = await rig();
  await one.put('s.1', {}, {});
  const failing: Store = Object.assign(Object.create(one.store) as Store, {
    commit: () => Promise.reject(new Error('no answer')),
    release: () => Promise.reject(new Error('still none')),
    take: one.store.take.bind(one.store),
    list: one.store.list.bind(one.store),
  });
  const { admin, left } = new Rig(failing);
  await assert.rejects(admin.act({ act: 'retry', id: 's.1' }), /no answer/);
  assert.deepEqual(left, ['s.1#0', 's.1#1']);
});

test('the quarantine removes only what is held', async () => {
  const { put, act } = bound(await rig());
  await put('s.1', { hold: HOLD }, {});
  assert.deepEqual(await act({ act: 'remove', id: 's.1', only: 'held' }), ['s.1#0 done', 's.1#1 not-held']);
  assert.deepEqual(await act({ act: 'remove', id: 's.1' }), ['s.1#1 done']);
});

test('everything for a domain, or everything, is tried now: page after page, and nothing that is held', async () => {
  const one = await rig();
  const { store, put } = bound(one);
  await put('s.1', ...Array.from({ length: 700 }, () => ({})));
  await put('s.2', { destination: 'two.example' }, { destination: 'two.example', hold: HOLD });
  let report: ActReport = found(await one.admin.act({ act: 'retry', destination: 'two.example' }));
  assert.deepEqual([report.done, report.refused, one.woken], [1, 0, 1]);
  assert.equal((await store.claim(NOW, 9)).length, 1);
  report = found(await one.admin.act({ act: 'retry', destination: undefined }));
  assert.deepEqual([report.done, report.refused, report.entries.length], [700, 1, 500]);
  assert.equal((await store.claim(NOW, 999)).length, 700);
  report = found(await one.admin.act({ act: 'retry', destination: 'none.example' }));
  assert.deepEqual([report.done, one.woken], [0, 2], 'nothing became due');
  assert.equal(one.logged.length, 3, 'a line for each order');
  await one.balance();
});

/** Methods that can be named without their object. */
function bound(one: Rig) {
  return { admin: one.admin, store: one.store, put: one.put.bind(one), act: one.act.bind(one) };
}

test('a mail whose row is damaged hides no other, and is named by its row', async () => {
  const { admin, put, store, act } = bound(await rig());
  await put('s.1', {});
  await store.commit({ mails: [{ ...makeMail('s.2', [{ hold: HOLD }]), facts: null }] });
  const { entries } = await admin.list({}, 99);
  assert.deepEqual(
    entries.map(({ id, trace }) => [id, trace]),
    [
      ['s.1#0', 's.1'],
      ['s.2#0', 's.2'],
    ],
  );
  assert.equal(found(await admin.show('s.2')).trace, 's.2');
  assert.deepEqual(await act({ act: 'remove', id: 's.2' }), ['s.2#0 done']);
});

test('notes that cannot be read are let go as they are, and nothing stays claimed for them', async () => {
  const { store, put, act } = bound(await rig());
  await put('s.1', { hold: HOLD, notes: null }, { hold: HOLD });
  assert.deepEqual(await act({ act: 'release', id: 's.1' }), ['s.1#0 done', 's.1#1 done']);
  assert.deepEqual(
    (await store.list({}, 9)).map(({ notes, isClaimed }) => [notes, isClaimed]),
    [
      [null, false],
      [{ isReleased: true }, false],
    ],
  );
});

test('a mail that ends before anything is done to it is said to be unknown', async () => {
  const { admin, put, store } = bound(await rig());
  await put('s.1', { hold: HOLD });
  const list = store.list.bind(store);
  let asked = 0;
  store.list = async (...args) => {
    if (++asked === 3) await store.commit({ changes: [{ kind: 'end', mail: 's.1', n: 0, as: 'excepted' }] });
    return await list(...args);
  };
  assert.deepEqual(await admin.act({ act: 'release', id: 's.1#0' }), { missing: 'unknown' });
});
