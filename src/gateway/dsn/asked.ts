/** What a mail's sender asked for, from parameters as the store keeps them; and what of it goes on (RFC 3461, 5.2). */
import {
  type DsnMailParameters,
  type DsnRcptParameters,
  needsSmtpUtf8,
  parseAddress,
  parseDsnMail,
  parseDsnRcpt,
  writeDsnRcpt,
} from '../../smtp/index.ts';

export type StoredParameters = Readonly<Record<string, string | true>>;

/** Parameters that nobody could have been let in with ask for nothing. */
export function askedOfMail(params: StoredParameters): DsnMailParameters {
  return parseDsnMail(new Map(Object.entries(params))) ?? { ret: undefined, envid: undefined };
}

export function askedOfRcpt(params: StoredParameters): DsnRcptParameters {
  return parseDsnRcpt(new Map(Object.entries(params))) ?? { notify: undefined, orcpt: undefined };
}

/**
 * Parameters of RCPT towards the next hop. They go as they came; where a service made another address of the recipient and
 * the sender gave no ORCPT, it is added, so that reports from further on name an address the sender knows (5.2.1). A hop
 * that does not offer DSN is sent none of them: that is the client's doing.
 */
export function passedOn(
  params: StoredParameters,
  recipient: string,
  forwardPath: string,
  isUtf8: boolean,
): StoredParameters {
  if (params['ORCPT'] !== undefined || recipient === forwardPath) return params;
  const address = parseAddress(recipient);
  if (address === undefined || (needsSmtpUtf8(address) && !isUtf8)) return params;
  const orcpt = { type: needsSmtpUtf8(address) ? 'utf-8' : 'rfc822', address: recipient };
  return { ...params, ...Object.fromEntries(writeDsnRcpt({ notify: undefined, orcpt }, isUtf8)) };
}
