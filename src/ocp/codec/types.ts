/**
 * Parameter types of RFC 4037, section 10: each says what a decoded value means, or that the value breaks the type.
 * Quoting is gone by now, so `"2:10"` and `10` pass alike (section 3.1).
 */
import { atomText, isList, isStructure, type Structure, structure, type Value } from './values.ts';

/** Outcome of a flow, transaction or connection (section 10.10). */
export interface Result {
  readonly code: number;
  /** For humans only, octets as ISO 8859-1 characters; '' where there is none. */
  readonly reason: string;
  /** Member `Cause`, for programs: an extension of ours (decision 0061), so mostly absent. */
  readonly cause?: string;
}

/** What an absent result means (section 10.10). */
export const OK: Result = { code: 200, reason: '' };

export interface Range {
  readonly offset: number;
  readonly size: number;
}

export interface ParameterType<T> {
  readonly name: string;
  /** The value's meaning, or `undefined` where it breaks a rule of the type. */
  read(value: Value): T | undefined;
  /** Stands where a value had to be and is not, in a message that is thrown away for it. */
  readonly blank: T;
}

const integer = (value: Value): number | undefined => (typeof value === 'number' ? value : undefined);

/** `uni`, `size` and `offset` allow the same numbers: a number in memory always is 0 to 2147483647. */
export const UNI: ParameterType<number> = { name: 'uni', read: integer, blank: 0 };
export const XID: ParameterType<number> = { name: 'xid', read: integer, blank: 0 };
export const SG_ID: ParameterType<number> = { name: 'sg-id', read: integer, blank: 0 };
export const SIZE: ParameterType<number> = { name: 'size', read: integer, blank: 0 };
export const OFFSET: ParameterType<number> = { name: 'offset', read: integer, blank: 0 };

/** A `percent` for the statement that data will be modified (section 10.9). */
export const MODP: ParameterType<number> = {
  name: 'modp',
  read: (value) => (typeof value === 'number' && value <= 100 ? value : undefined),
  blank: 0,
};

export const BOOLEAN: ParameterType<boolean> = {
  name: 'boolean',
  read: (value) => (value === 'true' ? true : value === 'false' ? false : undefined),
  blank: false,
};

export const RESULT: ParameterType<Result> = {
  name: 'result',
  blank: OK,
  read(value) {
    if (!isStructure(value)) return undefined;
    const [code, reason] = value.anonymous;
    if (typeof code !== 'number') return undefined;
    if (reason === undefined && code === 200) return OK;
    const text = reason === undefined ? '' : atomText(reason);
    if (text === undefined) return undefined;
    // A cause that is no atom is a member we do not know, which is passed over (section 11).
    const cause = atomText(value.named.get('Cause'));
    return cause === undefined ? { code, reason: text } : { code, reason: text, cause };
  },
};

/** `Kept` declares two values but the grammar allows one, so they ride in a structure. A lone number is invalid. */
export const KEPT: ParameterType<Range> = {
  name: 'kept',
  blank: { offset: 0, size: 0 },
  read(value) {
    if (!isStructure(value)) return undefined;
    const [offset, size] = value.anonymous;
    return typeof offset === 'number' && typeof size === 'number' ? { offset, size } : undefined;
  },
};

// RFC 2396's characters with well-formed escapes; relative references are in its syntax and in RFC 4037's samples.
const URI = /^(?:[A-Za-z0-9;/?:@&=+$,\-_.!~*'()#]|%[0-9A-Fa-f]{2})+$/;

/** The uri that names a feature or service: its first anonymous member (sections 10.11, 10.13). */
export function uriOf(value: Structure): string {
  return atomText(value.anonymous[0]) ?? '';
}

function isIdentified(value: Value | undefined): value is Structure {
  return isStructure(value) && URI.test(uriOf(value));
}

function identifiedList(value: Value): readonly Structure[] | undefined {
  return isList(value) && value.every(isIdentified) ? value : undefined;
}

const identified = (value: Value): Structure | undefined => (isIdentified(value) ? value : undefined);

export const FEATURE: ParameterType<Structure> = { name: 'feature', read: identified, blank: structure([]) };
export const FEATURES: ParameterType<readonly Structure[]> = { name: 'features', read: identifiedList, blank: [] };
export const SERVICES: ParameterType<readonly Structure[]> = { name: 'services', read: identifiedList, blank: [] };
