/**
 * What a service can say to a mail, to one of its recipients, or to a command outside of mails. A verdict is a value: a handler returns it, once, and
 * cannot forget to. To fail is not among them: a handler that throws fails its own mail, and the operator's policy for
 * failures decides what becomes of it.
 */
import { isDelay, MAX_DELAY_SECONDS, shortReason } from '../profile/index.ts';
import { type Changes, checkChanges } from './changes.ts';

export interface Keep {
  readonly kind: 'keep';
}

export interface Refuse {
  readonly kind: 'refuse';
  /** The reply as its lines, CRLF between them. */
  readonly reply: string;
}

export interface Edit {
  readonly kind: 'edit';
  readonly changes: Changes;
}

export interface Replace {
  readonly kind: 'replace';
  readonly content: Content;
}

export interface Rewrite {
  readonly kind: 'rewrite';
  readonly path: string;
}

export interface Change {
  readonly kind: 'change';
  readonly argument: string;
}

export interface Quarantine {
  readonly kind: 'quarantine';
  readonly reason: string;
}

export interface Delay {
  readonly kind: 'delay';
  /** From when the verdict is given. */
  readonly seconds: number;
  readonly reason: string;
}

/** Octets in pieces, made as they are asked for. */
export type Content = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** What may be said to a sender or a recipient. */
export type AddressVerdict = Keep | Refuse | Rewrite;
/** What may be said to a greeting or a look-up. */
export type CommandVerdict = Keep | Refuse | Change;
/** What may be said to a message. */
export type MessageVerdict = Keep | Refuse | Edit | Replace | Quarantine | Delay;

const KEEP: Keep = { kind: 'keep' };

/** Leave it as it is. No octet of it is sent back. */
export function keep(): Keep {
  return KEEP;
}

/**
 * Refuse for good: `code` is a 5yz code, `enhanced` a 5.y.z one (RFC 3463). Each `text` becomes a line of the reply.
 * @example
 * refuse(550, '5.7.1', 'Executable attachments are not accepted here');
 */
export function refuse(code: number, enhanced: string, ...text: readonly string[]): Refuse {
  return makeRefusal(5, code, enhanced, text);
}

/**
 * Refuse for now: the sender will try again. `code` is a 4yz code, `enhanced` a 4.y.z one.
 * @example
 * tempfail(451, '4.7.1', 'Greylisted, please try again in five minutes');
 */
export function tempfail(code: number, enhanced: string, ...text: readonly string[]): Refuse {
  return makeRefusal(4, code, enhanced, text);
}

/**
 * Change named places of the message; everything else stays bit-exact and is not sent.
 * @example
 * edit({ headers: { add: [['X-Checked', 'yes']], remove: ['X-Internal'], replace: [['Subject', 'New subject']] } });
 */
export function edit(changes: Changes): Edit {
  checkChanges(changes);
  return { kind: 'edit', changes };
}

/**
 * Put other octets in place of the whole message, header and all, with CRLF line ends. They are asked for as they can be
 * sent, so `content` may read the old message as a stream while it makes the new one.
 */
export function replace(content: Content): Replace {
  const isPieces = typeof content === 'object' && content !== null && !(content instanceof Uint8Array);
  if (!isPieces || !(Symbol.asyncIterator in content || Symbol.iterator in content))
    throw new TypeError('not content in pieces: octets that are at hand are one piece, replace([octets])');
  return { kind: 'replace', content };
}

/**
 * Have the mail taken and kept aside, unchanged, until a person lets it go. Its recipients are told of it where the operator
 * wants that; else the client hears a refusal, and the copy is kept all the same. The service needs `may: [quarantine]`.
 * `reason` is for the operator: printable ASCII, of which 200 characters are shown.
 * @example
 * quarantine({ reason: 'looks like phishing, score 12.4' });
 */
export function quarantine({ reason }: { readonly reason: string }): Quarantine {
  return { kind: 'quarantine', reason: shortReason(reason) };
}

/**
 * Have the mail taken and shown to this service again, and to those behind it, not before a time: `forMs` milliseconds from
 * now, or `until` a time. Nothing of it is passed on before. Seconds are what is counted in, at least one; the operator's
 * `queue.lifetime` ends the longest delay, and its sender then gets a report that names this service. The service needs
 * `may: [delay]`. Throws where there is no such time.
 * @example
 * delay({ forMs: 10 * 60_000, reason: 'outbreak: waiting for signatures' });
 */
export function delay(wish: DelayWish): Delay {
  const ms = wish.until === undefined ? wish.forMs : Math.max(1, wish.until.getTime() - Date.now());
  const seconds = Math.min(Math.ceil(ms / 1000), MAX_DELAY_SECONDS);
  if (!isDelay(seconds)) throw new TypeError(`not a time to wait: ${ms} ms`);
  return { kind: 'delay', seconds, reason: shortReason(wish.reason) };
}

export type DelayWish = { readonly reason: string } & (
  | { readonly forMs: number; readonly until?: undefined }
  | { readonly until: Date; readonly forMs?: undefined }
);

/**
 * Put another path in place of this one; parameters of the command stay.
 * @example
 * rewrite('<info@example.com>');
 */
export function rewrite(path: string): Rewrite {
  // The processor judges it by the full grammar; this catches what a typing error makes of it.
  if (!/^<[^\s<>]*>$/.test(path) && !/^<"[^\r\n]*"@[^\s<>]+>$/.test(path))
    throw new TypeError(`not a path in brackets: ${path}`);
  return { kind: 'rewrite', path };
}

/**
 * Have the client's greeting or look-up treated as if the client had said `argument`: a host name, or what stands behind VRFY
 * or EXPN. The service needs `may: [rewrite-command]`.
 * @example
 * change('mail.example.com');
 */
export function change(argument: string): Change {
  if (argument === '' || /[\x00-\x1f\x7f]/.test(argument)) throw new TypeError(`not an argument: ${argument}`);
  return { kind: 'change', argument };
}

/** Lines of a reply: more are cut by the processor anyhow (profile notes, question 11), and long ones folded. */
const MAX_LINES = 5;
const MAX_LINE_CHARACTERS = 450;

function makeRefusal(kind: 4 | 5, code: number, enhanced: string, text: readonly string[]): Refuse {
  if (!Number.isInteger(code) || Math.trunc(code / 100) !== kind || code % 100 > 59) {
    throw new TypeError(`not a ${kind}yz reply code: ${code}`);
  }
  if (!new RegExp(`^${kind}\\.[0-9]{1,3}\\.[0-9]{1,3}$`).test(enhanced)) {
    throw new TypeError(`not a ${kind}.y.z enhanced code: ${enhanced}`);
  }
  const lines = (text.length === 0 ? ['Refused'] : text).slice(0, MAX_LINES).map(printableAscii);
  const last = lines.length - 1;
  return {
    kind: 'refuse',
    reply: lines.map((line, i) => `${code}${i === last ? ' ' : '-'}${enhanced} ${line}`).join('\r\n'),
  };
}

/** Text often holds something of the mail, which must not steer the client's terminal or end the line. */
function printableAscii(text: string): string {
  return text.slice(0, MAX_LINE_CHARACTERS).replace(/[^ -~]/g, '?');
}
