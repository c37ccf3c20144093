/**
 * What a parser says after it looked at its input. Input from a peer never throws: a broken rule is a value, and the
 * caller decides what dies with it.
 */
export type Step<T> =
  /** `used` octets of the input are spent. */
  | { readonly kind: 'got'; readonly value: T; readonly used: number }
  /** Nothing is spent; come back with more octets. */
  | { readonly kind: 'more' }
  /** The rule that broke (a stable name) and the offset of the octet that broke it. */
  | { readonly kind: 'bad'; readonly rule: string; readonly at: number };

export const MORE: Step<never> = { kind: 'more' };

export function got<T>(value: T, used: number): Step<T> {
  return { kind: 'got', value, used };
}

export function bad(rule: string, at: number): Step<never> {
  return { kind: 'bad', rule, at };
}
