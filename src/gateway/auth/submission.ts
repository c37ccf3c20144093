/** Whether MAIL is taken, where a listener has users: outgoing mail is for those who log in, and as themselves (RFC 6409, 4.3, 6.1). */
import { type Address, type Reply, replies } from '../../smtp/index.ts';
import { gatewayReplies } from '../dialog/replies.ts';
import { isRelayPeer } from '../dispatch/relay-permission.ts';
import type { ListenerOptions, UserOptions } from '../options.ts';
import { maySend } from './sender-binding.ts';

export interface Submitter {
  /** Who logged in, or ''. */
  readonly name: string;
  /** What the users file says of it. */
  readonly user: UserOptions | undefined;
  /** After PROXY and XCLIENT. */
  readonly peerAddress: string;
}

export function submissionRefusal(
  listener: ListenerOptions,
  { name, user, peerAddress }: Submitter,
  sender: Address | null,
): Reply | undefined {
  if (listener.auth === undefined) return undefined;
  if (name !== '') return maySend(name, user, sender) ? undefined : gatewayReplies.senderDenied;
  return strangerRefusal(listener, { name, peerAddress });
}

/** Who is told, and asks about, nothing before logging in. */
export function strangerRefusal(
  listener: ListenerOptions,
  { name, peerAddress }: Pick<Submitter, 'name' | 'peerAddress'>,
): Reply | undefined {
  const isStranger = listener.auth !== undefined && name === '' && listener.side === 'sender';
  return isStranger && !isRelayPeer(listener, peerAddress) ? replies.authRequired : undefined;
}
