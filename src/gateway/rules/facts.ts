/**
 * What a rule may ask about. The caller gives plain facts; what the expression language sees are the wrappers below,
 * made once for each facts object and kept with it, so that rules judged for many recipients share one header map.
 */
import { fieldBody, fieldName, scanHeader, unfold } from '../../mail/index.ts';
import { headerText, utf8Text } from './header-text.ts';
import { TextMap } from './text-map.ts';

export interface ClientFacts {
  readonly ip: string;
  /** By DNS, confirmed; `''` where there is none. */
  readonly name: string;
  readonly tls: boolean;
}

export interface SessionFacts {
  readonly helo: string;
  readonly authenticated: boolean;
  /** `''` where nobody is authenticated. */
  readonly user: string;
}

export interface ListenerFacts {
  readonly name: string;
  readonly side: 'sender' | 'recipient';
}

/** All three are `''` for the null reverse-path. */
export interface SenderFacts {
  readonly address: string;
  readonly local: string;
  readonly domain: string;
}

export interface RecipientFacts extends SenderFacts {
  readonly prefs?: ReadonlyMap<string, string> | undefined;
}

export interface MessageFacts {
  readonly size: number;
  /** The header section's octets; what stands behind its empty line is not looked at. */
  readonly header: Buffer;
  readonly encrypted: boolean;
  readonly signed: boolean;
}

/** Give what is known at this stage; a rule that reads more than that says so (`judge` returns an error). */
export interface RuleFacts {
  readonly client?: ClientFacts | undefined;
  readonly session?: SessionFacts | undefined;
  readonly listener?: ListenerFacts | undefined;
  readonly sender?: SenderFacts | undefined;
  readonly recipient?: RecipientFacts | undefined;
  readonly message?: MessageFacts | undefined;
}

export type FactName = keyof RuleFacts;

export class Client {
  readonly ip: string;
  readonly name: string;
  readonly tls: boolean;
  constructor(facts: ClientFacts) {
    this.ip = facts.ip;
    this.name = facts.name;
    this.tls = facts.tls;
  }
}

export class Session {
  readonly helo: string;
  readonly authenticated: boolean;
  readonly user: string;
  constructor(facts: SessionFacts) {
    this.helo = utf8Text(facts.helo);
    this.authenticated = facts.authenticated;
    this.user = facts.user;
  }
}

export class Listener {
  readonly name: string;
  readonly side: string;
  constructor(facts: ListenerFacts) {
    this.name = facts.name;
    this.side = facts.side;
  }
}

export class Sender {
  readonly address: string;
  readonly local: string;
  readonly domain: string;
  constructor(facts: SenderFacts) {
    this.address = utf8Text(facts.address);
    this.local = utf8Text(facts.local);
    this.domain = utf8Text(facts.domain);
  }
}

export class Recipient extends Sender {
  readonly prefs: TextMap;
  constructor(facts: RecipientFacts) {
    super(facts);
    this.prefs = new TextMap(facts.prefs);
  }

  get presentNames(): Map<string, string> {
    return this.prefs.present();
  }
}

export class Message {
  readonly size: bigint;
  readonly encrypted: boolean;
  readonly signed: boolean;
  readonly #header: Buffer;
  #values: Map<string, string[]> | undefined;
  #headers: TextMap | undefined;
  #present: Map<string, string> | undefined;

  constructor(facts: MessageFacts) {
    this.size = BigInt(facts.size);
    this.encrypted = facts.encrypted;
    this.signed = facts.signed;
    this.#header = facts.header;
  }

  /** The first value of each field, by its name in lower case. Read when a rule first asks. */
  get headers(): TextMap {
    this.#headers ??= new TextMap([...this.#read()].map(([name, values]) => [name, values[0] ?? '']));
    return this.#headers;
  }

  get presentNames(): Map<string, string> {
    this.#present ??= this.headers.present();
    return this.#present;
  }

  /** All values of one field, from the top. */
  values(name: string): readonly string[] {
    return this.#read().get(name.toLowerCase()) ?? [];
  }

  #read(): Map<string, string[]> {
    if (this.#values !== undefined) return this.#values;
    const values = new Map<string, string[]>();
    for (const field of scanHeader(this.#header).fields) {
      if (field.nameEnd === field.start) continue;
      const name = fieldName(this.#header, field).toLowerCase();
      const text = headerText(unfold(fieldBody(this.#header, field)));
      const list = values.get(name);
      if (list === undefined) values.set(name, [text]);
      else list.push(text);
    }
    this.#values = values;
    return values;
  }
}

/** One wrapper for each facts object. */
class Wrapped<Facts extends object, Wrapper> {
  readonly #made = new WeakMap<Facts, Wrapper>();
  readonly #make: (facts: Facts) => Wrapper;
  constructor(make: (facts: Facts) => Wrapper) {
    this.#make = make;
  }
  of(facts: Facts | undefined): Wrapper | undefined {
    if (facts === undefined) return undefined;
    let wrapper = this.#made.get(facts);
    if (wrapper === undefined) {
      wrapper = this.#make(facts);
      this.#made.set(facts, wrapper);
    }
    return wrapper;
  }
}

const clients = new Wrapped((facts: ClientFacts) => new Client(facts));
const sessions = new Wrapped((facts: SessionFacts) => new Session(facts));
const listeners = new Wrapped((facts: ListenerFacts) => new Listener(facts));
const senders = new Wrapped((facts: SenderFacts) => new Sender(facts));
const recipients = new Wrapped((facts: RecipientFacts) => new Recipient(facts));
const messages = new Wrapped((facts: MessageFacts) => new Message(facts));

/** The wrapper of one kind of fact, or `undefined` where the fact was not given. */
export function wrapped(name: FactName, facts: RuleFacts): object | undefined {
  switch (name) {
    case 'client':
      return clients.of(facts.client);
    case 'session':
      return sessions.of(facts.session);
    case 'listener':
      return listeners.of(facts.listener);
    case 'sender':
      return senders.of(facts.sender);
    case 'recipient':
      return recipients.of(facts.recipient);
    case 'message':
      return messages.of(facts.message);
  }
}
