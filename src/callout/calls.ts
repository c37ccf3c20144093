/** Calling the handlers of one service for one mail: what they get beside their subject, and what they may answer. */
import type { Log } from '../base/index.ts';
import { isDelay } from '../profile/index.ts';
import type { Context, Service } from './service.ts';
import type { AddressVerdict, CommandVerdict, MessageVerdict } from './verdict.ts';

type Verdict = MessageVerdict | AddressVerdict | CommandVerdict;

/** The context of all calls for one mail. The signal is made when it is asked for: most handlers never do. */
export class CallContext implements Context {
  readonly log: Log;
  #controller: AbortController | undefined;
  #isOver = false;

  constructor(log: Log) {
    this.log = log;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#isOver) this.#controller.abort();
    }
    return this.#controller.signal;
  }

  abort(): void {
    this.#isOver = true;
    this.#controller?.abort();
  }
}

export function isPromise<T>(answer: T | Promise<T>): answer is Promise<T> {
  return typeof answer === 'object' && answer !== null && 'then' in answer && typeof answer.then === 'function';
}

/** Whether a handler, perhaps one no compiler has checked, answered with a verdict that fits, and with all that it needs. */
export function isVerdict<V extends Verdict>(verdict: V, kinds: readonly V['kind'][]): boolean {
  const kind = (verdict as V | undefined)?.kind;
  return kind !== undefined && kinds.includes(kind) && isWhole(verdict);
}

/** Far more than any reply has; what is larger would break the connection for all mails on it. */
const MAX_REPLY_CHARACTERS = 8192;

/** A refusal without its reply would read as an answer of no octets: an empty message, or a recipient let pass. */
function isWhole(verdict: Verdict): boolean {
  switch (verdict.kind) {
    case 'refuse':
      return typeof verdict.reply === 'string' && verdict.reply.length <= MAX_REPLY_CHARACTERS;
    case 'edit':
      return typeof verdict.changes === 'object' && verdict.changes !== null;
    case 'quarantine':
      return typeof verdict.reason === 'string';
    case 'delay':
      return typeof verdict.reason === 'string' && isDelay(verdict.seconds);
    // What is wrong with these throws where they are carried out.
    case 'keep':
    case 'replace':
    case 'rewrite':
    case 'change':
      return true;
  }
}

/** A handler threw, or its promise was rejected: a bug of the service, or of something it relies on. */
export function logFailure(log: Log, service: Service, xid: number, error: unknown): void {
  const fields = error instanceof Error ? { error: error.message, stack: error.stack } : { error: String(error) };
  log.error('service-failed', { service: service.uri, xid, ...fields });
}
