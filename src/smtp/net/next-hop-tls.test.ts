import assert from 'node:assert/strict';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { test } from 'vitest';
import { sendMail, type TestMail, withHop } from '../../../test/support/outbound.ts';
import { NextHop } from './next-hop.ts';

test('STARTTLS where it is offered; the mail goes secured, and the connection is kept', async () => {
  await withHop({ tls: true }, { tls: 'may' }, async (hop, sink) => {
    for (let i = 0; i < 3; i++) assert.equal((await sendMail(hop)).result, 250);
    assert.equal(
      sink.mails.every((mail) => mail.isSecure),
      true,
    );
    assert.equal(sink.connections.length, 1);
    assert.deepEqual(sink.connections[0]?.commands.slice(0, 3), ['EHLO us.example', 'STARTTLS', 'EHLO us.example']);
  });
});

test('large content over TLS', async () => {
  await withHop({ tls: true }, { tls: 'may' }, async (hop, sink) => {
    const content = Array.from({ length: 60 }, () => Buffer.alloc(50_000, '.line\r\n'));
    const sent = await sendMail(hop, { content });
    assert.equal(sent.result, 250);
    assert.ok(sink.mails[0]?.content.subarray(0, 3_000_000).equals(Buffer.concat(content)));
  });
});

test('not offered, not wanted, or refused for now: in clear', async () => {
  await withHop({}, { tls: 'may' }, async (hop, sink) => {
    assert.equal((await sendMail(hop)).result, 250);
    assert.equal(sink.mails[0]?.isSecure, false);
  });
  await withHop({ tls: true }, {}, async (hop, sink) => {
    assert.equal((await sendMail(hop)).result, 250);
    assert.equal(sink.mails[0]?.isSecure, false);
  });
  const later = {
    tls: true,
    answer: (c: { verb: string }) => (c.verb === 'STARTTLS' ? '454 4.7.0 Not now\r\n' : undefined),
  };
  await withHop(later, { tls: 'may' }, async (hop, sink) => {
    assert.equal((await sendMail(hop)).result, 250);
    assert.equal(sink.connections.length, 1);
  });
});

test('a handshake that fails: the mail goes in clear over a new connection', async () => {
  for (const next of ['close', 'reset'] as const) {
    // It says 220, and then ends, or goes on in clear.
    const script = {
      tls: true,
      answer: (c: { verb: string }) => (c.verb === 'STARTTLS' ? { say: '220 Go\r\n', next } : undefined),
    };
    await withHop(script, { tls: 'may' }, async (hop, sink) => {
      assert.equal((await sendMail(hop)).result, 250);
      assert.equal(sink.connections.length, 2);
      assert.equal(sink.mails[0]?.isSecure, false);
    });
  }
});

test('a hop that stays in clear behind its 220 is no TLS', async () => {
  const script = { tls: true, answer: (c: { verb: string }) => (c.verb === 'STARTTLS' ? '220 Go  \r\n' : undefined) };
  await withHop(script, { tls: 'may', limits: { tlsMs: 50 } }, async (hop, sink) => {
    assert.equal((await sendMail(hop)).result, 250);
    assert.equal(sink.connections.length, 2);
    sink.complaints.length = 0; // the ClientHello is no command line
  });
});

test('octets in clear behind the 220 are an attack: the mail fails', async () => {
  const script = {
    tls: true,
    answer: (c: { verb: string }) => (c.verb === 'STARTTLS' ? '220 Go\r\n250 evil\r\n' : undefined),
  };
  await withHop(script, { tls: 'may' }, async (hop, sink) => {
    assert.deepEqual((await sendMail(hop)).events, ['failed hello starttls-injection']);
    assert.equal(sink.mails.length, 0);
  });
});

test('a pooled secured connection that died: the mail goes over a new secured one', async () => {
  const script = {
    tls: true,
    answer: (c: { verb: string; connection: number; nth: number }) =>
      c.verb === 'MAIL' && c.connection === 0 && c.nth === 1 ? ({ next: 'reset' } as const) : undefined,
  };
  await withHop(script, { tls: 'may' }, async (hop, sink) => {
    await sendMail(hop);
    assert.equal((await sendMail(hop)).result, 250);
    assert.equal(sink.mails[1]?.isSecure, true);
    assert.equal(sink.mails[1]?.connection, 1);
  });
});

/** smtp-server, an independent implementation, at the other end. */
async function withPeer(
  options: SMTPServerOptions,
  body: (hop: NextHop, mails: { content: string; secure: boolean }[]) => Promise<void>,
): Promise<void> {
  const mails: { content: string; secure: boolean }[] = [];
  const server = new SMTPServer({
    authOptional: true,
    disableReverseLookup: true,
    logger: false,
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        mails.push({ content: Buffer.concat(chunks).toString('latin1'), secure: session.secure });
        done();
      });
    },
    ...options,
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve());
  });
  const address = server.server.address();
  assert.ok(address !== null && typeof address === 'object');
  const hop = new NextHop({
    address: { kind: 'smtp', host: '127.0.0.1', port: address.port },
    tls: { policy: 'may' },
    helo: 'us.example',
  });
  try {
    await body(hop, mails);
  } finally {
    await hop.close(0);
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
  }
}

const MAILS: readonly TestMail[] = [
  {},
  {
    rcpts: ['<b@example.com>', '<c@example.com>', '<d@example.com>'],
    content: [Buffer.from('.\r\n..\r\n.x\r\n\r\n.'), Buffer.from('\r\n')],
  },
  { mail: '<>', content: [Buffer.alloc(700_000, 'a line\r\n.dot\r\n')] },
  { content: [Buffer.alloc(0)] },
];

for (const [name, options, secure] of [
  ['with STARTTLS', {}, true],
  ['in clear', { disabledCommands: ['STARTTLS'] }, false],
  ['without PIPELINING', { hidePIPELINING: true, disabledCommands: ['STARTTLS'] }, false],
] as const) {
  test(`smtp-server ${name} takes our mails as they are`, async () => {
    await withPeer(
      { ...options, disabledCommands: [...('disabledCommands' in options ? options.disabledCommands : [])] },
      async (hop, mails) => {
        for (const mail of MAILS) assert.equal((await sendMail(hop, mail)).result, 250);
        const expected = MAILS.map((mail) => {
          const content = Buffer.concat(mail.content ?? [Buffer.from('Subject: x\r\n\r\nHello\r\n')]).toString(
            'latin1',
          );
          return content === '' || content.endsWith('\r\n') ? content : `${content}\r\n`;
        });
        assert.deepEqual(
          mails,
          expected.map((content) => ({ content, secure })),
        );
        assert.equal(hop.stats.opened, 1);
      },
    );
  });
}

test('smtp-server refuses a recipient, then the mail', async () => {
  const refuse = (code: number, text: string) => Object.assign(new Error(text), { responseCode: code });
  const options: SMTPServerOptions = {
    onRcptTo: (address, _session, done) =>
      done(address.address.startsWith('no') ? refuse(553, 'no such user') : undefined),
    onData: (stream, _session, done) => {
      stream.resume();
      stream.on('end', () => done(refuse(552, 'too dull')));
    },
  };
  await withPeer(options, async (hop) => {
    const sent = await sendMail(hop, { rcpts: ['<no@example.com>', '<b@example.com>'] });
    assert.deepEqual(sent.events, ['rcpt 0 553', 'rcpt 1 250', 'data 354', 'final 552']);
    assert.match(sent.finalReply?.text.join() ?? '', /too dull/);
  });
});
