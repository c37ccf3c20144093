/**
 * The messages of OCP Core, declared once as RFC 4037, section 11 declares them. A row asks a source for its parameters,
 * so the check of types (`read-message.ts`), the types in memory and the printed declarations below are one and the same.
 */
import {
  BOOLEAN,
  FEATURE,
  FEATURES,
  KEPT,
  MODP,
  OFFSET,
  OK,
  type ParameterType,
  RESULT,
  SERVICES,
  SG_ID,
  SIZE,
  XID,
} from './types.ts';
import { type Named, NO_NAMED, type Structure } from './values.ts';

export interface ParameterSource {
  /** All named parameters, OCP Core's and others. */
  readonly all: Named;
  /** The anonymous parameter at place `at`, which has to be there. */
  required<T>(at: number, type: ParameterType<T>): T;
  optional<T>(at: number, type: ParameterType<T>): T | undefined;
  /** A named parameter; OCP Core requires none. */
  named<T>(name: string, type: ParameterType<T>): T | undefined;
  /** A named parameter whose invalid value counts as absent, in place of breaking the message. */
  lenient<T>(name: string, type: ParameterType<T>): T | undefined;
  /** Size of the payload, which has to be there. Payloads of other messages are ignored. */
  payload(): number;
}

export type MessageKind = (typeof KINDS)[number];

const KINDS = [
  ...(['CS', 'CE', 'SGC', 'SGD', 'TS', 'TE', 'AMS', 'AME', 'DUM', 'DUY', 'DPI', 'DWSR', 'DWSS', 'DSS'] as const),
  ...(['DWP', 'DPM', 'DWM', 'NO', 'NR', 'AQ', 'AA', 'PQ', 'PA', 'PR'] as const),
];

const NONE: readonly Structure[] = [];

/** In each typed message `named` are all named parameters as they came, so that a profile finds its own. */
export const MESSAGES = {
  CS: (p) => ({ kind: 'CS', named: p.all }),
  CE: (p) => ({ kind: 'CE', named: p.all, result: p.optional(0, RESULT) ?? OK }),
  SGC: (p) => ({ kind: 'SGC', named: p.all, sgId: p.required(0, SG_ID), services: p.required(1, SERVICES) }),
  SGD: (p) => ({ kind: 'SGD', named: p.all, sgId: p.required(0, SG_ID) }),
  TS: (p) => ({ kind: 'TS', named: p.all, xid: p.required(0, XID), sgId: p.required(1, SG_ID) }),
  TE: (p) => ({ kind: 'TE', named: p.all, xid: p.required(0, XID), result: p.optional(1, RESULT) ?? OK }),
  AMS: (p) => ({ kind: 'AMS', named: p.all, xid: p.required(0, XID), services: p.named('Services', SERVICES) }),
  AME: (p) => ({ kind: 'AME', named: p.all, xid: p.required(0, XID), result: p.optional(1, RESULT) ?? OK }),
  DUM: (p) => ({
    kind: 'DUM',
    named: p.all,
    xid: p.required(0, XID),
    offset: p.required(1, OFFSET),
    // The one parameter whose invalid value the recipient has to ignore (section 11.9).
    asIs: p.lenient('As-is', OFFSET),
    kept: p.named('Kept', KEPT),
    modp: p.named('Modp', MODP),
    size: p.payload(),
  }),
  DUY: (p) => ({
    kind: 'DUY',
    named: p.all,
    xid: p.required(0, XID),
    offset: p.required(1, OFFSET),
    size: p.required(2, SIZE),
  }),
  DPI: (p) => ({
    kind: 'DPI',
    named: p.all,
    xid: p.required(0, XID),
    offset: p.required(1, OFFSET),
    size: p.required(2, SIZE),
  }),
  DWSR: (p) => ({ kind: 'DWSR', named: p.all, xid: p.required(0, XID), size: p.required(1, SIZE) }),
  DWSS: (p) => ({ kind: 'DWSS', named: p.all, xid: p.required(0, XID) }),
  DSS: (p) => ({ kind: 'DSS', named: p.all, xid: p.required(0, XID) }),
  DWP: (p) => ({ kind: 'DWP', named: p.all, xid: p.required(0, XID), offset: p.required(1, OFFSET) }),
  DPM: (p) => ({ kind: 'DPM', named: p.all, xid: p.required(0, XID) }),
  DWM: (p) => ({ kind: 'DWM', named: p.all, xid: p.required(0, XID), sizeRequest: p.named('Size-request', SIZE) }),
  NO: (p) => ({
    kind: 'NO',
    named: p.all,
    features: p.required(0, FEATURES),
    sg: p.named('SG', SG_ID),
    offerPending: p.named('Offer-Pending', BOOLEAN) ?? false,
  }),
  NR: (p) => ({
    kind: 'NR',
    named: p.all,
    feature: p.optional(0, FEATURE),
    sg: p.named('SG', SG_ID),
    rejects: p.named('Rejects', FEATURES) ?? NONE,
    unknowns: p.named('Unknowns', FEATURES) ?? NONE,
    offerPending: p.named('Offer-Pending', BOOLEAN) ?? false,
  }),
  AQ: (p) => ({ kind: 'AQ', named: p.all, feature: p.required(0, FEATURE) }),
  AA: (p) => ({ kind: 'AA', named: p.all, supported: p.required(0, BOOLEAN) }),
  PQ: (p) => ({ kind: 'PQ', named: p.all, xid: p.optional(0, XID) }),
  PA: (p) => ({ kind: 'PA', named: p.all, xid: p.optional(0, XID), orgData: p.named('Org-Data', SIZE) }),
  PR: (p) => ({ kind: 'PR', named: p.all, xid: p.optional(0, XID), orgData: p.named('Org-Data', SIZE) }),
} satisfies { [K in MessageKind]: (p: ParameterSource) => { readonly kind: K; readonly named: Named } };

/** The typed form of one kind of message, such as `TypedOf<'DUM'>`. */
export type TypedOf<K extends MessageKind> = { [T in K]: Readonly<ReturnType<(typeof MESSAGES)[T]>> }[K];

/** What a row asks for, in its order. */
export interface Declaration {
  readonly kind: MessageKind;
  readonly anonymous: readonly { readonly type: string; readonly required: boolean }[];
  readonly named: readonly { readonly name: string; readonly type: string }[];
  readonly payload: boolean;
}

export const DECLARATIONS: readonly Declaration[] = KINDS.map(declarationOf);

function declarationOf(kind: MessageKind): Declaration {
  const anonymous: { type: string; required: boolean }[] = [];
  const named: { name: string; type: string }[] = [];
  let payload = false;
  const note = (name: string, type: ParameterType<unknown>): undefined => {
    named.push({ name, type: type.name });
  };
  MESSAGES[kind]({
    all: NO_NAMED,
    required(_, type) {
      anonymous.push({ type: type.name, required: true });
      return type.blank;
    },
    optional(_, type) {
      anonymous.push({ type: type.name, required: false });
      return undefined;
    },
    named: note,
    lenient: note,
    payload() {
      payload = true;
      return 0;
    },
  });
  return { kind, anonymous, named, payload };
}
