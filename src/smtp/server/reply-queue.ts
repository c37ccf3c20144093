/**
 * Replies leave in the order of the commands (RFC 2920, 3.2), answers come in any. A place is taken for each command;
 * what is settled at the front may be written.
 */
import type { Ticket } from './handler.ts';

/** What the handler was asked; `ours` where it is not or no longer its turn. */
export type Asked = 'hello' | 'mail' | 'rcpt' | 'data' | 'end' | 'verify' | 'auth' | 'ours';

export interface Place {
  readonly ticket: Ticket;
  asked: Asked;
  text: string | undefined;
  /** The connection ends when this is written. */
  isFinal: boolean;
}

export class ReplyQueue {
  readonly #places: Place[] = [];
  #lastTicket: Ticket = 0;

  get length(): number {
    return this.#places.length;
  }

  take(asked: Asked): Place {
    const place: Place = { ticket: ++this.#lastTicket, asked, text: undefined, isFinal: false };
    this.#places.push(place);
    return place;
  }

  /** The place of `ticket`, if the handler still owes its answer. */
  find(ticket: Ticket): Place | undefined {
    // Few are ever owed, and the one asked for is mostly the first.
    const place = this.#places.find((p) => p.ticket === ticket);
    return place?.text === undefined && place?.asked !== 'ours' ? place : undefined;
  }

  /** Takes the first place out if it is settled. */
  shift(): Place | undefined {
    return this.#places[0]?.text === undefined ? undefined : this.#places.shift();
  }

  /** Every RCPT owed gets this text, answered already or not: its MAIL was refused, and nothing of it was written. */
  settleRecipients(text: string): void {
    for (const place of this.#places) if (place.asked === 'rcpt') place.text = text;
  }

  clear(): void {
    this.#places.length = 0;
  }
}
