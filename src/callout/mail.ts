/** What a service sees of a mail. Only what it wished for is sent to it, and only that is in the type of its `mail`. */

import type { Headers } from './headers.ts';
import type { MessageVerdict } from './verdict.ts';

/** What a service wants to see. What it does not name is not sent, or not kept. */
export interface Wants {
  /** Client address, greeting and sender. */
  readonly envelope?: boolean;
  /** The recipients that were not refused. */
  readonly recipients?: boolean;
  /** The header section. The handler is called when it is there; the body passes by. */
  readonly headers?: boolean;
  /** The header, and the message as a stream; the handler is called when the header is there. */
  readonly body?: 'stream';
  /** The message in memory, up to a cap; the handler is called when it is complete. Not together with `body`. */
  readonly whole?: WholeWish;
}

export interface WholeWish {
  readonly maxOctets: number;
  /** What is said to a larger message, unseen. Without it such a mail fails, and the operator's policy decides. */
  readonly beyond?: MessageVerdict;
}

/** A mailbox of the envelope. */
export interface Mailbox {
  /** `local@domain`; empty for the null sender `<>`. */
  readonly address: string;
  readonly local: string;
  /** In lower case; an address literal in its brackets. */
  readonly domain: string;
  /** As in the command, `<a@b>`. */
  readonly path: string;
  /** ESMTP parameters, keywords in upper case. */
  readonly params: ReadonlyMap<string, string | true>;
}

/** What is known of the client and its transaction so far. A fact the processor does not tell is `undefined`. */
export interface Session {
  /** Address of the client, without brackets. */
  readonly ip: string | undefined;
  /** The name it greeted with. */
  readonly helo: string | undefined;
  readonly sender: Mailbox | undefined;
}

export interface EnvelopeView {
  readonly session: Session;
  readonly sender: Mailbox;
}

export interface RecipientsView {
  readonly recipients: readonly Mailbox[];
}

export interface HeadersView {
  readonly headers: Headers;
}

export interface StreamView extends HeadersView {
  /** The whole message from its first octet, header included. Can be read once; to leave the loop is to have seen enough. */
  readonly content: AsyncIterable<Uint8Array>;
  /** The message behind its header. Either this or `content` can be read, once. */
  readonly body: AsyncIterable<Uint8Array>;
}

export interface WholeView extends HeadersView {
  readonly octets: Buffer;
}

/** The view that belongs to the wishes `W`. */
export type Mail<W extends Wants> = (W extends { readonly envelope: true } ? EnvelopeView : unknown) &
  (W extends { readonly recipients: true } ? RecipientsView : unknown) &
  (W extends { readonly headers: true } ? HeadersView : unknown) &
  (W extends { readonly body: 'stream' } ? StreamView : unknown) &
  (W extends { readonly whole: WholeWish } ? WholeView : unknown);

/** Everything there can be, as the handlers of any service are called with it. */
export interface AnyMail extends EnvelopeView, RecipientsView, StreamView, WholeView {}
