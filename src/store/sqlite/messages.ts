/** What goes between the event loop and the writer thread: one message a batch in each direction. */
import type { Op, Row, Statement } from '../engine.ts';
import { StoreError, type StoreErrorCode } from '../ports.ts';

/** An error as it crosses between threads. */
export interface Said {
  readonly code: StoreErrorCode;
  readonly message: string;
}

export interface Opening {
  readonly file: string;
  readonly owner: string;
  /** New octets leave so much of the disk free. */
  readonly reserveOctets: number;
  /** The octets of a batch; of a larger one they come with it. Batches are one at a time, so both sides may use it in turn. */
  readonly room: SharedArrayBuffer;
}

export type Job =
  | { readonly kind: 'open' }
  /** `octets` undefined: in the room. */
  | {
      readonly kind: 'commit';
      readonly units: readonly (readonly Op[])[];
      readonly octets: ArrayBuffer | undefined;
      readonly length: number;
    }
  | { readonly kind: 'run'; readonly statements: readonly Statement[] }
  | { readonly kind: 'close' };

export type Answer =
  | { readonly kind: 'applied'; readonly errors: readonly (readonly [number, Said])[]; readonly stored: number }
  | { readonly kind: 'rows'; readonly rows: readonly (readonly Row[])[] }
  | { readonly kind: 'failed'; readonly error: Said };

export function toError({ code, message }: Said): StoreError {
  return new StoreError(code, message);
}
