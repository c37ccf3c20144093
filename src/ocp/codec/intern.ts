/**
 * Short names and words as strings that exist once: no string is made for a name seen before, and comparing and looking
 * up what comes out is quick. The tables are shared by all parsers and of fixed size. The words of OCP Core have one of
 * their own; in the other a word pushes out whatever had its slot. So what a peer sends may cost time, but never memory.
 */
import { DECLARATIONS } from './messages.ts';

const SLOTS = 1024;
const MAX_OCTETS = 24;

const coreWords: string[] = Array.from({ length: SLOTS }, () => '');
const otherWords: string[] = Array.from({ length: SLOTS }, () => '');
seed();

/** The text of `buf[from, to)`, one character an octet. */
export function internText(buf: Buffer, from: number, to: number): string {
  if (to - from > MAX_OCTETS) return buf.toString('latin1', from, to);
  const slot = slotOf(buf, from, to);
  const core = coreWords[slot] as string;
  if (isSame(core, buf, from, to)) return core;
  const other = otherWords[slot] as string;
  if (isSame(other, buf, from, to)) return other;
  const fresh = buf.toString('latin1', from, to);
  otherWords[slot] = fresh;
  return fresh;
}

function slotOf(buf: Uint8Array, from: number, to: number): number {
  let hash = to - from;
  for (let i = from; i < to; i++) hash = (Math.imul(hash, 31) + (buf[i] as number)) | 0;
  return (hash ^ (hash >>> 11)) & (SLOTS - 1);
}

function isSame(word: string, buf: Uint8Array, from: number, to: number): boolean {
  if (word.length !== to - from) return false;
  for (let i = 0; i < word.length; i++) {
    if (word.charCodeAt(i) !== buf[from + i]) return false;
  }
  return true;
}

function seed(): void {
  for (const { kind, named } of DECLARATIONS) {
    for (const word of [kind, ...named.map(({ name }) => name), 'true', 'false']) {
      const octets = Buffer.from(word, 'latin1');
      coreWords[slotOf(octets, 0, octets.length)] = word;
    }
  }
}
