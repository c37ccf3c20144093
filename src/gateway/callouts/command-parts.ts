/**
 * The command parts of one run: sent in the order they came, answered in the same order (profile notes, question 9). They are
 * kept for as long as the run, so that they can be told again to another server when the first one was lost.
 */
import { type Answer, type Part, readArgumentText } from '../../profile/index.ts';
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
  /** One character an octet. */
  readonly text: string;
  waiter: CommandWaiter | undefined;
  /** Its offset in the original flow of the transaction under way. */
  offset = -1;
  /** It was sent there to be answered. */
  owesAnswer = false;
  /** An answer was taken, or it is told for information only: sent as a replay, without a say. */
  isSettled: boolean;

  constructor(part: Part, text: string, waiter: CommandWaiter | undefined, isSettled: boolean) {
    this.part = part;
    this.text = text;
    this.waiter = waiter;
    this.isSettled = isSettled;
  }
}

export const UNCHANGED: CommandAnswer = { kind: 'unchanged' };

export class CommandParts {
  readonly #parts: CommandPart[] = [];
  #sent = 0;
  /** The index of the oldest one that owes an answer; that of the next one to be sent where none does. */
  #oldest = 0;
  /** Replays: nothing is owed for them, but a server that does not know the mark may answer them all the same. */
  #replayed: CommandPart[] | undefined;

  add(part: Part, text: string, waiter: CommandWaiter | undefined, isSettled = false): void {
    this.#parts.push(new CommandPart(part, text, waiter, isSettled));
  }

  get isEmpty(): boolean {
    return this.#parts.length === 0;
  }

  /** Whether one of them is for a server to answer that is sent what `plans` say. */
  hasAnyFor(plans: PartPlans): boolean {
    return this.#parts.some(({ part }) => plans[part].isAdaptive);
  }

  /** The next one to be sent. */
  get next(): CommandPart | undefined {
    return this.#sent < this.#parts.length ? this.#parts[this.#sent] : undefined;
  }

  /** The oldest one that owes an answer. */
  get oldest(): CommandPart | undefined {
    return this.#oldest < this.#sent ? this.#parts[this.#oldest] : undefined;
  }

  sent(part: CommandPart, isAdaptive: boolean): void {
    part.owesAnswer = isAdaptive && !part.isSettled;
    if (!part.owesAnswer && this.#oldest === this.#sent) this.#oldest++;
    this.#sent++;
    if (isAdaptive && part.isSettled) {
      this.#replayed ??= [];
      this.#replayed.push(part);
    }
  }

  /** Whether a DUM for `part`, or a DUY of that range, answers a replay. */
  isReplay(part: string | undefined): boolean {
    return this.#replayed?.some((one) => one.part === part) === true;
  }

  isReplayRange(offset: number, size: number): boolean {
    return this.#replayed?.some((one) => one.offset === offset && one.text.length === size) === true;
  }

  answered(): void {
    do this.#oldest++;
    while (this.#oldest < this.#sent && this.#parts[this.#oldest]?.owesAnswer === false);
  }

  /** All of them are to be sent anew, in another transaction. */
  restart(): void {
    this.#sent = 0;
    this.#oldest = 0;
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
  judge(oldest: CommandPart, answer: Answer, text: string, may: ReadonlySet<Permission>): CommandJudgement {
    if (answer.refusal !== undefined) {
      const reply = refusalReply(answer.refusal);
      const missing = missingForRefusal(may, reply.code);
      return missing === undefined ? { kind: 'refused', reply } : { kind: 'broken', rule: `no permission: ${missing}` };
    }
    if (text === oldest.text) return UNCHANGED;
    const replays = this.#replayed?.filter((one) => one.part === oldest.part) ?? [];
    if (replays.some((one) => text === one.text)) return { kind: 'replay' };
    // Of a server that answers replays too it cannot be told whose answer this is: one recipient must never get another's.
    if (replays.length > 0) return { kind: 'broken', rule: 'answer-ambiguous-behind-replay' };
    const missing = missingForRewrite(may, oldest.part);
    if (missing !== undefined) return { kind: 'broken', rule: `no permission: ${missing}` };
    // Judged before a later service is shown it: that one would fail for what it was told, and might be skipped for that.
    return isArgument(oldest.part, text)
      ? { kind: 'rewritten', argument: text }
      : { kind: 'broken', rule: 'rewritten-to-no-argument' };
  }
}

/** Those outside of mails are judged where they are asked. */
function isArgument(part: Part, text: string): boolean {
  return (part !== 'MAIL' && part !== 'RCPT') || !('error' in readArgumentText(part, text));
}

export type CommandJudgement =
  | CommandAnswer
  /** A replay was answered, which changes nothing. */
  | { readonly kind: 'replay' }
  | { readonly kind: 'broken'; readonly rule: string };
