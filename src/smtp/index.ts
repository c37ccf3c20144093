export { type Address, makeAddress, needsSmtpUtf8, parseAddress, parsePath, writePath } from './address.ts';
export {
  type MailArgument,
  NO_PARAMETERS,
  type Parameters,
  parseMailArgument,
  parseRcptArgument,
  type RcptArgument,
  writeArgument,
} from './argument.ts';
export { ReplyParser } from './client/reply-parser.ts';
export { type ReplyLimits, replyLimits, type ServerLimits, serverLimits } from './limits.ts';
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
export type { MailCommand, RcptCommand, ResetCause, ServerHandler, ServerOut, Ticket } from './server/handler.ts';
export { makeServerOptions, type ServerOptions } from './server/options.ts';
