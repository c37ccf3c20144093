/**
 * `Advice` (draft section 3.3.4, which leaves its type open; decision 0041): what is to become of a mail beyond being passed
 * on or refused. A list of structures, the action first, what it needs behind it:
 *
 *     Advice: ({quarantine "8:phishing"})
 *     Advice: ({delay 600 "8:outbreak"})
 *
 * A server of the draft's own words may write an action alone, as an atom and in any case (`Advice: Quarantine`): to pass
 * that over would let through what somebody wanted kept back.
 */
import { atomText, isList, isStructure, quoted, type Value } from '../ocp/index.ts';

/** Accept the mail and come again with it, not before `seconds` from now have passed. */
export interface Delay {
  readonly kind: 'delay';
  readonly seconds: number;
  readonly reason: string;
}

export type Advice =
  /** Accept the mail and keep it aside for a person to decide on. `delay`: what else it said, for the day that person has decided. */
  { readonly kind: 'quarantine'; readonly reason: string; readonly delay?: Delay } | Delay;

export interface ReadAdvice {
  /** The one to follow: a quarantine before any delay, the longest delay before the others; the longest delay is kept beside a quarantine. */
  readonly advice: Advice | undefined;
  /** Some action was none we know; it is not carried out. */
  readonly hasUnknown: boolean;
}

/** Octets of a reason: a line for a log and a table, not a message. */
export const MAX_REASON_OCTETS = 200;
/** A year, in seconds: any queue's lifetime is over before. */
export const MAX_DELAY_SECONDS = 31_536_000;
/** There are two actions; the rest is room for those that are to come. */
const MAX_ACTIONS = 8;

const NOTHING: ReadAdvice = { advice: undefined, hasUnknown: false };

/** The named line of an answer. */
export function adviceLine(advice: Advice): string {
  if (advice.kind === 'delay') return `Advice: (${delayText(advice)})\r\n`;
  const { reason, delay } = advice;
  const behind = delay === undefined ? '' : `,${delayText(delay)}`;
  return `Advice: ({quarantine${reasonText(reason)}}${behind})\r\n`;
}

function delayText({ seconds, reason }: Delay): string {
  if (!isDelay(seconds)) throw new RangeError(`not a delay: ${seconds}`);
  return `{delay ${seconds}${reasonText(reason)}}`;
}

function reasonText(reason: string): string {
  return reason === '' ? '' : ` ${quoted(shortReason(reason))}`;
}

/** Reads the value of `Advice`; an error makes the message invalid. */
export function readAdvice(value: Value | undefined): ReadAdvice | { readonly error: string } {
  if (value === undefined) return NOTHING;
  const actions = isList(value) ? value : [value];
  if (actions.length > MAX_ACTIONS) return { error: 'advice-count' };
  let advice: Advice | undefined;
  let hasUnknown = false;
  for (const action of actions) {
    const read = readAction(action);
    if (typeof read === 'string') return { error: read };
    if (read === undefined) hasUnknown = true;
    else advice = stronger(advice, read);
  }
  return { advice, hasUnknown };
}

/** Printable ASCII, cut at its cap: it may hold something of the mail, and stands in logs and tables. */
export function shortReason(text: string): string {
  return text.slice(0, MAX_REASON_OCTETS).replace(/[^ -~]/g, '?');
}

export function isDelay(seconds: number): boolean {
  return Number.isInteger(seconds) && seconds > 0 && seconds <= MAX_DELAY_SECONDS;
}

/** `undefined`: an action we do not know. A text is the rule it breaks. */
function readAction(action: Value): Advice | undefined | string {
  const [name, first, second] = isStructure(action) ? action.anonymous : [action];
  const word = atomText(name)?.toLowerCase();
  switch (word) {
    case undefined:
      return 'advice-type';
    case 'quarantine': {
      const reason = readReason(first);
      return reason === undefined ? 'advice-type' : { kind: 'quarantine', reason };
    }
    case 'delay': {
      const reason = readReason(second);
      if (typeof first !== 'number' || first <= 0) return 'advice-delay';
      return reason === undefined
        ? 'advice-type'
        : { kind: 'delay', seconds: Math.min(first, MAX_DELAY_SECONDS), reason };
    }
    case 'discard':
      // What was accepted is delivered or reported (RFC 5321, section 6.1); and it must not pass against a service's word.
      return 'advice-discard';
    default:
      return undefined;
  }
}

function readReason(value: Value | undefined): string | undefined {
  if (value === undefined) return '';
  const text = atomText(value);
  return text === undefined ? undefined : shortReason(text);
}

function stronger(one: Advice | undefined, other: Advice): Advice {
  if (one === undefined) return other;
  const delay = longest(delayOf(one), delayOf(other));
  if (one.kind === 'delay' && other.kind === 'delay') return delay ?? one;
  const { reason } = one.kind === 'quarantine' ? one : other;
  return { kind: 'quarantine', reason, ...(delay && { delay }) };
}

/** What is left of it when nobody keeps the mail aside. */
function delayOf(advice: Advice): Delay | undefined {
  return advice.kind === 'delay' ? advice : advice.delay;
}

function longest(one: Delay | undefined, other: Delay | undefined): Delay | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return other.seconds > one.seconds ? other : one;
}
