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
import { CR, EMPTY, LF } from '../base/index.ts';
import { Delimiters } from './delimiters.ts';
import { readEntity } from './entity.ts';
import { HeaderScanner } from './header-scanner.ts';
import { type MailLimits, mailLimits } from './limits.ts';
import type { MimePart, PartFault } from './mime-part.ts';
import { Part } from './part-builder.ts';

export class MimeScanner {
  readonly #limits: MailLimits;
  readonly #delimiters: Delimiters;
  readonly #stopLine = (octets: Buffer, start: number, end: number): boolean =>
    this.#delimiters.judge(octets.subarray(start, end), 0, true) === 'delimiter';
  readonly #root: Part;
  /** The part whose header or body is being read; a multipart itself in its preamble and epilogue. */
  #part: Part;
  #header: HeaderScanner | undefined;
  /** The next octet begins the body's first line, before which no line end stands in it. */
  #isFirstLine = false;
  /** Offset in the message of the view's first octet. */
  #base = 0;
  /** The end of what was fed that may be the start of a delimiter. */
  #carry: Buffer = EMPTY;
  #isHeld = false;
  #parts = 1;
  #falseDelimiters = 0;
  #headerOctetsLeft: number;

  constructor(limits: MailLimits = mailLimits) {
    this.#limits = limits;
    this.#delimiters = new Delimiters(limits.boundaryOctets);
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
      const joint = Buffer.concat([this.#carry, chunk.subarray(0, 2 * this.#delimiters.longest)]);
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
    for (const part of this.#delimiters.closeFrom(0)) endUnclosed(part, part.bodyEnd);
    return this.#root;
  }

  /** Reads a view; returns how much of it is decided. The rest must come again at the start of the next view. */
  #scan(view: Buffer, isLast: boolean): number {
    this.#delimiters.startView();
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
    this.#onDelimiter(start, start + this.#delimiters.lineEnd, start + this.#delimiters.next);
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
    else this.#delimiters.open(part, text);
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
    if (this.#delimiters.count === 0) return this.#take(view, at, view.length);
    if (this.#isFirstLine) {
      const verdict = this.#delimiters.judge(view, at, isLast);
      if (verdict === 'more') return this.#hold(at);
      this.#isFirstLine = false;
      if (verdict === 'delimiter') return this.#divide(view, at, at);
    }
    for (let from = at; ; ) {
      const hit = this.#delimiters.nearest(view, from);
      if (hit < 0) {
        const end = isLast ? view.length : this.#delimiters.keepFrom(view, at);
        this.#take(view, at, end);
        return end < view.length ? this.#hold(end) : end;
      }
      const end = hit > at && view[hit - 1] === CR ? hit - 1 : hit;
      switch (this.#delimiters.judge(view, hit + 1, isLast)) {
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

  /** A delimiter was found in the view; the body that ends there began at `at` or before. Returns where to go on. */
  #divide(view: Buffer, at: number, end: number): number {
    this.#take(view, at, end);
    const base = this.#base;
    const { lineEnd, next } = this.#delimiters;
    if (!this.#onDelimiter(base + end, base + lineEnd, base + next)) return this.#take(view, end, view.length);
    return this.#header === undefined ? lineEnd : next;
  }

  /** All that was open inside the multipart ends. False where the message is not divided any more. */
  #onDelimiter(bodyEnd: number, lineEnd: number, next: number): boolean {
    const { owner, isClosing, foundIndex } = this.#delimiters;
    if (!isClosing && this.#parts >= this.#limits.parts) {
      owner.fault('part-count');
      this.#stop('part-count');
      return false;
    }
    for (let part: Part | undefined = this.#part; part !== undefined && part !== owner; part = part.parent) {
      part.bodyEnd = bodyEnd;
    }
    owner.preambleEnd ??= bodyEnd;
    for (const part of this.#delimiters.closeFrom(foundIndex + 1)) endUnclosed(part, bodyEnd);
    this.#header = undefined;
    this.#isFirstLine = false;
    if (!isClosing) {
      this.#startPart(owner, next);
      return true;
    }
    this.#delimiters.closeFrom(foundIndex);
    owner.epilogueStart = lineEnd;
    if (owner.children.length === 0) owner.fault('no-parts');
    this.#part = owner;
    return true;
  }

  /** From here on everything is body of the part that is being read. */
  #stop(fault: PartFault): void {
    this.#root.fault(fault);
    this.#delimiters.closeFrom(0);
  }

  /** The octets `[from, to)` are body. */
  #take(view: Buffer, from: number, to: number): number {
    if (to > from) this.#part.keepHead(view.subarray(from, to));
    return to;
  }

  #hold(at: number): number {
    this.#isHeld = true;
    return at;
  }
}

function endUnclosed(part: Part, end: number): void {
  part.preambleEnd ??= end;
  part.fault(part.children.length === 0 ? 'no-parts' : 'missing-close');
}
