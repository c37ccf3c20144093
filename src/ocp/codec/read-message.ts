/**
 * From a message of the grammar to one of OCP Core, by the table in `messages.ts`: every documented parameter has its
 * type checked (RFC 4037, section 10), everything else is left alone (section 11). Says for a message that breaks a
 * rule what dies with it (section 5); whether a message fits the state of its transaction is judged elsewhere.
 */
import { DECLARATIONS, MESSAGES, type MessageKind, type ParameterSource, type TypedOf } from './messages.ts';
import type { ParameterType } from './types.ts';
import { isList, MAX_NUMBER, type Message, type Named, NO_NAMED, type Value } from './values.ts';

/** A valid message by `kind`. A name OCP Core does not know, in whatever spelling, is `unknown` and has to be ignored. */
export type TypedMessage =
  | TypedOf<MessageKind>
  | { readonly kind: 'unknown'; readonly name: string; readonly named: Named };

/** Scope `transaction` comes with a usable xid: TE 400 is owed for it. Scope `connection`: CE 400. */
export type BrokenMessage =
  | { readonly kind: 'broken'; readonly rule: string; readonly scope: 'transaction'; readonly xid: number }
  | { readonly kind: 'broken'; readonly rule: string; readonly scope: 'connection'; readonly xid: undefined };

type Row = (parameters: ParameterSource) => TypedOf<MessageKind>;

const ROWS: ReadonlyMap<string, Row> = new Map(Object.entries(MESSAGES));

/** Messages whose first parameter is an xid, so that breaking a rule ends a transaction. */
const IN_TRANSACTION: ReadonlySet<string> = new Set(
  DECLARATIONS.filter(({ anonymous }) => anonymous[0]?.type === 'xid').map(({ kind }) => kind),
);

/** Takes parameters out of a message, and notes the first rule that breaks. */
class Reader implements ParameterSource {
  rule: string | undefined = undefined;
  #message: Message | undefined = undefined;
  #anonymous: readonly Value[] = [];
  all: Named = NO_NAMED;

  open(message: Message): void {
    this.rule = message.broken;
    this.#message = message;
    this.#anonymous = message.anonymous;
    this.all = message.named;
  }

  required<T>(at: number, type: ParameterType<T>): T {
    const value = this.#anonymous[at];
    if (value === undefined) return this.#bad(`${type.name}-missing`) ?? type.blank;
    return type.read(value) ?? this.#bad(`${type.name}-type`) ?? type.blank;
  }

  optional<T>(at: number, type: ParameterType<T>): T | undefined {
    const value = this.#anonymous[at];
    return value === undefined ? undefined : this.#read(value, type);
  }

  named<T>(name: string, type: ParameterType<T>): T | undefined {
    if (this.all.size === 0) return undefined;
    const value = this.all.get(name);
    return value === undefined ? undefined : this.#read(value, type);
  }

  lenient<T>(name: string, type: ParameterType<T>): T | undefined {
    const value = this.all.get(name);
    return value === undefined ? undefined : type.read(value);
  }

  payload(): number {
    return this.#message?.payloadSize ?? this.#bad('payload-missing') ?? 0;
  }

  #read<T>(value: Value, type: ParameterType<T>): T | undefined {
    const read = type.read(value);
    if (read === undefined) return this.#bad(`${type.name}-type`);
    // An empty list means the same as none (section 9), unless the parameter has to be there.
    return isList(value) && value.length === 0 ? undefined : read;
  }

  #bad(rule: string): undefined {
    this.rule ??= rule;
  }
}

/** One for all: it is opened, asked and done with inside one call of `readMessage`, which calls nothing of others. */
const reader = new Reader();

/** Never throws; `message` is what the parser told. */
export function readMessage(message: Message): TypedMessage | BrokenMessage {
  const row = ROWS.get(message.name);
  if (row === undefined) {
    // Nothing says what an unknown message belongs to, so a broken one ends the connection (section 5).
    if (message.broken !== undefined) return broken(message, message.broken);
    return { kind: 'unknown', name: message.name, named: message.named };
  }
  reader.open(message);
  const typed = row(reader);
  const rule = reader.rule ?? checkEnd(typed);
  return rule === undefined ? typed : broken(message, rule);
}

/** No octet of a dataflow lies beyond 2147483647 (section 10.3); an open-ended DPI is the exception (section 11.11). */
function checkEnd(typed: TypedOf<MessageKind>): string | undefined {
  if (typed.kind !== 'DUM' && typed.kind !== 'DUY') return undefined;
  return typed.offset + typed.size > MAX_NUMBER ? 'end-limit' : undefined;
}

/** `TE 400` needs an xid that can be named; without one the scope is unknown, hence the connection (section 5). */
function broken(message: Message, rule: string): BrokenMessage {
  const xid = message.anonymous[0];
  if (IN_TRANSACTION.has(message.name) && typeof xid === 'number') {
    return { kind: 'broken', rule, scope: 'transaction', xid };
  }
  return { kind: 'broken', rule, scope: 'connection', xid: undefined };
}
