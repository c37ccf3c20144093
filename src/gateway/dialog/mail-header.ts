/**
 * What the gateway itself has to know of a message's header section, collected while the message comes in: how many hops it
 * made, which trace fields it came with, and so what our own block on top of it looks like.
 */
import { EMPTY } from '../../base/index.ts';
import { HeaderScanner, type MailLimits } from '../../mail/index.ts';
import { type HeaderRequest, readBypassFields } from '../bypass/index.ts';
import {
  makeTraceBlock,
  olderTrace,
  type ReceivedProtocol,
  type TraceFacts,
  traceFacts,
  type ViaEntry,
  writeReceived,
} from '../trace/index.ts';
import type { SessionView } from './session-view.ts';
import type { MailWorld } from './world.ts';

export class MailHeader {
  readonly #scanner: HeaderScanner;
  #header: Buffer | undefined;
  #isTooLarge = false;
  #trace: TraceFacts = { hops: 0, hasForeignVia: false, bypass: undefined };
  #older: Buffer | undefined;
  #received = '';

  constructor(limits: MailLimits) {
    this.#scanner = new HeaderScanner(limits);
  }

  get isKnown(): boolean {
    return this.#header !== undefined;
  }

  get isTooLarge(): boolean {
    return this.#isTooLarge;
  }

  /** The section as the client sent it, with the empty line that ends it. */
  get octets(): Buffer {
    return this.#header ?? EMPTY;
  }

  get hops(): number {
    return this.#trace.hops;
  }

  /** What the message asks to be left out; undefined where it has no such field. */
  get bypass(): HeaderRequest | undefined {
    const { bypass } = this.#trace;
    return bypass === undefined ? undefined : readBypassFields(bypass);
  }

  get olderTrace(): Buffer {
    this.#older ??= olderTrace(this.octets);
    return this.#older;
  }

  /** Returns whether the section became known with these octets. */
  feed(octets: Buffer): boolean {
    if (this.#header !== undefined) return false;
    this.#scanner.feed(octets);
    return !this.#scanner.isOpen && this.#take();
  }

  /** The message is over. Returns whether the section became known only now. */
  end(): boolean {
    if (this.#header !== undefined) return false;
    this.#scanner.end();
    return this.#take();
  }

  #take(): true {
    this.#header = this.#scanner.octets;
    this.#trace = traceFacts(this.#header);
    this.#isTooLarge = this.#scanner.isCut;
    return true;
  }

  /** Our `Received`, once the recipients are known; `recipient` only where there is exactly one. `atMs`: since 1970. */
  receive(session: SessionView, mailId: string, isUtf8: boolean, recipient: string | undefined, atMs: number): void {
    this.#received = writeReceived(session.received, {
      protocol: protocolOf(session, isUtf8),
      id: mailId,
      recipient,
      date: new Date(atMs),
    });
  }

  traceBlock(world: MailWorld, mailId: string, via: readonly ViaEntry[]): Buffer {
    return makeTraceBlock({
      received: this.#received,
      system: world.system,
      mailId,
      via,
      foreignViaPresent: this.#trace.hasForeignVia,
    });
  }
}

/** RFC 3848, RFC 6531 section 4.3: S for TLS, A for a login. */
function protocolOf({ listener, verb, tls, user }: SessionView, isUtf8: boolean): ReceivedProtocol {
  if (verb === 'HELO') return 'SMTP';
  const of = PROTOCOLS[listener.protocol][isUtf8 ? 'utf8' : 'plain'];
  return of[(tls ? 1 : 0) + (user === '' ? 0 : 2)] ?? 'ESMTP';
}

const PROTOCOLS: Readonly<Record<'smtp' | 'lmtp', Readonly<Record<'plain' | 'utf8', readonly ReceivedProtocol[]>>>> = {
  smtp: {
    plain: ['ESMTP', 'ESMTPS', 'ESMTPA', 'ESMTPSA'],
    utf8: ['UTF8SMTP', 'UTF8SMTPS', 'UTF8SMTPA', 'UTF8SMTPSA'],
  },
  lmtp: {
    plain: ['LMTP', 'LMTPS', 'LMTPA', 'LMTPSA'],
    utf8: ['UTF8LMTP', 'UTF8LMTPS', 'UTF8LMTPA', 'UTF8LMTPSA'],
  },
};
