/** Whose mail it is, told to the hop; connections that carry one client's identity never carry another's mail. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { SentMail, sendMail, type TestMail, withHop } from '../../../test/support/outbound.ts';
import type { SinkCommand, SinkMail, SinkOptions } from '../../../test/support/sink.ts';
import type { Log, LogFields } from '../../base/index.ts';
import type { ClientIdentity } from '../client/identity.ts';
import { replyToFailure } from '../client/map-reply.ts';

const client = (n: number): ClientIdentity => ({
  address: `192.0.2.${n}`,
  port: 4000 + n,
  name: `c${n}.example.org`,
  helo: `h${n}.example.org`,
  protocol: 'ESMTP',
});
const from = (n: number): TestMail => ({ client: client(n), ident: `mail.${n}` });

const XCLIENT: SinkOptions = { offers: ['PIPELINING', 'XCLIENT NAME ADDR PORT PROTO HELO LOGIN'] };
const XFORWARD: SinkOptions = { offers: ['PIPELINING', 'XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE'] };

const whose = (mails: readonly SinkMail[]) => mails.map((mail) => /ADDR=(\S+)/.exec(mail.xclient)?.[1] ?? 'ours');

function logTo(lines: LogFields[]): Log {
  const note = (event: string, fields?: LogFields): void => void lines.push({ event, ...fields });
  return { debug: () => {}, info: note, warn: note, error: note };
}

test("XCLIENT: the session becomes the client's, with its name in EHLO; one client's mails share a connection", async () => {
  await withHop(XCLIENT, { identity: 'xclient' }, async (hop, sink) => {
    for (let i = 0; i < 2; i++) assert.equal((await sendMail(hop, from(1))).result, 250);
    assert.deepEqual(sink.connections[0]?.commands.slice(0, 3), [
      'EHLO us.example',
      'XCLIENT NAME=c1.example.org ADDR=192.0.2.1 PORT=4001 PROTO=ESMTP HELO=h1.example.org LOGIN=[UNAVAILABLE]',
      'EHLO h1.example.org',
    ]);
    assert.equal(sink.connections[0]?.commands.filter((line) => line.startsWith('XCLIENT')).length, 1);
    assert.deepEqual(
      sink.mails.map((mail) => mail.helo),
      ['h1.example.org', 'h1.example.org'],
    );
    assert.equal(sink.connections.length, 1);
  });
});

test("XCLIENT again makes an idle connection another client's, but never ours again", async () => {
  await withHop(XCLIENT, { identity: 'xclient' }, async (hop, sink) => {
    for (const n of [1, 2, 1]) assert.equal((await sendMail(hop, from(n))).result, 250);
    assert.equal(sink.connections.length, 1);
    assert.equal((await sendMail(hop)).result, 250);
    assert.equal(sink.connections.length, 2, "mail of our own goes over a connection that was never a client's");
    for (const n of [1, 2]) assert.equal((await sendMail(hop, from(n))).result, 250);
    assert.deepEqual(whose(sink.mails), ['192.0.2.1', '192.0.2.2', '192.0.2.1', 'ours', '192.0.2.1', '192.0.2.2']);
  });
});

test('a hop that offers XCLIENT only once gets a connection for each client', async () => {
  const answer = (c: SinkCommand) => (c.verb === 'EHLO' && c.nth === 1 ? '250-hop\r\n250 PIPELINING\r\n' : undefined);
  await withHop({ ...XCLIENT, answer }, { identity: 'xclient', limits: { connections: 2 } }, async (hop, sink) => {
    for (const n of [1, 2, 1, 3]) assert.equal((await sendMail(hop, from(n))).result, 250);
    assert.deepEqual(
      sink.mails.map((mail) => mail.connection),
      [0, 1, 0, 2],
    );
    assert.deepEqual(whose(sink.mails), ['192.0.2.1', '192.0.2.2', '192.0.2.1', '192.0.2.3']);
    assert.equal(hop.stats.connections, 2, 'the coldest one left');
  });
});

test('XCLIENT behind TLS, and our login behind XCLIENT', async () => {
  const user = { user: 'opes', password: 'sesame' };
  const offers = ['PIPELINING', 'AUTH PLAIN', ...(XCLIENT.offers ?? [])];
  const options = { identity: 'xclient', tls: 'require', auth: user } as const;
  await withHop({ offers, tls: true, user }, options, async (hop, sink) => {
    for (const n of [1, 2]) assert.equal((await sendMail(hop, from(n))).result, 250);
    assert.deepEqual(
      sink.mails.map((mail) => [mail.isSecure, mail.user]),
      [
        [true, 'opes'],
        [true, 'opes'],
      ],
    );
    assert.equal(
      sink.connections[0]?.commands.some((line) => line.includes('LOGIN=')),
      false,
    );
  });
});

test('many clients at once: no connection carries two, and the cap holds', async () => {
  for (const [identity, script] of [
    ['xclient', XCLIENT],
    ['proxy', { proxy: true }],
  ] as const) {
    const options = { identity, limits: { connections: 3 } };
    await withHop({ ...script }, options, async (hop, sink) => {
      const clients = Array.from({ length: 24 }, (_, i) => (i % 5) + 1);
      const sent = await Promise.all(clients.map((n) => sendMail(hop, { ...from(n), mail: `<c${n}@example.org>` })));
      assert.ok(sent.every((one) => one.result === 250));
      assert.equal(sink.mails.length, 24);
      for (const mail of sink.mails) {
        const n = /<c(\d)@/.exec(mail.mail)?.[1];
        if (identity === 'proxy') assert.equal(mail.proxied, `192.0.2.${n}:400${n}`);
        else assert.match(mail.xclient, new RegExp(`ADDR=192\\.0\\.2\\.${n} `));
        if (identity === 'xclient') assert.equal(mail.helo, `h${n}.example.org`);
      }
      assert.ok(hop.stats.connections <= 3);
    });
  }
});

test('a hop that does not take XCLIENT would judge our own address: 451, and a line that says so', async () => {
  for (const [script, detail] of [
    [{ offers: ['PIPELINING'] }, /not offered/],
    [{ offers: ['XCLIENT NAME HELO'] }, /not offered/],
    [{ ...XCLIENT, answer: (c: SinkCommand) => (c.verb === 'XCLIENT' ? '550 5.7.0 No\r\n' : undefined) }, /refused/],
    [{ ...XCLIENT, answer: (c: SinkCommand) => (c.verb === 'XCLIENT' ? '554 5.7.1 No\r\n' : undefined) }, /refused/],
  ] as readonly (readonly [SinkOptions, RegExp])[]) {
    const lines: LogFields[] = [];
    await withHop(script, { identity: 'xclient', log: logTo(lines) }, async (hop, sink) => {
      const { failure } = await sendMail(hop, from(1));
      assert.ok(failure !== undefined);
      assert.equal(failure.reason, 'identity');
      assert.match(failure.detail ?? '', detail);
      assert.equal(replyToFailure(failure).code, 451);
      assert.equal(sink.mails.length, 0);
      assert.match(String(lines[0]?.['fix']), /smtpd_authorized_xclient_hosts/);
      assert.equal((await sendMail(hop)).result, 250, 'mail of our own is not concerned');
    });
  }
});

test('XCLIENT: death, silence and nonsense at each step; a pooled connection is replaced once', async () => {
  const steps: readonly (readonly [string, number])[] = [
    ['XCLIENT', 0],
    ['EHLO', 1],
  ];
  for (const [verb, nth] of steps) {
    for (const [what, reason] of [
      [{ next: 'stall' }, 'timeout'],
      [{ next: 'close' }, 'lost'],
      ['421 4.3.2 Bye\r\n', 'closing'],
      ['nonsense\r\n', 'bad-reply'],
    ] as const) {
      const answer = (c: SinkCommand) => (c.verb === verb && c.nth === nth ? what : undefined);
      const options = { identity: 'xclient', limits: { helloMs: 50 } } as const;
      await withHop({ ...XCLIENT, answer }, options, async (hop, sink) => {
        assert.equal((await sendMail(hop, from(1))).failure?.reason, reason, `${verb} ${reason}`);
        assert.equal(sink.mails.length, 0);
      });
    }
  }
  const dying = (c: SinkCommand) =>
    c.connection === 0 && c.verb === 'XCLIENT' && c.nth === 1 ? ({ next: 'reset' } as const) : undefined;
  await withHop({ ...XCLIENT, answer: dying }, { identity: 'xclient' }, async (hop, sink) => {
    for (const n of [1, 2]) assert.equal((await sendMail(hop, from(n))).result, 250);
    assert.equal(sink.connections.length, 2);
    assert.deepEqual(whose(sink.mails), ['192.0.2.1', '192.0.2.2']);
    assert.equal(hop.stats.retried, 1);
  });
});

test('a mail given up while its connection is made ready leaves a connection that others can use', async () => {
  const held = Promise.withResolvers<undefined>();
  const answer = (c: SinkCommand) => (c.verb === 'XCLIENT' && c.nth === 0 ? held.promise : undefined);
  await withHop({ ...XCLIENT, answer }, { identity: 'xclient' }, async (hop, sink) => {
    const given = new SentMail(hop, from(1));
    await sink.until((one) => one.connections[0]?.commands.some((line) => line.startsWith('XCLIENT')) === true);
    given.out.abort();
    held.resolve(undefined);
    assert.equal((await sendMail(hop, from(2))).result, 250);
    assert.deepEqual(given.events, []);
    assert.equal(sink.mails[0]?.helo, 'h2.example.org');
  });
});

test("XFORWARD goes with each mail, in one write with MAIL; connections are anybody's", async () => {
  await withHop(XFORWARD, { identity: 'xforward' }, async (hop, sink) => {
    for (const n of [1, 2]) assert.equal((await sendMail(hop, from(n))).result, 250);
    assert.equal((await sendMail(hop)).result, 250);
    assert.deepEqual(
      sink.mails.map((mail) => mail.xforward),
      [
        'NAME=c1.example.org ADDR=192.0.2.1 PORT=4001 PROTO=ESMTP HELO=h1.example.org IDENT=mail.1 SOURCE=REMOTE',
        'NAME=c2.example.org ADDR=192.0.2.2 PORT=4002 PROTO=ESMTP HELO=h2.example.org IDENT=mail.2 SOURCE=REMOTE',
        '',
      ],
    );
    assert.equal(sink.connections.length, 1);
    // EHLO, then for each mail XFORWARD with MAIL and RCPT, DATA, content.
    assert.equal(sink.connections[0]?.reads, 1 + 3 * 3);
  });
  await withHop({ offers: [(XFORWARD.offers ?? [])[1] ?? ''] }, { identity: 'xforward' }, async (hop, sink) => {
    assert.equal((await sendMail(hop, from(1))).result, 250, 'in lock step');
    assert.match(sink.mails[0]?.xforward ?? '', /ADDR=192\.0\.2\.1/);
  });
});

test('what XFORWARD said of a mail that was refused at MAIL is not said of the next', async () => {
  const answer: SinkOptions['answer'] = ({ verb, nth }) =>
    verb === 'MAIL' && nth === 0 ? '550 5.7.1 No\r\n' : undefined;
  for (const offers of [XFORWARD.offers ?? [], (XFORWARD.offers ?? []).slice(1)])
    for (const ahead of [false, true])
      await withHop({ offers, answer }, { identity: 'xforward', limits: { connections: 1 } }, async (hop, sink) => {
        assert.equal((await sendMail(hop, { ...from(1), ahead })).rcptReplies[0]?.code, 550);
        assert.equal((await sendMail(hop)).result, 250);
        assert.equal(sink.mails[0]?.xforward, '');
        assert.equal(sink.connections.length, 1);
      });
});

test('what does not fit into one XFORWARD goes in several', async () => {
  const long = { ...client(1), name: `${'n'.repeat(240)}.example`, helo: `${'h'.repeat(240)}.example` };
  await withHop(XFORWARD, { identity: 'xforward' }, async (hop, sink) => {
    assert.equal((await sendMail(hop, { client: long })).result, 250);
    assert.equal(sink.connections[0]?.commands.filter((line) => line.startsWith('XFORWARD')).length, 2);
    assert.match(sink.mails[0]?.xforward ?? '', /^NAME=n+\.example .* HELO=h+\.example .*SOURCE=REMOTE$/);
  });
});

test('XFORWARD that is not offered or not taken: the mail goes without, and one line says so', async () => {
  for (const script of [
    { offers: ['PIPELINING'] },
    { ...XFORWARD, answer: (c: SinkCommand) => (c.verb === 'XFORWARD' ? '550 5.7.0 No\r\n' : undefined) },
  ]) {
    const lines: LogFields[] = [];
    await withHop(script, { identity: 'xforward', log: logTo(lines) }, async (hop, sink) => {
      for (const n of [1, 2]) assert.equal((await sendMail(hop, from(n))).result, 250);
      assert.equal(sink.mails.length, 2);
      assert.deepEqual(
        lines.map((line) => line['event']),
        ['next-hop.identity'],
      );
      assert.match(String(lines[0]?.['fix']), /smtpd_authorized_xforward_hosts/);
    });
  }
});

test('a pooled connection that died at XFORWARD: the mail goes over a new one, with it', async () => {
  const answer = (c: SinkCommand) =>
    c.connection === 0 && c.verb === 'XFORWARD' && c.nth === 1 ? ({ next: 'reset' } as const) : undefined;
  await withHop({ ...XFORWARD, answer }, { identity: 'xforward' }, async (hop, sink) => {
    for (const n of [1, 2]) assert.equal((await sendMail(hop, from(n))).result, 250);
    assert.match(sink.mails[1]?.xforward ?? '', /ADDR=192\.0\.2\.2/);
    assert.equal(sink.mails[1]?.connection, 1);
  });
});

test('PROXY opens a connection, before TLS and greeting; mail of our own says LOCAL', async () => {
  for (const [script, kind] of [
    [{}, 'smtp'],
    [{ tls: true }, 'smtp'],
    [{ tls: 'implicit' }, 'smtps'],
    [{ lmtp: true }, 'lmtp'],
  ] as const) {
    const tls = 'tls' in script ? 'require' : 'none';
    await withHop({ ...script, proxy: true }, { identity: 'proxy', kind, tls }, async (hop, sink) => {
      for (const mail of [from(1), from(1), from(2), {}, from(1)])
        assert.equal((await sendMail(hop, mail)).result, 250);
      assert.deepEqual(
        sink.mails.map((mail) => [mail.proxied, mail.connection]),
        [
          ['192.0.2.1:4001', 0],
          ['192.0.2.1:4001', 0],
          ['192.0.2.2:4002', 1],
          ['LOCAL', 2],
          ['192.0.2.1:4001', 0],
        ],
      );
    });
  }
});

test('PROXY: a hop that hangs up on the header, or dies later', async () => {
  await withHop({ proxy: true, dieAfterRead: () => 10 }, { identity: 'proxy' }, async (hop) => {
    assert.equal((await sendMail(hop, from(1))).failure?.reason, 'lost');
  });
  const answer = (c: SinkCommand) =>
    c.connection === 0 && c.verb === 'MAIL' && c.nth === 1 ? ({ next: 'reset' } as const) : undefined;
  await withHop({ proxy: true, answer }, { identity: 'proxy' }, async (hop, sink) => {
    for (let i = 0; i < 2; i++) assert.equal((await sendMail(hop, from(1))).result, 250);
    assert.deepEqual(
      sink.mails.map((mail) => mail.proxied),
      ['192.0.2.1:4001', '192.0.2.1:4001'],
    );
  });
});
