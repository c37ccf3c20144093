/** A value of OCP as the independent reader gives it. */
export type WireValue =
  | string
  | readonly WireValue[]
  | { readonly anonymous: readonly WireValue[]; readonly named: ReadonlyMap<string, WireValue> };
export interface WireMessage {
  readonly name: string;
  readonly anonymous: readonly WireValue[];
  readonly named: ReadonlyMap<string, WireValue>;
  readonly payload: Uint8Array | undefined;
}
export class Broken extends Error {}
export class Reader {
  feed(chunk: Uint8Array): Generator<WireMessage>;
}
export function write(value: WireValue | number): string;
export function number(text: unknown): number | undefined;
