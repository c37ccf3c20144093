/**
 * The client's half of a SASL exchange (RFC 4422), as a machine: challenges in, responses out. How they are framed in SMTP
 * (RFC 4954) is `../client/authentication.ts`; what costs time or needs chance is asked of the caller.
 */
import { LoginClient, PlainClient } from './plain.ts';
import { ScramClient } from './scram-client.ts';

export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/** What hashing and chance are to us: engines import neither. */
export interface SaslCrypto {
  /** SHA-256. */
  hash(octets: Uint8Array): Buffer;
  /** HMAC-SHA-256. */
  hmac(key: Uint8Array, octets: Uint8Array): Buffer;
  /** Printable, without a comma, new each time, of 128 bits of chance at least. */
  nonce(): string;
}

export type SaslStep =
  | { readonly kind: 'say'; readonly octets: Buffer }
  /** PBKDF2 with HMAC-SHA-256 over the password, 32 octets long; then `derived`. Apart, as it takes milliseconds. */
  | { readonly kind: 'derive'; readonly password: string; readonly salt: Buffer; readonly iterations: number }
  /** The server does not keep to the mechanism, or is not who it should be. */
  | { readonly kind: 'bad'; readonly why: string };

export interface SaslClient {
  readonly mechanism: Mechanism;
  /** The initial response; undefined where the server speaks first. */
  first(): Buffer | undefined;
  next(challenge: Buffer): SaslStep;
  derived(salted: Buffer): SaslStep;
  /** Whether a success may be believed: mutual mechanisms have seen the server's proof by then. */
  readonly mayEnd: boolean;
}

/** Best first: SCRAM shows the password to nobody, and asks the server to prove that it knows it. */
const MECHANISMS = ['SCRAM-SHA-256', 'PLAIN', 'LOGIN'] as const;
export type Mechanism = (typeof MECHANISMS)[number];

/** Those of `offered` (the parameters of AUTH in the answer to EHLO) that we know, best first. */
export function usableMechanisms(offered: string): readonly Mechanism[] {
  const words = new Set(offered.toUpperCase().split(' '));
  return MECHANISMS.filter((one) => words.has(one));
}

export function makeSaslClient(mechanism: Mechanism, credentials: Credentials, crypto: SaslCrypto): SaslClient {
  switch (mechanism) {
    case 'SCRAM-SHA-256':
      return new ScramClient(credentials, crypto);
    case 'PLAIN':
      return new PlainClient(credentials);
    case 'LOGIN':
      return new LoginClient(credentials);
  }
}
