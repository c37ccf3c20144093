/**
 * SCRAM-SHA-256, the client (RFC 5802, 7677), without channel binding.
 *
 *     new -first-> asked -server-first-> deriving -derived-> proving -server-final-> proven
 *
 * The server is trusted as little as other peers: its nonce must begin with ours (else an old exchange could be played back),
 * its count of iterations has a floor and a cap, and its own signature must be right, or a success means nothing.
 */
import type { Credentials, SaslClient, SaslCrypto, SaslStep } from './client.ts';
import {
  attribute,
  authMessage,
  clientProof,
  escapeName,
  GS2_HEADER,
  parseServerFirst,
  readBase64,
  type ServerFirst,
  serverSignature,
} from './scram-messages.ts';

/** RFC 7677 section 4. With fewer a stolen proof is searched for its password too quickly. */
export const MIN_ITERATIONS = 4096;
/** About half a second of one core; above that a server would have us compute for its pleasure. */
export const MAX_ITERATIONS = 1_000_000;

type State =
  | { readonly at: 'new' | 'proven' | 'over' }
  | { readonly at: 'asked'; readonly bare: string; readonly nonce: string }
  | { readonly at: 'deriving'; readonly bare: string; readonly server: ServerFirst; readonly serverText: string }
  | { readonly at: 'proving'; readonly signature: Buffer };

export class ScramClient implements SaslClient {
  readonly mechanism = 'SCRAM-SHA-256';
  readonly #credentials: Credentials;
  readonly #crypto: SaslCrypto;
  #state: State = { at: 'new' };

  constructor(credentials: Credentials, crypto: SaslCrypto) {
    this.#credentials = credentials;
    this.#crypto = crypto;
  }

  get mayEnd(): boolean {
    return this.#state.at === 'proven';
  }

  first(): Buffer {
    const nonce = this.#crypto.nonce();
    const bare = `n=${escapeName(normalised(this.#credentials.user))},r=${nonce}`;
    this.#state = { at: 'asked', bare, nonce };
    return Buffer.from(GS2_HEADER + bare);
  }

  next(challenge: Buffer): SaslStep {
    const state = this.#state;
    switch (state.at) {
      case 'asked':
        return this.#onServerFirst(challenge.toString(), state.bare, state.nonce);
      case 'proving':
        return this.#onServerFinal(challenge.toString(), state.signature);
      case 'new':
      case 'deriving':
      case 'proven':
      case 'over':
        return this.#bad('a challenge out of turn');
    }
  }

  derived(salted: Buffer): SaslStep {
    const state = this.#state;
    if (state.at !== 'deriving') return this.#bad('nothing to derive');
    const binding = Buffer.from(GS2_HEADER).toString('base64');
    const bare = `c=${binding},r=${state.server.nonce}`;
    const auth = authMessage(state.bare, state.serverText, bare);
    const proof = clientProof(salted, auth, this.#crypto).toString('base64');
    this.#state = { at: 'proving', signature: serverSignature(salted, auth, this.#crypto) };
    return { kind: 'say', octets: Buffer.from(`${bare},p=${proof}`) };
  }

  #onServerFirst(text: string, bare: string, nonce: string): SaslStep {
    const server = parseServerFirst(text);
    if (server === undefined) return this.#bad('no server-first message');
    if (!server.nonce.startsWith(nonce) || server.nonce.length === nonce.length)
      return this.#bad("the server's nonce does not go on from ours");
    const { salt, iterations } = server;
    if (iterations < MIN_ITERATIONS) return this.#bad(`${iterations} iterations, fewer than ${MIN_ITERATIONS}`);
    if (iterations > MAX_ITERATIONS) return this.#bad(`${iterations} iterations, more than ${MAX_ITERATIONS}`);
    this.#state = { at: 'deriving', bare, server, serverText: text };
    return { kind: 'derive', password: normalised(this.#credentials.password), salt, iterations };
  }

  #onServerFinal(text: string, expected: Buffer): SaslStep {
    const error = attribute(text.split(',')[0], 'e');
    if (error !== undefined) return this.#bad(`the server says ${error}`);
    const signature = readBase64(attribute(text.split(',')[0], 'v') ?? '');
    // No secret is compared here that the server does not have already, so time tells nothing.
    if (signature === undefined || !signature.equals(expected))
      return this.#bad("the server's signature is wrong: it does not know the password");
    this.#state = { at: 'proven' };
    return { kind: 'say', octets: Buffer.alloc(0) };
  }

  #bad(why: string): SaslStep {
    this.#state = { at: 'over' };
    return { kind: 'bad', why };
  }
}

/** Of SASLprep (RFC 4013) what changes real passwords: compatibility forms. What it forbids, the server would refuse. */
function normalised(text: string): string {
  return text.normalize('NFKC');
}
