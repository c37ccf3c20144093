/**
 * The messages of SCRAM (RFC 5802 section 7) as values, and what is computed over them (section 3). Both ends use it.
 *
 *     C: n,,n=user,r=NONCE            client-first      (gs2-header, then client-first-bare)
 *     S: r=NONCE+MORE,s=SALT,i=4096   server-first
 *     C: c=biws,r=NONCE+MORE,p=PROOF  client-final
 *     S: v=SIGNATURE  |  e=ERROR      server-final
 */
import type { SaslCrypto } from './client.ts';

/** No channel binding, no authzid (RFC 5802 section 7, gs2-header). */
export const GS2_HEADER = 'n,,';

export interface ServerFirst {
  readonly nonce: string;
  readonly salt: Buffer;
  readonly iterations: number;
}

/** RFC 5802 section 5.1: `,` and `=` in a name. */
export function escapeName(name: string): string {
  return name.replaceAll('=', '=3D').replaceAll(',', '=2C');
}

/** The value of attribute `letter`, where `field` is that attribute. */
export function attribute(field: string | undefined, letter: string): string | undefined {
  return field?.startsWith(`${letter}=`) === true ? field.slice(2) : undefined;
}

/** Base64 as RFC 4648 section 4 has it, in its one form; Node's own reader takes almost anything. */
export function readBase64(text: string): Buffer | undefined {
  const octets = Buffer.from(text, 'base64');
  return octets.toString('base64') === text ? octets : undefined;
}

/** Digits only, without a leading zero, and few enough to be exact. */
function readCount(text: string): number | undefined {
  return /^[1-9]\d{0,9}$/.test(text) ? Number(text) : undefined;
}

/** Extensions may follow and are passed over; a mandatory one (`m=`) in front is refused, as the RFC demands. */
export function parseServerFirst(text: string): ServerFirst | undefined {
  const [first, second, third] = text.split(',');
  const nonce = attribute(first, 'r');
  const salt = readBase64(attribute(second, 's') ?? '');
  const iterations = readCount(attribute(third, 'i') ?? '');
  if (nonce === undefined || !/^[\x21-\x2b\x2d-\x7e]+$/.test(nonce)) return undefined;
  if (salt === undefined || salt.length === 0 || iterations === undefined) return undefined;
  return { nonce, salt, iterations };
}

/** The octets both sides sign: client-first-bare, server-first and client-final without its proof, by commas. */
export function authMessage(clientFirstBare: string, serverFirst: string, clientFinalBare: string): Buffer {
  return Buffer.from(`${clientFirstBare},${serverFirst},${clientFinalBare}`);
}

/** ClientProof: what shows that the client knows the password. */
export function clientProof(salted: Uint8Array, auth: Uint8Array, crypto: SaslCrypto): Buffer {
  const clientKey = crypto.hmac(salted, Buffer.from('Client Key'));
  const signature = crypto.hmac(crypto.hash(clientKey), auth);
  return Buffer.from(clientKey.map((octet, i) => octet ^ (signature[i] as number)));
}

/** ServerSignature: what shows that the server knows it, too. */
export function serverSignature(salted: Uint8Array, auth: Uint8Array, crypto: SaslCrypto): Buffer {
  return crypto.hmac(crypto.hmac(salted, Buffer.from('Server Key')), auth);
}
