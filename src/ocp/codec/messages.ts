/**
 * The messages of OCP Core, declared once as RFC 4037, section 11 declares them. The types of typed messages and their
 * check (`read-message.ts`) are derived from this table.
 */

import type { ParameterType } from './types.ts';
import * as types from './types.ts';
import type { Named } from './values.ts';

export interface Parameter<F extends string = string, T = unknown> {
  /** Its name in memory. */
  readonly field: F;
  readonly type: ParameterType<T>;
  readonly required: boolean;
  /** What absence means. */
  readonly absent: T | undefined;
  /** Its name on the wire; anonymous parameters have none. */
  readonly wire?: string;
  /** A value that breaks the type counts as absent in place of breaking the message. */
  readonly lenient?: true;
}

export interface Declaration<
  A extends readonly Parameter[] = readonly Parameter[],
  N extends readonly Parameter[] = readonly Parameter[],
  P extends boolean = boolean,
> {
  readonly anonymous: A;
  readonly named: N;
  /** Is a payload required? If so the typed message tells its `size`. Everywhere else a payload is ignored. */
  readonly payload: P;
}

function required<F extends string, T>(field: F, type: ParameterType<T>): Parameter<F, T> {
  return { field, type, required: true, absent: undefined };
}

function optional<F extends string, T>(field: F, type: ParameterType<T>): Parameter<F, T | undefined> {
  return { field, type, required: false, absent: undefined };
}

function defaulted<F extends string, T>(field: F, type: ParameterType<T>, absent: T): Parameter<F, T> {
  return { field, type, required: false, absent };
}

function named<P extends Parameter>(wire: string, parameter: P): P {
  return { ...parameter, wire };
}

/** `As-is` is the one parameter whose invalid value the recipient has to ignore (section 11.9). */
function lenient<P extends Parameter>(parameter: P): P {
  return { ...parameter, lenient: true };
}

function message<const A extends readonly Parameter[], const N extends readonly Parameter[] = []>(
  anonymous: A,
  ...rest: N
): Declaration<A, N, false> {
  return { anonymous, named: rest, payload: false };
}

function withPayload<A extends readonly Parameter[], N extends readonly Parameter[]>(
  declaration: Declaration<A, N, false>,
): Declaration<A, N, true> {
  return { ...declaration, payload: true };
}

const xid = required('xid', types.XID);
const maybeXid = optional('xid', types.XID);
const sgId = required('sgId', types.SG_ID);
const offset = required('offset', types.OFFSET);
const size = required('size', types.SIZE);
const result = defaulted('result', types.RESULT, types.OK);
const offerPending = named('Offer-Pending', defaulted('offerPending', types.BOOLEAN, false));
const sg = named('SG', optional('sg', types.SG_ID));
const orgData = named('Org-Data', optional('orgData', types.SIZE));

export const MESSAGES = {
  CS: message([]),
  CE: message([result]),
  SGC: message([sgId, required('services', types.SERVICES)]),
  SGD: message([sgId]),
  TS: message([xid, sgId]),
  TE: message([xid, result]),
  AMS: message([xid], named('Services', optional('services', types.SERVICES))),
  AME: message([xid, result]),
  DUM: withPayload(
    message(
      [xid, offset],
      named('As-is', lenient(optional('asIs', types.OFFSET))),
      named('Kept', optional('kept', types.KEPT)),
      named('Modp', optional('modp', types.MODP)),
    ),
  ),
  DUY: message([xid, offset, size]),
  DPI: message([xid, offset, size]),
  DWSR: message([xid, size]),
  DWSS: message([xid]),
  DSS: message([xid]),
  DWP: message([xid, offset]),
  DPM: message([xid]),
  DWM: message([xid], named('Size-request', optional('sizeRequest', types.SIZE))),
  NO: message([required('features', types.FEATURES)], sg, offerPending),
  NR: message(
    [optional('feature', types.FEATURE)],
    sg,
    named('Rejects', defaulted('rejects', types.FEATURES, [])),
    named('Unknowns', defaulted('unknowns', types.FEATURES, [])),
    offerPending,
  ),
  AQ: message([required('feature', types.FEATURE)]),
  AA: message([required('supported', types.BOOLEAN)]),
  PQ: message([maybeXid]),
  PA: message([maybeXid], orgData),
  PR: message([maybeXid], orgData),
};

export type MessageKind = keyof typeof MESSAGES;

type FieldsOf<Ps extends readonly Parameter[]> = {
  readonly [P in Ps[number] as P['field']]: P extends Parameter<string, infer T> ? T : never;
};

type PayloadOf<D extends Declaration> = D['payload'] extends true ? { readonly size: number } : unknown;

type Flat<T> = { readonly [K in keyof T]: T[K] };

/** The typed form of one kind of message, such as `TypedOf<'DUM'>`. */
export type TypedOf<K extends MessageKind> = Flat<
  { readonly kind: K; readonly named: Named } & FieldsOf<(typeof MESSAGES)[K]['anonymous']> &
    FieldsOf<(typeof MESSAGES)[K]['named']> &
    PayloadOf<(typeof MESSAGES)[K]>
>;
