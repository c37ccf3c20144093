import type { Advice } from '../profile/index.ts';

/** Where a service's answer to the message goes: to the wire, or into the next service. */
export interface Outlet {
  /** Fields the processor shall add; before the first piece. */
  addFields(fields: readonly string[]): void;
  /** The octets [start, end) of the message as this service got it. */
  use(start: number, end: number): void;
  /** New octets; by reference. */
  data(octets: Uint8Array): void;
  /** Nothing of the message as it was will be used. */
  useNothing(): void;
  /** What was said so far may leave. */
  flush(): void;
  /** So much waits to leave that a producer should wait until told of room. */
  readonly isFull: boolean;
  /** The answer is complete. */
  finish(): void;
  /** The message is refused; nothing was said before, nothing is said after. */
  refuse(reply: string): void;
  /** The message is taken, and not passed on now; nothing was said before, nothing is said after. */
  advise(advice: Advice): void;
  /** No answer can be given. The reason is for the processor: general, nothing of ours in it. */
  fail(reason: string): void;
}

/** What a message as one service got it is made of: ranges of the original, and octets an earlier service put in. */
export interface Source {
  walk(
    start: number,
    end: number,
    onOriginal: (start: number, end: number) => void,
    onData: (octets: Uint8Array) => void,
  ): void;
}

/** The message of the first service: the original. */
export const ORIGINAL: Source = {
  walk: (start, end, onOriginal) => onOriginal(start, end),
};
