/**
 * Applies a batch: all units in one transaction. Where one of them fails, everything is taken back and each unit gets a
 * transaction of its own, so that the others do not fail with it; that is rare, and only then it costs.
 */
import { statfsSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import type Database from 'better-sqlite3';
import { CHUNK_OCTETS } from '../content-writer.ts';
import { endsAny, type Op } from '../engine.ts';
import { StoreError } from '../ports.ts';
import { Tally } from '../tally.ts';
import { said } from './errors.ts';
import type { Said } from './messages.ts';
import { PAGE_OCTETS } from './open-database.ts';
import { prepare, type Statements } from './statements.ts';

export interface Applied {
  /** Place of the unit in the batch, and its error. */
  readonly errors: readonly (readonly [number, Said])[];
  readonly stored: number;
}

export class Applier {
  readonly #db: Database.Database;
  readonly #owner: string;
  readonly #reserveOctets: number;
  readonly #do: Statements;
  #octets: Buffer = Buffer.alloc(0);
  #tally = new Tally();
  /** Of the last mail. Never used twice in a life, so that a place in the order stays one when its mail is gone. */
  #seq: number;
  #stored = 0;

  constructor(db: Database.Database, owner: string, reserveOctets: number) {
    this.#db = db;
    this.#owner = owner;
    this.#reserveOctets = reserveOctets;
    this.#do = prepare(db);
    this.#seq = db.prepare('select coalesce(max(seq), 0) from mail').pluck().get() as number;
  }

  apply(units: readonly (readonly Op[])[], octets: Buffer): Applied {
    this.#octets = octets;
    try {
      const isFull = octets.length > 0 && this.#isFull(octets.length, this.#reserveOctets);
      const failure = isFull ? 'one by one' : this.#transaction(units);
      if (failure === undefined) return { errors: [], stored: this.#stored };
      if (units.length === 1 && failure !== 'one by one') return { errors: [[0, failure]], stored: this.#stored };
      return { errors: this.#oneByOne(units, isFull), stored: this.#stored };
    } finally {
      this.#octets = Buffer.alloc(0);
    }
  }

  /** The log is copied into the database when it has grown; that, and what makes room, must always be possible. */
  #isFull(octets: number, reserveOctets: number): boolean {
    const { bavail, bsize } = statfsSync(this.#db.name);
    const missing = reserveOctets + octets - bavail * bsize;
    // Mail that has gone left pages in the database, which new mail takes first.
    return missing > 0 && missing > this.#freePages() * PAGE_OCTETS;
  }

  #freePages(): number {
    return this.#do.freePages.get() as number;
  }

  #oneByOne(units: readonly (readonly Op[])[], isFull: boolean): [number, Said][] {
    return units.flatMap((unit, i): [number, Said][] => {
      const failure = isFull && this.#isTooMuch(unit) ? this.#full() : this.#transaction([unit]);
      return failure === undefined ? [] : [[i, failure]];
    });
  }

  /** A report is written into half of the reserve: it comes with the end of what it tells of, and that makes room (decision 0055). */
  #isTooMuch(unit: readonly Op[]): boolean {
    const octets = octetsOf(unit);
    return octets > 0 && (!endsAny(unit) || this.#isFull(octets, this.#reserveOctets / 2));
  }

  #full(): Said {
    const mebibytes = Math.ceil(this.#reserveOctets / 2 ** 20);
    const message = `the disk of ${this.#db.name} has less than ${mebibytes} MiB left: make room, and mail is taken again`;
    return { code: 'full', message };
  }

  #transaction(units: readonly (readonly Op[])[]): Said | undefined {
    this.#tally = new Tally();
    try {
      this.#do.begin.run();
      for (const unit of units) for (const op of unit) this.#op(op);
      const { accepted, delivered, reported, excepted, removed, octets } = this.#tally.sums;
      const counted = [accepted, delivered, reported, excepted, removed, octets];
      const stored = this.#do.count.get('', ...counted, this.#owner);
      this.#do.commit.run();
      this.#stored = Number(stored);
      return undefined;
    } catch (error) {
      // A full disk ends the transaction by itself.
      if (this.#db.inTransaction) this.#do.rollback.run();
      return said(error, this.#db.name);
    }
  }

  #op(op: Op): void {
    const run = this.#do;
    switch (op[0]) {
      case 'mail':
        run.mail.run(++this.#seq, op[1], op[2], op[3], op[4], op[5]);
        return;
      case 'delivery': {
        const [, , n, content, path, params, to, lane, service, reason, heldMs, nextMs, expiresMs, notes, leaseMs] = op;
        const hold = [service, reason, heldMs] as const;
        const claim = [this.#owner, leaseMs] as const;
        run.delivery.run(this.#seq, n, content, path, params, to, lane, ...hold, nextMs, expiresMs, notes, ...claim);
        this.#tally.add('accepted', 1);
        return;
      }
      case 'content':
        this.#content(op[1], op[2], op[3], op[4] === 1 ? this.#owner : null);
        return;
      case 'open':
        run.content.run(op[1], -1, 0, null, this.#owner, Date.now());
        return;
      case 'chunk':
        this.#chunk(op[1], op[2], op[3], op[4]);
        if (run.grow.run(op[4], op[1]).changes === 0) throw gone(op[1]);
        this.#tally.add('octets', op[4]);
        return;
      case 'seal':
        if (run.seal.run(op[2], op[1], op[2]).changes === 0) throw gone(op[1]);
        return;
      case 'bind':
        if (run.bind.run(op[1]).changes === 0) throw gone(op[1]);
        return;
      case 'discard':
        this.#discard(op[1]);
        return;
      case 'end':
        this.#end(op);
        return;
      case 'retry':
        run.retry.run(op[3], op[4], op[5], op[6], op[7], op[1], op[2], this.#owner);
        return;
      case 'hold':
        run.hold.run(op[3], op[4], op[5], op[6], op[1], op[2], this.#owner);
        return;
      case 'queue': {
        const { changes } = run.queue.run(op[3], op[4], op[5], op[6], op[7], op[1], op[2], this.#owner);
        if (changes > 0 && op[5] !== null && run.isBound.get(op[5]) === undefined) throw gone(op[5]);
        return;
      }
      case 'renew':
        run.renew.run(op[3], op[1], op[2], this.#owner);
        return;
      case 'release':
        run.release.run(op[1], op[2], this.#owner);
        return;
    }
  }

  #content(id: string, from: number, length: number, loose: string | null): void {
    const whole = this.#octets.subarray(from, from + length);
    const isShort = length <= CHUNK_OCTETS;
    const looseMs = loose === null ? 0 : Date.now();
    const row = isShort ? ([crc32(whole), whole] as const) : ([0, null] as const);
    this.#do.content.run(id, length, ...row, loose, looseMs);
    for (let at = 0; !isShort && at < length; at += CHUNK_OCTETS)
      this.#chunk(id, at, from + at, Math.min(CHUNK_OCTETS, length - at));
    this.#tally.add('octets', length);
  }

  #chunk(content: string, at: number, from: number, length: number): void {
    const octets = this.#octets.subarray(from, from + length);
    this.#do.chunk.run(content, at, crc32(octets), octets);
  }

  #discard(content: string): void {
    const size = this.#do.discardContent.get(content) as number | undefined;
    if (size === undefined) return;
    this.#do.discardChunks.run(content);
    this.#tally.add('octets', size < 0 ? size + 1 : -size);
  }

  #end([, mail, n, as]: Op & readonly ['end', ...unknown[]]): void {
    const run = this.#do;
    const seq = run.seqOf.get(mail);
    if (seq === undefined || run.end.run(seq, n, this.#owner).changes === 0) return;
    this.#tally.add(as, 1);
    if (run.isLeft.get(seq) !== undefined) return;
    run.endMail.run(seq);
    // The character behind the slash: every id that begins with `<mail>/` lies between.
    const range = [`${mail}/`, `${mail}0`] as const;
    let isInChunks = false;
    for (const [row, size, isLong] of run.contentsOf.all(...range) as [number, number, 0 | 1][]) {
      run.endContent.run(row);
      this.#tally.add('octets', size < 0 ? size + 1 : -size);
      isInChunks ||= isLong === 1;
    }
    if (isInChunks) run.endChunks.run(...range);
  }
}

function octetsOf(unit: readonly Op[]): number {
  return unit.reduce((sum, op) => sum + (op[0] === 'content' ? op[3] : op[0] === 'chunk' ? op[4] : 0), 0);
}

function gone(content: string): StoreError {
  return new StoreError(
    'failed',
    `content ${content} is not there, or not written to its end: nothing can be bound to it`,
  );
}
