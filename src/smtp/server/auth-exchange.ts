/**
 * The dialog of one AUTH (RFC 4954, 4) around its SASL machine: base64, `*`, and what each outcome is in SMTP. Every line of
 * the client is answered by a challenge, by a question to whoever keeps the users and its answer, or by the end.
 */
import { replies } from '../replies.ts';
import { isPositive, type Reply, withEnhanced } from '../reply.ts';
import { decodeBase64 } from '../sasl/base64.ts';
import type { AuthAnswer, AuthQuestion, SaslServer, SaslStep } from '../sasl/mechanism.ts';
import { makeSaslServer } from '../sasl/mechanisms.ts';

export type AuthOutcome =
  /** What stands behind `334 `. */
  | { readonly kind: 'challenge'; readonly text: string }
  | { readonly kind: 'ask'; readonly question: AuthQuestion }
  | { readonly kind: 'authenticated'; readonly user: string }
  /** `by`: the client's form, or its credentials; each is counted apart. */
  | { readonly kind: 'failed'; readonly reply: Reply; readonly by: 'form' | 'credentials' };

export class AuthExchange {
  readonly #sasl: SaslServer;

  private constructor(sasl: SaslServer) {
    this.#sasl = sasl;
  }

  /** `mechanism` is one of those offered. */
  static of(mechanism: string): AuthExchange {
    const sasl = makeSaslServer(mechanism);
    if (sasl === undefined) throw new Error(`no mechanism '${mechanism}'`);
    return new AuthExchange(sasl);
  }

  start(initial: Buffer | undefined): AuthOutcome {
    return outcomeOf(this.#sasl.start(initial));
  }

  /** The client's line behind a challenge. */
  respond(line: string): AuthOutcome {
    if (line === '*') return { kind: 'failed', reply: replies.authCancelled, by: 'form' };
    const octets = decodeBase64(line);
    return octets === undefined ? NOT_BASE64 : outcomeOf(this.#sasl.respond(octets));
  }

  answered(answer: AuthAnswer): AuthOutcome {
    return outcomeOf(this.#sasl.answered(answer));
  }

  /** Nobody is logged in by words: a positive reply is no answer to a question. */
  refused(reply: Reply): AuthOutcome {
    const said = isPositive(reply) ? replies.authUnavailable : withEnhanced(reply);
    return { kind: 'failed', reply: said, by: 'credentials' };
  }
}

const NOT_BASE64: AuthOutcome = { kind: 'failed', reply: replies.authNotBase64, by: 'form' };
const DENIED: AuthOutcome = { kind: 'failed', reply: replies.authRefused, by: 'credentials' };

function outcomeOf(step: SaslStep): AuthOutcome {
  switch (step.kind) {
    case 'challenge':
      return { kind: 'challenge', text: step.octets.toString('base64') };
    case 'ask':
      return step;
    case 'done':
      return { kind: 'authenticated', user: step.user };
    case 'bad':
      return step.why === 'syntax' ? NOT_BASE64 : DENIED;
  }
}
