import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, test } from 'vitest';
import { isOpenRelay } from '../../gateway/index.ts';
import { loadText, showProblem } from '../index.ts';
import { readArgon2, readScram, writeArgon2, writeScram } from './phc.ts';
import { readUsers, readUsersFile } from './users-file.ts';

const ARGON = '$argon2id$v=19$m=19456,t=2,p=1$Ok4aTLF+pJC1+fhX5yd8Kg$xXgEx6AaD8XsnBY7eAD9KQmSxdrwi7z/691oSdwnaUk';
// Of RFC 7677, 3: user, pencil.
const SCRAM =
  'SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=';

const folder = mkdtempSync(join(tmpdir(), 'opes-users-'));
afterAll(() => rmSync(folder, { recursive: true }));

function said(text: string): string {
  return readUsers('users.yaml', text).problems.map(showProblem).join('\n');
}

test('a map of users, and a list of them', () => {
  const map = readUsers(
    'users.yaml',
    `ann@example.com: { password: "${ARGON}" }\nbob: { scram: "${SCRAM}", senders: ["@example.com"] }`,
  );
  const list = readUsers(
    'users.yaml',
    `- { name: ann@example.com, password: "${ARGON}" }\n- { name: bob, scram: "${SCRAM}", senders: ["@example.com"] }`,
  );
  assert.deepEqual(map.problems, []);
  assert.deepEqual(list, map);
  assert.deepEqual(
    map.users.map(({ name, senders }) => [name, senders]),
    [
      ['ann@example.com', ['ann@example.com']],
      ['bob', ['@example.com']],
    ],
  );
});

test('hashes and keys are written as they were read', () => {
  for (const [text, again] of [
    [ARGON, readArgon2(ARGON)],
    [SCRAM, readScram(SCRAM)],
  ] as const) {
    if (!('value' in again)) assert.fail(again.wrong);
    assert.equal('tag' in again.value ? writeArgon2(again.value) : writeScram(again.value), text);
  }
});

const broken: readonly (readonly [name: string, text: string, said: RegExp])[] = [
  ['nothing', '', /this is not a map of users\n {4}write NAME/],
  ['an empty map', '{}', /there are no users in this file/],
  ['not YAML', 'a: [', /^users\.yaml:1:\d+: this is not YAML/],
  [
    'a user twice in a list',
    `- { name: a@b, scram: "${SCRAM}" }\n- { name: a@b, scram: "${SCRAM}" }`,
    /:2:3: \[1\]: "a@b" is there twice/,
  ],
  [
    'a user twice in a map',
    `a@b: { scram: "${SCRAM}" }\na@b: { scram: "${SCRAM}" }`,
    /:2:1: this key stands here twice/,
  ],
  ['no password', 'a@b: {}', /a@b: the user has no password\n {4}write what `opes user NAME` prints/],
  ['a key misspelt', `a@b: { pasword: "${ARGON}" }`, /unknown key "pasword"\n {4}did you mean password\?/],
  ['a password in the clear', 'a@b: { password: pencil }', /a@b\.password: this is not an argon2id hash/],
  ['argon2i', `a@b: { password: "${ARGON.replace('2id', '2i')}" }`, /not argon2id of version 19/],
  [
    'too costly',
    `a@b: { password: "${ARGON.replace('19456', '19456000')}" }`,
    /each login with this hash would cost too much/,
  ],
  ['too cheap', `a@b: { password: "${ARGON.replace('t=2', 't=0')}" }`, /its m, t or p is too small/],
  [
    'a short salt',
    `a@b: { password: "${ARGON.replace('Ok4aTLF+pJC1+fhX5yd8Kg', 'Ok4a')}" }`,
    /its salt or hash is too short/,
  ],
  ['bcrypt', 'a@b: { password: "$2b$12$abc" }', /this is not an argon2id hash/],
  ['keys of another hash', 'a@b: { scram: "SCRAM-SHA-1$4096:a$b:c" }', /these are not SCRAM-SHA-256 keys/],
  ['keys too short', 'a@b: { scram: "SCRAM-SHA-256$4096:YWJj$YWJj:YWJj" }', /a key of SCRAM-SHA-256 has 32 octets/],
  ['few iterations', `a@b: { scram: "${SCRAM.replace('4096', '100')}" }`, /100 is no count of iterations from 4096/],
  [
    'a login that is no address',
    `ann: { password: "${ARGON}" }`,
    /"ann" is no address, so nothing says what this login may send as\n {4}write senders/,
  ],
  [
    'a sender that is none',
    `a@b: { password: "${ARGON}", senders: [nonsense] }`,
    /a@b\.senders\[0\]: this is neither an address nor @domain/,
  ],
];

for (const [name, text, expected] of broken) {
  test(`broken: ${name}`, () => {
    assert.match(said(text), expected);
    assert.doesNotMatch(said(text), /pencil/, 'a password in the clear is not repeated');
  });
}

test('a file that others can read is refused, and the configuration with it', () => {
  const file = join(folder, 'users.yaml');
  writeFileSync(file, `a@b: { password: "${ARGON}" }\n`);
  chmodSync(file, 0o640);
  assert.equal(readUsersFile(file).users.length, 1);
  chmodSync(file, 0o644);
  const yaml = `version: 1
system: { uri: "https://mail.example.com/opes" }
listeners: [{ name: mx, address: "127.0.0.1:25", auth: users.yaml, requireTls: false }]
routes: [{ to: example.com, nextHop: "smtp://10.0.0.5:25" }]`;
  const ports = {
    checkRule: () => undefined,
    checkUri: () => undefined,
    builtins: new Set<string>(),
    isOpenRelay,
    findGroup: () => undefined,
  };
  const loaded = loadText('opes.yaml', yaml, folder, ports);
  const problems = loaded.kind === 'broken' ? loaded.problems.map(showProblem).join('\n') : 'nothing';
  assert.equal(
    problems,
    `${file}:1:1: other users of this machine can get at this file (mode 644), and it holds passwords' hashes\n    run: chmod 640 ${file}`,
  );
  chmodSync(file, 0o600);
  const good = loadText('opes.yaml', yaml, folder, ports);
  assert.equal(good.kind === 'loaded' && good.config.listeners[0]?.auth?.users[0]?.name, 'a@b');
  assert.equal(good.kind === 'loaded' && good.config.listeners[0]?.auth?.isClearAllowed, true);
});
