/**
 * Short names and words as strings that exist once: no string is made for a name seen before, and comparing and looking
 * up what comes out is quick. The tables are shared by all parsers and of fixed size. The words of OCP Core have one of
 * their own; in the other a word pushes out whatever had its slot. So what a peer sends may cost time, but never memory.
 */
import { DECLARATIONS } from './messages.ts';

const SLOTS = 1024;
const MAX_OCTETS = 24;

/** A word for each slot, with its octets beside it: to compare those takes a third of the time of comparing characters. */
class Words {
  readonly #words: string[] = Array.from({ length: SLOTS }, () => '');
  readonly #octets = new Uint8Array(SLOTS * MAX_OCTETS);

  /** The word in `slot`, if it is `buf[from, to)`. */
  find(slot: number, buf: Uint8Array, from: number, to: number): string | undefined {
    const word = this.#words[slot] as string;
    if (word.length !== to - from) return undefined;
    const octets = this.#octets;
    for (let i = from, at = slot * MAX_OCTETS; i < to; i++, at++) {
      if (octets[at] !== buf[i]) return undefined;
    }
    return word;
  }

  put(slot: number, word: string, buf: Uint8Array, from: number): void {
    this.#words[slot] = word;
    for (let i = 0; i < word.length; i++) this.#octets[slot * MAX_OCTETS + i] = buf[from + i] as number;
  }
}

const coreWords = new Words();
const otherWords = new Words();
seed();

/** The text of `buf[from, to)`, one character an octet. */
export function internText(buf: Buffer, from: number, to: number): string {
  if (to - from > MAX_OCTETS) return buf.toString('latin1', from, to);
  const slot = slotOf(buf, from, to);
  const known = coreWords.find(slot, buf, from, to) ?? otherWords.find(slot, buf, from, to);
  if (known !== undefined) return known;
  const fresh = buf.toString('latin1', from, to);
  otherWords.put(slot, fresh, buf, from);
  return fresh;
}

function slotOf(buf: Uint8Array, from: number, to: number): number {
  let hash = to - from;
  for (let i = from; i < to; i++) hash = (Math.imul(hash, 31) + (buf[i] as number)) | 0;
  return (hash ^ (hash >>> 11)) & (SLOTS - 1);
}

function seed(): void {
  for (const { kind, named } of DECLARATIONS) {
    for (const word of [kind, ...named.map(({ name }) => name), 'true', 'false']) {
      const octets = Buffer.from(word, 'latin1');
      coreWords.put(slotOf(octets, 0, octets.length), word, octets, 0);
    }
  }
}
