/**
 * The file of users that a listener's `auth:` names: a map from login to entry, or a list of entries with a `name`.
 *
 *     ann@example.com:
 *       password: "$argon2id$v=19$..."
 *       scram: "SCRAM-SHA-256$..."            # so that SCRAM works, too
 *       senders: [ann@example.com, "@sales.example.com"]
 *
 * `opes user` prints an entry. Its problems are placed in that file, not in the configuration.
 */
import { readFileSync, statSync } from 'node:fs';
import type { UserOptions } from '../../gateway/options.ts';
import { type PlacedProblem, type Problem, showPath } from '../problem.ts';
import { Source } from '../source.ts';
import { suggest } from '../suggest.ts';
import { readArgon2, readScram } from './phc.ts';

export interface UsersRead {
  readonly users: readonly UserOptions[];
  readonly problems: readonly PlacedProblem[];
}

/** Beyond this a directory is the place for users, and every start would read for seconds. */
const MAX_OCTETS = 20_000_000;
/** Others may not read it, nor the group write to it. */
const FORBIDDEN_MODE = 0o027;
const KEYS = ['password', 'scram', 'senders'];
const HOW = 'write what `opes user NAME` prints';

/** `file` is absolute. Throws the system's error where it cannot be read. */
export function readUsersFile(file: string): UsersRead {
  const { mode, size } = statSync(file);
  const top = { file, line: 1, column: 1 };
  if ((mode & FORBIDDEN_MODE) !== 0) {
    const what = `other users of this machine can get at this file (mode ${(mode & 0o777).toString(8)}), and it holds passwords' hashes`;
    return { users: [], problems: [{ ...top, what, fix: `run: chmod 640 ${file}` }] };
  }
  if (size > MAX_OCTETS)
    return {
      users: [],
      problems: [{ ...top, what: 'this file is far too long for a list of users', fix: 'check the name' }],
    };
  return readUsers(file, readFileSync(file, 'utf8'));
}

export function readUsers(file: string, text: string): UsersRead {
  const source = new Source(file, text);
  if (source.problems.length > 0) return { users: [], problems: source.problems };
  const reader = new Reader();
  const { value } = source;
  if (Array.isArray(value)) for (const [at, entry] of value.entries()) reader.listed(entry, at);
  else if (isMap(value)) for (const [name, entry] of Object.entries(value)) reader.user(name, entry, [name], KEYS);
  else reader.add([], 'this is not a map of users', "write NAME: { password: '...' }, as `opes user NAME` prints it");
  if (reader.problems.length === 0 && reader.users.length === 0)
    reader.add([], 'there are no users in this file', 'append what `opes user NAME` prints');
  return { users: reader.users, problems: reader.problems.map((problem) => source.place(problem)) };
}

class Reader {
  readonly users: UserOptions[] = [];
  readonly problems: Problem[] = [];
  readonly #names = new Set<string>();

  add(path: readonly PropertyKey[], what: string, fix: string, atKey = false): void {
    const at = showPath(path);
    this.problems.push({ path, what: at === '' ? what : `${at}: ${what}`, fix, atKey });
  }

  listed(entry: unknown, at: number): void {
    const name = isMap(entry) ? entry['name'] : undefined;
    if (typeof name === 'string') this.user(name, entry, [at], ['name', ...KEYS]);
    else this.add([at], 'the user has no name', 'write - { name: ann@example.com, password: ... }');
  }

  user(name: string, entry: unknown, path: readonly PropertyKey[], keys: readonly string[]): void {
    if (!/^[^\x00-\x1f\x7f]{1,255}$/.test(name))
      this.add(path, 'this is no name of a user', 'write 1 to 255 characters');
    if (this.#names.has(name)) this.add(path, `"${name}" is there twice`, 'keep one of the two');
    this.#names.add(name);
    if (!isMap(entry)) {
      this.add(path, 'a user is a map', HOW);
      return;
    }
    for (const key of Object.keys(entry)) {
      if (keys.includes(key)) continue;
      const near = suggest(key, keys);
      const fix = near === undefined ? `the keys here are: ${keys.join(', ')}` : `did you mean ${near}?`;
      this.add([...path, key], `unknown key "${key}"`, fix, true);
    }
    if (entry['password'] === undefined && entry['scram'] === undefined)
      this.add(path, 'the user has no password', HOW);
    const password = this.#read(entry['password'], [...path, 'password'], readArgon2);
    const scram = this.#read(entry['scram'], [...path, 'scram'], readScram);
    this.users.push({ name, password, scram, senders: this.#senders(entry['senders'], name, [...path, 'senders']) });
  }

  /** What was wrong is never repeated: it may be a password in the clear. */
  #read<T>(
    value: unknown,
    path: readonly PropertyKey[],
    read: (text: string) => { readonly value: T } | { readonly wrong: string },
  ): T | undefined {
    if (value === undefined) return undefined;
    const got = typeof value === 'string' ? read(value) : { wrong: 'this is not text' };
    if ('value' in got) return got.value;
    this.add(path, got.wrong, HOW);
    return undefined;
  }

  /** Without a list: the login, where it is an address. */
  #senders(value: unknown, name: string, path: readonly PropertyKey[]): readonly string[] {
    if (value === undefined) {
      if (ADDRESS.test(name)) return [name];
      this.add(path.slice(0, -1), `"${name}" is no address, so nothing says what this login may send as`, FIX_SENDERS);
      return [];
    }
    if (!Array.isArray(value)) {
      this.add(path, 'this is not a list', FIX_SENDERS);
      return [];
    }
    return value.flatMap((sender: unknown, at) => {
      if (typeof sender === 'string' && (ADDRESS.test(sender) || DOMAIN.test(sender))) return [sender];
      this.add([...path, at], 'this is neither an address nor @domain', FIX_SENDERS);
      return [];
    });
  }
}

const FIX_SENDERS = 'write senders: [ann@example.com, "@example.com"]';
const ADDRESS = /^[^\s@<>"\x00-\x1f]+@[^\s@<>"\x00-\x1f]+$/;
const DOMAIN = /^@[^\s@<>"\x00-\x1f]+$/;

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
