import type { Value } from './values.ts';

/** Lines of named parameters that were read before, and what they say. */
export interface KnownBlock {
  /** Whole lines, each with its CRLF. */
  readonly octets: Uint8Array;
  /** Shared by all messages that have these lines, so never changed. */
  readonly named: ReadonlyMap<string, Value>;
  /** Values in it, for the cap on those of one message. */
  readonly values: number;
}

/** A peer says few kinds of things: for mail, one for each part and what may be answered to it. */
const MAX_BLOCKS = 12;
const MAX_OCTETS = 128;

/**
 * Named blocks that come again with message after message: comparing a few dozen octets takes a fraction of the time of
 * reading them. Bounded in number and size; of more kinds than there is room for, the oldest is forgotten.
 */
export class KnownBlocks {
  readonly #blocks: KnownBlock[] = [];
  #oldest = 0;

  /** The longest known one that `buf[at, end)` begins with. */
  find(buf: Uint8Array, at: number, end: number): KnownBlock | undefined {
    let longest: KnownBlock | undefined;
    for (let i = 0; i < this.#blocks.length; i++) {
      const block = this.#blocks[i] as KnownBlock;
      const isLonger = longest === undefined || block.octets.length > longest.octets.length;
      if (isLonger && at + block.octets.length <= end && isAt(block.octets, buf, at)) longest = block;
    }
    return longest;
  }

  learn(lines: Uint8Array, named: ReadonlyMap<string, Value>, values: number): void {
    if (lines.length > MAX_OCTETS) return;
    const block = { octets: Uint8Array.from(lines), named, values };
    if (this.#blocks.length < MAX_BLOCKS) {
      this.#blocks.push(block);
    } else {
      this.#blocks[this.#oldest] = block;
      this.#oldest = (this.#oldest + 1) % MAX_BLOCKS;
    }
  }
}

function isAt(octets: Uint8Array, buf: Uint8Array, at: number): boolean {
  for (let i = 0; i < octets.length; i++) {
    if (octets[i] !== buf[at + i]) return false;
  }
  return true;
}
