/**
 * The command parts of one run: sent in the order they came, answered in the same order (profile notes, question 9). They are
 * kept for as long as the run, so that they can be told again to another server when the first one was lost.
 */
import type { Answer, Part } from '../../profile/index.ts';
import type { Reply } from '../../smtp/index.ts';
import type { Permission } from '../options.ts';
import type { PartPlans } from './part-plan.ts';
import { missingForRefusal, missingForRewrite } from './permissions.ts';
import { refusalReply } from './refusal.ts';

export type CommandAnswer =
  | { readonly kind: 'unchanged' }
  | { readonly kind: 'rewritten'; readonly argument: string }
  | { readonly kind: 'refused'; readonly reply: Reply }
  /** The run failed; `run.failure` says how. */
  | { readonly kind: 'failed' };

export interface CommandWaiter {
  onAnswer(answer: CommandAnswer): void;
}

export class CommandPart {
  readonly part: Part;
  readonly octets: Buffer;
  waiter: CommandWaiter | undefined;
  /** Its offset in the original flow of the transaction under way. */
  offset = -1;
  /** An answer was taken, or it is told for information only: sent as a replay, without a say. */
  isSettled: boolean;

  constructor(part: Part, text: string, waiter: CommandWaiter | undefined, isSettled: boolean) {
    this.part = part;
    this.octets = Buffer.from(text, 'latin1');
    this.waiter = waiter;
    this.isSettled = isSettled;
  }
}

export const UNCHANGED: CommandAnswer = { kind: 'unchanged' };

export class CommandParts {
  readonly #parts: CommandPart[] = [];
  #sent = 0;
  #awaiting: CommandPart[] = [];
  /** Replays: nothing is owed for them, but a server that does not know the mark may answer them all the same. */
  #replayed: CommandPart[] | undefined;

  add(part: Part, text: string, waiter: CommandWaiter | undefined, isSettled = false): void {
    this.#parts.push(new CommandPart(part, text, waiter, isSettled));
  }

  get isEmpty(): boolean {
    return this.#parts.length === 0;
  }

  /** The next one to be sent. */
  get next(): CommandPart | undefined {
    return this.#sent < this.#parts.length ? this.#parts[this.#sent] : undefined;
  }

  /** The oldest one that owes an answer. */
  get oldest(): CommandPart | undefined {
    return this.#awaiting.length === 0 ? undefined : this.#awaiting[0];
  }

  sent(part: CommandPart, isAdaptive: boolean): void {
    this.#sent++;
    if (!isAdaptive) return;
    if (!part.isSettled) this.#awaiting.push(part);
    else if (this.#replayed === undefined) this.#replayed = [part];
    else this.#replayed.push(part);
  }

  /** Whether a DUM for `part`, or a DUY of that range, answers a replay. */
  isReplay(part: string | undefined): boolean {
    return this.#replayed?.some((one) => one.part === part) === true;
  }

  isReplayRange(offset: number, size: number): boolean {
    return this.#replayed?.some((one) => one.offset === offset && one.octets.length === size) === true;
  }

  answered(): void {
    this.#awaiting.shift();
  }

  /** All of them are to be sent anew, in another transaction. */
  restart(): void {
    this.#sent = 0;
    this.#awaiting = [];
    this.#replayed = undefined;
  }

  /** Whoever still waits; they wait no more. */
  takeWaiters(): CommandWaiter[] {
    return this.#parts.flatMap((part) => {
      const { waiter } = part;
      part.waiter = undefined;
      return waiter ?? [];
    });
  }

  /** The parts that were sent to a server that is sent what `plans` say. */
  shown(plans: PartPlans): Part[] {
    return this.#parts.slice(0, this.#sent).flatMap(({ part }) => (plans[part].isSeen ? [part] : []));
  }

  /** What a DUM says about the oldest part, or the rule it breaks. */
  judge(oldest: CommandPart, answer: Answer, octets: Buffer, may: ReadonlySet<Permission>): CommandJudgement {
    if (answer.refusal !== undefined) {
      const reply = refusalReply(answer.refusal);
      const missing = missingForRefusal(may, reply.code);
      return missing === undefined ? { kind: 'refused', reply } : { kind: 'broken', rule: `no permission: ${missing}` };
    }
    if (octets.equals(oldest.octets)) return UNCHANGED;
    const replays = this.#replayed?.filter((one) => one.part === oldest.part) ?? [];
    if (replays.some((one) => octets.equals(one.octets))) return { kind: 'replay' };
    // Of a server that answers replays too it cannot be told whose answer this is: one recipient must never get another's.
    if (replays.length > 0) return { kind: 'broken', rule: 'answer-ambiguous-behind-replay' };
    if (oldest.part !== 'MAIL' && oldest.part !== 'RCPT') return { kind: 'broken', rule: 'part-not-adaptive' };
    const missing = missingForRewrite(may, oldest.part);
    if (missing !== undefined) return { kind: 'broken', rule: `no permission: ${missing}` };
    return { kind: 'rewritten', argument: octets.toString('latin1') };
  }
}

export type CommandJudgement =
  | CommandAnswer
  /** A replay was answered, which changes nothing. */
  | { readonly kind: 'replay' }
  | { readonly kind: 'broken'; readonly rule: string };
