/** What SCRAM-SHA-256 needs of the users' keys (RFC 5802, 3): a salt for each name, and whether a proof is right. */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { AuthAnswer } from '../../smtp/index.ts';
import type { ScramKeys, UserOptions } from '../options.ts';

/** 18 octets are 24 characters of base64, which has no comma. */
const NONCE_OCTETS = 18;
const SALT_OCTETS = 16;
/** RFC 7677, 4: the least a server should have. */
const MIN_ITERATIONS = 4096;

export class ScramAnswers {
  readonly #secret: Buffer;
  readonly #iterations: number;

  constructor(users: readonly UserOptions[]) {
    const keys = users.flatMap(({ scram }) => (scram === undefined ? [] : [scram]));
    this.#iterations = keys[0]?.iterations ?? MIN_ITERATIONS;
    // Of the keys, so that a restart does not change the salts of names that do not exist while those of real ones stay.
    const hash = createHash('sha256');
    for (const { serverKey } of keys) hash.update(serverKey);
    this.#secret = hash.digest();
  }

  /** A name without keys has a salt like any other, always the same: nobody learns who exists. */
  salted(name: string, keys: ScramKeys | undefined): AuthAnswer {
    const made = createHmac('sha256', this.#secret).update(name).digest().subarray(0, SALT_OCTETS);
    return {
      kind: 'salted',
      salt: keys?.salt ?? made,
      iterations: keys?.iterations ?? this.#iterations,
      nonce: randomBytes(NONCE_OCTETS).toString('base64'),
    };
  }

  /** `undefined`: it is not that user's. */
  proven(keys: ScramKeys | undefined, authMessage: Buffer, proof: Buffer): AuthAnswer | undefined {
    const { storedKey, serverKey } = keys ?? { storedKey: this.#secret, serverKey: this.#secret };
    const clientKey = createHmac('sha256', storedKey).update(authMessage).digest();
    for (let i = 0; i < clientKey.length; i++) clientKey[i] = (clientKey[i] as number) ^ (proof[i] ?? 0);
    const isRight = timingSafeEqual(createHash('sha256').update(clientKey).digest(), storedKey);
    if (keys === undefined || !isRight) return undefined;
    return { kind: 'proven', signature: createHmac('sha256', serverKey).update(authMessage).digest() };
  }
}
