/** Where a message's header section ends, and whether two contents differ in header or body: by reference first, by octets where that does not tell. */
import type { Content } from './content.ts';

const END_OF_HEADER = Buffer.from('\r\n\r\n');
const CRLF = Buffer.from('\r\n');
/** Compared at a time: what one portion to a service or the next hop is. */
const PORTION = 64 * 1024;

export interface Changes {
  readonly header: boolean;
  readonly body: boolean;
}

/**
 * The header section of `content`, the empty line that ends it included; the whole content where there is no such line in
 * the first `maxOctets`.
 */
export function loadHeader(
  content: Content,
  maxOctets: number,
  done: (error: Error | undefined, header: Buffer) => void,
): void {
  const size = Math.min(content.size, maxOctets);
  const views = content.view(0, size);
  if (views !== undefined) {
    done(undefined, cutHeader(join(views)));
    return;
  }
  content.load(0, size, (error, octets) => done(error, cutHeader(join(octets))));
}

/** Octets up to and with the empty line. A content that begins with the empty line has only that. */
export function cutHeader(octets: Buffer): Buffer {
  if (octets.length >= 2 && octets.compare(CRLF, 0, 2, 0, 2) === 0) return octets.subarray(0, 2);
  const end = octets.indexOf(END_OF_HEADER);
  return end < 0 ? octets : octets.subarray(0, end + 4);
}

/** Whether `header`, as `loadHeader` gives it, is the whole section, and not cut where no more may be read. */
export function isWholeHeader(header: Buffer, content: Content): boolean {
  if (header.length === content.size || header.equals(CRLF)) return true;
  const from = header.length - END_OF_HEADER.length;
  return from >= 0 && header.compare(END_OF_HEADER, 0, END_OF_HEADER.length, from) === 0;
}

/**
 * Which of header section and body differ between `before` and `after`. Behind a section that cannot be seen whole a
 * change may be one of its fields, and counts for both.
 */
export function compareContents(
  before: Content,
  after: Content,
  maxHeaderOctets: number,
  done: (error: Error | undefined, changes: Changes) => void,
): void {
  loadHeader(before, maxHeaderOctets, (error, headerBefore) => {
    if (error !== undefined) {
      done(error, { header: true, body: true });
      return;
    }
    loadHeader(after, maxHeaderOctets, (error2, headerAfter) => {
      if (error2 !== undefined) {
        done(error2, { header: true, body: true });
        return;
      }
      const header = !headerBefore.equals(headerAfter);
      const from = headerBefore.length;
      const to = headerAfter.length;
      const size = before.size - from;
      const isSeen = isWholeHeader(headerBefore, before) && isWholeHeader(headerAfter, after);
      const changed: Changes = { header: header || !isSeen, body: true };
      const same: Changes = { header, body: false };
      if (size !== after.size - to) done(undefined, changed);
      else if (before.isSameRange(from, after, to, size)) done(undefined, same);
      else sameOctets(before, from, after, to, size, (error3, isSame) => done(error3, isSame ? same : changed));
    });
  });
}

function sameOctets(
  a: Content,
  atA: number,
  b: Content,
  atB: number,
  left: number,
  done: (error: Error | undefined, same: boolean) => void,
): void {
  if (left === 0) {
    done(undefined, true);
    return;
  }
  const size = Math.min(left, PORTION);
  a.load(atA, size, (error, octetsA) => {
    if (error !== undefined) {
      done(error, false);
      return;
    }
    b.load(atB, size, (error2, octetsB) => {
      if (error2 !== undefined) done(error2, false);
      else if (!join(octetsA).equals(join(octetsB))) done(undefined, false);
      else sameOctets(a, atA + size, b, atB + size, left - size, done);
    });
  });
}

export function join(octets: readonly Buffer[]): Buffer {
  return octets.length === 1 ? (octets[0] as Buffer) : Buffer.concat(octets);
}
