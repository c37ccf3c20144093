/** A part while its message is being read; whoever gets the tree sees it as a `MimePart`, which nobody changes. */
import { EMPTY } from '../base/index.ts';
import { PLAIN_ENTITY } from './entity.ts';
import type { FieldRange } from './header.ts';
import type { ContentType, Disposition, MimePart, PartFault, TransferEncoding } from './mime-part.ts';

/** Octets kept from the start of a text body: enough for the first line of an OpenPGP armor. */
const HEAD_OCTETS = 128;

export class Part implements MimePart {
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

  /** Keeps the start of a text; called with the body's octets in their order. */
  keepHead(octets: Buffer): void {
    const missing = HEAD_OCTETS - this.head.length;
    if (missing > 0 && this.contentType.type === 'text') {
      this.head = Buffer.concat([this.head, octets.subarray(0, missing)]);
    }
  }

  fault(fault: PartFault): void {
    if (!this.faults.includes(fault)) this.faults.push(fault);
    this.broken ??= fault;
  }
}
