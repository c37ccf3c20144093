/**
 * Passwords and SCRAM keys as text: the PHC form of argon2id hashes, which every tool for it writes, and the form that PostgreSQL
 * keeps SCRAM keys in. `opes user` writes them, the users file has them.
 */
import type { Argon2Hash, ScramKeys } from '../../gateway/options.ts';
import type { Read } from '../units.ts';

/** 256 MiB for one check: two at a time run beside the mail. */
const MAX_MEMORY_KIB = 256 * 1024;
const MAX_PASSES = 20;
const MAX_PARALLELISM = 16;

const B64 = '[A-Za-z0-9+/]+';
const PHC = new RegExp(
  `^\\$argon2(id|i|d)\\$v=(\\d{1,3})\\$m=(\\d{1,9}),t=(\\d{1,4}),p=(\\d{1,3})\\$(${B64})\\$(${B64})$`,
);

/** `$argon2id$v=19$m=19456,t=2,p=1$SALT$HASH`, base64 without padding. */
export function readArgon2(text: string): Read<Argon2Hash> {
  const m = PHC.exec(text);
  if (m === null) return { wrong: 'this is not an argon2id hash' };
  const [, variant, version, memory, passes, parallelism, salt = '', tag = ''] = m;
  if (variant !== 'id' || version !== '19') return { wrong: 'this hash is of argon2, but not argon2id of version 19' };
  const hash: Argon2Hash = {
    memoryKiB: Number(memory),
    passes: Number(passes),
    parallelism: Number(parallelism),
    salt: Buffer.from(salt, 'base64'),
    tag: Buffer.from(tag, 'base64'),
  };
  const wrong = tooMuch(hash) ?? tooLittle(hash);
  return wrong === undefined ? { value: hash } : { wrong };
}

function tooMuch({ memoryKiB, passes, parallelism, salt, tag }: Argon2Hash): string | undefined {
  const isTooMuch = memoryKiB > MAX_MEMORY_KIB || passes > MAX_PASSES || parallelism > MAX_PARALLELISM;
  if (isTooMuch) return `each login with this hash would cost too much (at most m=${MAX_MEMORY_KIB},t=20,p=16)`;
  return salt.length > 64 || tag.length > 64 ? 'salt or hash is longer than 64 octets' : undefined;
}

/** RFC 9106, 3.1: below these argon2 does not run; a tag below 16 octets can be guessed. */
function tooLittle({ memoryKiB, passes, parallelism, salt, tag }: Argon2Hash): string | undefined {
  if (passes < 1 || parallelism < 1 || memoryKiB < 8 * parallelism) return 'its m, t or p is too small';
  return salt.length < 8 || tag.length < 16 ? 'its salt or hash is too short' : undefined;
}

export function writeArgon2({ memoryKiB, passes, parallelism, salt, tag }: Argon2Hash): string {
  const bare = (octets: Buffer) => octets.toString('base64').replace(/=+$/, '');
  return `$argon2id$v=19$m=${memoryKiB},t=${passes},p=${parallelism}$${bare(salt)}$${bare(tag)}`;
}

const PADDED = '[A-Za-z0-9+/]+={0,2}';
const SCRAM = new RegExp(`^SCRAM-SHA-256\\$(\\d{1,7}):(${PADDED})\\$(${PADDED}):(${PADDED})$`);
/** RFC 7677, 4. */
const MIN_ITERATIONS = 4096;
/** Clients compute them; a phone takes a second for so many. */
const MAX_ITERATIONS = 1_000_000;

/** `SCRAM-SHA-256$4096:SALT$STOREDKEY:SERVERKEY`. */
export function readScram(text: string): Read<ScramKeys> {
  const m = SCRAM.exec(text);
  if (m === null) return { wrong: 'these are not SCRAM-SHA-256 keys' };
  const [iterations, salt, storedKey, serverKey] = [
    Number(m[1]),
    ...[2, 3, 4].map((i) => Buffer.from(m[i] ?? '', 'base64')),
  ] as const;
  if (salt === undefined || storedKey?.length !== 32 || serverKey?.length !== 32)
    return { wrong: 'a key of SCRAM-SHA-256 has 32 octets' };
  if (iterations < MIN_ITERATIONS || iterations > MAX_ITERATIONS)
    return { wrong: `${iterations} is no count of iterations from ${MIN_ITERATIONS} to ${MAX_ITERATIONS}` };
  return { value: { iterations, salt, storedKey, serverKey } };
}

export function writeScram({ iterations, salt, storedKey, serverKey }: ScramKeys): string {
  const [s, stored, server] = [salt, storedKey, serverKey].map((octets) => octets.toString('base64'));
  return `SCRAM-SHA-256$${iterations}:${s}$${stored}:${server}`;
}
