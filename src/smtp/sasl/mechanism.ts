/**
 * The server's side of a SASL exchange (RFC 4422), a machine for each mechanism: the client's octets in, challenges and
 * questions out. No machine knows a user, a key or a secret of ours, and none computes: whoever keeps the users is asked
 * (`AuthQuestion`) and answers when it can (`AuthAnswer`).
 *
 *     start, respond ──▶ challenge ──the client's next line──▶ respond
 *                   └──▶ ask ──the answer──▶ answered ──▶ challenge or done
 *                   └──▶ bad: nothing the mechanism knows; the exchange is over
 */
export const MECHANISMS = ['SCRAM-SHA-256', 'PLAIN', 'LOGIN'] as const;
export type Mechanism = (typeof MECHANISMS)[number];

export type AuthQuestion =
  | { readonly kind: 'password'; readonly mechanism: Mechanism; readonly user: string; readonly password: string }
  /** The salt a SCRAM client needs. An unknown user has one, too, always the same (RFC 5802, 9: nobody learns who exists). */
  | { readonly kind: 'salt'; readonly user: string }
  /** Whether the proof is that of the user's key: ClientProof = ClientKey XOR HMAC(StoredKey, AuthMessage). */
  | {
      readonly kind: 'proof';
      readonly user: string;
      readonly authMessage: Buffer;
      readonly proof: Buffer;
    };

/** Who is not to pass gets a reply in place of these. */
export type AuthAnswer =
  | { readonly kind: 'accepted' }
  /** `nonce`: our half, printable ASCII without comma. */
  | { readonly kind: 'salted'; readonly salt: Buffer; readonly iterations: number; readonly nonce: string }
  /** ServerSignature = HMAC(ServerKey, AuthMessage). */
  | { readonly kind: 'proven'; readonly signature: Buffer };

export type SaslStep =
  | { readonly kind: 'challenge'; readonly octets: Buffer }
  | { readonly kind: 'ask'; readonly question: AuthQuestion }
  | { readonly kind: 'done'; readonly user: string }
  /** `syntax`: octets that are none of the mechanism; `denied`: it is well-formed and can never be granted. */
  | { readonly kind: 'bad'; readonly why: 'syntax' | 'denied' };

export interface SaslServer {
  /** `initial`: the initial response, where the client sent one; it may be empty. */
  start(initial: Buffer | undefined): SaslStep;
  respond(octets: Buffer): SaslStep;
  answered(answer: AuthAnswer): SaslStep;
}

export const SYNTAX: SaslStep = { kind: 'bad', why: 'syntax' };
export const DENIED: SaslStep = { kind: 'bad', why: 'denied' };

/** RFC 4616, 2: up to 255 octets each for names; no password of a person is longer than this either. */
const MAX_NAME_OCTETS = 255;
const MAX_PASSWORD_OCTETS = 1024;

export function readUtf8(octets: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(octets);
  } catch {
    return undefined;
  }
}

export function isNameSized(octets: Buffer): boolean {
  return octets.length > 0 && octets.length <= MAX_NAME_OCTETS;
}

export function isPasswordSized(octets: Buffer): boolean {
  return octets.length > 0 && octets.length <= MAX_PASSWORD_OCTETS;
}
