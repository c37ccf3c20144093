/**
 * Whose requests count (REQ-074; design D8; decision 0048). Authority covers the services of its own side, and a service acts for the side of
 * the listener that the mail came in by:
 *
 * - who logged in is a user of the sender's side, and counts where the listener is of that side;
 * - a peer of `bypassFrom` counts on the listener that names it, for mail of which it says that it authorised the requests (OPESAUTH).
 *
 * Nobody else: an address proves nothing of a sender, and an id of ours is no authority (design D15).
 */
import { isInNetworks } from '../dispatch/relay-permission.ts';
import type { ListenerOptions } from '../options.ts';

export interface Requester {
  readonly isAuthorised: boolean;
  /** For operators: who it is. */
  readonly who: string;
}

export interface RequestingSession {
  /** The login, or ''. */
  readonly user: string;
  /** After PROXY and XCLIENT; never what XFORWARD says. */
  readonly peerAddress: string;
  readonly listener: Pick<ListenerOptions, 'side' | 'bypassFrom'>;
}

/** `isVouchedFor`: the client said OPESAUTH. */
export function requesterOf({ user, peerAddress, listener }: RequestingSession, isVouchedFor: boolean): Requester {
  const isSubmitter = user !== '' && listener.side === 'sender';
  const isAuthorised = isSubmitter || (isVouchedFor && isInNetworks(peerAddress, listener.bypassFrom));
  return { isAuthorised, who: user === '' ? `peer ${peerAddress}` : `login ${user}` };
}
