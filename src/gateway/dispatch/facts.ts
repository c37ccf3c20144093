/** The facts that a session and its MAIL give; what rules and routes are judged on beside the recipient and the message. */
import type { ClientFacts, ListenerFacts, SenderFacts, SessionFacts } from '../rules/index.ts';

export interface ClientSessionFacts {
  readonly client: ClientFacts;
  readonly session: SessionFacts;
  readonly listener: ListenerFacts;
}

export interface MailFacts extends ClientSessionFacts {
  readonly sender: SenderFacts;
}
