/**
 * Every reply text of ours, in one table. The peer gets what the protocol needs and nothing about our inside: detail
 * goes to the log. Codes: RFC 5321, 4.2.3; enhanced codes: RFC 3463 and the IANA registry.
 */
import { keepWritten, type Reply, reply } from './reply.ts';

export const replies = {
  // done
  ok: reply(250, '2.0.0', 'OK'),
  mailOk: reply(250, '2.1.0', 'OK'),
  rcptOk: reply(250, '2.1.5', 'OK'),
  accepted: reply(250, '2.0.0', 'OK, message accepted'),
  acceptedForSome: reply(250, '2.0.0', 'OK, message accepted for some recipients'),
  chunkOk: reply(250, '2.0.0', 'OK, chunk received'),
  goAhead: reply(354, undefined, 'End data with <CR><LF>.<CR><LF>'),
  analysing: reply(353, undefined, 'Content analysis has started'),
  goodbye: reply(221, '2.0.0', 'Goodbye'),
  startTls: reply(220, '2.0.0', 'Ready to start TLS'),
  help: reply(214, '2.0.0', 'See RFC 5321'),
  cannotVerify: reply(252, '2.5.0', 'Cannot VRFY user, but will accept message and attempt delivery'),

  // a command we do not understand
  unknownCommand: reply(500, '5.5.1', 'Command not recognized'),
  notImplemented: reply(502, '5.5.1', 'Command not implemented'),
  lineTooLong: reply(500, '5.5.2', 'Line too long'),
  commandOctets: reply(500, '5.5.2', 'Command holds octets that are not allowed'),
  bareNewline: reply(500, '5.5.2', 'Lines must end with <CR><LF>'),
  needName: reply(501, '5.5.4', 'One host name or address is required'),
  noArgument: reply(501, '5.5.4', 'No argument is allowed'),
  needArgument: reply(501, '5.5.4', 'An argument is required'),
  mailSyntax: reply(501, '5.5.4', 'Syntax: MAIL FROM:<address> [parameters]'),
  rcptSyntax: reply(501, '5.5.4', 'Syntax: RCPT TO:<address> [parameters]'),
  bdatSyntax: reply(501, '5.5.4', 'Syntax: BDAT size [LAST]'),
  badSenderSyntax: reply(501, '5.1.7', 'Bad sender address syntax'),
  badRecipientSyntax: reply(501, '5.1.3', 'Bad recipient address syntax'),
  badParameter: reply(501, '5.5.4', 'Bad parameter syntax'),
  unknownParameter: reply(555, '5.5.4', 'Parameter not recognized or not implemented'),
  needSmtpUtf8: reply(553, '5.6.7', 'Address needs SMTPUTF8'),

  // a command at the wrong time
  needHello: reply(503, '5.5.1', 'Send EHLO first'),
  needLhlo: reply(503, '5.5.1', 'Send LHLO first'),
  needMail: reply(503, '5.5.1', 'Send MAIL first'),
  nestedMail: reply(503, '5.5.1', 'Nested MAIL command'),
  badSequence: reply(503, '5.5.1', 'Bad sequence of commands'),
  noRecipients: reply(554, '5.5.1', 'No valid recipients'),
  noRecipientsYet: reply(503, '5.5.1', 'No valid recipients'),
  needTls: reply(530, '5.7.0', 'Must issue a STARTTLS command first'),
  tlsActive: reply(503, '5.5.1', 'TLS is already active'),

  // authentication (RFC 4954, 6)
  authOk: reply(235, '2.7.0', 'Authentication successful'),
  authRefused: reply(535, '5.7.8', 'Authentication credentials invalid'),
  authUnavailable: reply(454, '4.7.0', 'Temporary authentication failure'),
  authRequired: reply(530, '5.7.0', 'Authentication required'),
  authNeedsTls: reply(538, '5.7.11', 'Encryption required for requested authentication mechanism'),
  authTooWeak: reply(534, '5.7.9', 'Authentication mechanism is too weak'),
  authUnknown: reply(504, '5.5.4', 'Unrecognized authentication mechanism'),
  authSyntax: reply(501, '5.5.4', 'Syntax: AUTH mechanism [initial-response]'),
  authNotBase64: reply(501, '5.5.2', 'Cannot decode response'),
  authCancelled: reply(501, '5.7.0', 'Authentication cancelled'),
  authTwice: reply(503, '5.5.1', 'Already authenticated'),
  authLineTooLong: reply(500, '5.5.6', 'Authentication exchange line is too long'),
  authTooOften: reply(421, '4.7.0', 'Too many failed authentications, closing connection'),

  // XCLIENT and XFORWARD
  badAttribute: reply(501, '5.5.4', 'Bad attribute'),

  // caps
  tooManyRecipients: reply(452, '4.5.3', 'Too many recipients'),
  tooBig: reply(552, '5.3.4', 'Message size exceeds the limit'),
  tooManyErrors: reply(421, '4.7.0', 'Too many errors, closing connection'),
  tooManyCommands: reply(421, '4.7.0', 'Too many commands, closing connection'),
  tooManyConnections: reply(421, '4.7.0', 'Too many connections, try again later'),

  // content
  bareNewlineInContent: reply(550, '5.6.11', 'Message refused: bare <CR> or <LF>'),
  contentLineTooLong: reply(550, '5.6.0', 'Message refused: line too long'),

  /** Of a recipient nothing was said of. */
  noVerdict: reply(451, '4.3.0', 'Requested action aborted: error in processing'),

  // the end
  spokeTooSoon: reply(554, '5.5.0', 'Protocol error: wait for the greeting'),
  dataTooSoon: reply(554, '5.5.0', 'Protocol error: wait for the reply to DATA'),
  tlsTooSoon: reply(554, '5.5.0', 'Protocol error: wait for the reply to STARTTLS'),
  notSmtp: reply(554, '5.5.0', 'Protocol error: this is an SMTP server'),
  timeout: reply(421, '4.4.2', 'Timeout, closing connection'),
  tooSlow: reply(421, '4.4.2', 'Data comes too slowly, closing connection'),
  shuttingDown: reply(421, '4.3.2', 'Service shutting down, closing connection'),
} as const satisfies Readonly<Record<string, Reply>>;

keepWritten(Object.values(replies));

/** RFC 5321, 4.2: the greeting; what stands behind the host name says that we speak ESMTP, or LMTP, and nothing of versions. */
export function greeting({
  hostname,
  protocol,
}: {
  readonly hostname: string;
  readonly protocol: 'smtp' | 'lmtp';
}): Reply {
  return reply(220, undefined, `${hostname} ${protocol === 'lmtp' ? 'LMTP' : 'ESMTP'}`);
}
