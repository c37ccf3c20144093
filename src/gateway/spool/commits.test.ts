/** Units that the store cannot take now, or ever: what it may take is there, and what it refuses is told once. */
import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { test } from 'vitest';
import { Deadlines, noMetrics, silentLog } from '../../base/index.ts';
import {
  type Change,
  type NewMail,
  type Store,
  StoreError,
  type StoreErrorCode,
  type Unit,
} from '../../store/index.ts';
import { Commits } from './commits.ts';

type Answer = StoreErrorCode | 'stored' | Error;

/** A store that answers as it is told to, and knows what it took. */
class Script {
  readonly deadlines = new Deadlines();
  readonly tried: string[] = [];
  readonly stored: string[] = [];
  readonly logged: { event: string; fields: Readonly<Record<string, unknown>> }[] = [];
  readonly counted: string[] = [];
  /** Mails and contents that are there, whoever brought them. */
  readonly there = new Set<string>();
  /** Nothing can be looked up. */
  isBlind = false;
  readonly commits: Commits;
  isOver = false;

  constructor(answer: (unit: Unit, nth: number) => Answer) {
    const store: Pick<Store, 'commit' | 'mail' | 'content'> = {
      commit: async (unit) => {
        this.tried.push(show(unit));
        const said = answer(unit, this.tried.length);
        if (said !== 'stored') throw said instanceof Error ? said : new StoreError(said, `it is ${said}`);
      },
      mail: async (id) =>
        this.#isThere(id) ? { id, acceptedMs: 0, reversePath: '', params: {}, facts: null } : undefined,
      content: async (id) => (this.#isThere(id) ? { id, size: 0 } : undefined),
    };
    this.commits = new Commits(
      {
        store: store as Store,
        deadlines: this.deadlines,
        log: { ...silentLog, error: (event, fields = {}) => this.logged.push({ event, fields }) },
        metrics: { ...noMetrics, count: (name, labels) => this.counted.push(`${name} ${labels?.['what']}`) },
      },
      { onStored: (unit) => this.stored.push(show(unit)), onIdle: () => undefined },
    );
  }

  #isThere(id: string): boolean {
    if (this.isBlind) throw new StoreError('failed', 'it cannot be read');
    return this.there.has(id);
  }

  /** Ends where nothing is left to try, or after `forMs`. */
  async run(unit: Unit, forMs = 600_000): Promise<void> {
    this.commits.commit(unit, () => {
      this.isOver = true;
    });
    await this.wait(forMs);
  }

  async wait(forMs: number): Promise<void> {
    for (let ms = 0; ms < forMs && !this.isOver; ms += 500) {
      for (let i = 0; i < 5; i++) await turn();
      this.deadlines.tick(this.deadlines.nowMs + 500);
    }
    for (let i = 0; i < 5; i++) await turn();
  }

  /** The lines that are for an operator to act on. */
  get final(): string[] {
    return this.logged
      .filter(({ event }) => event !== 'spool.store-failed')
      .map(({ event, fields }) => {
        assert.match(String(fields['fix']), event === 'report.failed' ? /its sender is not told/ : /is started again/);
        return [event, fields['mail'], fields['n'], fields['what']].map(String).join(' ');
      });
  }
}

const end = (n: number, as: 'delivered' | 'reported' = 'delivered'): Change => ({ kind: 'end', mail: 'm', n, as });

function mail(id: string): NewMail {
  return { id, acceptedMs: 0, reversePath: '', params: {}, facts: null, contents: [], deliveries: [] };
}

function show({ mails = [], changes = [] }: Unit): string {
  const ended = changes.map((one) => (one.kind === 'end' ? `${one.n} ${one.as}` : `${one.n} ${one.kind}`));
  return [...mails.map(({ id }) => id), ...ended].join(', ');
}

const PROGRESS = { mail: 'm', content: { id: 'm/a1.5', octets: [] } };

const has = (n: number) => (unit: Unit) => unit.changes?.some((one) => one.n === n) === true;

test('a store that is full is asked for as long as it takes, ever less often', async () => {
  const script = new Script((_, nth) => (nth <= 20 ? 'full' : 'stored'));
  await script.run({ changes: [end(1)] }, 2000 + 4000 + 10 * 5000);
  // After 0, 2 and 6 seconds, and every 5 from then on.
  assert.ok(script.tried.length >= 12 && script.tried.length <= 14, `${script.tried.length} tries`);
  assert.equal(script.commits.isIdle, false);
  await script.wait(200_000);
  assert.deepEqual(script.stored, ['1 delivered']);
  assert.deepEqual([script.final, script.counted, script.commits.isIdle], [[], [], true]);
});

test('a full store: a mail of ours waits for room, and what needs none does not wait with it', async () => {
  const later: Change = {
    kind: 'retry',
    mail: 'm',
    n: 1,
    attempts: 1,
    nextMs: 0,
    lastReply: undefined,
    isWarned: true,
  };
  const isFull = ({ mails = [] }: Unit, nth: number): Answer => (mails.length > 0 && nth < 30 ? 'full' : 'stored');
  for (const [unit, first, then] of [
    // The delivery is tried again, whenever its sender hears of the delay.
    [{ mails: [mail('warning')], changes: [later] }, ['1 retry'], ['warning']],
    [{ mails: [mail('r')], changes: [end(1), end(2, 'reported')] }, ['1 delivered'], ['r, 2 reported']],
  ] as const) {
    const script = new Script(isFull);
    await script.run(unit, 1000);
    assert.deepEqual(script.stored, first);
    await script.wait(600_000);
    assert.deepEqual(script.stored, [...first, ...then]);
    assert.deepEqual([script.final, script.counted, script.commits.isIdle], [[], [], true]);
  }
});

test('a poisonous change takes no other with it, is told once, and is waited for no longer', async () => {
  const isPoisoned = has(2);
  const script = new Script((unit) => (isPoisoned(unit) ? 'failed' : 'stored'));
  await script.run({ changes: [end(1), end(2), end(3)] });
  assert.deepEqual(script.stored.toSorted(), ['1 delivered', '3 delivered']);
  assert.deepEqual(script.final, ['spool.refused m 2 delivered']);
  assert.deepEqual(script.counted, ['opes_store_refused_total end']);
  assert.equal(script.commits.isIdle, true);
  const { length } = script.tried;
  script.deadlines.tick(script.deadlines.nowMs + 3_600_000);
  await turn();
  assert.equal(script.tried.length, length);
});

test('an exception out of packing is a refusal like any other', async () => {
  const script = new Script(() => new TypeError('Do not know how to serialize a BigInt'));
  await script.run({ changes: [{ kind: 'hold', mail: 'm', n: 7, hold: HOLD, expiresMs: 0 }] });
  assert.deepEqual(script.final, ['spool.refused m 7 hold']);
  assert.deepEqual(script.stored, []);
});

const HOLD = { service: 'av', reason: 'crash', heldMs: 0 };

test('what failed and is mended within half a minute is stored', async () => {
  const script = new Script((_, nth) => (nth < 5 ? 'failed' : 'stored'));
  await script.run({ changes: [end(1)] });
  assert.deepEqual([script.stored, script.final], [['1 delivered'], []]);
});

test('a report that cannot be stored: its ends are exceptions, and the mail does not stay for it', async () => {
  const script = new Script(({ mails = [] }) => (mails.length > 0 ? 'duplicate' : 'stored'));
  await script.run({ mails: [mail('m.r1')], changes: [end(1, 'reported'), end(2)] });
  assert.deepEqual(script.stored.toSorted(), ['1 excepted', '2 delivered']);
  assert.deepEqual(script.final, ['report.failed m.r1 undefined undefined']);
  assert.deepEqual(script.counted, ['opes_store_refused_total report']);
});

test('a poisonous end does not keep the report on it from its sender', async () => {
  const isPoisoned = has(2);
  const script = new Script((unit) => (isPoisoned(unit) ? 'corrupt' : 'stored'));
  await script.run({ mails: [mail('m.r1')], changes: [end(1, 'reported'), end(2, 'reported')] });
  assert.deepEqual(script.stored, ['m.r1', '1 reported']);
  assert.deepEqual(script.final, ['spool.refused m 2 reported']);
});

test('done the first time, with the answer lost: the second time says so, and it has happened', async () => {
  const script = new Script((_, nth) => (nth === 1 ? 'unreachable' : 'duplicate'));
  script.there.add('m.r1');
  await script.run({ mails: [mail('m.r1')], changes: [end(1, 'reported')] });
  assert.deepEqual(script.stored, ['m.r1, 1 reported']);
  assert.deepEqual([script.tried.length, script.final], [2, []]);
});

test('a name that is taken, by a mail that is none of ours or without a doubt, is no sign that it happened', async () => {
  const other = new Script(({ mails = [] }, nth) =>
    nth === 1 ? 'unreachable' : mails.length > 0 ? 'duplicate' : 'stored',
  );
  other.there.add('m.r1');
  await other.run({ mails: [mail('m.r1'), mail('m.r2')], changes: [end(1, 'reported')] });
  assert.ok(!other.stored.includes('m.r1, m.r2, 1 reported'));
  assert.ok(other.stored.includes('1 excepted'));
  const sure = new Script(({ mails = [] }) => (mails.length > 0 ? 'duplicate' : 'stored'));
  sure.there.add('m.r1');
  await sure.run({ mails: [mail('m.r1')], changes: [end(1, 'reported')] });
  assert.deepEqual(sure.stored, ['1 excepted']);
});

/** What a store says that did the first try and lost its answer; each later one is refused, for a moment or for good. */
function doneAndLost(script: Script, names: readonly string[], refusal: (unit: Unit, nth: number) => Answer) {
  return (unit: Unit, nth: number): Answer => {
    if (nth > 1) return refusal(unit, nth);
    for (const name of names) script.there.add(name);
    return 'unreachable';
  };
}

/** What is stored where the whole was done, its answer lost, and it is refused from then on. */
async function lostAndRefused(unit: Unit, names: readonly string[], refusal: (unit: Unit, nth: number) => Answer) {
  const script: Script = new Script((one, nth) => answer(one, nth));
  const answer = doneAndLost(script, names, refusal);
  await script.run(unit);
  return script;
}

test('done with its answer lost, and refused for good after it: what is there counts as stored', async () => {
  // A disk that hiccups at the second try, and one that never writes again.
  const hiccup = ({ mails = [] }: Unit, nth: number): Answer =>
    nth === 2 ? 'failed' : mails.length > 0 ? 'duplicate' : 'stored';
  for (const refusal of [hiccup, (): Answer => 'failed'] as const) {
    const both = { mails: [mail('m.r1'), mail('m.r2')], changes: [end(1, 'reported'), end(2)] };
    const script = await lostAndRefused(both, ['m.r1', 'm.r2'], refusal);
    assert.deepEqual(script.stored, ['m.r1, m.r2, 1 reported, 2 delivered']);
    assert.deepEqual([script.final, script.counted], [[], []]);
  }
});

test('ends and their report, tried apart from the rest and done with the answer lost, are not tried as exceptions', async () => {
  const isTold = ({ mails = [], changes = [] }: Unit): boolean => mails.length > 0 && changes.length === 1;
  let told = 0;
  const script: Script = new Script((unit) => {
    if (isTold(unit) && told++ === 0) {
      script.there.add('m.r1');
      return 'unreachable';
    }
    return (unit.mails ?? []).length > 0 ? 'failed' : 'stored';
  });
  await script.run({ mails: [mail('m.r1')], changes: [end(1, 'reported'), end(2)] });
  assert.deepEqual(script.stored.toSorted(), ['2 delivered', 'm.r1, 1 reported']);
  assert.deepEqual([script.final, script.counted], [[], []]);
});

test('doubt goes on to the parts: where it could not be looked for at first, a report is found there later', async () => {
  const script: Script = new Script((unit, nth) => {
    if (nth === 1) {
      script.there.add('m.r1');
      return 'unreachable';
    }
    return (unit.mails ?? []).length > 0 ? 'duplicate' : 'stored';
  });
  script.isBlind = true;
  const running = script.run({ mails: [mail('m.r1')], changes: [end(1, 'reported')] });
  while (!script.tried.includes('m.r1')) await turn();
  script.isBlind = false;
  await running;
  // The end was done with it, and is none of a delivery that is gone.
  assert.deepEqual(script.stored, ['m.r1', '1 reported']);
  assert.deepEqual([script.final, script.counted], [[], []]);
});

test('what services made, done with a report and the answer lost, and refused then: all of it counts as stored', async () => {
  const unit = { mails: [mail('m.r1')], contents: [PROGRESS], changes: [retry(1), end(2, 'reported')] };
  const script = await lostAndRefused(unit, ['m.r1', PROGRESS.content.id], () => 'failed');
  assert.deepEqual(script.stored, ['m.r1, 1 retry, 2 reported']);
  assert.deepEqual(script.final, []);
});

test('octets that were written ahead are no sign that their unit was done, nor are changes', async () => {
  const ahead = { mail: 'm', content: { id: 'm/a1.5', octets: 'written' } } as const;
  for (const unit of [{ contents: [ahead], changes: [retry(1)] }, { changes: [retry(1)] }]) {
    const script = await lostAndRefused(unit, [ahead.content.id], () => 'failed');
    assert.deepEqual(script.stored, []);
    assert.deepEqual(script.final, ['spool.refused m 1 retry']);
  }
});

test('in doubt, and full since: what was done is found, and what needs no room does not wait for what was not', async () => {
  const full = ({ mails = [] }: Unit, nth: number): Answer => (mails.length > 0 && nth < 30 ? 'full' : 'stored');
  const unit = { mails: [mail('warning')], changes: [retry(1)] };
  const done = await lostAndRefused(unit, ['warning'], full);
  assert.deepEqual(done.stored, ['warning, 1 retry']);
  const undone = await lostAndRefused(unit, [], full);
  assert.deepEqual(undone.stored, ['1 retry', 'warning']);
  assert.deepEqual([done.final, undone.final], [[], []]);
});

test('what fails behind a stored unit is said, and keeps nobody waiting', async () => {
  const script = new Script(() => 'stored');
  script.stored.push = () => {
    throw new Error('on purpose');
  };
  await script.run({ changes: [end(1)] });
  assert.deepEqual([script.isOver, script.commits.isIdle], [true, true]);
  assert.deepEqual(
    script.logged.map(({ event, fields }) => [event, fields['mail']]),
    [['spool.fault', 'm']],
  );
});

test('given up: nothing more is tried, and nothing is told of it', async () => {
  const script = new Script(() => 'unreachable');
  const running = script.run({ changes: [end(1)] }, 10_000);
  script.commits.abort();
  await running;
  assert.deepEqual([script.tried.length, script.isOver, script.final], [1, true, []]);
});

function retry(n: number): Change {
  return { kind: 'retry', mail: 'm', n, attempts: 1, nextMs: 9, lastReply: undefined, isWarned: true };
}

test('a report that cannot be stored does not keep what services made, nor from where a mail goes on', async () => {
  const units: Unit[] = [];
  const script = new Script((unit) => {
    units.push(unit);
    return (unit.mails ?? []).length > 0 ? 'failed' : 'stored';
  });
  await script.run({ mails: [mail('m.r1')], contents: [PROGRESS], changes: [retry(1), end(2, 'reported')] });
  assert.deepEqual(script.stored, ['1 retry, 2 excepted']);
  // One without the other would pass a service by.
  for (const unit of units)
    assert.equal(unit.contents?.length === 1, unit.changes?.some(({ kind }) => kind === 'retry') === true);
  assert.deepEqual(script.final, ['report.failed m.r1 undefined undefined']);
});

test('what services made, stored with its answer lost, and the report taken back with it: both are there in the end', async () => {
  let nth = 0;
  const script = new Script(({ mails = [], contents = [] }) => {
    nth++;
    if (nth === 1) return 'unreachable';
    if (contents.length > 0) return 'duplicate';
    return mails.length > 0 ? 'stored' : 'failed';
  });
  script.there.add(PROGRESS.content.id);
  await script.run({ mails: [mail('m.r1')], contents: [PROGRESS], changes: [retry(1)] });
  assert.deepEqual(script.stored, ['m.r1', '1 retry']);
  assert.deepEqual(script.final, []);
});
