/** The store beside a model of it in memory: the same random commands to both, the same answers and counters from both. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Change, Counters, Ending, Store, Unit } from '../../src/store/index.ts';
import { makeMail, NOW, names } from './store-mail.ts';

const LEASE_MS = 1000;
const evenOf = (ms: number): number => ms - (ms % 2);

interface Kept {
  readonly seq: number;
  readonly mail: string;
  readonly n: number;
  isHeld: boolean;
  nextMs: number;
  expiresMs: number;
  leaseMs: number;
}

type Command =
  | {
      readonly kind: 'mail';
      readonly id: number;
      readonly deliveries: number;
      readonly inMs: number;
      readonly isHeld: boolean;
    }
  | {
      readonly kind: 'change';
      readonly what: Change['kind'];
      readonly id: number;
      readonly n: number;
      readonly inMs: number;
      readonly as: Ending;
    }
  | { readonly kind: 'claim'; readonly what: 'due' | 'expired'; readonly inMs: number; readonly limit: number }
  | { readonly kind: 'release'; readonly id: number; readonly n: number };

const id = fc.nat({ max: 25 });
const n = fc.nat({ max: 3 });
const inMs = fc.nat({ max: 3000 });
const command: fc.Arbitrary<Command> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('mail'),
      id,
      deliveries: fc.integer({ min: 1, max: 4 }),
      inMs,
      isHeld: fc.boolean(),
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('change'),
      what: fc.constantFrom('end', 'end', 'end', 'retry', 'hold', 'queue'),
      id,
      n,
      inMs,
      as: fc.constantFrom('delivered', 'reported', 'excepted', 'removed'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('claim'),
      what: fc.constantFrom('due', 'expired'),
      inMs,
      limit: fc.integer({ min: 1, max: 9 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('release'), id, n }) },
);

/** One store, thousands of operations in rounds of many; after each round both are compared as a whole. */
export async function runModel(open: () => Promise<Store>): Promise<void> {
  const store = await open();
  const model = new Model();
  let operations = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(command, { maxLength: 6 }), { minLength: 10, maxLength: 30 }),
      async (rounds) => {
        for (const commands of rounds) {
          operations += commands.length;
          await step(store, model, commands);
        }
      },
    ),
    // A failure depends on what came before it in the store: there is nothing to shrink, the seed runs it again.
    { numRuns: 60, endOnFailure: true },
  );
  assert.ok(operations > 2000, `${operations} operations`);
  const { accepted, delivered, reported, excepted, removed } = model.counters;
  for (const count of [accepted, delivered, reported, excepted, removed]) assert.ok(count > 20, `${count} of a kind`);
}

/** Changes of a round are committed at the same time, each a unit; what is asked is asked after. */
async function step(store: Store, model: Model, commands: readonly Command[]): Promise<void> {
  const commits: Promise<void>[] = [];
  const expected: (boolean | undefined)[] = [];
  for (const one of commands) {
    if (one.kind === 'claim') {
      assert.deepEqual(
        (await Promise.allSettled(commits.splice(0))).map(({ status }) => status === 'fulfilled'),
        expected.splice(0),
      );
      const now = NOW + one.inMs;
      const got = one.what === 'due' ? await store.claim(now, one.limit) : await store.claimExpired(now, one.limit);
      assert.deepEqual(names(got), model.claim(one.what, now, one.limit));
    } else if (one.kind === 'release') {
      commits.push(store.release([{ mail: `s.${one.id}`, n: one.n }]));
      expected.push(true);
      model.release(`s.${one.id}`, one.n);
    } else {
      const unit = unitOf(one);
      commits.push(store.commit(unit));
      expected.push(model.commit(unit));
    }
  }
  assert.deepEqual(
    (await Promise.allSettled(commits)).map(({ status }) => status === 'fulfilled'),
    expected,
  );
  assert.deepEqual(names(await store.list({}, 1000)), model.names());
  assert.deepEqual(await store.counters(), model.sums());
  assert.equal(await store.nextDueMs(), model.nextDueMs());
}

function unitOf(one: Extract<Command, { readonly kind: 'mail' | 'change' }>): Unit {
  const nextMs = NOW + one.inMs;
  const mail = `s.${one.id}`;
  if (one.kind === 'mail') {
    const hold = one.isHeld ? { service: 'av', reason: 'x', heldMs: NOW } : undefined;
    const delivery = { nextMs, expiresMs: nextMs + 500, hold };
    return { mails: [makeMail(mail, { deliveries: one.deliveries, delivery })] };
  }
  return { changes: [changeOf(one.what, { mail, n: one.n }, nextMs, one.as)] };
}

function changeOf(kind: Change['kind'], at: { mail: string; n: number }, ms: number, as: Ending): Change {
  switch (kind) {
    case 'end':
      return { kind, ...at, as };
    case 'retry':
      return { kind, ...at, attempts: 1, nextMs: ms, lastReply: undefined, isWarned: false };
    case 'hold':
      return { kind, ...at, hold: { service: 'av', reason: 'y', heldMs: ms }, expiresMs: ms };
    case 'queue':
      return { kind, ...at, nextMs: ms, expiresMs: ms + 500 };
  }
}

class Model {
  #kept: Kept[] = [];
  #seq = 0;
  #lastLease = 0;
  readonly counters = { accepted: 0, delivered: 0, reported: 0, excepted: 0, removed: 0 };

  commit(unit: Unit): boolean {
    for (const mail of unit.mails ?? []) {
      if (this.#kept.some((one) => one.mail === mail.id)) return false;
      this.#seq++;
      for (const { n: number, hold, nextMs, expiresMs } of mail.deliveries) {
        const at = {
          seq: this.#seq,
          mail: mail.id,
          n: number,
          leaseMs: hold === undefined ? evenOf(NOW + LEASE_MS) : 0,
        };
        this.#kept.push({ ...at, isHeld: hold !== undefined, nextMs, expiresMs });
        this.counters.accepted++;
      }
    }
    for (const change of unit.changes ?? []) this.#change(change);
    return true;
  }

  #change(change: Change): void {
    const found = this.#kept.find((one) => one.mail === change.mail && one.n === change.n);
    if (found === undefined) return;
    found.leaseMs = 0;
    if (change.kind === 'end') {
      this.#kept = this.#kept.filter((one) => one !== found);
      this.counters[change.as]++;
      return;
    }
    if (change.kind !== 'retry') {
      found.isHeld = change.kind === 'hold';
      found.expiresMs = change.expiresMs ?? found.expiresMs;
    }
    if (change.kind !== 'hold') found.nextMs = change.nextMs;
  }

  release(mail: string, n: number): void {
    for (const one of this.#kept) if (one.mail === mail && one.n === n) one.leaseMs = 0;
  }

  claim(kind: 'due' | 'expired', now: number, limit: number): string[] {
    const timeOf = (one: Kept): number => (kind === 'due' ? one.nextMs : one.expiresMs);
    const free = this.#kept.filter(
      (one) => one.leaseMs <= now && timeOf(one) <= now && !(kind === 'due' && one.isHeld),
    );
    const mails = Map.groupBy(free, ({ seq }) => seq);
    const earliest = (of: readonly Kept[]): number => Math.min(...of.map(timeOf));
    const inOrder = [...mails.values()].toSorted(
      (a, b) => earliest(a) - earliest(b) || (a[0]?.seq ?? 0) - (b[0]?.seq ?? 0),
    );
    const claimed: Kept[] = [];
    for (const mail of inOrder) {
      if (claimed.length > 0 && claimed.length + mail.length > limit) break;
      claimed.push(...mail.slice(0, limit));
    }
    // No two claims end at the same time, and none with what was just stored.
    this.#lastLease = Math.max(evenOf(now + LEASE_MS) + 1, this.#lastLease + 2);
    for (const one of claimed) one.leaseMs = this.#lastLease;
    return claimed.map(({ mail, n }) => `${mail} ${n}`);
  }

  names(): string[] {
    return this.#kept.toSorted((a, b) => a.seq - b.seq || a.n - b.n).map(({ mail, n }) => `${mail} ${n}`);
  }

  nextDueMs(): number | undefined {
    const due = this.#kept.filter(({ isHeld, leaseMs }) => !isHeld && leaseMs <= NOW).map(({ nextMs }) => nextMs);
    return due.length === 0 ? undefined : Math.min(...due);
  }

  sums(): Counters {
    const held = this.#kept.filter(({ isHeld }) => isHeld).length;
    return { ...this.counters, queued: this.#kept.length - held, held };
  }
}
