export { type Address, lowerAscii, makeAddress, needsSmtpUtf8, parseAddress, parsePath, writePath } from './address.ts';
export {
  type MailArgument,
  NO_PARAMETERS,
  type Parameters,
  parseMailArgument,
  parseRcptArgument,
  type RcptArgument,
  writeArgument,
} from './argument.ts';
export { Hop } from './client/hop.ts';
export { type ClientIdentity, type IdentityMode, xtext } from './client/identity.ts';
export { NEXT_HOP_LIMITS, type NextHopLimits } from './client/limits.ts';
export type { Awaited, MailEvents } from './client/mail-transaction.ts';
export { type Asked, mapNextHopReply, replyToFailure } from './client/map-reply.ts';
export type {
  DataOptions,
  FailureReason,
  Outbound,
  OutboundEnvelope,
  OutboundEvents,
  OutboundFailure,
  Stage,
} from './client/outbound.ts';
export { ReplyParser } from './client/reply-parser.ts';
export { type ClientOptions, type ClientOut, ClientSession } from './client/session.ts';
export { DotStuffer } from './client/stuffing.ts';
export {
  type DsnMailParameters,
  type DsnRcptParameters,
  decodeXtext,
  encodeUtf8Address,
  encodeXtext,
  type NotifyOn,
  type OriginalRecipient,
  parseDsnMail,
  parseDsnRcpt,
  writeDsnMail,
  writeDsnRcpt,
} from './dsn.ts';
export { type ReplyLimits, replyLimits, type ServerLimits, serverLimits } from './limits.ts';
export { SmtpConnection, type TlsInfo } from './net/connection.ts';
export { SmtpListener, type SmtpListenerOptions } from './net/listener.ts';
export { NextHop, type NextHopOptions } from './net/next-hop.ts';
export type { HopAddress } from './net/next-hop-connection.ts';
export type { NextHopStats } from './net/next-hop-pool.ts';
export type { HopTls, PeerVerify } from './net/next-hop-tls.ts';
export { PeerCounts, peerOf, UNIX_PEER } from './net/peer-counts.ts';
export { type BindTo, type ServerPlace, ServerSocket } from './net/server-socket.ts';
export { checkTlsa, type TlsaRecord, type TlsaVerdict, usableTlsa } from './net/tlsa.ts';
export { SocketPathError } from './net/unix-place.ts';
export {
  type AgentUris,
  hasOpesParameters,
  isAgentUri,
  isOpesParameter,
  parseOpesBypass,
} from './opes.ts';
export { greeting, replies } from './replies.ts';
export {
  isPermanent,
  isPositive,
  isTransient,
  parseReplyText,
  type Reply,
  reply,
  withEnhanced,
  writeReply,
} from './reply.ts';
export type { Credentials, SaslCrypto } from './sasl/client.ts';
export type { AuthAnswer, AuthQuestion, Mechanism } from './sasl/mechanism.ts';
export { saslprep } from './sasl/saslprep.ts';
export { type AttributeName, type ClientAttributes, NO_ATTRIBUTES } from './server/client-attributes.ts';
export { isHelloName, isLookUp } from './server/commands.ts';
export { overallReply } from './server/finals.ts';
export type { MailCommand, RcptCommand, ResetCause, ServerHandler, ServerOut, Ticket } from './server/handler.ts';
export { NewlineCheck } from './server/newlines.ts';
export { makeServerOptions, type ServerOptions } from './server/options.ts';
export { ServerSession, type WaitsFor } from './server/session.ts';
