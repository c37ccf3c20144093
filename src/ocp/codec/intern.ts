/**
 * Short names and words as strings that exist once: no string is made for a name seen before, and comparing and looking
 * up what comes out is quick. The table is shared by all parsers and of fixed size; what does not fit pushes out
 * something else, but never a name of OCP Core. Whatever a peer sends costs time only, never memory.
 */
import { asBuffer } from '../../base/index.ts';
import { MESSAGES } from './messages.ts';

const SLOTS = 1024;
const MAX_OCTETS = 24;

const words: string[] = Array.from({ length: SLOTS }, () => '');
const isFixed = new Uint8Array(SLOTS);
seed();

/** The text of `buf[from, to)`, one character an octet. */
export function internText(buf: Buffer, from: number, to: number): string {
  const length = to - from;
  if (length > MAX_OCTETS) return buf.toString('latin1', from, to);
  const slot = slotOf(buf, from, to);
  const word = words[slot] as string;
  if (word.length === length && isSame(word, buf, from)) return word;
  const fresh = buf.toString('latin1', from, to);
  if (isFixed[slot] === 0) words[slot] = fresh;
  return fresh;
}

function slotOf(buf: Uint8Array, from: number, to: number): number {
  let hash = to - from;
  for (let i = from; i < to; i++) hash = (hash * 31 + (buf[i] as number)) | 0;
  return (hash ^ (hash >>> 11)) & (SLOTS - 1);
}

function isSame(word: string, buf: Uint8Array, from: number): boolean {
  for (let i = 0; i < word.length; i++) {
    if (word.charCodeAt(i) !== buf[from + i]) return false;
  }
  return true;
}

function seed(): void {
  const parameters = Object.values(MESSAGES).flatMap((m) => [...m.named].map((p) => p.wire ?? ''));
  for (const word of [...Object.keys(MESSAGES), ...parameters, 'true', 'false']) {
    const octets = asBuffer(Buffer.from(word, 'latin1'));
    const slot = slotOf(octets, 0, octets.length);
    words[slot] = word;
    isFixed[slot] = 1;
  }
}
