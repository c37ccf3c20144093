import type { Headers } from './headers.ts';
import type { AnyMail, Mailbox, Session } from './mail.ts';
import type { MailStream } from './mail-stream.ts';
import type { WholeMessage } from './whole-message.ts';

/** What the commands said, as one service sees it. */
export interface MailFacts {
  readonly session: Session;
  readonly recipients: readonly Mailbox[];
}

/** The mail as handlers get it. What was not wished for is not there; the types say so, this says it at run time. */
export class MailView implements AnyMail {
  readonly session: Session;
  readonly recipients: readonly Mailbox[];
  readonly #headers: Headers | undefined;
  readonly #stream: MailStream | undefined;
  readonly #whole: WholeMessage | undefined;

  constructor(
    facts: MailFacts,
    headers: Headers | undefined,
    stream: MailStream | undefined,
    whole: WholeMessage | undefined,
  ) {
    this.session = facts.session;
    this.recipients = facts.recipients;
    this.#headers = headers;
    this.#stream = stream;
    this.#whole = whole;
  }

  get sender(): Mailbox {
    return present(this.session.sender, 'sender');
  }

  get headers(): Headers {
    return present(this.#headers, 'headers');
  }

  get content(): AsyncIterable<Uint8Array> {
    return present(this.#stream, 'content').read(0);
  }

  get body(): AsyncIterable<Uint8Array> {
    return present(this.#stream, 'body').read(this.headers.end);
  }

  get octets(): Buffer {
    return present(this.#whole, 'octets').octets();
  }
}

function present<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new Error(`${name} was not wished for, or the processor does not tell it`);
  return value;
}
