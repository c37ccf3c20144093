/** The header of a message as a service reads it. Nothing is decoded or copied until it is asked for. */
import { decodeEncodedWords, type FieldRange, fieldBody, fieldName, findFields, unfold } from '../mail/index.ts';

/** One field, at its place in the message. */
export class Field {
  /** Offsets in the message; `end` is behind the field's last line end. */
  readonly start: number;
  readonly end: number;
  readonly #octets: Buffer;
  readonly #range: FieldRange;

  constructor(octets: Buffer, range: FieldRange) {
    this.start = range.start;
    this.end = range.end;
    this.#octets = octets;
    this.#range = range;
  }

  /** As written, in any case; empty where the line is no field. */
  get name(): string {
    return fieldName(this.#octets, this.#range);
  }

  /** The value as it was sent, folds and encodings included; one character an octet. */
  get raw(): string {
    return fieldBody(this.#octets, this.#range);
  }

  /** The value for reading: unfolded, encoded-words decoded. */
  get text(): string {
    return decodeEncodedWords(unfold(this.raw))
      .map(({ octets, charset }) => decodeText(octets, charset))
      .join('');
  }
}

/**
 * All fields in their order; names are found in any case.
 * @example
 * const subject = mail.headers.text('Subject') ?? '';
 * for (const field of mail.headers.all('Received')) console.log(field.text);
 */
export class Headers implements Iterable<Field> {
  readonly #octets: Buffer;
  readonly #ranges: readonly FieldRange[];
  /** Offset in the message where the body begins, behind the empty line. */
  readonly end: number;
  /** Whether all of it could be seen. If not, it is larger than is kept, and more fields may follow. */
  readonly isWhole: boolean;

  constructor(octets: Buffer, ranges: readonly FieldRange[], end: number, isWhole: boolean) {
    this.#octets = octets;
    this.#ranges = ranges;
    this.end = end;
    this.isWhole = isWhole;
  }

  has(name: string): boolean {
    return findFields(this.#octets, this.#ranges, name).length > 0;
  }

  /** The first field of this name. */
  first(name: string): Field | undefined {
    return this.all(name)[0];
  }

  all(name: string): readonly Field[] {
    return findFields(this.#octets, this.#ranges, name).map((range) => new Field(this.#octets, range));
  }

  /** The first field of this name, for reading. */
  text(name: string): string | undefined {
    return this.first(name)?.text;
  }

  *[Symbol.iterator](): IterableIterator<Field> {
    for (const range of this.#ranges) yield new Field(this.#octets, range);
  }
}

/** Octets as text: by their charset where it is known, else as UTF-8 if they are, else as Latin-1. Never throws. */
export function decodeText(octets: Buffer, charset: string | undefined): string {
  if (charset !== undefined) {
    try {
      return new TextDecoder(charset).decode(octets);
    } catch {
      // An unknown charset: as if none were named.
    }
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(octets);
  } catch {
    return octets.toString('latin1');
  }
}
