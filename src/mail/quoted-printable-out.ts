/** What the two directions of quoted-printable share. */
import { EMPTY } from '../base/index.ts';

export const EQUALS = 0x3d;

/** Output of at most `max` octets. */
export class Out {
  readonly octets: Buffer;
  size = 0;

  constructor(max: number) {
    this.octets = Buffer.allocUnsafe(max);
  }

  push(octet: number): void {
    this.octets[this.size++] = octet;
  }

  taken(): Buffer {
    return this.size === 0 ? EMPTY : this.octets.subarray(0, this.size);
  }
}

export function hexValue(octet: number): number {
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30;
  const upper = octet & 0xdf;
  return upper >= 0x41 && upper <= 0x46 ? upper - 0x37 : -1;
}

export function hexDigit(value: number): number {
  return value < 10 ? 0x30 + value : 0x37 + value;
}
