/** AUTH towards a next hop: the best mechanism, never in clear, and a refusal that is the operator's business. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { type HopTestOptions, sendMail, withHop } from '../../../test/support/outbound.ts';
import type { SinkAnswer, SinkCommand, SinkOptions } from '../../../test/support/sink.ts';
import type { Log, LogFields } from '../../base/index.ts';
import { replyToFailure } from '../client/map-reply.ts';
import { Opening, type OpeningHost } from '../client/opening.ts';
import { reply } from '../reply.ts';
import { saslCrypto } from './next-hop-login.ts';

const USER = { user: 'opes', password: 'sesame, open=1' };
const offering = (mechanisms: string, more: Partial<SinkOptions> = {}): SinkOptions => ({
  offers: ['PIPELINING', `AUTH ${mechanisms}`],
  tls: true,
  user: USER,
  ...more,
});
const SECURE: HopTestOptions = { auth: USER, tls: 'require' };

function logTo(lines: LogFields[]): Log {
  const note = (event: string, fields?: LogFields): void => void lines.push({ event, ...fields });
  return { debug: () => {}, info: note, warn: note, error: note };
}

for (const [offered, used] of [
  ['LOGIN PLAIN SCRAM-SHA-256', 'SCRAM-SHA-256'],
  ['LOGIN PLAIN CRAM-MD5', 'PLAIN'],
  ['login', 'LOGIN'],
] as const) {
  test(`${used} is the best of ${offered}; once a connection, before the first mail`, async () => {
    await withHop(offering(offered.toUpperCase()), SECURE, async (hop, sink) => {
      for (let i = 0; i < 2; i++) assert.equal((await sendMail(hop)).result, 250);
      assert.deepEqual(
        sink.mails.map((mail) => [mail.user, mail.isSecure]),
        [
          ['opes', true],
          ['opes', true],
        ],
      );
      const said = sink.connections[0]?.commands.filter((line) => line.startsWith('AUTH'));
      assert.equal(said?.length, 1);
      assert.match(said?.[0] ?? '', new RegExp(`^AUTH ${used}( |$)`));
    });
  });
}

test('several connections log in, each by itself; over LMTP and smtps as well', async () => {
  for (const [script, kind] of [
    [{ tls: true }, 'smtp'],
    [{ tls: 'implicit' }, 'smtps'],
    [{ tls: true, lmtp: true }, 'lmtp'],
  ] as const) {
    await withHop(offering('SCRAM-SHA-256', script), { ...SECURE, kind }, async (hop, sink) => {
      const sent = await Promise.all([1, 2, 3].map(() => sendMail(hop)));
      assert.ok(sent.every((one) => one.result === 250));
      assert.ok(sink.mails.every((mail) => mail.user === 'opes'));
    });
  }
});

test('a wrong password: 451, a line that says what to do, and no second try for a while', async () => {
  const lines: LogFields[] = [];
  const wrong = { ...SECURE, auth: { user: 'opes', password: 'wrong' }, log: logTo(lines) };
  for (const mechanism of ['SCRAM-SHA-256', 'PLAIN', 'LOGIN']) {
    lines.length = 0;
    await withHop(offering(mechanism), wrong, async (hop, sink) => {
      for (let i = 0; i < 3; i++) {
        const { failure } = await sendMail(hop);
        assert.ok(failure !== undefined);
        assert.deepEqual([failure.reason, failure.stage], ['auth', 'hello']);
        const told = replyToFailure(failure);
        assert.deepEqual([told.code, told.enhanced], [451, '4.7.0']);
      }
      assert.equal(sink.connections.length, 1, 'each try brings a lock closer');
      assert.equal(lines.length, 1);
      assert.match(String(lines[0]?.['detail']), new RegExp(`^${mechanism}: 535 Authentication failed`));
      assert.match(String(lines[0]?.['fix']), /passwordFile/);
      assert.ok(!JSON.stringify(lines).includes('wrong'), 'no password in the log');
    });
  }
});

test('the hold ends, and a corrected hop serves again', async () => {
  const user = { user: 'opes', password: 'other' };
  await withHop(offering('PLAIN', { user }), { ...SECURE, limits: { loginHoldMs: 0 } }, async (hop, sink) => {
    assert.equal((await sendMail(hop)).result, 'auth');
    user.password = USER.password;
    assert.equal((await sendMail(hop)).result, 250);
    assert.equal(sink.connections.length, 2);
  });
});

test('a hop that does not know the password itself is not believed', async () => {
  await withHop(offering('SCRAM-SHA-256', { user: { ...USER, lies: true } }), SECURE, async (hop, sink) => {
    const { failure } = await sendMail(hop);
    assert.equal(failure?.reason, 'auth');
    assert.match(failure.detail ?? '', /signature is wrong/);
    assert.equal(sink.mails.length, 0);
  });
  const early = (c: SinkCommand) => (c.verb === 'CHALLENGE' ? '235 2.7.0 Welcome\r\n' : undefined);
  await withHop(offering('SCRAM-SHA-256', { answer: early }), SECURE, async (hop) => {
    assert.match((await sendMail(hop)).failure?.detail ?? '', /without the server's proof/);
  });
});

test('no mechanism, no AUTH, or challenges that are none', async () => {
  for (const [script, detail] of [
    [{ offers: ['AUTH GSSAPI'], tls: true }, /no AUTH mechanism that we know/],
    [{ offers: ['PIPELINING'], tls: true }, /does not offer AUTH/],
    [offering('PLAIN', { answer: (c) => (c.verb === 'AUTH' ? '334 \r\n' : undefined) }), /PLAIN has none/],
    [offering('SCRAM-SHA-256', { answer: (c) => (c.verb === 'CHALLENGE' ? '334 !\r\n' : undefined) }), /no base64/],
    [
      offering('SCRAM-SHA-256', { answer: (c) => (c.verb === 'CHALLENGE' ? '334 cg==\r\n' : undefined) }),
      /no server-first/,
    ],
    [offering('PLAIN', { answer: (c) => (c.verb === 'AUTH' ? '354 go\r\n' : undefined) }), /354/],
  ] as readonly (readonly [SinkOptions, RegExp])[]) {
    await withHop(script, SECURE, async (hop, sink) => {
      const { failure } = await sendMail(hop);
      assert.equal(failure?.reason, 'auth');
      assert.match(failure.detail ?? '', detail);
      sink.complaints.length = 0; // AUTH lines behind a scripted answer
    });
  }
});

test('another mechanism where the hop says that this one will not do', async () => {
  const answer = (c: SinkCommand): SinkAnswer | undefined =>
    c.verb === 'AUTH' && c.argument.startsWith('PLAIN') ? '504 5.5.4 Not for you\r\n' : undefined;
  await withHop(offering('PLAIN LOGIN', { answer }), SECURE, async (hop, sink) => {
    assert.equal((await sendMail(hop)).result, 250);
    assert.equal(sink.mails[0]?.user, 'opes');
  });
});

test('silence and death during AUTH', async () => {
  for (const [what, reason] of [
    [{ next: 'stall' }, 'timeout'],
    [{ next: 'close' }, 'lost'],
    [{ next: 'reset' }, 'lost'],
    ['421 4.3.2 Bye\r\n', 'closing'],
  ] as const) {
    for (const verb of ['AUTH', 'CHALLENGE']) {
      const answer = (c: SinkCommand) => (c.verb === verb ? what : undefined);
      const options = { ...SECURE, limits: { helloMs: 100 } };
      await withHop(offering('LOGIN', { answer }), options, async (hop, sink) => {
        assert.equal((await sendMail(hop)).failure?.reason, reason);
        sink.complaints.length = 0;
      });
    }
  }
});

/** The opening by itself: what is a private way depends on the socket, and here all sockets are loopback's. */
function opening(isPrivate: boolean): string[] {
  const said: string[] = [];
  const host: OpeningHost = {
    write: (text) => void said.push(text.trimEnd()),
    startTls: () => void said.push('(tls)'),
    awaits: () => {},
    derive: () => void said.push('(derive)'),
    isPrivate: () => isPrivate,
    isAllRead: () => true,
    opened: () => void said.push('(open)'),
    broken: (reason, _reply, detail) => void said.push(`(${reason}: ${detail})`),
  };
  const auth = { credentials: USER, crypto: saslCrypto };
  const machine = new Opening({ helo: 'us', protocol: 'smtp', tls: 'may', auth }, host);
  machine.connected();
  machine.onReply(reply(220, undefined, 'hop'));
  machine.onReply(reply(250, undefined, 'hop', 'AUTH PLAIN'));
  return said;
}

test('without TLS the password goes nowhere but over loopback or a Unix socket', () => {
  assert.deepEqual(opening(false), ['EHLO us', '(auth: the password is not sent without TLS)']);
  assert.match(opening(true).at(-1) ?? '', /^AUTH PLAIN /);
});

test('on loopback it may go in clear', async () => {
  await withHop(offering('PLAIN', { tls: false }), { auth: USER }, async (hop, sink) => {
    assert.equal((await sendMail(hop)).result, 250);
    assert.equal(sink.mails[0]?.user, 'opes');
  });
});
