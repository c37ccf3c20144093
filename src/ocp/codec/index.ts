export { internText } from './intern.ts';
export { type CodecLimits, DEFAULT_CODEC_LIMITS } from './limits.ts';
export { DECLARATIONS, type Declaration, MESSAGES, type MessageKind, type TypedOf } from './messages.ts';
export { Outbox } from './outbox.ts';
export { MessageParser, type ParserOptions } from './parser.ts';
export { type BrokenMessage, readMessage, type TypedMessage } from './read-message.ts';
export type { CodecRule, LimitRule, SyntaxRule } from './rules.ts';
export { Scratch } from './scratch.ts';
export type { MessageSink } from './sink.ts';
export { OK, type Range, type Result, uriOf } from './types.ts';
export {
  type Atom,
  atomText,
  isList,
  isStructure,
  type List,
  MAX_NUMBER,
  type Message,
  type Named,
  NO_NAMED,
  type Structure,
  structure,
  type Value,
} from './values.ts';
export * from './write-message.ts';
export { quoted, writeBlock, writeNamed, writeValue } from './write-value.ts';
