/** A callout server's `SMTP-Error` as a reply we may give (profile notes, question 11). */
import type { Reply } from '../../smtp/index.ts';

/** Lines a peer is shown of it, without our trace line. */
const MAX_LINES = 5;

/**
 * `from` has passed the profile's check: it is a 4yz or 5yz reply. 421 would close the session, which is not a service's
 * to decide, so it becomes 451; an enhanced code is added where there is none.
 */
export function refusalReply(from: Reply): Reply {
  const code = from.code === 421 ? 451 : from.code;
  const enhanced = from.enhanced ?? (code >= 500 ? '5.7.1' : '4.7.1');
  return { code, enhanced, text: from.text.slice(0, MAX_LINES) };
}
