/**
 * Finds the parts of a message while it streams by (RFC 2046 section 5.1). The octets are looked at and let go: what
 * stays is a tree of offsets with the parts' headers. Nothing is decoded and nothing is ever written from the tree.
 *
 * Bodies are searched with `Buffer.indexOf` for the delimiters of all open multiparts, an outer one ending the inner ones
 * too. A delimiter is a whole line, `--boundary` or `--boundary--` and white space; RFC 2046 lets the line go on with
 * anything, which most programs do not, so such a line is a fault (`boundary-tail`) and no delimiter. Line ends may be
 * CRLF or LF. The tree does not depend on how the message was cut into chunks.
 *
 *   header --empty line--> body | preamble --delimiter--> header (next part)
 *                          body | epilogue <--closing delimiter--'
 */
import { CR, EMPTY, HT, LF, SP } from '../base/index.ts';
import { PLAIN_ENTITY, readEntity } from './entity.ts';
import type { FieldRange } from './header.ts';
import { HeaderScanner } from './header-scanner.ts';
import { type MailLimits, mailLimits } from './limits.ts';
import type { ContentType, Disposition, MimePart, PartFault, TransferEncoding } from './mime-part.ts';

const DASH = 0x2d;
/** White space behind a delimiter that is still waited for. */
const PADDING = 256;
/** Octets kept from the start of a text body: enough for the first line of an OpenPGP armor. */
const HEAD_OCTETS = 128;

class Part implements MimePart {
  readonly path: string;
  readonly parent: Part | undefined;
  readonly depth: number;
  readonly headerStart: number;
  bodyStart: number;
  bodyEnd: number;
  header: Buffer = EMPTY;
  fields: readonly FieldRange[] = [];
  contentType: ContentType = PLAIN_ENTITY.contentType;
  encoding: TransferEncoding = '7bit';
  disposition: Disposition | undefined = undefined;
  readonly children: Part[] = [];
  preambleEnd: number | undefined = undefined;
  epilogueStart: number | undefined = undefined;
  head: Buffer = EMPTY;
  readonly faults: PartFault[] = [];
  broken: PartFault | undefined = undefined;

  constructor(parent: Part | undefined, start: number) {
    this.path = parent === undefined ? '1' : `${parent.path}.${parent.children.length + 1}`;
    this.parent = parent;
    this.depth = parent === undefined ? 0 : parent.depth + 1;
    this.headerStart = start;
    this.bodyStart = start;
    this.bodyEnd = start;
    parent?.children.push(this);
  }

  fault(fault: PartFault): void {
    if (!this.faults.includes(fault)) this.faults.push(fault);
    this.broken ??= fault;
  }
}

/** A multipart that has not been closed. `hit` is where its delimiter comes next in the view numbered `view`. */
interface Open {
  readonly part: Part;
  readonly boundary: Buffer;
  readonly needle: Buffer;
  hit: number;
  view: number;
}

export class MimeScanner {
  readonly #limits: MailLimits;
  readonly #longest: number;
  readonly #stopLine = (octets: Buffer, start: number, end: number): boolean =>
    this.#judge(octets.subarray(start, end), 0, true) === 'delimiter';
  readonly #root: Part;
  /** The part whose header or body is being read; a multipart itself in its preamble and epilogue. */
  #part: Part;
  readonly #open: Open[] = [];
  #header: HeaderScanner | undefined;
  /** The next octet begins the body's first line, before which no line end stands in it. */
  #isFirstLine = false;
  /** Offset in the message of the view's first octet. */
  #base = 0;
  #viewNumber = 0;
  /** The end of what was fed that may be the start of a delimiter. */
  #carry: Buffer = EMPTY;
  #isHeld = false;
  #parts = 1;
  #falseDelimiters = 0;
  #headerOctetsLeft: number;
  // What `#judge` found: the open multipart's index, whether it closes, the offsets of the line's end and of the next line.
  #foundIndex = 0;
  #foundClose = false;
  #foundEnd = 0;
  #foundNext = 0;

  constructor(limits: MailLimits = mailLimits) {
    this.#limits = limits;
    this.#longest = 2 + limits.boundaryOctets + 2 + PADDING + 2;
    this.#headerOctetsLeft = limits.totalHeaderOctets;
    this.#root = new Part(undefined, 0);
    this.#part = this.#root;
    this.#header = this.#makeHeader();
  }

  /** The next octets of the message. They are not kept; the caller may use them again. */
  feed(chunk: Buffer): void {
    let from = 0;
    if (this.#carry.length > 0) {
      const carried = this.#carry.length;
      // So much of the chunk that whatever the carry may begin is decided in it.
      const joint = Buffer.concat([this.#carry, chunk.subarray(0, 2 * this.#longest)]);
      const used = this.#scan(joint, false);
      this.#carry = EMPTY;
      from = used - carried;
      if (from < 0 || joint.length - carried === chunk.length) {
        this.#carry = joint.subarray(used);
        return;
      }
    }
    const rest = from === 0 ? chunk : chunk.subarray(from);
    const used = this.#scan(rest, false);
    if (used < rest.length) this.#carry = Buffer.from(rest.subarray(used));
  }

  /** The message is over: its tree. */
  end(): MimePart {
    this.#scan(this.#carry, true);
    this.#carry = EMPTY;
    for (let header = this.#header; header !== undefined; header = this.#header) {
      header.end();
      this.#onHeaderEnd(header);
    }
    for (let part: Part | undefined = this.#part; part !== undefined; part = part.parent) part.bodyEnd = this.#base;
    for (const { part } of this.#open) {
      part.preambleEnd ??= part.bodyEnd;
      part.fault(part.children.length === 0 ? 'no-parts' : 'missing-close');
    }
    this.#open.length = 0;
    return this.#root;
  }

  /** Reads a view; returns how much of it is decided. The rest must come again at the start of the next view. */
  #scan(view: Buffer, isLast: boolean): number {
    this.#viewNumber++;
    this.#isHeld = false;
    let at = 0;
    while (at < view.length && !this.#isHeld) {
      at = this.#header === undefined ? this.#onBody(view, at, isLast) : this.#onHeader(this.#header, view, at);
    }
    this.#base += at;
    return at;
  }

  #makeHeader(): HeaderScanner {
    const headerOctets = Math.min(this.#limits.headerOctets, this.#headerOctetsLeft);
    return new HeaderScanner({ ...this.#limits, headerOctets }, this.#stopLine);
  }

  #onHeader(header: HeaderScanner, view: Buffer, at: number): number {
    const next = header.feed(view, at);
    if (header.isOpen) return next;
    const line = header.stoppedBy;
    this.#onHeaderEnd(header);
    // Behind a closing delimiter the epilogue begins with the line's end: the search needs its LF.
    const isEpilogue = line !== undefined && this.#header === undefined && line[line.length - 1] === LF;
    return isEpilogue ? next - 1 : next;
  }

  #onHeaderEnd(header: HeaderScanner): void {
    const part = this.#part;
    const kept = header.header();
    part.header = kept.octets;
    part.fields = kept.fields;
    part.bodyStart = part.headerStart + kept.octets.length;
    if (kept.broken !== undefined) part.fault(kept.broken);
    this.#headerOctetsLeft -= kept.octets.length;
    const line = header.stoppedBy;
    this.#onEntity(part, line !== undefined);
    // A section cut at its cap may end inside a line.
    if (kept.octets.length > 0 && kept.octets[kept.octets.length - 1] !== LF) this.#isFirstLine = false;
    if (line === undefined) return;
    const start = part.bodyStart;
    const [end, next] = [start + this.#foundEnd, start + this.#foundNext];
    this.#onDelimiter(start, end, next);
  }

  /** The header is read: what is the body? */
  #onEntity(part: Part, isEmpty: boolean): void {
    const isInDigest = part.parent?.contentType.subtype === 'digest' && part.parent.contentType.type === 'multipart';
    const entity = readEntity(part.header, part.fields, isInDigest, this.#limits);
    part.contentType = entity.contentType;
    part.encoding = entity.encoding;
    part.disposition = entity.disposition;
    for (const fault of entity.faults) part.fault(fault);
    this.#header = undefined;
    this.#isFirstLine = true;
    if (isEmpty) return;
    const { type, subtype } = part.contentType;
    const isEncoded = part.encoding === 'base64' || part.encoding === 'quoted-printable';
    if (type === 'multipart') this.#openMultipart(part, isEncoded);
    else if (type === 'message' && (subtype === 'rfc822' || subtype === 'global')) this.#openMessage(part, isEncoded);
  }

  #openMultipart(part: Part, isEncoded: boolean): void {
    if (isEncoded) part.fault('encoded-composite');
    // A boundary cannot end with white space (RFC 2046 section 5.1.1), but its parameter may.
    const text = (part.contentType.params.get('boundary') ?? '').trimEnd();
    if (text === '') part.fault('no-boundary');
    else if (text.length > this.#limits.boundaryOctets) part.fault('boundary-size');
    else if (part.depth >= this.#limits.depth) part.fault('depth');
    else {
      const boundary = Buffer.from(text, 'latin1');
      this.#open.push({ part, boundary, needle: Buffer.from(`\n--${text}`, 'latin1'), hit: -1, view: 0 });
    }
  }

  #openMessage(part: Part, isEncoded: boolean): void {
    if (isEncoded) part.fault('encoded-composite');
    else if (part.depth >= this.#limits.depth) part.fault('depth');
    else if (this.#parts >= this.#limits.parts) part.fault('part-count');
    else this.#startPart(part, part.bodyStart);
  }

  #startPart(parent: Part, start: number): void {
    this.#parts++;
    this.#part = new Part(parent, start);
    this.#header = this.#makeHeader();
  }

  #onBody(view: Buffer, at: number, isLast: boolean): number {
    if (this.#open.length === 0) return this.#take(view, at, view.length);
    if (this.#isFirstLine) {
      const verdict = this.#judge(view, at, isLast);
      if (verdict === 'more') return this.#hold(at);
      this.#isFirstLine = false;
      if (verdict === 'delimiter') return this.#divide(view, at, at);
    }
    for (let from = at; ; ) {
      const hit = this.#nearest(view, from);
      if (hit < 0) {
        const end = isLast ? view.length : this.#keepFrom(view, at);
        this.#take(view, at, end);
        return end < view.length ? this.#hold(end) : end;
      }
      const end = hit > at && view[hit - 1] === CR ? hit - 1 : hit;
      switch (this.#judge(view, hit + 1, isLast)) {
        case 'more':
          this.#take(view, at, end);
          return this.#hold(end);
        case 'delimiter':
          return this.#divide(view, at, end);
        case 'none':
          from = hit + 1;
          if (++this.#falseDelimiters > this.#limits.falseDelimiters) {
            this.#stop('delimiter-count');
            return this.#take(view, at, view.length);
          }
      }
    }
  }

  /** Where the next delimiter of any open multipart may be: the offset of the LF before it. */
  #nearest(view: Buffer, from: number): number {
    let nearest = -1;
    for (const open of this.#open) {
      if (open.view !== this.#viewNumber || (open.hit >= 0 && open.hit < from)) {
        open.view = this.#viewNumber;
        open.hit = view.indexOf(open.needle, from);
      }
      if (open.hit >= 0 && (nearest < 0 || open.hit < nearest)) nearest = open.hit;
    }
    return nearest;
  }

  /** Whether the line at `start` is a delimiter of an open multipart. `more`: its end is not in the view. */
  #judge(view: Buffer, start: number, isLast: boolean): 'delimiter' | 'none' | 'more' {
    if (start + 1 < view.length && (view[start] !== DASH || view[start + 1] !== DASH)) return 'none';
    const lf = view.indexOf(LF, start);
    if (lf < 0 && !isLast && view.length - start <= this.#longest) return 'more';
    const lineEnd = lf < 0 ? view.length : lf;
    if (lineEnd - start > this.#longest) return 'none';
    let end = lineEnd > start && view[lineEnd - 1] === CR ? lineEnd - 1 : lineEnd;
    const textEnd = end;
    while (end > start && (view[end - 1] === SP || view[end - 1] === HT)) end--;
    for (let i = this.#open.length - 1; i >= 0; i--) {
      const { boundary } = this.#open[i] as Open;
      const tail = end - start - 2 - boundary.length;
      if ((tail !== 0 && tail !== 2) || !startsWith(view, start + 2, boundary)) continue;
      if (tail === 2 && (view[end - 2] !== DASH || view[end - 1] !== DASH)) continue;
      this.#foundIndex = i;
      this.#foundClose = tail === 2;
      this.#foundEnd = textEnd;
      this.#foundNext = lf < 0 ? view.length : lf + 1;
      return 'delimiter';
    }
    for (const { part, boundary } of this.#open) {
      if (end - start > 2 + boundary.length && startsWith(view, start + 2, boundary)) part.fault('boundary-tail');
    }
    return 'none';
  }

  /** A delimiter was found in the view; the body that ends there began at `at` or before. Returns where to go on. */
  #divide(view: Buffer, at: number, end: number): number {
    this.#take(view, at, end);
    const base = this.#base;
    if (!this.#onDelimiter(base + end, base + this.#foundEnd, base + this.#foundNext)) {
      return this.#take(view, end, view.length);
    }
    return this.#header === undefined ? this.#foundEnd : this.#foundNext;
  }

  /** All that was open inside the multipart ends. False where the message is not divided any more. */
  #onDelimiter(bodyEnd: number, lineEnd: number, next: number): boolean {
    const { part: owner } = this.#open[this.#foundIndex] as Open;
    if (!this.#foundClose && this.#parts >= this.#limits.parts) {
      owner.fault('part-count');
      this.#stop('part-count');
      return false;
    }
    for (let part: Part | undefined = this.#part; part !== undefined && part !== owner; part = part.parent) {
      part.bodyEnd = bodyEnd;
    }
    owner.preambleEnd ??= bodyEnd;
    for (const { part } of this.#open.splice(this.#foundIndex + 1)) {
      part.preambleEnd ??= bodyEnd;
      part.fault(part.children.length === 0 ? 'no-parts' : 'missing-close');
    }
    this.#header = undefined;
    this.#isFirstLine = false;
    if (!this.#foundClose) {
      this.#startPart(owner, next);
      return true;
    }
    this.#open.pop();
    owner.epilogueStart = lineEnd;
    if (owner.children.length === 0) owner.fault('no-parts');
    this.#part = owner;
    return true;
  }

  /** From here on everything is body of the part that is being read. */
  #stop(fault: PartFault): void {
    this.#root.fault(fault);
    this.#open.length = 0;
  }

  /** The octets `[from, to)` are body. */
  #take(view: Buffer, from: number, to: number): number {
    const part = this.#part;
    const missing = HEAD_OCTETS - part.head.length;
    if (missing > 0 && to > from && part.contentType.type === 'text') {
      part.head = Buffer.concat([part.head, view.subarray(from, Math.min(to, from + missing))]);
    }
    return to;
  }

  #hold(at: number): number {
    this.#isHeld = true;
    return at;
  }

  /** Where a delimiter may begin whose end is not in the view yet: the last line end, if only dashes follow so far. */
  #keepFrom(view: Buffer, at: number): number {
    const floor = Math.max(at, view.length - this.#longest - 1);
    const lf = view.subarray(floor).lastIndexOf(LF) + floor;
    if (lf < floor) return view[view.length - 1] === CR ? view.length - 1 : view.length;
    const couldBe =
      (lf + 1 >= view.length || view[lf + 1] === DASH) && (lf + 2 >= view.length || view[lf + 2] === DASH);
    if (couldBe) return lf > at && view[lf - 1] === CR ? lf - 1 : lf;
    return view[view.length - 1] === CR ? view.length - 1 : view.length;
  }
}

function startsWith(view: Buffer, at: number, octets: Buffer): boolean {
  const end = at + octets.length;
  return end <= view.length && view.compare(octets, 0, octets.length, at, end) === 0;
}
