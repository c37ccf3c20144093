/**
 * The SDK for callout services: a service is one typed value, written against mails and verdicts; how they travel is not
 * its business.
 */

/** The message format, for services that look into parts: feed a `MimeScanner` with `mail.content`. */
export {
  allParts,
  Base64Decoder,
  Base64Encoder,
  fileName,
  type MimePart,
  MimeScanner,
  QuotedPrintableDecoder,
  QuotedPrintableEncoder,
  recognise,
} from '../mail/index.ts';
export type { Changes, HeaderChanges, NewField, RangeChange } from './changes.ts';
export type { Field, Headers } from './headers.ts';
export type {
  EnvelopeView,
  HeadersView,
  Mail,
  Mailbox,
  RecipientsView,
  Session,
  StreamView,
  Wants,
  WholeView,
  WholeWish,
} from './mail.ts';
export { type CalloutServer, type ServeOptions, serve } from './net/serve.ts';
export { type Context, defineService, type Service, type ServiceDefinition, withUri } from './service.ts';
export {
  type AddressVerdict,
  type Change,
  type CommandVerdict,
  type Content,
  change,
  type Delay,
  type DelayWish,
  delay,
  type Edit,
  edit,
  type Keep,
  keep,
  type MessageVerdict,
  type Quarantine,
  quarantine,
  type Refuse,
  type Replace,
  type Rewrite,
  refuse,
  replace,
  rewrite,
  tempfail,
} from './verdict.ts';
