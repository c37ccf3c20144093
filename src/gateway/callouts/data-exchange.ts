/**
 * The mail data of one run in one transaction: what of the input was sent, and what came back. A second transaction gets
 * a new exchange over the same input.
 */
import { type Advice, type Answer, MAX_ADDED_FIELDS } from '../../profile/index.ts';
import type { Reply } from '../../smtp/index.ts';
import { type Content, ContentReader, type OctetStore, type Portion } from '../content/index.ts';
import type { Permission } from '../options.ts';
import { AdaptedData } from './adapted-data.ts';
import { missingForAddedHeaders, missingForAdvice, missingForRefusal } from './permissions.ts';
import { refusalReply } from './refusal.ts';

export type DataOutcome =
  | { readonly kind: 'unchanged' }
  /** The octets are the input's. */
  | { readonly kind: 'header-added'; readonly addHeaders: readonly string[] }
  | { readonly kind: 'adapted'; readonly output: Content; readonly addHeaders: readonly string[] }
  | { readonly kind: 'refused'; readonly reply: Reply }
  /** Taken, and not passed on now; nothing else of the answer counts. */
  | { readonly kind: 'advised'; readonly advice: Advice }
  /** The run failed; `run.failure` says how. */
  | { readonly kind: 'failed' };

/** What the run is to do with a piece of an answer. */
export type DataStep = 'go-on' | { readonly concluded: DataOutcome } | { readonly broken: string };

/** What one DUM carries at the most (design, section 2: taken in turn with other mails). */
const PORTION = 64 * 1024;

const NO_FIELDS: readonly string[] = [];

/** What an answer may take up, and where what it inserts is put. */
export interface AnswerRoom {
  readonly inserted: OctetStore;
  readonly maxAdaptedOctets: number;
}

export class DataExchange {
  /** Where the data begins in the transaction's original flow. */
  readonly start: number;
  /** Absent where the server only reads. */
  readonly adapted: AdaptedData | undefined;
  readonly #input: Content;
  readonly #reader: ContentReader;
  #addHeaders: readonly string[] = NO_FIELDS;
  #isAnswered = false;

  /** `room`: for the answer; absent where none is taken. */
  constructor(start: number, input: Content, room: AnswerRoom | undefined, wake: () => void) {
    this.start = start;
    this.#input = input;
    this.#reader = new ContentReader(input, wake);
    this.adapted = room === undefined ? undefined : new AdaptedData(input, () => room.inserted, room.maxAdaptedOctets);
  }

  /** Octets of the input as it is now that were not read. */
  get left(): number {
    return this.#reader.left;
  }

  /** Whether a portion is worth a DUM: a full one, or the last of a complete input. */
  hasPortion(isComplete: boolean): boolean {
    return this.#reader.left >= PORTION || (isComplete && this.#reader.left > 0);
  }

  nextPortion(): Portion {
    return this.#reader.next(PORTION);
  }

  /** A DUY, by offset in the original flow. */
  useYours(orgOffset: number, size: number): string | undefined {
    const from = orgOffset - this.start;
    if (this.adapted === undefined || from < 0 || from + size > this.#input.size) return 'duy-outside-the-part';
    return this.adapted.copy(from, size);
  }

  /** Octets of a DUM. */
  insert(octets: Buffer): string | undefined {
    return this.adapted === undefined ? 'part-not-adaptive' : this.adapted.insert(octets);
  }

  /** The parameters of a DUM or DUY for the data, once it is valid as a whole. */
  take(answer: Answer, may: ReadonlySet<Permission>): DataStep {
    if (answer.refusal !== undefined) {
      const reply = refusalReply(answer.refusal);
      const missing = missingForRefusal(may, reply.code);
      return missing === undefined
        ? { concluded: { kind: 'refused', reply } }
        : { broken: `no permission: ${missing}` };
    }
    if (answer.advice !== undefined) {
      const { advice } = answer;
      const missing = missingForAdvice(may, advice);
      return missing === undefined
        ? { concluded: { kind: 'advised', advice } }
        : { broken: `no permission: ${missing}` };
    }
    this.#isAnswered = true;
    if (answer.addHeaders.length === 0) return 'go-on';
    const missing = missingForAddedHeaders(may, answer.addHeaders);
    if (missing !== undefined) return { broken: `no permission: ${missing}` };
    this.#addHeaders = this.#addHeaders.length === 0 ? answer.addHeaders : [...this.#addHeaders, ...answer.addHeaders];
    if (this.#addHeaders.length > MAX_ADDED_FIELDS) return { broken: 'add-header-count' };
    return 'go-on';
  }

  /** The server has nothing more to say. An adaptive part it never answered is a fault; a reader owes nothing. */
  outcome(): DataOutcome | { readonly kind: 'broken'; readonly rule: string } {
    if (this.adapted === undefined) return { kind: 'unchanged' };
    if (!this.#isAnswered) return { kind: 'broken', rule: 'part-unanswered' };
    const addHeaders = this.#addHeaders;
    if (!this.adapted.isUnchanged) return { kind: 'adapted', output: this.adapted.output, addHeaders };
    return addHeaders.length === 0 ? { kind: 'unchanged' } : { kind: 'header-added', addHeaders };
  }
}
