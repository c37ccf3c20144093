/**
 * AUTH within the dialog of a session (RFC 4954, 4): what the outcome of each step of the exchange (`auth-exchange.ts`) means
 * for the client, for whoever keeps the users, and for what is counted. When a line is read and a reply leaves is the
 * dialog's.
 */
import { replies } from '../replies.ts';
import type { Reply } from '../reply.ts';
import type { AuthAnswer } from '../sasl/mechanism.ts';
import { AuthExchange, type AuthOutcome } from './auth-exchange.ts';
import type { Conduct } from './conduct.ts';
import type { ServerHandler } from './handler.ts';
import type { Identity } from './identity.ts';
import type { Place } from './reply-queue.ts';

/** The dialog, as a login sees it. */
export interface LoginHost {
  readonly identity: Identity;
  /** 334: the next line is the client's response. */
  challenge(text: string, place: Place): void;
  /** The handler is being asked. */
  awaitAuth(place: Place): void;
  endAuth(outcome: Reply, place: Place): void;
  /** The client's form is wrong. */
  endAuthUnread(refusal: Reply, place: Place): void;
}

export class Login {
  readonly #host: LoginHost;
  readonly #handler: ServerHandler;
  readonly #conduct: Conduct;
  readonly #exchange: AuthExchange;

  /** `mechanism` is one of those offered. */
  constructor(mechanism: string, host: LoginHost, handler: ServerHandler, conduct: Conduct) {
    this.#exchange = AuthExchange.of(mechanism);
    this.#host = host;
    this.#handler = handler;
    this.#conduct = conduct;
  }

  start(initial: Buffer | undefined, place: Place): void {
    this.#take(this.#exchange.start(initial), place);
  }

  /** The client's line behind a challenge. */
  respond(line: string, place: Place): void {
    this.#take(this.#exchange.respond(line), place);
  }

  answered(answer: AuthAnswer, place: Place): void {
    this.#take(this.#exchange.answered(answer), place);
  }

  refused(refusal: Reply, place: Place): void {
    this.#take(this.#exchange.refused(refusal), place);
  }

  #take(outcome: AuthOutcome, place: Place): void {
    const host = this.#host;
    switch (outcome.kind) {
      case 'challenge':
        host.challenge(outcome.text, place);
        break;
      case 'ask':
        host.awaitAuth(place);
        if (this.#handler.onAuth === undefined) this.refused(replies.authUnavailable, place);
        else this.#handler.onAuth(outcome.question, place.ticket);
        break;
      case 'authenticated':
        host.identity.user = outcome.user;
        host.endAuth(replies.authOk, place);
        break;
      case 'failed':
        if (outcome.by === 'form') host.endAuthUnread(outcome.reply, place);
        else host.endAuth(this.#conduct.onAuthFailure() ? outcome.reply : replies.authTooOften, place);
        break;
    }
  }
}
