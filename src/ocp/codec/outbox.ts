import { asBuffer } from '../../base/index.ts';
import type { Scratch } from './scratch.ts';

/** A system call costs what copying some hundred KiB costs, so output up to this size leaves as one copied buffer. */
const COALESCE_OCTETS = 256 * 1024;

/** In larger output, pieces from this size on go by reference: below it a piece of its own costs more than its copy. */
const BY_REFERENCE_OCTETS = 16 * 1024;

/**
 * What waits to be written to a peer: heads of messages collected in one string, payloads by reference between them.
 * Collect for a whole turn of the event loop, then `take` once and write what comes out in one system call.
 *
 * Octets given by reference must not change until `take`, and those of 16 KiB or more until they are written.
 */
export class Outbox {
  #text = '';
  #parts: (string | Uint8Array)[] = [];
  #pending = 0;

  /** Octets not taken yet. */
  get pendingOctets(): number {
    return this.#pending;
  }

  /** Appends text, one character an octet. */
  head(latin1: string): void {
    this.#text += latin1;
    this.#pending += latin1.length;
  }

  /** Appends octets by reference. */
  octets(octets: Uint8Array): void {
    if (octets.length === 0) return;
    if (this.#text !== '') {
      this.#parts.push(this.#text);
      this.#text = '';
    }
    this.#parts.push(octets);
    this.#pending += octets.length;
  }

  /**
   * Empties the box into few buffers: one if it is small, else large payloads by reference and copies between them. With
   * `scratch` copies may be in it, so that they are good until it is given back.
   */
  take(scratch?: Scratch): Buffer[] {
    const parts = this.#parts;
    const total = this.#pending;
    if (this.#text !== '') parts.push(this.#text);
    this.#text = '';
    this.#parts = [];
    this.#pending = 0;
    if (total === 0) return [];
    if (total <= COALESCE_OCTETS) return [copied(parts, 0, parts.length, total, scratch)];
    return split(parts, scratch);
  }
}

function split(parts: readonly (string | Uint8Array)[], scratch: Scratch | undefined): Buffer[] {
  const taken: Buffer[] = [];
  let from = 0;
  let octets = 0;
  for (let i = 0; i < parts.length; i++) {
    const part = parts[i] as string | Uint8Array;
    const alone = typeof part !== 'string' && part.length >= BY_REFERENCE_OCTETS;
    if (octets > 0 && (alone || octets + part.length > COALESCE_OCTETS)) {
      taken.push(copied(parts, from, i, octets, scratch));
      octets = 0;
    }
    if (octets === 0) from = i;
    if (alone) taken.push(asBuffer(part));
    else octets += part.length;
  }
  if (octets > 0) taken.push(copied(parts, from, parts.length, octets, scratch));
  return taken;
}

function copied(
  parts: readonly (string | Uint8Array)[],
  from: number,
  to: number,
  octets: number,
  scratch: Scratch | undefined,
): Buffer {
  const buffer = scratch?.lend(octets) ?? Buffer.allocUnsafe(octets);
  let at = 0;
  for (let i = from; i < to; i++) {
    const part = parts[i] as string | Uint8Array;
    if (typeof part === 'string') buffer.write(part, at, 'latin1');
    else buffer.set(part, at);
    at += part.length;
  }
  return buffer;
}
