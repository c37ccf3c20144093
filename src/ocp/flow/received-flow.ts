import { MAX_NUMBER, type Result } from '../codec/index.ts';
import { isFailure } from './result.ts';
import type { FlowRule } from './rules.ts';

/*
 *            AMS            AME 200, 206 or failure
 *   idle ---------> open -----------------------------> ended
 *    \________________________________________________/
 *            AME with failure: a refusal
 */
export type FlowState = 'idle' | 'open' | 'ended';

/**
 * The peer's flow of one transaction as we receive it (RFC 4037, sections 11.7 to 11.10): one application message, its
 * data without gap or overlap from offset 0. Each transition answers with the rule it would break, and then changes
 * nothing.
 */
export class ReceivedFlow {
  #state: FlowState = 'idle';
  /** Offset of the next octet: of a DUM whose octets are still coming, the offset behind it. */
  nextOffset = 0;
  /** Octets of whole messages. */
  received = 0;

  get state(): FlowState {
    return this.#state;
  }

  get isOpen(): boolean {
    return this.#state === 'open';
  }

  recvStart(): FlowRule | undefined {
    if (this.#state !== 'idle') return 'message-started-twice';
    this.#state = 'open';
    return undefined;
  }

  /** The head of a DUM. Its octets count as received at `recvDataEnd`. */
  recvData(offset: number, size: number): FlowRule | undefined {
    return offset === this.nextOffset || this.#state !== 'open' ? this.#advance(size) : 'offset-gap';
  }

  recvDataEnd(): void {
    this.received = this.nextOffset;
  }

  /** A DUY takes its place in the flow as if its octets had come in a DUM (section 11.10, A-07). */
  recvUseYours(size: number): FlowRule | undefined {
    const rule = this.#advance(size);
    if (rule === undefined) this.received = this.nextOffset;
    return rule;
  }

  /** Whether 206 is allowed is the caller's to know (section 11.13). */
  recvEnd(result: Result): FlowRule | undefined {
    if (this.#state === 'ended') return 'message-ended';
    if (this.#state === 'idle' && !isFailure(result, 'AME')) return 'message-not-started';
    this.#state = 'ended';
    return undefined;
  }

  #advance(size: number): FlowRule | undefined {
    if (this.#state !== 'open') return this.#state === 'idle' ? 'message-not-started' : 'message-ended';
    if (this.nextOffset + size > MAX_NUMBER) return 'flow-too-long';
    this.nextOffset += size;
    return undefined;
  }
}
