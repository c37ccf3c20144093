/**
 * `opes user NAME`: asks for a password and prints the entry of a users file: its argon2id hash, and its SCRAM keys. The password
 * comes from the terminal, unseen and twice, or as one line of stdin; never from the command line, where others see it.
 */
import { argon2Sync, createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';
import { readUsersText, writeArgon2, writeScram } from '../../config/index.ts';
import { saslprep } from '../../smtp/index.ts';
import { EXIT, Failure } from '../exit.ts';
import { readHidden, readLine } from './hidden-input.ts';

export interface UserCommandOptions {
  readonly sender?: readonly string[];
}

/** OWASP's choice for argon2id: 19 MiB and two passes take about 50 ms, and the gateway looks at two at a time. */
const ARGON2 = { memoryKiB: 19_456, passes: 2, parallelism: 1 };
const SALT_OCTETS = 16;
const TAG_OCTETS = 32;
/** RFC 7677, 4 has 4096 as the least; a phone computes these in the time of a handshake. */
const ITERATIONS = 10_000;

export async function user(name: string, options: UserCommandOptions): Promise<number> {
  const isTerminal = process.stdin.isTTY;
  const password = isTerminal ? await askTwice() : await readLine(process.stdin);
  process.stdout.write(makeEntry(name, password, options.sender));
  return EXIT.ok;
}

async function askTwice(): Promise<string> {
  const first = await readHidden('Password: ', process.stdin, process.stderr);
  const second = await readHidden('Again: ', process.stdin, process.stderr);
  if (first !== second) throw new Failure('the two passwords differ; nothing was made', EXIT.usage);
  return first;
}

/** YAML, to be appended to the file; judged by the reader of that file before anybody sees it. */
export function makeEntry(name: string, password: string, senders: readonly string[] = []): string {
  const prepared = saslprep(password);
  if (password === '') throw new Failure('a password has at least one character', EXIT.usage);
  if (prepared === undefined || prepared === '' || prepared.includes('\0') || Buffer.byteLength(prepared) > 1024)
    throw new Failure(
      'this password has characters that cannot be sent in a login, or more than 1024 octets',
      EXIT.usage,
    );
  const lines = [
    `${JSON.stringify(saslprep(name) ?? name)}:`,
    `  password: ${JSON.stringify(writeArgon2(hash(prepared)))}`,
    `  scram: ${JSON.stringify(writeScram(scramKeys(prepared)))}`,
    ...(senders.length === 0 ? [] : [`  senders: [${senders.map((sender) => JSON.stringify(sender)).join(', ')}]`]),
  ];
  const entry = `${lines.join('\n')}\n`;
  const [problem] = readUsersText('the entry', entry).problems;
  if (problem !== undefined) {
    const fix = name.includes('@') ? problem.fix : 'add --sender ann@example.com, or --sender @example.com';
    throw new Failure(`${problem.what}\n    ${fix}`, EXIT.usage);
  }
  return entry;
}

function hash(password: string) {
  const salt = randomBytes(SALT_OCTETS);
  const { memoryKiB: memory, passes, parallelism } = ARGON2;
  const options = { message: Buffer.from(password), nonce: salt, memory, passes, parallelism, tagLength: TAG_OCTETS };
  return { ...ARGON2, salt, tag: argon2Sync('argon2id', options) };
}

/** RFC 5802, 3. */
function scramKeys(password: string) {
  const salt = randomBytes(SALT_OCTETS);
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, 'sha256');
  const key = (label: string) => createHmac('sha256', salted).update(label).digest();
  const storedKey = createHash('sha256').update(key('Client Key')).digest();
  return { iterations: ITERATIONS, salt, storedKey, serverKey: key('Server Key') };
}
