/**
 * What our own client is told of the next hop's replies. Its answers to MAIL, RCPT and the end of data pass through (they
 * are about the mail, and the client's queue knows best what to do with them). What is about the connection between the
 * hop and us (421, greeting, EHLO, TLS, a demand to authenticate) is not the client's business and becomes 451: come again.
 *
 * Text from the hop is written by `writeReply`, which strips what must not reach a peer.
 */
import { type Reply, reply, withEnhanced } from '../reply.ts';
import type { OutboundFailure } from './outbound.ts';

/** The command a reply answered; `final` is the end of data. */
export type Asked = 'mail' | 'rcpt' | 'data' | 'final';

const CLOSING = reply(451, '4.4.2', 'The next hop closes its service; try again later');
const OUT_OF_PLACE = reply(451, '4.5.0', 'The next hop gave an answer out of place; try again later');
const UNREACHABLE = reply(451, '4.4.1', 'The next hop does not answer; try again later');
const NO_SERVICE = reply(451, '4.4.0', 'The next hop refuses the dialog; try again later');
const LOST = reply(451, '4.4.2', 'The connection to the next hop was lost; try again later');
const TIMEOUT = reply(451, '4.4.2', 'The next hop took too long; try again later');
const NO_TLS = reply(451, '4.7.5', 'No secure dialog with the next hop; try again later');
// RFC 3463: 4.7.4 is a security feature not supported, 4.7.5 a cryptographic failure, 4.7.0 security without more.
const TLS_NOT_OFFERED = reply(451, '4.7.4', 'The next hop does not offer the TLS that is required; try again later');
const UNTRUSTED = reply(451, '4.7.5', "The next hop's certificate is not to be trusted; try again later");
const NO_LOGIN = reply(451, '4.7.0', 'The next hop does not accept our login; try again later');
const NO_IDENTITY = reply(451, '4.7.0', 'The next hop cannot be told whose mail this is; try again later');
const BUSY = reply(451, '4.4.5', 'Too many mails wait for the next hop; try again later');
const CHANGED = reply(451, '4.4.0', 'The next hop changed its answer; try again later');
const SHUTDOWN = reply(451, '4.3.2', 'The system is shutting down; try again later');

/** RFC 4954 section 6 and RFC 3207: between the hop and us. */
const ABOUT_US: ReadonlySet<number> = new Set([454, 530, 534, 535, 538]);

/** The reply our client gets for the hop's `answer` to the command `asked`. 354 is the caller's: it never leaves here. */
export function mapNextHopReply(asked: Asked, answer: Reply): Reply {
  const { code } = answer;
  if (code === 421) return CLOSING;
  // Its code is for our operator, who finds it nowhere else.
  if (ABOUT_US.has(code))
    return reply(451, '4.4.0', `The next hop does not serve us at present (its reply: ${code}); try again later`);
  if (code >= 400) return withEnhanced(isWellKnown(code) ? answer : { ...answer, code: code < 500 ? 450 : 550 });
  if (code < 200 || code >= 300 || asked === 'data') return OUT_OF_PLACE;
  if (code === 250 && answer.enhanced !== undefined) return answer;
  return {
    // 251 and 252 say something of a recipient; any other 2yz is a plain yes.
    code: asked === 'rcpt' && (code === 251 || code === 252) ? code : 250,
    enhanced: answer.enhanced ?? DONE[asked],
    text: answer.text,
  };
}

/** RFC 3463: what a yes to each command is called. */
const DONE = { mail: '2.1.0', rcpt: '2.1.5', final: '2.0.0' } as const;

/** The second digit has no meaning beyond 5 (RFC 5321 section 4.2.1), and strict clients stumble over it. */
function isWellKnown(code: number): boolean {
  return Math.trunc(code / 10) % 10 <= 5;
}

/** The reply our client gets where the hop gave none: temporary, but where the mail can never go this way. */
export function replyToFailure(failure: OutboundFailure): Reply {
  switch (failure.reason) {
    case 'cannot-carry':
      return failure.reply ?? CHANGED;
    case 'unreachable':
      return UNREACHABLE;
    case 'refused':
      return NO_SERVICE;
    case 'closing':
      return CLOSING;
    case 'lost':
      return LOST;
    case 'timeout':
      return TIMEOUT;
    case 'tls':
    case 'starttls-injection':
      return NO_TLS;
    case 'no-tls':
      return TLS_NOT_OFFERED;
    case 'untrusted':
      return UNTRUSTED;
    case 'auth':
      return NO_LOGIN;
    case 'identity':
      return NO_IDENTITY;
    case 'bad-reply':
    case 'unsolicited':
    case 'out-of-place':
      return OUT_OF_PLACE;
    case 'changed':
      return CHANGED;
    case 'busy':
      return BUSY;
    case 'shutdown':
      return SHUTDOWN;
  }
}
