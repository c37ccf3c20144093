/**
 * The client of one mail as the mail knows it: what it waits for, whether it hears one reply or one for each recipient, and
 * whether it is held back. What is answered twice is ignored by the session, so that a fault may answer all that may be owed.
 */
import type { MailCommand, Reply } from '../../smtp/index.ts';
import { closeEach, hearsEach } from './each-reply.ts';
import type { MailRecipient } from './envelope.ts';
import type { SessionView } from './session-view.ts';
import type { Variant } from './variant.ts';
import type { MailPeer } from './world.ts';

const NOTHING = -1;

export class MailClient {
  /** One reply for each recipient at the end of the content. */
  readonly hearsEach: boolean;
  readonly #peer: MailPeer;
  /** MAIL or DATA. */
  #asked = NOTHING;
  #final = NOTHING;
  #isHeld = false;

  constructor(peer: MailPeer, session: SessionView, command: MailCommand) {
    this.#peer = peer;
    this.hearsEach = hearsEach(session, command);
  }

  /** It waits for the answer to the content. */
  get isAtEnd(): boolean {
    return this.#final !== NOTHING;
  }

  /** It waits for the answer to MAIL, DATA or the content; otherwise it is still at it. */
  get isWaiting(): boolean {
    return this.isAsking || this.isAtEnd;
  }

  /** It waits for the answer to MAIL or DATA. */
  get isAsking(): boolean {
    return this.#asked !== NOTHING;
  }

  asked(ticket: number): void {
    this.#asked = ticket;
  }

  ended(ticket: number): void {
    this.#final = ticket;
  }

  /** MAIL is taken. The answer may bring the next question before it returns. */
  accept(reply: Reply): void {
    const ticket = this.#asked;
    this.#asked = NOTHING;
    this.#peer.answer(ticket, reply);
  }

  /** DATA is taken. */
  go(): void {
    const ticket = this.#asked;
    this.#asked = NOTHING;
    this.#peer.go(ticket);
  }

  /** The answer to MAIL or DATA, behind which nothing more is asked. */
  refuse(reply: Reply): void {
    this.#peer.answer(this.#asked, reply);
  }

  answerRcpt({ ticket }: MailRecipient, reply: Reply): void {
    this.#peer.answer(ticket, reply);
  }

  /** The answer to the content: one reply, or one for each recipient, `reply` for whom nothing else was said. */
  answerEnd(variants: readonly Variant[], reply: Reply): void {
    if (this.hearsEach) this.#peer.answerEach(this.#final, closeEach(variants, reply));
    else this.#peer.answer(this.#final, reply);
  }

  /** It sends no more of the content for now. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  hold(): void {
    if (this.#isHeld) return;
    this.#isHeld = true;
    this.#peer.pauseContent();
  }

  resume(): void {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    this.#peer.resumeContent();
  }

  /** The session goes on by itself. */
  over(): void {
    this.#isHeld = false;
  }
}
