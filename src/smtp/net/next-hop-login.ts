/** What the login at a hop needs from the world: hashes, chance, and PBKDF2 off the main thread. */
import { createHash, createHmac, pbkdf2, randomBytes } from 'node:crypto';
import type { SaslCrypto } from '../sasl/client.ts';

export const saslCrypto: SaslCrypto = {
  hash: (octets) => createHash('sha256').update(octets).digest(),
  hmac: (key, octets) => createHmac('sha256', key).update(octets).digest(),
  nonce: () => randomBytes(24).toString('base64'),
};

/** The salted password of one hop; its salt and count stay the same from login to login (RFC 5802 section 5.1 permits to keep it). */
export class SaltedPassword {
  #key = '';
  #salted: Buffer | undefined;

  derive(password: string, salt: Buffer, iterations: number, done: (salted: Buffer) => void): void {
    const key = `${salt.toString('base64')} ${iterations}`;
    const known = key === this.#key ? this.#salted : undefined;
    if (known !== undefined) {
      // Later, as it is where it has to be computed.
      process.nextTick(done, known);
      return;
    }
    pbkdf2(password, salt, iterations, 32, 'sha256', (error, salted) => {
      if (error !== null) throw error; // Only for arguments that make no sense: a bug.
      this.#key = key;
      this.#salted = salted;
      done(salted);
    });
  }
}
