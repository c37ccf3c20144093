/** TLS that is required or verified: it stands with whom it should, or no mail goes. */
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { createServer } from 'node:tls';
import { afterAll, onTestFinished, test } from 'vitest';
import { sendMail, withHop } from '../../../test/support/outbound.ts';
import type { SinkAnswer, SinkCommand, SinkOptions } from '../../../test/support/sink.ts';
import { TestCa } from '../../../test/support/test-ca.ts';
import type { Log, LogFields } from '../../base/index.ts';
import { replyToFailure } from '../client/map-reply.ts';
import { NextHop } from './next-hop.ts';
import type { HopTls } from './next-hop-tls.ts';

const ca = new TestCa();
afterAll(() => ca[Symbol.dispose]());
const root = ca.make('root', { isIssuer: true });
const named = ca.make('mx', { names: 'DNS:mx.example.com,IP:127.0.0.1' }, root);
const elsewhere = ca.make('elsewhere', { names: 'DNS:elsewhere.example.com' }, root);
const old = ca.make('mx', { names: 'DNS:mx.example.com', until: '20210101000000Z' }, root);
const CA = Buffer.from(root.cert);

const verify = (rest: Partial<HopTls> = {}): HopTls => ({ policy: 'verify', ca: CA, ...rest });
const tlsa = (made: { cert: string }, usage: number): HopTls => {
  const data = createHash('sha256').update(new X509Certificate(made.cert).raw).digest();
  const records = [{ usage, selector: 0, matching: 1, data }];
  return { policy: 'verify', verify: { kind: 'tlsa', records, names: ['mx.example.com'] } };
};

function logTo(lines: LogFields[]): Log {
  const note = (event: string, fields?: LogFields): void => void lines.push({ event, ...fields });
  return { debug: () => {}, info: note, warn: note, error: note };
}

const GOOD: readonly (readonly [string, HopTls, SinkOptions])[] = [
  ['by the address', verify(), { keys: named }],
  ['by a name that is not the host', verify({ serverName: 'mx.example.com' }), { keys: named }],
  [
    'by one of several names',
    verify({ verify: { kind: 'names', names: ['a.example', 'mx.example.com'] } }),
    { keys: named },
  ],
  ['by DANE-EE, whatever it is called', tlsa(elsewhere, 3), { keys: elsewhere }],
  ['by DANE-EE, though it has expired', tlsa(old, 3), { keys: old }],
  ['by DANE-TA', tlsa(root, 2), { keys: { key: named.key, cert: named.cert + root.cert } }],
  ['by anybody, where TLS alone is required', { policy: 'require' }, { keys: old }],
];

for (const kind of ['smtp', 'smtps'] as const) {
  for (const [how, tls, script] of GOOD) {
    test(`${kind}: trusted ${how}`, async () => {
      await withHop({ ...script, tls: kind === 'smtp' || 'implicit' }, { kind, tls }, async (hop, sink) => {
        for (let i = 0; i < 2; i++) assert.equal((await sendMail(hop)).result, 250);
        assert.deepEqual(
          sink.mails.map((mail) => mail.isSecure),
          [true, true],
        );
        assert.equal(sink.connections.length, 1);
      });
    });
  }
}

const BAD: readonly (readonly [string, HopTls, SinkOptions, RegExp])[] = [
  ['nobody vouches for it', { policy: 'verify' }, { keys: named }, /not trusted: UNABLE_TO_VERIFY_LEAF_SIGNATURE/],
  ['it is signed by itself', verify(), {}, /not trusted: (DEPTH_ZERO_)?SELF_SIGNED/],
  ['it is for another', verify(), { keys: elsewhere }, /is not for 127\.0\.0\.1/],
  ['it has expired', verify({ serverName: 'mx.example.com' }), { keys: old }, /not trusted: CERT_HAS_EXPIRED/],
  ['no name is allowed', verify({ verify: { kind: 'names', names: [] } }), { keys: named }, /is not for/],
  ["the TLSA record is another key's", tlsa(named, 3), { keys: elsewhere }, /no TLSA record matches/],
  [
    'DANE-TA, and another name',
    tlsa(root, 2),
    { keys: { ...elsewhere, cert: elsewhere.cert + root.cert } },
    /not for mx/,
  ],
];

for (const kind of ['smtp', 'smtps'] as const) {
  for (const [why, tls, script, detail] of BAD) {
    test(`${kind}: refused, as ${why}`, async () => {
      const lines: LogFields[] = [];
      const options = { kind, tls, log: logTo(lines) };
      await withHop({ ...script, tls: kind === 'smtp' || 'implicit' }, options, async (hop, sink) => {
        const { failure } = await sendMail(hop);
        assert.ok(failure !== undefined);
        assert.deepEqual([failure.reason, failure.stage, failure.sent], ['untrusted', 'hello', false]);
        assert.match(failure.detail ?? '', detail);
        assert.equal(replyToFailure(failure).enhanced, '4.7.5');
        assert.equal(sink.mails.length, 0);
        assert.equal(sink.connections.length, 1, 'nothing weaker is tried');
        const said = sink.connections[0]?.commands.filter((line) => !/^(EHLO us\.example|STARTTLS)$/.test(line));
        assert.deepEqual(said, [], 'not a word to a stranger');
        const [line] = lines;
        assert.equal(line?.['event'], 'next-hop.failed');
        assert.match(String(line?.['detail']), detail);
        assert.match(String(line?.['fix']), /tlsCa/);
      });
    });
  }
}

const at = (verb: string, what: SinkAnswer) => (c: SinkCommand) => (c.verb === verb ? what : undefined);

test('required TLS that is not offered, refused, or fails: 451, and nothing in clear', async () => {
  for (const policy of ['require', 'verify'] as const) {
    for (const [script, reason, enhanced] of [
      [{}, 'no-tls', '4.7.4'],
      [{ tls: true, answer: at('STARTTLS', '454 4.7.0 Not now\r\n') }, 'no-tls', '4.7.4'],
      [{ tls: true, answer: at('EHLO', '502 5.5.1 What?\r\n') }, 'no-tls', '4.7.4'],
      [{ tls: true, answer: at('STARTTLS', { say: '220 Go\r\n', next: 'close' }) }, 'tls', '4.7.5'],
      [{ tls: true, answer: at('STARTTLS', { say: '220 Go\r\n', next: 'reset' }) }, 'tls', '4.7.5'],
      [{ tls: true, answer: at('STARTTLS', { say: '220 Go\r\n', next: 'stall' }) }, 'tls', '4.7.5'],
      [{ tls: true, answer: at('STARTTLS', '220 Go\r\n250 evil\r\n') }, 'starttls-injection', '4.7.5'],
    ] as const) {
      await withHop(script, { tls: policy, limits: { tlsMs: 50 } }, async (hop, sink) => {
        const { failure } = await sendMail(hop);
        assert.ok(failure !== undefined);
        assert.deepEqual([failure.reason, failure.stage], [reason, 'hello']);
        assert.equal(replyToFailure(failure).enhanced, enhanced);
        assert.equal(sink.connections.length, 1);
        assert.equal(
          sink.connections[0]?.commands.some((line) => line.startsWith('MAIL')),
          false,
        );
      });
    }
  }
});

test('a hop at an smtps port that speaks in clear, falls silent or dies', async () => {
  // A greeting in clear is no ServerHello.
  await withHop({}, { kind: 'smtps', tls: 'require', limits: { tlsMs: 50 } }, async (hop, sink) => {
    assert.deepEqual((await sendMail(hop)).events, ['failed hello tls']);
    sink.complaints.length = 0; // the ClientHello is no command line
  });
  for (const [answer, event] of [
    [at('CONNECT', { next: 'stall' }), /^failed hello timeout$/],
    [at('CONNECT', { next: 'close' }), /^failed hello (tls|lost)$/],
    [at('EHLO', { next: 'close' }), /^failed hello lost$/],
  ] as const) {
    const options = { kind: 'smtps', tls: 'require', limits: { greetingMs: 50 } } as const;
    await withHop({ tls: 'implicit', answer }, options, async (hop) => {
      assert.match((await sendMail(hop)).events.join(), event);
    });
  }
});

test('TLS 1.1 is refused', async () => {
  const old11 = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' } as const;
  const server = createServer({ key: named.key, cert: named.cert, ...old11 });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  onTestFinished(() => void server.close());
  const place = server.address();
  assert.ok(place !== null && typeof place === 'object');
  const address = { kind: 'smtps', host: '127.0.0.1', port: place.port } as const;
  const hop = new NextHop({ address, tls: { policy: 'require' }, helo: 'us.example' });
  try {
    const { failure } = await sendMail(hop);
    assert.equal(failure?.reason, 'tls');
    assert.match(failure.detail ?? '', /PROTOCOL/);
  } finally {
    await hop.close(0);
  }
});

test('a session of a hop found right is taken up again, and never one of a hop found wrong', async () => {
  const limits = { transactions: 1 };
  await withHop({ keys: named, tls: true }, { tls: verify(), limits }, async (hop, sink) => {
    for (let i = 0; i < 3; i++) assert.equal((await sendMail(hop)).result, 250);
    assert.deepEqual(
      sink.connections.map((one) => one.isResumed),
      [false, true, true],
    );
  });
  await withHop({ keys: elsewhere, tls: true }, { tls: verify(), limits }, async (hop, sink) => {
    for (let i = 0; i < 2; i++) assert.equal((await sendMail(hop)).result, 'untrusted');
    assert.deepEqual(
      sink.connections.map((one) => one.isResumed),
      [false, false],
    );
  });
});
