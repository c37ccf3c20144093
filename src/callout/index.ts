export type { Changes, HeaderChanges, NewField, RangeChange } from './changes.ts';
export { Field, Headers } from './headers.ts';
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
export { type Context, defineService, type Service, type ServiceDefinition, withUri } from './service.ts';
export {
  type AddressVerdict,
  type Content,
  type Edit,
  edit,
  type Keep,
  keep,
  type MessageVerdict,
  type Refuse,
  type Replace,
  type Rewrite,
  refuse,
  replace,
  rewrite,
  tempfail,
} from './verdict.ts';
