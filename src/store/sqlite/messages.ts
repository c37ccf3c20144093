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
}

export type Job =
  | { readonly kind: 'open' }
  | { readonly kind: 'commit'; readonly units: readonly (readonly Op[])[]; readonly octets: ArrayBuffer }
  | { readonly kind: 'run'; readonly statements: readonly Statement[] }
  | { readonly kind: 'close' };

export type Answer =
  | { readonly kind: 'applied'; readonly errors: readonly (readonly [number, Said])[]; readonly stored: number }
  | { readonly kind: 'rows'; readonly rows: readonly (readonly Row[])[] }
  | { readonly kind: 'failed'; readonly error: Said };

export function toError({ code, message }: Said): StoreError {
  return new StoreError(code, message);
}
