/** Facts for rules, from the session, the commands and the message. */
import { MimeScanner, recognise } from '../../mail/index.ts';
import type { Address } from '../../smtp/index.ts';
import type { MailFacts } from '../dispatch/facts.ts';
import type { MessageFacts, SenderFacts } from '../rules/index.ts';
import type { SessionView } from './session-view.ts';

const NULL_PATH: SenderFacts = { address: '', local: '', domain: '' };

export function addressFacts(address: Address | null): SenderFacts {
  return address === null ? NULL_PATH : { address: address.text, local: address.local, domain: address.domain };
}

export function mailFacts(session: SessionView, sender: Address | null): MailFacts {
  const { client, session: said, listener } = session.facts;
  return { client, session: said, listener, sender: addressFacts(sender) };
}

/**
 * What the header section alone says of the message; its parts are not looked into. A DKIM signature does not make it
 * `signed`: nearly all mail has one, and rules mean S/MIME and OpenPGP.
 */
export function messageFacts(size: number, header: Buffer): MessageFacts {
  const scanner = new MimeScanner();
  scanner.feed(header);
  const { encrypted, signed } = recognise(scanner.end());
  return { size, header, encrypted: encrypted !== undefined, signed: signed !== undefined };
}
