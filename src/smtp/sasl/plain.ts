/**
 * The two mechanisms that show the password: PLAIN (RFC 4616) and LOGIN (never standardised; draft-murchison-sasl-login-00
 * tells what servers do). Only for a connection that nobody else can read; the caller sees to that.
 */
import type { Credentials, SaslClient, SaslStep } from './client.ts';

/** `[authzid] NUL authcid NUL passwd`; without authzid, as we act for nobody else. */
export function plainMessage({ user, password }: Credentials): Buffer {
  return Buffer.from(`\0${user}\0${password}`);
}

export class PlainClient implements SaslClient {
  readonly mechanism = 'PLAIN';
  readonly mayEnd = true;
  readonly #credentials: Credentials;

  constructor(credentials: Credentials) {
    this.#credentials = credentials;
  }

  first(): Buffer {
    return plainMessage(this.#credentials);
  }

  next(): SaslStep {
    return { kind: 'bad', why: 'a challenge, where PLAIN has none' };
  }

  derived(): SaslStep {
    return { kind: 'bad', why: 'nothing to derive' };
  }
}

export class LoginClient implements SaslClient {
  readonly mechanism = 'LOGIN';
  readonly mayEnd = true;
  /** The prompts differ from server to server; their order does not. */
  readonly #answers: string[];

  constructor({ user, password }: Credentials) {
    this.#answers = [user, password];
  }

  first(): undefined {
    return undefined;
  }

  next(): SaslStep {
    const answer = this.#answers.shift();
    if (answer === undefined) return { kind: 'bad', why: 'a third prompt, where LOGIN has two' };
    return { kind: 'say', octets: Buffer.from(answer) };
  }

  derived(): SaslStep {
    return { kind: 'bad', why: 'nothing to derive' };
  }
}
