/**
 * Units that tell of what has happened already. What is not stored has not happened, and after a crash it would happen again,
 * so a unit is tried until it is stored: for ever where the store is full or away. Where the store refuses it for good, its
 * parts are tried apart, so that one of them takes no other with it, and what remains is left to an operator (decision 0037).
 */
import { Armed, stackOf } from '../../base/index.ts';
import { type Change, type NewMail, StoreError, type StoreErrorCode, type Unit } from '../../store/index.ts';
import type { SpoolWorld } from './world.ts';

/** After a unit that could not be stored, doubled each time. */
const FIRST_PAUSE_MS = 2000;
/** Less than a drain is given: a store that is back is used before we end. */
const LONGEST_PAUSE_MS = 5_000;
/** Times the store may refuse a part, over half a minute: `failed` is also its word for a disk that hiccups. */
const MAX_REFUSALS = 6;

const PASSING: ReadonlySet<StoreErrorCode> = new Set(['full', 'unreachable', 'owned', 'denied']);

export interface CommitsEvents {
  /** All of it, or a part, is stored. */
  onStored(unit: Unit): void;
  onIdle(): void;
}

export class Commits {
  readonly #world: Pick<SpoolWorld, 'store' | 'deadlines' | 'log' | 'metrics'>;
  readonly #events: CommitsEvents;
  #jobs = 0;
  #isGivenUp = false;

  constructor(world: Pick<SpoolWorld, 'store' | 'deadlines' | 'log' | 'metrics'>, events: CommitsEvents) {
    this.#world = world;
    this.#events = events;
  }

  get isIdle(): boolean {
    return this.#jobs === 0;
  }

  /** Nothing is tried again. */
  abort(): void {
    this.#isGivenUp = true;
  }

  /** `over` is called when nothing more will be tried of it; until then whoever closes waits, as for anything else. */
  commit(unit: Unit, over: () => void): void {
    this.#jobs++;
    void this.#run(unit, over);
  }

  /** What follows from a stored unit may fail; it is stored all the same, and others are waited for. */
  async #run(unit: Unit, over: () => void): Promise<void> {
    const onFault = (error: unknown): void =>
      this.#world.log.error('spool.fault', { mail: mailOf(unit), error: stackOf(error) });
    await this.#store(unit).catch(onFault);
    try {
      over();
    } catch (error) {
      onFault(error);
    }
    this.#jobs--;
    if (this.#jobs === 0) this.#events.onIdle();
  }

  async #store(unit: Unit): Promise<void> {
    // What services made and from where they go on belong together: one without the other would pass a service by.
    if ((unit.contents?.length ?? 0) > 0) {
      await this.#storeWhole(unit);
      return;
    }
    // What brings octets may have to wait for room; what makes room, or goes on without, does not wait with it.
    const waits = !((unit.mails?.length ?? 0) > 0 && unit.changes?.some((change) => !isTold(change)) === true);
    const doubt = { isInDoubt: false };
    const error = await this.#persist(unit, 1, doubt, waits);
    if (error !== undefined && !this.#isGivenUp) await this.#storeApart(unit, doubt);
  }

  /** Ends that were told of go with the mails that tell; everything else stands alone. */
  async #storeApart({ mails = [], changes = [] }: Unit, doubt: Doubt): Promise<void> {
    const told = changes.filter(isTold);
    const alone = changes.filter((change) => !isTold(change)).map((change) => this.#storeChange(change));
    await Promise.all([this.#storeTold(mails, told, doubt), ...alone]);
  }

  async #storeTold(mails: readonly NewMail[], told: readonly Change[], doubt: Doubt): Promise<void> {
    if (mails.length === 0) {
      await Promise.all(told.map((change) => this.#storeChange(change)));
      return;
    }
    if ((await this.#persist({ mails, changes: told }, 1, doubt)) === undefined || this.#isGivenUp) return;
    const ends = await this.#toldOf(mails, told, doubt);
    if (this.#isGivenUp) return;
    await Promise.all(ends.map((change) => this.#storeChange(change)));
  }

  /** Stores the mails alone. One that cannot be stored must not keep its mail; which of several told of which end is not known here. */
  async #toldOf(mails: readonly NewMail[], changes: readonly Change[], doubt: Doubt): Promise<readonly Change[]> {
    const isIn = await Promise.all(mails.map((mail) => this.#storeMail(mail, { ...doubt })));
    if (isIn.every(Boolean)) return changes;
    return changes.map((one) => (isTold(one) ? { kind: 'end', mail: one.mail, n: one.n, as: 'excepted' } : one));
  }

  async #storeMail(mail: NewMail, doubt: Doubt): Promise<boolean> {
    const error = await this.#persist({ mails: [mail] }, MAX_REFUSALS, doubt);
    if (error === undefined) return true;
    if (this.#isGivenUp) return false;
    this.#world.metrics.count('opes_store_refused_total', { what: 'report' });
    this.#world.log.error('report.failed', { mail: mail.id, error: textOf(error), fix: REPORT_FIX });
    return false;
  }

  /** A report beside them that cannot be stored keeps them no more than it keeps an end. */
  async #storeWhole({ mails = [], contents = [], changes = [] }: Unit): Promise<void> {
    const doubt = { isInDoubt: false };
    let rest = changes;
    if (mails.length > 0) {
      if ((await this.#persist({ mails, contents, changes }, 1, doubt)) === undefined || this.#isGivenUp) return;
      rest = await this.#toldOf(mails, changes, doubt);
      if (this.#isGivenUp) return;
    }
    const error = await this.#persist({ contents, changes: rest }, MAX_REFUSALS, doubt);
    if (error === undefined || this.#isGivenUp) return;
    for (const change of rest) this.#refused(change, error);
  }

  /** What cannot be stored stays ours: what is done already is not done again while we live. */
  async #storeChange(change: Change): Promise<void> {
    const error = await this.#persist({ changes: [change] }, MAX_REFUSALS, { isInDoubt: false });
    if (error !== undefined && !this.#isGivenUp) this.#refused(change, error);
  }

  #refused(change: Change, error: unknown): void {
    const { mail, n, kind } = change;
    this.#world.metrics.count('opes_store_refused_total', { what: kind });
    const what = kind === 'end' ? change.as : kind;
    this.#world.log.error('spool.refused', { mail, n, what, error: textOf(error), fix: fixOf(error) });
  }

  /**
   * Why it cannot be stored; `undefined`: it is. `refusals`: how often the store may say no, apart from what passes; `waits`: until
   * a store that is full has room.
   */
  async #persist(unit: Unit, refusals: number, doubt: Doubt, waits = true): Promise<unknown> {
    let pauseMs = FIRST_PAUSE_MS;
    for (let left = refusals; ; ) {
      let error = await this.#try(unit);
      const isNo = !isPassing(error) || (codeOf(error) === 'full' && !waits);
      if (error !== undefined && isNo && doubt.isInDoubt) error = await this.#unlessThere(unit, error);
      if (error === undefined) {
        this.#events.onStored(unit);
        return undefined;
      }
      this.#world.log.error('spool.store-failed', { mail: mailOf(unit), error: textOf(error) });
      if (!isPassing(error)) left--;
      if (codeOf(error) === 'full' && !waits) return error;
      if (left === 0 || this.#isGivenUp || codeOf(error) === 'closed') return error;
      doubt.isInDoubt ||= codeOf(error) === 'unreachable';
      await this.#pause(pauseMs);
      if (this.#isGivenUp) return error;
      pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS);
    }
  }

  async #try(unit: Unit): Promise<unknown> {
    try {
      await this.#world.store.commit(unit);
      return undefined;
    } catch (error) {
      return error ?? new Error('no reason given');
    }
  }

  /**
   * An earlier try whose answer was lost may have been done, whatever is said of a later one: units are done whole, and their names
   * are made for one unit, so one whose mails and contents are there has happened. Changes leave nothing to look for, and octets
   * that were written ahead are there before their unit; but these may be done twice.
   */
  async #unlessThere({ mails = [], contents = [] }: Unit, error: unknown): Promise<unknown> {
    const { store } = this.#world;
    const brought = contents.filter(({ content }) => content.octets !== 'written');
    if (mails.length + brought.length === 0) return error;
    try {
      const found = await Promise.all([
        ...mails.map(({ id }) => store.mail(id)),
        ...brought.map(({ content }) => store.content(content.id)),
      ]);
      return found.every((one) => one !== undefined) ? undefined : error;
    } catch (reason) {
      return reason ?? error;
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#world.deadlines.arm(new Armed({ onDeadline: () => resolve() }), ms));
  }
}

/** Whether a try of a unit may have been done, with its answer lost. The parts that are tried apart after it inherit that. */
interface Doubt {
  isInDoubt: boolean;
}

function isTold(change: Change): boolean {
  return change.kind === 'end' && change.as === 'reported';
}

/** Over one day, without anything of ours being changed. */
export function isPassing(error: unknown): boolean {
  const code = codeOf(error);
  return code !== undefined && PASSING.has(code);
}

function codeOf(error: unknown): StoreErrorCode | undefined {
  return error instanceof StoreError ? error.code : undefined;
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** The first mail it speaks of. */
function mailOf({ mails = [], changes = [] }: Unit): string | undefined {
  return changes[0]?.mail ?? mails[0]?.id;
}

const REPORT_FIX = 'its sender is not told: mend what the store says of it, and write to the sender where it matters';

function fixOf(error: unknown): string {
  const left =
    'until this gateway is started again the delivery is left alone; then it is made anew, maybe a second time';
  if (codeOf(error) === 'corrupt') return `restore the store from its backup; ${left}`;
  return `mend what the store says of it; ${left}`;
}
