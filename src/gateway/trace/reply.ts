/** Trace in refusals (REQ-041, REQ-042): one line of the reply names the System and the mail. */
import { MAX_REPLY_TEXT_OCTETS } from './limits.ts';
import { mailUri } from './uri.ts';

/** The text of the line, without reply code. It always fits a reply line: the URI's cap is made for that. */
export function traceReplyLine(systemUri: string, mailId: string): string {
  return `OPES-System: ${mailUri(systemUri, mailId)}`;
}

/**
 * The reply with the trace line before its last line, or behind its only one: clients and logs that show one line show
 * the first or the last, and the reason must not be hidden in either.
 */
export function addTraceToReply<R extends { readonly text: readonly string[] }>(reply: R, line: string): R {
  const traced = line.slice(0, MAX_REPLY_TEXT_OCTETS);
  const { text } = reply;
  const at = text.length > 1 ? text.length - 1 : text.length;
  return { ...reply, text: [...text.slice(0, at), traced, ...text.slice(at)] };
}
