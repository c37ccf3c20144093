/** What is known of one SMTP session, and what each of its mails says of it, made once. */
import { printable } from '../../base/index.ts';
import type { Part } from '../../profile/index.ts';
import { UNIX_PEER } from '../../smtp/index.ts';
import type { MailFacts } from '../dispatch/facts.ts';
import { isRelayPeer, mayRelay, type RelayRoute } from '../dispatch/relay-permission.ts';
import type { ListenerOptions } from '../options.ts';
import type { ClientIdentity } from '../relay/open-relay.ts';
import type { SpooledSession } from '../spool/port.ts';
import { type SessionClauses, sessionClauses, type ViaEntry } from '../trace/index.ts';

/** What the client said and where it came from. */
export interface SessionOrigin {
  /** Unguessable; a mail's id is `<session>.<n>`. */
  readonly id: string;
  readonly listener: ListenerOptions;
  /** UNKNOWN_ADDRESS where a proxy does not know it, UNIX_PEER on a Unix socket. */
  readonly clientAddress: string;
  /** By a proxy's word; absent where there is none. */
  readonly clientName?: string | undefined;
  /** Whose authority counts: after PROXY and XCLIENT, and never what XFORWARD says. The client's own where it is absent. */
  readonly peerAddress?: string;
  readonly verb: 'EHLO' | 'HELO';
  /** The name in it, as sent. */
  readonly helo: string;
  /** What services made of the greeting; absent: nothing. */
  readonly greeting?: AdaptedGreeting | undefined;
  readonly tls: boolean;
  /** Who logged in; absent: nobody. */
  readonly user?: string;
}

/** Plain data: it is stored with a mail. */
export interface AdaptedGreeting {
  /** The name that counts from then on. `Received`, log and reports keep the client's (RFC 5321, 4.4: "as presented"). */
  readonly helo: string;
  /** What traces of the session's mails say of it: who changed it, who was skipped. */
  readonly via: readonly ViaEntry[];
}

export const UNKNOWN_ADDRESS = 'unknown';

export interface SessionView extends SessionOrigin {
  readonly user: string;
  readonly peerAddress: string;
  /** Whether this client may use a route that leads anywhere. */
  readonly mayRelay: (route: RelayRoute) => boolean;
  readonly facts: Pick<MailFacts, 'client' | 'session' | 'listener'>;
  /** What services are told of the client, in the order of the dialog. */
  readonly parts: readonly (readonly [Part, string])[];
  /** What `Received` says of the session. */
  readonly received: SessionClauses;
  /** What was done to the greeting, for traces. */
  readonly via: readonly ViaEntry[];
  /** `helo` for log lines. */
  readonly printableHelo: string;
}

/** `hostname`: our own name. */
export function makeSessionView(hostname: string, origin: SessionOrigin): SessionView {
  const { id, listener, clientAddress, clientName, verb, helo, tls, user = '' } = origin;
  const { peerAddress = clientAddress, greeting } = origin;
  const heloInForce = greeting?.helo ?? helo;
  const isKnown = clientAddress !== UNKNOWN_ADDRESS && clientAddress !== UNIX_PEER;
  const relaying = {
    isAuthenticated: user !== '',
    isRelayPeer: isRelayPeer(listener, peerAddress),
    peerAddress,
  };
  return {
    id,
    listener,
    clientAddress,
    peerAddress,
    verb,
    helo,
    greeting,
    tls,
    user,
    mayRelay: (route) => mayRelay(route, listener, relaying),
    facts: {
      client: { ip: isKnown ? clientAddress : '', name: clientName ?? '', tls },
      session: { helo: heloInForce, authenticated: user !== '', user },
      listener: { name: listener.name, side: listener.side },
    },
    // What is not known is no part: a service that requires it is told by its absence.
    parts: clientParts(clientAddress, verb, heloInForce).filter(([part]) => (part === 'IP' ? isKnown : helo !== '')),
    received: sessionClauses({ hostname, helo, clientAddress, clientName }),
    via: greeting?.via ?? NOTHING,
    printableHelo: printable(helo),
  };
}

const NOTHING: readonly ViaEntry[] = [];

/** Who the client is, for next hops that are told (design D20). */
export function clientIdentity({ clientAddress, verb, facts }: SessionView): ClientIdentity {
  const { user, helo } = facts.session;
  return {
    address: clientAddress,
    helo,
    protocol: verb === 'EHLO' ? 'ESMTP' : 'SMTP',
    login: user === '' ? undefined : user,
  };
}

/** What of a session is stored with a mail. */
export function spooledSession(view: SessionView): SpooledSession {
  const { id, listener, clientAddress, verb, helo, greeting, tls, facts } = view;
  const clientName = facts.client.name === '' ? undefined : facts.client.name;
  const { user } = facts.session;
  return { id, listener: listener.name, clientAddress, clientName, verb, helo, greeting, tls, user };
}

/** An address literal (RFC 5321 section 4.1.3): the form of the `IP` part (profile notes, question 3). */
export function addressLiteral(address: string): string {
  return address.includes(':') ? `[IPv6:${address}]` : `[${address}]`;
}

/** What services are told of the client, in the order of the dialog. */
export function clientParts(
  clientAddress: string,
  verb: 'EHLO' | 'HELO',
  helo: string,
): readonly (readonly [Part, string])[] {
  return [
    ['IP', addressLiteral(clientAddress)],
    [verb, helo],
  ];
}
