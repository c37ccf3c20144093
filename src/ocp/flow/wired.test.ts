import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { test } from 'vitest';
import { type Dice, makeDice } from '../../../test/fuzz/ocp-inputs.ts';
import { Link } from '../../../test/support/ocp-link.ts';
import type {
  CalloutTransaction,
  CalloutTransactionEvents,
  KeptForm,
  ProcessorTransaction,
  ProcessorTransactionEvents,
  TransactionEnd,
} from '../index.ts';

const octetsOf = (dice: Dice, size: number): Buffer => {
  const octets = Buffer.alloc(size);
  for (let i = 0; i < size; i++) octets[i] = dice(256);
  return octets;
};

/** Sends an original piece by piece as turns come, and puts together what comes back. */
class Sender implements ProcessorTransactionEvents {
  readonly original: Buffer;
  readonly ends: TransactionEnd[] = [];
  tx: ProcessorTransaction | undefined;
  adapted = Buffer.alloc(0);
  isWhole = false;
  readonly #dice: Dice;
  readonly #keptFrom: number;
  readonly #maxPiece: number;
  #tentative: Buffer[] = [];
  #disposedOutside = { from: 0, to: Number.POSITIVE_INFINITY };

  constructor(original: Buffer, keptFrom: number, maxPiece: number, dice: Dice) {
    this.original = original;
    this.#keptFrom = keptFrom;
    this.#maxPiece = maxPiece;
    this.#dice = dice;
  }

  start(tx: ProcessorTransaction): void {
    this.tx = tx;
    tx.startMessage();
    tx.requestTurn();
  }

  onTurn(): void {
    const tx = this.tx;
    if (tx === undefined) return;
    const at = tx.orgOffset;
    const piece = this.original.subarray(at, at + 1 + this.#dice(this.#maxPiece));
    const half = piece.length >> 1;
    const size = Math.max(0, at + piece.length - this.#keptFrom);
    const kept = size > 0 ? { offset: this.#keptFrom, size } : undefined;
    tx.sendData('', [piece.subarray(0, half), piece.subarray(half)], piece.length, kept);
    if (tx.orgOffset === this.original.length) tx.endMessage();
    else tx.requestTurn();
  }

  onAdaptedStart(): void {}

  onData(): void {
    this.#tentative = [];
  }

  onDataOctets(octets: Buffer): void {
    this.#tentative.push(octets);
  }

  onDataEnd(): void {
    this.adapted = Buffer.concat([this.adapted, ...this.#tentative]);
  }

  onUseYours(offset: number, size: number): void {
    assert.ok(offset >= this.#keptFrom && offset + size <= (this.tx?.orgOffset ?? 0), 'asked for what it has not');
    assert.ok(size === 0 || (offset >= this.#disposedOutside.from && offset + size <= this.#disposedOutside.to));
    this.adapted = Buffer.concat([this.adapted, this.original.subarray(offset, offset + size)]);
  }

  onDisposable(offset: number, size: number): void {
    this.#disposedOutside = { from: offset, to: offset + size };
  }

  onAdaptedEnd(): void {
    this.isWhole = true;
  }

  onEnd(end: TransactionEnd): void {
    this.ends.push(end);
  }
}

/** Reads the original and answers with pieces of it, by reference or as data, and pieces of its own. */
class Service implements CalloutTransactionEvents {
  readonly ends: TransactionEnd[] = [];
  readonly tx: CalloutTransaction;
  meant = Buffer.alloc(0);
  #original = Buffer.alloc(0);
  #tentative: Buffer[] = [];
  #isOver = false;
  #copied = 0;
  readonly #dice: Dice;
  #extras: number;

  constructor(tx: CalloutTransaction, dice: Dice) {
    this.tx = tx;
    this.#dice = dice;
    this.#extras = dice(6);
  }

  onOriginalStart(): void {
    this.tx.startMessage();
  }

  onData(offset: number): void {
    assert.equal(offset, this.#original.length);
    this.#tentative = [];
  }

  onDataOctets(octets: Buffer): void {
    this.#tentative.push(octets);
  }

  onDataEnd(): void {
    this.#original = Buffer.concat([this.#original, ...this.#tentative]);
    this.tx.requestTurn();
  }

  onOriginalEnd(): void {
    this.#isOver = true;
    this.tx.requestTurn();
  }

  onTurn(): void {
    if (this.#extras > 0 && this.#dice(3) === 0) this.#extra();
    else if (this.#copied < this.#original.length) this.#copy();
    else if (this.#isOver) {
      this.tx.endMessage();
      this.tx.end();
      return;
    } else return;
    if (this.#dice(8) === 0) this.#release();
    this.tx.requestTurn();
  }

  onEnd(end: TransactionEnd): void {
    this.ends.push(end);
  }

  #copy(): void {
    const from = this.#copied;
    const size = 1 + this.#dice(Math.min(60_000, this.#original.length - from));
    this.#say(from, size);
    this.#copied += size;
  }

  /** Something again, or something new, or nothing. */
  #extra(): void {
    this.#extras--;
    const octets = octetsOf(this.#dice, this.#dice(300));
    if (this.#dice(2) === 0) {
      this.tx.sendData('X-Note: extra\r\n', [octets], octets.length);
      this.meant = Buffer.concat([this.meant, octets]);
    } else this.#say(this.#dice(this.#original.length + 1), 0);
  }

  #say(from: number, size: number): void {
    const piece = this.#original.subarray(from, from + size);
    if (this.tx.canUseYours(from, piece.length) && this.#dice(4) > 0) this.tx.useYours(from, piece.length);
    else this.tx.sendData('', [piece], piece.length);
    this.meant = Buffer.concat([this.meant, piece]);
  }

  #release(): void {
    if (this.tx.canUseYours(this.#copied, this.#original.length - this.#copied)) {
      this.tx.disposeOutside(this.#copied, 2147483647);
    }
  }
}

const sessions = fc.record({
  seed: fc.integer(),
  sizes: fc.array(fc.nat(700), { minLength: 1, maxLength: 6 }),
  kept: fc.constantFrom<KeptForm>('structure', 'pair', 'off'),
  maxChunk: fc.constantFrom(3, 50, 800),
  maxPiece: fc.constantFrom(9, 70, 2000),
});

test('whatever the pieces, pauses and references: the adapted message is what the service meant', () => {
  fc.assert(
    fc.property(sessions, ({ seed, sizes, kept, maxChunk, maxPiece }) => {
      const dice = makeDice(seed, 0);
      const services: Service[] = [];
      const onTransaction = (tx: CalloutTransaction) => {
        const service = new Service(tx, dice);
        services.push(service);
        return service;
      };
      const link = new Link({ onTransaction }, { kept }, { kept: kept === 'pair' ? 'pair' : 'structure' });
      link.run();
      const senders = sizes.map((size) => new Sender(octetsOf(dice, size + 1), dice(size + 1), maxPiece, dice));
      const fresh = [...senders];
      for (let i = 0; link.isBusy || fresh.length > 0; i++) {
        const next = dice(10) === 0 || !link.isBusy ? fresh.pop() : undefined;
        const tx = next === undefined ? undefined : link.processor.startTransaction(next);
        if (tx !== undefined) next?.start(tx);
        link.move(dice(2) === 0 ? 'out' : 'back', 1 + dice(maxChunk));
        const parties = dice(2) === 0 ? senders : services;
        const paused = parties[dice(parties.length + 1)]?.tx;
        if (i < 2000 && dice(12) === 0) paused?.wantPause();
        else if (dice(6) === 0) paused?.wantMore();
        if (!link.isBusy) for (const { tx } of [...senders, ...services]) tx?.wantMore();
      }
      for (const [i, sender] of senders.entries()) {
        assert.deepEqual(sender.ends, [{ by: 'peer', result: { code: 200, reason: '' } }], `transaction ${i}`);
        assert.equal(sender.isWhole, true);
        const service = services.find(({ tx }) => tx.xid === sender.tx?.xid);
        assert.equal(service?.ends.length, 1);
        assert.ok(service !== undefined && sender.adapted.equals(service.meant), 'not what was meant');
      }
      assert.equal(link.processor.liveTransactions + link.callout.liveTransactions, 0);
      assert.deepEqual(link.ends, {});
    }),
    { numRuns: 150 },
  );
});

/** Sends `left` pieces of 64 KiB, and counts those it sent. */
class Bulk implements ProcessorTransactionEvents {
  static readonly piece = Buffer.alloc(65_536, 'x');
  readonly tx: {
    requestTurn(): void;
    sendData(block: string, payload: Buffer[], size: number): void;
    endMessage(): void;
  };
  left: number;
  ended = 0;

  constructor(link: Link, left: number) {
    const tx = link.processor.startTransaction(this);
    assert.ok(tx);
    this.tx = tx;
    this.left = left;
    tx.startMessage();
    tx.requestTurn();
  }

  onTurn(): void {
    this.left--;
    this.tx.sendData('', [Bulk.piece], Bulk.piece.length);
    if (this.left > 0) this.tx.requestTurn();
    else this.tx.endMessage();
  }

  onAdaptedStart(): void {}
  onData(): void {}
  onDataOctets(): void {}
  onDataEnd(): void {}
  onUseYours(): void {}
  onDisposable(): void {}
  onAdaptedEnd(): void {}
  onEnd(): void {
    this.ended++;
  }
}

/** Swallows the original and ends. */
const swallow = (tx: CalloutTransaction): CalloutTransactionEvents => ({
  onOriginalStart: () => tx.startMessage(),
  onData: () => undefined,
  onDataOctets: () => undefined,
  onDataEnd: () => undefined,
  onOriginalEnd: () => {
    tx.endMessage();
    tx.end();
  },
  onTurn: () => undefined,
  onEnd: () => undefined,
});

test('a transaction that is paused for good stalls no other', () => {
  const link = new Link({
    onTransaction: (tx) => {
      if (tx.xid === 1) tx.wantPause();
      return swallow(tx);
    },
  });
  link.run();
  const stuck = new Bulk(link, 100);
  link.run();
  const others = Array.from({ length: 20 }, () => new Bulk(link, 3));
  link.run();
  // Two batches were on their way when the pause was asked for.
  assert.ok(stuck.left >= 90, `${stuck.left} left`);
  assert.deepEqual(
    others.map(({ ended }) => ended),
    others.map(() => 1),
  );
  assert.equal(link.processor.liveTransactions, 1);
});

test('output stays near the high water, and a small mail does not wait behind a large one', () => {
  const link = new Link({ onTransaction: swallow });
  link.run();
  const large = new Bulk(link, 1000);
  for (let i = 0; i < 5; i++) link.move('out', 65_536);
  assert.ok(link.processor.outbox.pendingOctets <= 256 * 1024 + 66_000, `${link.processor.outbox.pendingOctets}`);
  const small = new Bulk(link, 1);
  let moved = 0;
  for (; small.ended === 0; moved++) {
    link.move('out', 65_536);
    link.move('back', 65_536);
  }
  // What was collected and what was on its way, each DUM as a head and its payload.
  assert.ok(moved < 24, `${moved} pieces went before it`);
  assert.ok(large.left > 900);
  link.run();
  assert.equal(large.ended, 1);
});

test('ten thousand transactions leave nothing behind', () => {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  const handlers: WeakRef<object>[] = [];
  const link = new Link({
    onTransaction: (tx) => {
      const handler = swallow(tx);
      handlers.push(new WeakRef(handler), new WeakRef(tx));
      return handler;
    },
  });
  link.run();
  const batch = (count: number) => {
    for (let i = 0; i < count; i++) handlers.push(new WeakRef(new Bulk(link, 1)));
    link.run();
  };
  for (let i = 0; i < 100; i++) batch(100);
  assert.equal(handlers.length, 30_000);
  assert.equal(link.processor.liveTransactions + link.callout.liveTransactions, 0);
  collect();
  // A WeakRef made or read in this turn keeps its target until the turn ends, so look in a later one.
  return new Promise<void>((resolve, reject) => {
    setImmediate(() => {
      collect();
      const left = handlers.filter((ref) => ref.deref() !== undefined).length;
      if (left <= 10) resolve();
      else reject(new Error(`${left} of ${handlers.length} objects are still held`));
    });
  });
});

test('a digest of a large mail through both agents is that of the original', () => {
  const dice = makeDice(1, 1);
  const original = Buffer.concat(Array.from({ length: 64 }, () => octetsOf(dice, 16_384)));
  const services: Service[] = [];
  const link = new Link({
    onTransaction: (tx) => {
      const service = new Service(tx, dice);
      services.push(service);
      return service;
    },
  });
  link.run();
  const sender = new Sender(original, 0, 65_535, dice);
  const tx = link.processor.startTransaction(sender);
  assert.ok(tx);
  sender.start(tx);
  link.run(10_000);
  const digest = (octets: Buffer) => createHash('sha256').update(octets).digest('hex');
  assert.equal(digest(sender.adapted), digest(services[0]?.meant ?? Buffer.alloc(0)));
});
