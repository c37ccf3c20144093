import { ALPHA, CLASSES } from './octet-classes.ts';
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
  /** The one behind the last that was found: what a peer says of each mail it says in one order. */
  #likely = 0;

  /** One that `buf[at, end)` begins with, and that is not followed by a line it could as well have had. */
  find(buf: Uint8Array, at: number, end: number): KnownBlock | undefined {
    const blocks = this.#blocks;
    const count = blocks.length;
    for (let left = count, i = this.#likely; left > 0; left--, i++) {
      if (i >= count) i = 0;
      const block = blocks[i] as KnownBlock;
      const to = at + block.octets.length;
      if (to > end || !isAt(block.octets, buf, at) || goesOn(buf[to])) continue;
      this.#likely = i + 1;
      return block;
    }
    return undefined;
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

/** Whether a line begins with `octet` that is none of Kept, which blocks are known without. */
function goesOn(octet: number | undefined): boolean {
  return octet !== undefined && octet !== LETTER_K && ((CLASSES[octet] as number) & ALPHA) !== 0;
}

const LETTER_K = 0x4b;

function isAt(octets: Uint8Array, buf: Uint8Array, at: number): boolean {
  for (let i = 0; i < octets.length; i++) {
    if (octets[i] !== buf[at + i]) return false;
  }
  return true;
}
