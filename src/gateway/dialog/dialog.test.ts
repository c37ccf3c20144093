/** A session of the gateway without sockets: who may send, as whom, and what its mails say of the client. */
import assert from 'node:assert/strict';
import { argon2Sync } from 'node:crypto';
import { test } from 'vitest';
import { MailRig } from '../../../test/support/mail-rig.ts';
import { MemoryCallouts } from '../../../test/support/memory-callout.ts';
import { SessionClient } from '../../../test/support/session-client.ts';
import { Deadlines, noMetrics, silentLog } from '../../base/index.ts';
import type { ServerOptions } from '../../smtp/index.ts';
import { Authenticator } from '../auth/authenticator.ts';
import { Throttle } from '../auth/throttle.ts';
import type { ListenerOptions, UserOptions } from '../options.ts';

const COST = { memoryKiB: 64, passes: 1, parallelism: 1 };
const SALT = Buffer.from('0123456789abcdef');
const tag = argon2Sync('argon2id', {
  message: Buffer.from('pencil'),
  nonce: SALT,
  memory: COST.memoryKiB,
  passes: COST.passes,
  parallelism: COST.parallelism,
  tagLength: 32,
});
const ANN: UserOptions = {
  name: 'ann@example.com',
  password: { ...COST, salt: SALT, tag },
  scram: undefined,
  senders: ['ann@example.com'],
};
const LOGIN = `AUTH PLAIN ${Buffer.from('\0ann@example.com\0pencil').toString('base64')}`;

class Client extends SessionClient {
  readonly rig: MailRig;

  constructor(remoteAddress: string, listener: Partial<ListenerOptions>, options: Partial<ServerOptions> = {}) {
    const rig = new MailRig(new MemoryCallouts(), []);
    const throttle = new Throttle(() => 0);
    const auth =
      listener.auth &&
      new Authenticator(listener.auth.users, {
        deadlines: new Deadlines(),
        log: silentLog,
        metrics: noMetrics,
        throttle,
      });
    const all = { auth: auth === undefined ? 'none' : 'always', ...options } as const;
    super(rig, listener, all, { remoteAddress, auth });
    this.rig = rig;
  }

  /** A whole mail; its `Received`. */
  async received(from: string, to = 'b@dst.example'): Promise<string> {
    await this.all(`MAIL FROM:<${from}>`, `RCPT TO:<${to}>`, 'DATA', 'Subject: x\r\n\r\nx\r\n.');
    const content = this.rig.delivered.at(-1)?.content.toString() ?? '';
    return /^Received:[^\r]*(?:\r\n[ \t][^\r]*)*/.exec(content)?.[0].replaceAll('\r\n\t', ' ') ?? '';
  }
}

const SUBMISSION: Partial<ListenerOptions> = {
  side: 'sender',
  isOnLoopback: false,
  auth: { users: [ANN], isClearAllowed: true },
  relayFrom: ['10.0.0.0/8'],
};
const OUTSIDE: Partial<ListenerOptions> = { isOnLoopback: false };

test('submission is for who logged in, as himself; reports of nobody are his, too', async () => {
  const client = new Client('192.0.2.1', SUBMISSION);
  await client.say('EHLO a.example');
  assert.equal(await client.say('MAIL FROM:<ann@example.com>'), '530 5.7.0 Authentication required');
  assert.equal(await client.say(LOGIN), '235 2.7.0 Authentication successful');
  assert.equal(await client.say('MAIL FROM:<boss@example.com>'), '553 5.7.1 Sender address is not one of this login');
  assert.match(await client.say('MAIL FROM:<>'), /^250/);
  await client.say('RSET');
  const received = await client.received('ann@example.com');
  assert.match(received, /with ESMTPA id session\.2 /);
  client.isInTls = true;
  await client.say('EHLO a.example');
  assert.match(await client.received('ann@example.com'), /with ESMTPSA id /);
});

test('networks of ours send without login, as anybody', async () => {
  const client = new Client('10.1.2.3', SUBMISSION);
  await client.say('EHLO a.example');
  assert.match(await client.received('boss@example.com'), /\[10\.1\.2\.3\].*with ESMTP id/);
});

test('incoming mail needs no login, and a login there is bound to its addresses all the same', async () => {
  const client = new Client('127.0.0.1', { ...SUBMISSION, side: 'recipient', isOnLoopback: true });
  await client.say('EHLO a.example');
  assert.match(await client.say('MAIL FROM:<stranger@example.org>'), /^250/);
  await client.all('RSET', LOGIN);
  assert.match(await client.say('MAIL FROM:<stranger@example.org>'), /^553/);
});

test('a stranger’s mail to anywhere is refused at RCPT; the session and its other recipients go on', async () => {
  const client = new Client('192.0.2.1', OUTSIDE);
  const answer = await client.all('EHLO a.example', 'MAIL FROM:<a@src.example>', 'RCPT TO:<b@dst.example>');
  assert.equal(answer, '550 5.7.1 Relaying denied: log in first, or send to a domain of ours');
  assert.equal(await client.say('DATA'), '554 5.5.1 No valid recipients');
});

test('XFORWARD is shown and permits nothing', async () => {
  const client = new Client('192.0.2.1', { ...OUTSIDE, relayFrom: ['10.0.0.0/8'] }, { xforward: true });
  const denied = await client.all('EHLO a', 'XFORWARD ADDR=10.1.2.3', 'MAIL FROM:<a@b.c>', 'RCPT TO:<b@dst.example>');
  assert.match(denied, /^550 5\.7\.1 /);

  const trusted = new Client('10.9.9.9', { ...OUTSIDE, relayFrom: ['10.0.0.0/8'] }, { xforward: true });
  await trusted.all('EHLO filter.example', 'XFORWARD NAME=c.example ADDR=192.0.2.9 PROTO=SMTP HELO=c.helo.example');
  assert.match(
    await trusted.received('a@b.c'),
    /^Received: from c\.helo\.example \(c\.example \[192\.0\.2\.9\]\).* with SMTP id /,
  );
  assert.equal(trusted.rig.records.at(-1)?.client.address, '192.0.2.9');
  // The next mail is the peer's own.
  assert.match(await trusted.received('a@b.c'), /^Received: from filter\.example \(\[10\.9\.9\.9\]\)/);
  await trusted.say('XFORWARD NAME=[UNAVAILABLE] ADDR=[UNAVAILABLE] HELO=[UNAVAILABLE]');
  assert.match(await trusted.received('a@b.c'), /^Received: from unknown \(\[unknown\]\)/);
});

test('XCLIENT is the client, with what it may and what it may not', async () => {
  const listener = { ...OUTSIDE, relayFrom: ['10.0.0.0/8'], xclientFrom: ['10.9.9.9'] };
  const client = new Client('10.9.9.9', listener, { xclient: true });
  const denied = await client.all('XCLIENT ADDR=192.0.2.9', 'EHLO x', 'MAIL FROM:<a@b.c>', 'RCPT TO:<b@dst.example>');
  assert.match(denied, /^550 5\.7\.1 /);
  await client.say('RSET');
  const unknown = await client.all(
    'XCLIENT ADDR=[UNAVAILABLE]',
    'EHLO x',
    'MAIL FROM:<a@b.c>',
    'RCPT TO:<b@dst.example>',
  );
  assert.match(unknown, /^550 5\.7\.1 /);
  await client.say('RSET');
  await client.all('XCLIENT ADDR=10.1.1.1 NAME=c.example HELO=c.helo.example', 'EHLO proxy');
  assert.match(await client.received('a@b.c'), /^Received: from c\.helo\.example \(c\.example \[10\.1\.1\.1\]\)/);
  await client.all('XCLIENT ADDR=192.0.2.9 LOGIN=ann@example.com', 'EHLO proxy');
  assert.match(await client.received('ann@example.com'), /with ESMTPA id /);
});

test('who exists here is told to nobody, known or not', async () => {
  const client = new Client('192.0.2.1', {});
  await client.say('EHLO client.example');
  for (const who of ['b', '<b@dst.example>', 'nobody@elsewhere.example']) {
    assert.match(await client.say(`VRFY ${who}`), /^252 /);
    assert.match(await client.say(`EXPN ${who}`), /^502 /);
  }
});
