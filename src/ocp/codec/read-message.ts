/**
 * From a message of the grammar to one of OCP Core, by the table in `messages.ts`: every documented parameter has its
 * type checked (RFC 4037, section 10), everything else is left alone (section 11). Says for a message that breaks a
 * rule what dies with it (section 5); whether a message fits the state of its transaction is judged elsewhere.
 */
import { type Declaration, MESSAGES, type MessageKind, type Parameter, type TypedOf } from './messages.ts';
import { isList, MAX_NUMBER, type Message, type Named, type Value } from './values.ts';

/**
 * A valid message by `kind`. `named` are all named parameters as they came, so that a profile finds its own. Names OCP
 * Core does not know, in whatever spelling, are `unknown` and have to be ignored.
 */
export type TypedMessage =
  | { [K in MessageKind]: TypedOf<K> }[MessageKind]
  | { readonly kind: 'unknown'; readonly name: string; readonly named: Named };

/** Scope `transaction` comes with a usable xid: TE 400 is owed for it. Scope `connection`: CE 400. */
export type BrokenMessage =
  | { readonly kind: 'broken'; readonly rule: string; readonly scope: 'transaction'; readonly xid: number }
  | { readonly kind: 'broken'; readonly rule: string; readonly scope: 'connection'; readonly xid: undefined };

interface Row {
  readonly declaration: Declaration;
  /** A message of this kind whose every parameter is absent. */
  readonly blank: Readonly<Record<string, unknown>>;
  readonly inTransaction: boolean;
}

const ROWS: ReadonlyMap<string, Row> = new Map(Object.entries(MESSAGES).map(([kind, d]) => [kind, makeRow(kind, d)]));

function makeRow(kind: string, declaration: Declaration): Row {
  const blank: Record<string, unknown> = { kind, named: undefined };
  for (const parameter of [...declaration.anonymous, ...declaration.named]) blank[parameter.field] = parameter.absent;
  if (declaration.payload) blank['size'] = undefined;
  return { declaration, blank, inTransaction: declaration.anonymous[0]?.type.name === 'xid' };
}

/** Never throws; `message` is what the parser told. */
export function readMessage(message: Message): TypedMessage | BrokenMessage {
  const row = ROWS.get(message.name);
  if (row === undefined) {
    // Nothing says what an unknown message belongs to, so a broken one ends the connection (section 5).
    if (message.broken !== undefined) return broken(message, false, message.broken);
    return { kind: 'unknown', name: message.name, named: message.named };
  }
  const typed: Record<string, unknown> = { ...row.blank };
  typed['named'] = message.named;
  const rule = message.broken ?? fill(typed, row.declaration, message);
  if (rule !== undefined) return broken(message, row.inTransaction, rule);
  // The table gives both the fields set above and the type, so the two agree by construction.
  return typed as unknown as TypedMessage;
}

/** Sets what is present in `message`; the rule that broke, if one did. */
function fill(typed: Record<string, unknown>, declaration: Declaration, message: Message): string | undefined {
  const { anonymous, named, payload } = declaration;
  for (let i = 0; i < anonymous.length; i++) {
    const rule = fillOne(typed, anonymous[i] as Parameter, message.anonymous[i]);
    if (rule !== undefined) return rule;
  }
  if (message.named.size > 0) {
    for (let i = 0; i < named.length; i++) {
      const parameter = named[i] as Parameter;
      const rule = fillOne(typed, parameter, message.named.get(parameter.wire ?? ''));
      if (rule !== undefined) return rule;
    }
  }
  if (payload) {
    if (message.payloadSize === undefined) return 'payload-missing';
    typed['size'] = message.payloadSize;
  }
  return checkEnd(typed);
}

function fillOne(typed: Record<string, unknown>, parameter: Parameter, value: Value | undefined): string | undefined {
  if (value === undefined) return parameter.required ? `${parameter.field}-missing` : undefined;
  const read = parameter.type.read(value);
  if (read !== undefined) {
    // An empty list means the same as none (section 9), unless the parameter has to be there.
    if (parameter.required || !isList(value) || value.length > 0) typed[parameter.field] = read;
    return undefined;
  }
  return parameter.lenient === true ? undefined : `${parameter.field}-type`;
}

/** No octet of a dataflow lies beyond 2147483647 (section 10.3); an open-ended DPI is the exception (section 11.11). */
function checkEnd({ kind, offset, size }: Record<string, unknown>): string | undefined {
  if (kind !== 'DUM' && kind !== 'DUY') return undefined;
  return typeof offset === 'number' && typeof size === 'number' && offset + size > MAX_NUMBER ? 'end-limit' : undefined;
}

/** `TE 400` needs an xid that can be named; without one the scope is unknown, hence the connection (section 5). */
function broken(message: Message, inTransaction: boolean, rule: string): BrokenMessage {
  const xid = message.anonymous[0];
  if (inTransaction && typeof xid === 'number') return { kind: 'broken', rule, scope: 'transaction', xid };
  return { kind: 'broken', rule, scope: 'connection', xid: undefined };
}
