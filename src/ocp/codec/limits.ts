import { MAX_NUMBER } from './values.ts';

/** Caps on what a peer can make the parser keep (RFC 4037, section 13). Each is judged before memory is set aside. */
export interface CodecLimits {
  readonly maxHeadOctets: number;
  readonly maxDepth: number;
  readonly maxValues: number;
  readonly maxNameOctets: number;
  readonly maxValueOctets: number;
  readonly maxPayloadOctets: number;
}

export const DEFAULT_CODEC_LIMITS: CodecLimits = {
  /** A message without its payload: room for some hundred long header fields to add, and bounded per connection. */
  maxHeadOctets: 256 * 1024,
  /** Lists and structures inside each other: declared types nest three deep, extensions get room; bounds any walk. */
  maxDepth: 64,
  /** Values in one message, each of which costs a small object: a rejected offer of a thousand features still fits. */
  maxValues: 4096,
  /** A message's or parameter's name: short names must not be assumed (section 3.4), but names are kept whole. */
  maxNameOctets: 1024,
  /** One bare or quoted value: a multi-line reply or a folded header field fits many times; content goes as payload. */
  maxValueOctets: 64 * 1024,
  /** Payloads are streamed, so the protocol's own limit will do. */
  maxPayloadOctets: MAX_NUMBER,
};
