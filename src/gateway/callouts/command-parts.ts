/**
 * The command parts of one run: sent in the order they came, answered in the same order (profile notes, question 9). They are
 * kept for as long as the run, so that they can be told again to another server when the first one was lost.
 */
import type { Answer, Part, Selection } from '../../profile/index.ts';
import type { Reply } from '../../smtp/index.ts';
import type { Permission } from '../options.ts';
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

export interface CommandPart {
  readonly part: Part;
  readonly octets: Buffer;
  waiter: CommandWaiter | undefined;
  /** Its offset in the original flow of the transaction under way. */
  offset: number;
  /** An answer was taken, or it is told for information only: sent as a replay, without a say. */
  isSettled: boolean;
}

export const UNCHANGED: CommandAnswer = { kind: 'unchanged' };

export class CommandParts {
  readonly #parts: CommandPart[] = [];
  #sent = 0;
  #awaiting: CommandPart[] = [];

  add(part: Part, text: string, waiter: CommandWaiter | undefined, isSettled = false): void {
    this.#parts.push({ part, octets: Buffer.from(text, 'latin1'), waiter, offset: -1, isSettled });
  }

  get isEmpty(): boolean {
    return this.#parts.length === 0;
  }

  /** The next one to be sent. */
  get next(): CommandPart | undefined {
    return this.#parts[this.#sent];
  }

  /** The oldest one that owes an answer. */
  get oldest(): CommandPart | undefined {
    return this.#awaiting[0];
  }

  sent(part: CommandPart, owesAnswer: boolean): void {
    this.#sent++;
    if (owesAnswer) this.#awaiting.push(part);
  }

  answered(): void {
    this.#awaiting.shift();
  }

  /** All of them are to be sent anew, in another transaction. */
  restart(): void {
    this.#sent = 0;
    this.#awaiting = [];
  }

  /** Whoever still waits; they wait no more. */
  takeWaiters(): CommandWaiter[] {
    return this.#parts.flatMap((part) => {
      const { waiter } = part;
      part.waiter = undefined;
      return waiter ?? [];
    });
  }

  /** The parts that were sent to a server that selected `selection`. */
  shown(selection: Selection | undefined): Part[] {
    return this.#parts.slice(0, this.#sent).flatMap(({ part }) => (selection?.sees(part) ? [part] : []));
  }
}

/** What a DUM says about the oldest part, or the rule it breaks. */
export function judgeCommandAnswer(
  part: CommandPart,
  answer: Answer,
  octets: Buffer,
  may: ReadonlySet<Permission>,
): CommandAnswer | { readonly kind: 'broken'; readonly rule: string } {
  if (part.isSettled) {
    // What was said the first time stands; a refusal now would come too late to be given to the client.
    return answer.refusal === undefined ? UNCHANGED : { kind: 'broken', rule: 'replayed-part-refused' };
  }
  if (answer.refusal !== undefined) {
    const reply = refusalReply(answer.refusal);
    const missing = missingForRefusal(may, reply.code);
    return missing === undefined ? { kind: 'refused', reply } : { kind: 'broken', rule: `no permission: ${missing}` };
  }
  if (octets.equals(part.octets)) return UNCHANGED;
  if (part.part !== 'MAIL' && part.part !== 'RCPT') return { kind: 'broken', rule: 'part-not-adaptive' };
  const missing = missingForRewrite(may, part.part);
  if (missing !== undefined) return { kind: 'broken', rule: `no permission: ${missing}` };
  return { kind: 'rewritten', argument: octets.toString('latin1') };
}
