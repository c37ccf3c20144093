import assert from 'node:assert/strict';
import { argon2Sync } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { test } from 'vitest';
import { readUsersText } from '../../config/index.ts';
import { readHidden, readLine } from './hidden-input.ts';
import { makeEntry } from './user.ts';

test('an entry is one that the users file takes, with a hash of that password', () => {
  const { users, problems } = readUsersText('users.yaml', makeEntry('ann@example.com', 'pen\u00adcil'));
  assert.deepEqual(problems, []);
  const [ann] = users;
  assert.equal(ann?.name, 'ann@example.com');
  assert.deepEqual(ann?.senders, ['ann@example.com']);
  const { memoryKiB: memory, passes, parallelism, salt: nonce, tag } = ann?.password ?? assert.fail();
  // SASLprep took the soft hyphen out, as it will from what the client sends.
  const options = { message: Buffer.from('pencil'), nonce, memory, passes, parallelism, tagLength: tag.length };
  assert.deepEqual(argon2Sync('argon2id', options), tag);
  assert.equal(ann?.scram?.iterations, 10_000);
});

test('two entries of one password have nothing in common', () => {
  assert.notEqual(makeEntry('a@example.com', 'x'), makeEntry('a@example.com', 'x'));
});

test('a login that is no address needs senders; quotes in it are no way out of its line', () => {
  assert.throws(() => makeEntry('ann', 'x'), /--sender/);
  assert.throws(() => makeEntry('ann', 'x', ['nonsense']), /neither an address nor @domain/);
  assert.throws(() => makeEntry('a": x\nb', 'x', ['@example.com']), /no name of a user/);
  const [user] = readUsersText('users.yaml', makeEntry('a": b', 'x', ['@example.com'])).users;
  assert.equal(user?.name, 'a": b');
});

test('what cannot be a password is none', () => {
  for (const password of ['', 'a\0b', '\u0007', '\u00ad', 'x'.repeat(1025)])
    assert.throws(() => makeEntry('a@example.com', password), /password/, JSON.stringify(password));
});

function terminal() {
  const raw: boolean[] = [];
  const stream = Object.assign(new PassThrough(), { setRawMode: (isRaw: boolean) => raw.push(isRaw) });
  const said = new PassThrough();
  return { stream, said, raw };
}

test('what is typed is not shown; backspace, Ctrl-U and Enter do what they do', async () => {
  const { stream, said, raw } = terminal();
  const typed = readHidden('Password: ', stream, said);
  stream.write('wrong\x15pencix\x7f');
  stream.write('l\r');
  assert.equal(await typed, 'pencil');
  assert.equal(String(said.read()), 'Password: \n');
  assert.deepEqual(raw, [true, false]);
});

test('Ctrl-C and a terminal that goes end it', async () => {
  const one = terminal();
  const given = readHidden('', one.stream, one.said);
  one.stream.write('x\x03');
  await assert.rejects(given, /given up/);
  const two = terminal();
  const gone = readHidden('', two.stream, two.said);
  two.stream.end();
  await assert.rejects(gone, /gone/);
});

test('from stdin it is the first line', async () => {
  const input = new PassThrough();
  input.write('pen');
  input.end('cil\r\nmore');
  assert.equal(await readLine(input), 'pencil');
});
