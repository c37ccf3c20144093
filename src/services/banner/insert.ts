/**
 * Octets put into an encoded body without decoding and encoding the rest of it: the insertion is made to fit the encoding
 * at its place, and all other octets stay what they are.
 */
import { Base64Decoder, Base64Encoder, QuotedPrintableEncoder, type TransferEncoding } from '../../mail/index.ts';

/** `data` in place of [start, end) of the encoded body. */
export interface Insertion {
  readonly start: number;
  readonly end: number;
  readonly data: Buffer;
}

/** The beginning of an encoded body, decoded. */
export interface DecodedHead {
  readonly octets: Buffer;
  /**
   * What to do to have `block` stand before the decoded octet `at`. `filler` is what may be added to a block that has to have
   * a length of three: a third of it has one octet, or four.
   */
  insert(at: number, block: Buffer, filler: 'space' | 'line'): Insertion | undefined;
}

/** Reads the first octets of a body; `undefined` where the encoding, or what is in it, is not to be relied on. */
export function decodeHead(encoding: TransferEncoding, head: Buffer): DecodedHead | undefined {
  switch (encoding) {
    case '7bit':
    case '8bit':
    case 'binary':
      return {
        octets: head,
        insert: (at, block) => (at <= head.length ? { start: at, end: at, data: block } : undefined),
      };
    case 'quoted-printable':
      return quotedPrintable(head);
    case 'base64':
      return base64(head);
    case 'unknown':
      return undefined;
  }
}

/** In quoted-printable a block of whole lines can stand anywhere between two octets. */
function quotedPrintable(head: Buffer): DecodedHead | undefined {
  const text = head.toString('latin1');
  const decoded: number[] = [];
  /** Where the encoding of each octet ends. */
  const ends: number[] = [];
  const TOKEN = /=([0-9A-Fa-f]{2})|=[ \t]*\r?\n|[^=]/gy;
  for (let token = TOKEN.exec(text); token !== null; token = TOKEN.exec(text)) {
    const [whole, hex] = token;
    if (whole.startsWith('=') && hex === undefined) continue; // a soft line break
    decoded.push(hex === undefined ? whole.charCodeAt(0) : Number.parseInt(hex, 16));
    ends.push(TOKEN.lastIndex);
  }
  return {
    octets: Buffer.from(decoded),
    insert(at, block) {
      const start = at === 0 ? 0 : ends[at - 1];
      if (start === undefined) return undefined;
      const encoder = new QuotedPrintableEncoder();
      return { start, end: start, data: Buffer.concat([encoder.feed(block), encoder.end()]) };
    },
  };
}

/**
 * In base64 three octets are four signs: a block of a length of three can stand between two such groups, and else the
 * group around its place is written anew together with it.
 */
function base64(head: Buffer): DecodedHead | undefined {
  const decoder = new Base64Decoder();
  const octets = decoder.feed(head);
  if (decoder.broken !== undefined) return undefined;
  return {
    octets,
    insert(at, block, filler) {
      const group = Math.floor(at / 3);
      const start = signAt(head, group * 4);
      if (at % 3 === 0) {
        // At the very start of the body, before line breaks that some programs write there.
        const place = at === 0 ? 0 : start;
        return place === undefined
          ? undefined
          : { start: place, end: place, data: lines(filled(block, filler), head, place) };
      }
      const last = signAt(head, group * 4 + 3);
      if (start === undefined || last === undefined) return undefined;
      const around = octets.subarray(group * 3, group * 3 + 3);
      // Behind a group with padding nothing follows, so the block may have any length.
      const fitting = head[last] === PAD ? block : filled(block, filler);
      const all = Buffer.concat([around.subarray(0, at % 3), fitting, around.subarray(at % 3)]);
      return { start, end: last + 1, data: lines(all, head, start) };
    },
  };
}

const PAD = 0x3d;
const LF = 0x0a;

/** Where the sign with this number stands, line breaks not counted. */
function signAt(head: Buffer, number: number): number | undefined {
  let left = number;
  for (let i = 0; i < head.length; i++) {
    if ((head[i] as number) <= 0x20) continue;
    if (left-- === 0) return i;
  }
  return undefined;
}

/** Lines of base64 that stand on their own, so that no line gets too long. */
function lines(octets: Buffer, head: Buffer, place: number): Buffer {
  const encoder = new Base64Encoder();
  const encoded = [encoder.feed(octets), encoder.end()];
  const isAtLineStart = place === 0 || head[place - 1] === LF;
  return Buffer.concat(isAtLineStart ? encoded : [Buffer.from('\r\n'), ...encoded]);
}

/** `block` with a length of three: line ends have two octets, so two of them give what one lacks. */
function filled(block: Buffer, filler: 'space' | 'line'): Buffer {
  const lack = (3 - (block.length % 3)) % 3;
  if (filler === 'space') return Buffer.concat([block, Buffer.alloc(lack, ' ')]);
  return Buffer.concat([block, Buffer.from('\r\n'.repeat(lack === 1 ? 2 : lack === 2 ? 1 : 0))]);
}
