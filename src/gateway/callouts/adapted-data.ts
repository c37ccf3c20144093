/**
 * What one service makes of the mail data it was sent: its answer, as ranges of its own input and octets it inserts, in
 * order. The list is kept (it is what makes an edit attributable and reversible, design D17) beside the piece table that
 * the next service, or the next hop, reads from.
 *
 * Octets that come back by DUM although they are the input's own (a server that cannot answer by reference, or one for
 * which nothing is kept) are recognised where they stand in order, and taken as references: what was not changed stays
 * bit-exact and costs no memory, whoever the server is.
 */
import { Content, type OctetStore } from '../content/index.ts';

export type Edit =
  | { readonly kind: 'copy'; readonly offset: number; readonly size: number }
  /** `at`: where the octets are in the store of insertions. */
  | { readonly kind: 'insert'; readonly at: number; readonly size: number };

/** Pieces of one answer beyond which it is an attack, not an edit: a DUY costs its sender twenty octets (design, section 2). */
export const MAX_EDITS = 20_000;

export class AdaptedData {
  readonly #input: Content;
  readonly #inserted: () => OctetStore;
  readonly #maxOctets: number;
  readonly #edits: Edit[] = [];
  /** Where the input goes on, if the service is copying it. */
  #mirror = 0;
  #octetsInserted = 0;
  #piecesCopied = 0;
  #size = 0;

  /** `maxOctets`: the output may not be larger. `inserted` is asked for at the first inserted octet. */
  constructor(input: Content, inserted: () => OctetStore, maxOctets: number) {
    this.#input = input;
    this.#inserted = inserted;
    this.#maxOctets = maxOctets;
  }

  get edits(): readonly Edit[] {
    return this.#edits;
  }

  get octetsInserted(): number {
    return this.#octetsInserted;
  }

  /** The answer as a content, made when it is asked for: most answers are the input, and nobody does. */
  get output(): Content {
    const output = new Content();
    for (const edit of this.#edits) {
      if (edit.kind === 'copy') output.appendRange(this.#input, edit.offset, edit.size);
      else output.append(this.#inserted(), edit.at, edit.size);
    }
    return output;
  }

  /** The answer is the input, whole. Only to be asked when both are complete. */
  get isUnchanged(): boolean {
    if (this.#edits.length === 0) return this.#input.size === 0;
    const only = this.#edits.length === 1 ? this.#edits[0] : undefined;
    return only?.kind === 'copy' && only.offset === 0 && only.size === this.#input.size;
  }

  /** A DUY: the range must lie inside the input. Returns the cap that broke, if one did. */
  copy(offset: number, size: number): 'adapted-size' | 'adapted-pieces' | undefined {
    if (size === 0) return undefined;
    if (this.#size + size > this.#maxOctets) return 'adapted-size';
    this.#size += size;
    this.#mirror = offset + size;
    const last = this.#last;
    const goesOn = last?.kind === 'copy' && last.offset + last.size === offset;
    if (this.#isInTooManyPieces(offset, size, goesOn)) return 'adapted-pieces';
    if (goesOn) {
      this.#edits[this.#edits.length - 1] = { kind: 'copy', offset: last.offset, size: last.size + size };
      return undefined;
    }
    return this.#note({ kind: 'copy', offset, size });
  }

  /** Octets of a DUM, free to keep. Small ones are gathered: a server may send octet by octet. */
  insert(octets: Buffer): 'adapted-size' | 'adapted-pieces' | undefined {
    if (octets.length === 0) return undefined;
    if (this.#isMirrored(octets)) return this.copy(this.#mirror, octets.length);
    if (this.#size + octets.length > this.#maxOctets) return 'adapted-size';
    this.#size += octets.length;
    const store = this.#inserted();
    const at = store.size;
    if (octets.length < 4096) store.appendCopy(octets);
    else store.append(octets);
    this.#octetsInserted += octets.length;
    const last = this.#last;
    if (last?.kind === 'insert') {
      this.#edits[this.#edits.length - 1] = { kind: 'insert', at: last.at, size: last.size + octets.length };
      return undefined;
    }
    return this.#note({ kind: 'insert', at, size: octets.length });
  }

  /**
   * A range is as many pieces as the input has there: ranges that repeat an input in thousands of pieces would be millions.
   * Ranges that do not overlap are never more than the input's own and one for each.
   */
  #isInTooManyPieces(offset: number, size: number, goesOn: boolean): boolean {
    const input = this.#input;
    const first = goesOn ? input.indexAt(offset - 1) : input.indexAt(offset) - 1;
    this.#piecesCopied += input.indexAt(offset + size - 1) - first;
    return this.#piecesCopied > input.pieces.length + MAX_EDITS;
  }

  get #last(): Edit | undefined {
    const { length } = this.#edits;
    return length === 0 ? undefined : this.#edits[length - 1];
  }

  #note(edit: Edit): 'adapted-pieces' | undefined {
    this.#edits.push(edit);
    return this.#edits.length > MAX_EDITS ? 'adapted-pieces' : undefined;
  }

  #isMirrored(octets: Buffer): boolean {
    if (this.#mirror + octets.length > this.#input.size) return false;
    const views = this.#input.view(this.#mirror, octets.length);
    if (views === undefined) return false;
    let at = 0;
    for (const view of views) {
      if (octets.compare(view, 0, view.length, at, at + view.length) !== 0) return false;
      at += view.length;
    }
    return true;
  }
}

/** The edits in words a person can check, at most `max` of them; offsets are those of the service's input. */
export function describeEdits(edits: readonly Edit[], inputSize: number, max = 20): string[] {
  const out: string[] = [];
  let at = 0;
  let inserted = 0;
  const close = (upTo: number): void => {
    const removed = upTo - at;
    if (removed === 0 && inserted === 0) return;
    if (removed < 0) out.push(`repeated octets from ${upTo} on, after ${inserted} new octets`);
    else if (removed === 0) out.push(`inserted ${inserted} octets at ${at}`);
    else if (inserted === 0) out.push(`removed ${removed} octets at ${at}`);
    else out.push(`replaced ${removed} octets at ${at} by ${inserted}`);
  };
  for (const edit of edits) {
    if (edit.kind === 'insert') {
      inserted += edit.size;
      continue;
    }
    close(edit.offset);
    at = edit.offset + edit.size;
    inserted = 0;
  }
  close(inputSize);
  return out.length > max ? [...out.slice(0, max), `and ${out.length - max} more`] : out;
}
