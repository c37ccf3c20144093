/**
 * Values of the OCP grammar (RFC 4037, section 3.1) as they stand in memory.
 *
 * Quoting is transparent on the wire, so an atom has one form here: if its octets are a canonical dec-number of 0 to
 * 2147483647 it is a number, else its octets as text, one character an octet (ISO 8859-1). Text meant as UTF-8 is
 * decoded by whoever shows it.
 */
export type Atom = number | string;
export type List = readonly Value[];
export type Value = Atom | List | Structure;
export type Named = ReadonlyMap<string, Value>;

export interface Structure {
  readonly anonymous: readonly Value[];
  readonly named: Named;
}

/** A whole message head. Any message may carry a payload (section 9); its octets are never part of this. */
export interface Message {
  readonly name: string;
  readonly anonymous: readonly Value[];
  readonly named: Named;
  /** Octets of payload announced, or `undefined` where the message has none. */
  readonly payloadSize: number | undefined;
  /** A rule the message breaks although its framing is whole, such as `duplicate-name`. */
  readonly broken: string | undefined;
}

/** Largest size, offset and identifier of OCP (sections 3.1, 10.2 to 10.4). */
export const MAX_NUMBER = 2147483647;

/** The named part of whatever has none; shared, never changed. */
export const NO_NAMED: Named = new Map();

/** An atom as the text it was on the wire; `undefined` where there is no value, or a list or structure. */
export function atomText(value: Value | undefined): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' ? String(value) : undefined;
}

export function isList(value: Value | undefined): value is List {
  return Array.isArray(value);
}

export function isStructure(value: Value | undefined): value is Structure {
  return typeof value === 'object' && !Array.isArray(value);
}

/** A structure from its anonymous members, for features, services and the like. */
export function structure(anonymous: readonly Value[], named: Named = NO_NAMED): Structure {
  return { anonymous, named };
}
