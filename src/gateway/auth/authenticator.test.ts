import assert from 'node:assert/strict';
import { argon2Sync, createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { test } from 'vitest';
import { Deadlines, type Log, type LogFields, noMetrics, silentLog } from '../../base/index.ts';
import { type AuthQuestion, parseAddress } from '../../smtp/index.ts';
import type { UserOptions } from '../options.ts';
import { Authenticator, type AuthVerdict } from './authenticator.ts';
import {
  CHECK_DEADLINE_MS,
  FIRST_DELAY_MS,
  MAX_ADDRESS_FAILURES,
  MAX_WAITING_CHECKS,
  PARALLEL_CHECKS,
} from './limits.ts';
import { maySend } from './sender-binding.ts';
import { Throttle } from './throttle.ts';

const SALT = Buffer.from('0123456789abcdef');
const COST = { memoryKiB: 64, passes: 1, parallelism: 1 };

function hmac(key: Buffer, data: string | Uint8Array): Buffer {
  return createHmac('sha256', key).update(data).digest();
}

function scramOf(password: string) {
  const salted = pbkdf2Sync(password, SALT, 4096, 32, 'sha256');
  const clientKey = hmac(salted, 'Client Key');
  const storedKey = createHash('sha256').update(clientKey).digest();
  return { clientKey, keys: { iterations: 4096, salt: SALT, storedKey, serverKey: hmac(salted, 'Server Key') } };
}

function argonOf(password: string) {
  const { memoryKiB: memory, passes, parallelism } = COST;
  const options = { message: Buffer.from(password), nonce: SALT, memory, passes, parallelism, tagLength: 32 };
  return { ...COST, salt: SALT, tag: argon2Sync('argon2id', options) };
}

const ANN: UserOptions = {
  name: 'ann@example.com',
  password: argonOf('pencil'),
  scram: undefined,
  senders: ['ann@example.com'],
};
const BOB: UserOptions = {
  name: 'bob',
  password: undefined,
  scram: scramOf('crayon').keys,
  senders: ['@Example.ORG', 'bob@example.com'],
};

function setup(users: readonly UserOptions[] = [ANN, BOB]) {
  const deadlines = new Deadlines(1);
  const lines: { readonly event: string; readonly fields: LogFields | undefined }[] = [];
  const log: Log = {
    ...silentLog,
    info: (event, fields) => lines.push({ event, fields }),
    warn: (event, fields) => lines.push({ event, fields }),
  };
  const throttle = new Throttle(() => deadlines.nowMs);
  const authenticator = new Authenticator(users, { deadlines, log, metrics: noMetrics, throttle });
  const ask = (question: AuthQuestion, client = '192.0.2.1') =>
    new Promise<AuthVerdict>((resolve) => authenticator.ask(question, client, resolve));
  return { authenticator, deadlines, lines, throttle, ask };
}

function password(user: string, secret: string): AuthQuestion {
  return { kind: 'password', mechanism: 'PLAIN', user, password: secret };
}

function code(verdict: AuthVerdict): number | string {
  return verdict.kind === 'refused' ? verdict.reply.code : verdict.kind;
}

test('a password is right or wrong by argon2id, and by SCRAM keys where there is no hash', async () => {
  const { ask } = setup();
  assert.equal(code(await ask(password('ann@example.com', 'pencil'))), 'accepted');
  assert.equal(code(await ask(password('bob', 'crayon'))), 'accepted');
  assert.equal(code(await ask(password('ann@example.com', 'crayon'))), 535);
  assert.equal(code(await ask(password('bob', 'pencil'), '192.0.2.2')), 535);
  assert.equal(code(await ask(password('nobody', 'pencil'), '192.0.2.3')), 535);
});

test('names are found in the form in which clients send them', async () => {
  const { ask } = setup([{ ...ANN, name: 'e\u0301' }]);
  assert.equal(code(await ask(password('\u00e9', 'pencil'))), 'accepted');
});

test('a stranger’s password is looked at like a user’s', async () => {
  const slow = { ...argonOf('x'), memoryKiB: 65_536, passes: 3 };
  const { ask } = setup([{ ...ANN, password: slow }]);
  // Not a figure, which would depend on the machine: strangers must not be answered before the thread is done.
  let isAnswered = false;
  const answer = ask(password('nobody', 'x')).then((verdict) => {
    isAnswered = true;
    return verdict;
  });
  await new Promise(setImmediate);
  assert.equal(isAnswered, false);
  assert.equal(code(await answer), 535);
});

test('failures are logged with a printable name and no password, and held back more and more', async () => {
  const { ask, lines, deadlines } = setup();
  const name = 'x\r\ny';
  for (let i = 0; i < 2; i++) assert.equal(code(await ask(password(name, 'secret'))), 535);
  let isAnswered = false;
  const third = ask(password(name, 'secret')).then((verdict) => {
    isAnswered = true;
    return verdict;
  });
  while (lines.length < 3) await new Promise(setImmediate);
  deadlines.tick(deadlines.nowMs + FIRST_DELAY_MS - 1);
  await new Promise(setImmediate);
  assert.equal(isAnswered, false);
  deadlines.tick(deadlines.nowMs + 2);
  assert.equal(code(await third), 535);
  const text = JSON.stringify(lines);
  assert.ok(!text.includes('secret') && !text.includes('\\r') && !text.includes('\\n'), text);
  assert.deepEqual(new Set(lines.map(({ event }) => event)), new Set(['auth.failed']));
});

test('after many failures an address hears 421, and nothing is looked at', async () => {
  const { ask, throttle, lines } = setup();
  for (let i = 0; i < MAX_ADDRESS_FAILURES; i++) throttle.failed('2001:db8:0:0::/64', `user${i}`);
  const verdict = await ask(password('ann@example.com', 'pencil'), '2001:db8::99');
  assert.equal(code(verdict), 421);
  assert.equal(lines[0]?.event, 'auth.blocked');
});

test('more than can be looked at soon is answered with 454, and the others in their turn', async () => {
  const { authenticator } = setup();
  const verdicts: (number | string)[] = [];
  const all = PARALLEL_CHECKS + MAX_WAITING_CHECKS + 3;
  await new Promise<void>((resolve) => {
    for (let i = 0; i < all; i++)
      authenticator.ask(password('ann@example.com', 'pencil'), '192.0.2.1', (verdict) => {
        verdicts.push(code(verdict));
        if (verdicts.length === all) resolve();
      });
  });
  assert.deepEqual(verdicts.slice(0, 3), [454, 454, 454]);
  assert.equal(verdicts.filter((verdict) => verdict === 'accepted').length, all - 3);
});

test('what is not looked at in time is answered with 454, once', async () => {
  const { authenticator, deadlines } = setup();
  const verdicts: (number | string)[] = [];
  const done = new Promise<void>((resolve) => {
    authenticator.ask(password('ann@example.com', 'pencil'), '192.0.2.1', (verdict) => verdicts.push(code(verdict)));
    deadlines.tick(deadlines.nowMs + CHECK_DEADLINE_MS + 1);
    authenticator.ask(password('bob', 'crayon'), '192.0.2.1', () => resolve());
  });
  await done;
  assert.deepEqual(verdicts, [454]);
});

test('SCRAM: a salt for everybody, always the same, and a proof that only the password makes', async () => {
  const { ask } = setup();
  const salt = async (user: string, from = setup()) => {
    const verdict = await from.ask({ kind: 'salt', user });
    if (verdict.kind !== 'salted') return assert.fail(verdict.kind);
    return verdict;
  };
  assert.deepEqual((await salt('bob')).salt, SALT);
  assert.deepEqual((await salt('nobody')).salt, (await salt('nobody')).salt);
  assert.notDeepEqual((await salt('nobody')).salt, (await salt('somebody')).salt);
  assert.equal((await salt('nobody')).salt.length, SALT.length);
  assert.notEqual((await salt('bob')).nonce, (await salt('bob')).nonce);

  const authMessage = Buffer.from('n=bob,r=x,r=xy,s=z,i=4096,c=biws,r=xy');
  const { clientKey, keys } = scramOf('crayon');
  const signature = hmac(keys.storedKey, authMessage);
  const proof = Buffer.from(clientKey.map((octet, i) => octet ^ (signature[i] ?? 0)));
  const right = await ask({ kind: 'proof', user: 'bob', authMessage, proof });
  assert.deepEqual(right, { kind: 'proven', signature: hmac(keys.serverKey, authMessage) });
  const other = Buffer.from('n=bob,r=x,r=xz,s=z,i=4096,c=biws,r=xz');
  assert.equal(code(await ask({ kind: 'proof', user: 'bob', authMessage: other, proof })), 535);
  assert.equal(code(await ask({ kind: 'proof', user: 'ann@example.com', authMessage, proof }, '192.0.2.7')), 535);
  assert.equal(code(await ask({ kind: 'proof', user: 'nobody', authMessage, proof }, '192.0.2.8')), 535);
});

test('a login sends as what it was given, and reports have no sender', () => {
  const may = (name: string, user: UserOptions | undefined, sender: string) =>
    maySend(name, user, sender === '' ? null : (parseAddress(sender) ?? assert.fail(sender)));
  assert.ok(may('ann@example.com', ANN, 'ann@example.com'));
  assert.ok(may('ann@example.com', ANN, 'ANN@EXAMPLE.COM'));
  assert.ok(may('ann@example.com', ANN, ''));
  assert.ok(!may('ann@example.com', ANN, 'bob@example.com'));
  assert.ok(!may('ann@example.com', ANN, 'ann@sub.example.com'));
  assert.ok(may('bob', BOB, 'anybody@example.org'));
  assert.ok(may('bob', BOB, 'bob@example.com'));
  assert.ok(!may('bob', BOB, 'x@sub.example.org'));
  assert.ok(may('carl@example.net', undefined, 'carl@example.net'));
  assert.ok(!may('carl', undefined, 'carl@example.net'));
});
