/**
 * Whether a password is a user's: argon2id, or the keys that SCRAM has. Both take long on purpose, so they run in threads, few at
 * a time, behind a queue with an end. A user that is unknown takes as long as one that is not.
 */
import { argon2, createHash, createHmac, pbkdf2, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Argon2Hash, ScramKeys, UserOptions } from '../options.ts';
import { MAX_WAITING_CHECKS, PARALLEL_CHECKS } from './limits.ts';

/** `busy`: too many wait already. */
export type PasswordVerdict = 'right' | 'wrong' | 'busy';

type Check = (done: (isRight: boolean) => void) => void;

export class PasswordChecks {
  readonly #waiting: { readonly check: Check; readonly done: (verdict: PasswordVerdict) => void }[] = [];
  readonly #dummy: UserOptions;
  #running = 0;

  /** `users`: a stranger's password is tried on a hash like that of the first of them. */
  constructor(users: readonly UserOptions[]) {
    this.#dummy = dummyOf(users);
  }

  ask(user: UserOptions | undefined, password: string, done: (verdict: PasswordVerdict) => void): void {
    if (this.#waiting.length >= MAX_WAITING_CHECKS) {
      done('busy');
      return;
    }
    const secret = Buffer.from(password);
    const { password: hash, scram } = user ?? this.#dummy;
    const check: Check = (then) => {
      const known = (isRight: boolean) => then(isRight && user !== undefined);
      if (hash !== undefined) isArgon2(hash, secret, known);
      else if (scram !== undefined) isScram(scram, secret, known);
      else then(false);
    };
    this.#waiting.push({ check, done });
    this.#next();
  }

  #next(): void {
    if (this.#running >= PARALLEL_CHECKS) return;
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#running++;
    next.check((isRight) => {
      this.#running--;
      next.done(isRight ? 'right' : 'wrong');
      this.#next();
    });
  }
}

function isArgon2(hash: Argon2Hash, message: Buffer, done: (isRight: boolean) => void): void {
  const { memoryKiB: memory, passes, parallelism, salt: nonce, tag } = hash;
  const options = { message, nonce, parallelism, memory, passes, tagLength: tag.length };
  argon2('argon2id', options, (error, found) => done(error === null && timingSafeEqual(Buffer.from(found), tag)));
}

/** RFC 5802, 3: SaltedPassword by PBKDF2, ClientKey of it, and StoredKey its hash. */
function isScram(keys: ScramKeys, password: Buffer, done: (isRight: boolean) => void): void {
  pbkdf2(password, keys.salt, keys.iterations, 32, 'sha256', (error, salted) => {
    if (error !== null) {
      done(false);
      return;
    }
    const clientKey = createHmac('sha256', salted).update('Client Key').digest();
    done(timingSafeEqual(createHash('sha256').update(clientKey).digest(), keys.storedKey));
  });
}

/** A hash that no password has, with the cost of theirs. */
function dummyOf(users: readonly UserOptions[]): UserOptions {
  const model = users.find((user) => user.password !== undefined)?.password;
  const scram = users.find((user) => user.scram !== undefined)?.scram;
  const password = model && { ...model, salt: randomBytes(model.salt.length), tag: randomBytes(model.tag.length) };
  return { name: '', password, scram: scram && { ...scram, storedKey: randomBytes(32) }, senders: [] };
}
