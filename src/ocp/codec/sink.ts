import type { CodecRule } from './rules.ts';
import type { Message } from './values.ts';

/**
 * What the parser tells, in the order of the octets, while `feed` runs. The same octets give the same calls however
 * they were cut; only `onPayload` comes in other pieces. `feed` must not be called from within.
 */
export interface MessageSink {
  /** A complete message without payload: its CRLF after the semicolon was seen. */
  onMessage(message: Message): void;
  /** The head is complete and `size` octets of payload follow. The message is valid only at `onPayloadEnd`. */
  onPayloadStart(message: Message, size: number): void;
  /** A view into the chunk that was fed, never empty. All of them together are exactly `size` octets. */
  onPayload(octets: Buffer): void;
  /** In place of `onPayload`, if it is there: the octets are [from, to) of the chunk, and no view of them is made. */
  onPayloadIn?(chunk: Buffer, from: number, to: number): void;
  onPayloadEnd(message: Message): void;
  /** Syntax or a limit broke: framing is lost (RFC 4037, section 5: the connection ends). Nothing is told after it. */
  onBad(rule: CodecRule): void;
}
