import assert from 'node:assert/strict';
import { createServer } from 'node:net';
import { test } from 'vitest';
import { SentMail, sendMail, type TestMail, withHop } from '../../../test/support/outbound.ts';
import type { SinkOptions } from '../../../test/support/sink.ts';
import { silentLog } from '../../base/index.ts';
import type { OutboundEvents } from '../client/outbound.ts';
import { NextHop } from './next-hop.ts';

test('a mail arrives as it is, and the next one uses the same connection', async () => {
  await withHop({}, {}, async (hop, sink) => {
    const content = [Buffer.from('Subject: x\r\n\r\n.dot\r\n'), Buffer.from('..two\r\nlast line')];
    const first = await sendMail(hop, { rcpts: ['<b@c>', '<d@e>'], content });
    assert.deepEqual(first.events, ['rcpt 0 250', 'rcpt 1 250', 'data 354', 'final 250']);
    await sendMail(hop, { mail: '<>' });
    const [one, two] = await sink.mailsOf(2);
    assert.deepEqual(one?.rcpts, ['<b@c>', '<d@e>']);
    assert.equal(one?.content.toString(), 'Subject: x\r\n\r\n.dot\r\n..two\r\nlast line\r\n');
    assert.equal(two?.mail, '<>');
    assert.equal(sink.connections.length, 1);
    assert.deepEqual(hop.stats, { connections: 1, idle: 1, waiting: 0, opened: 1, begun: 2, retried: 0 });
  });
});

for (const event of ['onRcptReply', 'onDataReply', 'onFinalReply'] as const)
  test(`whoever relays throws in ${event}: that connection ends, and other mails for the hop go on`, async () => {
    const faults: unknown[] = [];
    const log = { ...silentLog, error: (name: string) => faults.push(name) };
    await withHop({}, { log }, async (hop, sink) => {
      const events: OutboundEvents = {
        onRcptReply: () => out.data(),
        onDataReply: () => out.content([Buffer.from('x\r\n')], true),
        onDrain: () => undefined,
        onFinalReply: () => undefined,
        onFailed: () => undefined,
        [event]: () => {
          throw new Error('on purpose');
        },
      };
      const out = hop.open({ mail: '<a@b>', params: new Map() }, events);
      out.rcpt('<c@d>');
      while (faults.length === 0) await new Promise(setImmediate);
      out.abort();
      assert.equal((await sendMail(hop)).result, 250);
      assert.deepEqual(new Set(faults), new Set(['next-hop.fault']));
      assert.equal(sink.mails.at(-1)?.mail, '<a@example.org>');
    });
  });

test('three writes a mail: the envelope, DATA, and the content with its end', async () => {
  await withHop({}, {}, async (hop, sink) => {
    await sendMail(hop);
    const connection = sink.connections[0];
    const before = connection?.reads ?? 0;
    assert.equal(before, 4, 'EHLO and the mail');
    const line = Buffer.from(`${'x'.repeat(70)}\r\n`);
    await sendMail(hop, {
      rcpts: ['<1@c>', '<2@c>', '<3@c>'],
      onGo: (sent) =>
        sent.out.content(
          Array.from({ length: 40 }, () => line),
          true,
        ),
    });
    assert.equal((connection?.reads ?? 0) - before, 3);
    const [, mail] = await sink.mailsOf(2);
    assert.equal(mail?.content.length, 40 * line.length);
  });
});

test('two writes a mail where data() comes with the recipients: DATA leaves with them', async () => {
  await withHop({}, {}, async (hop, sink) => {
    await sendMail(hop);
    const connection = sink.connections[0];
    const before = connection?.reads ?? 0;
    for (const exact of [false, true]) {
      const sent = await sendMail(hop, { rcpts: ['<1@c>', '<2@c>', '<3@c>'], exact, ahead: true });
      assert.deepEqual(sent.events, ['rcpt 0 250', 'rcpt 1 250', 'rcpt 2 250', 'data 354', 'final 250']);
    }
    assert.equal((connection?.reads ?? 0) - before, 4, 'BDAT waits for the recipients: two writes, too');
    assert.equal(connection?.commands.at(-1), 'BDAT 21 LAST');
  });
});

test('DATA left with recipients that are all refused: a dot where the hop wants content, and the connection lives', async () => {
  for (const answer of ['354 Go ahead\r\n', '554 5.5.1 Nobody\r\n']) {
    const script: SinkOptions = {
      answer: (c) => {
        if (c.verb === 'RCPT' && c.argument.includes('no@')) return '550 no\r\n';
        return c.verb === 'DATA' && c.nth === 0 ? answer : undefined;
      },
    };
    await withHop(script, { limits: { connections: 1 } }, async (hop, sink) => {
      const sent = await sendMail(hop, { rcpts: ['<no@c>', '<no@d>'], ahead: true });
      assert.deepEqual(sent.events, ['rcpt 0 550', 'rcpt 1 550', 'data 554']);
      const next = await sendMail(hop, { ahead: true });
      assert.equal(next.result, 250);
      assert.equal(sink.mails.length, 1);
      assert.equal(sink.connections.length, 1);
    });
  }
});

test('content given in one turn leaves in one write, its end with it', async () => {
  await withHop({}, {}, async (hop, sink) => {
    await sendMail(hop, { content: [Buffer.from('a\r\n'), Buffer.from('.b\r\n'), Buffer.alloc(0)] });
    assert.equal(sink.connections[0]?.reads, 4);
    assert.equal(sink.mails[0]?.content.toString(), 'a\r\n.b\r\n');
  });
});

test('without PIPELINING one command at a time; with HELO alone too', async () => {
  const scripts: SinkOptions[] = [
    { offers: ['8BITMIME'] },
    { answer: (c) => (c.verb === 'EHLO' ? '502 5.5.1 No\r\n' : undefined) },
  ];
  for (const script of scripts) {
    await withHop(script, {}, async (hop, sink) => {
      const sent = await sendMail(hop, { rcpts: ['<b@c>', '<d@e>', '<f@g>'] });
      assert.equal(sent.result, 250);
      assert.equal(sink.mails[0]?.rcpts.length, 3);
    });
  }
});

test('recipients have their own answers; DATA refused; all refused', async () => {
  const script: SinkOptions = {
    answer: (c) => {
      if (c.verb === 'RCPT' && c.argument.includes('no@')) return '550-5.1.1 No\r\n550 5.1.1 such user\r\n';
      return c.verb === 'DATA' && c.nth === 1 ? '451 4.3.0 Not now\r\n' : undefined;
    },
  };
  await withHop(script, { limits: { connections: 1 } }, async (hop, sink) => {
    const some = await sendMail(hop, { rcpts: ['<no@c>', '<b@c>', '<no@d>'] });
    assert.deepEqual(some.events, ['rcpt 0 550', 'rcpt 1 250', 'rcpt 2 550', 'data 354', 'final 250']);
    assert.deepEqual(some.rcptReplies[0], { code: 550, enhanced: '5.1.1', text: ['No', 'such user'] });
    assert.deepEqual(sink.mails[0]?.rcpts, ['<b@c>']);
    const none = await sendMail(hop, { rcpts: ['<no@c>'] });
    assert.deepEqual(none.events, ['rcpt 0 550']);
    const refused = await sendMail(hop);
    assert.deepEqual(refused.events, ['rcpt 0 250', 'data 451']);
    assert.equal((await sendMail(hop)).result, 250);
    assert.equal(sink.connections.length, 1, 'RSET keeps the connection');
  });
});

test('data() behind the refusal of every recipient is refused here, and the hop never sees DATA', async () => {
  await withHop({ answer: (c) => (c.verb === 'RCPT' ? '550 no\r\n' : undefined) }, {}, async (hop, sink) => {
    const sent = await sendMail(hop, { onEnvelope: ({ out }) => out.data() });
    assert.deepEqual(sent.events, ['rcpt 0 550', 'data 554']);
    await sink.until(() => sink.connections[0]?.commands.at(-1) === 'RSET');
    assert.ok(!sink.connections[0]?.commands.includes('DATA'));
  });
});

test('data() may be called while recipients owe their replies', async () => {
  await withHop({}, {}, async (hop) => {
    const sent = await sendMail(hop, { ahead: true });
    assert.deepEqual(sent.events, ['rcpt 0 250', 'data 354', 'final 250']);
  });
});

test('MAIL refused: everyone gets its reply, later ones too, and the connection lives', async () => {
  await withHop(
    { answer: (c) => (c.verb === 'MAIL' && c.nth === 0 ? '452 4.3.1 Full\r\n' : undefined) },
    {},
    async (hop, sink) => {
      const refused = await sendMail(hop, { rcpts: ['<b@c>', '<d@e>'], onEnvelope: ({ out }) => out.data() });
      assert.deepEqual(refused.events, ['rcpt 0 452', 'rcpt 1 452', 'data 554']);
      const late = new SentMail(hop, { rcpts: ['<b@c>'] });
      await late.done;
      assert.equal(late.result, 250);
      assert.equal(sink.connections.length, 1);
    },
  );
  await withHop({ answer: (c) => (c.verb === 'MAIL' ? '550 No\r\n' : undefined) }, {}, async (hop) => {
    const codes: number[] = [];
    await new Promise<void>((resolve) => {
      const out = hop.open(
        { mail: '<a@b>', params: new Map() },
        {
          onRcptReply: (index, { code }) => {
            codes.push(index, code);
            if (index === 0) out.rcpt('<late@c>');
            else resolve();
          },
          onDataReply: () => {},
          onDrain: () => {},
          onFinalReply: () => {},
          onFailed: () => {},
        },
      );
      out.rcpt('<b@c>');
    });
    assert.deepEqual(codes, [0, 550, 1, 550]);
  });
});

test('only what the hop offers is sent; what it lacks and the mail needs fails before anything is', async () => {
  await withHop({ offers: ['PIPELINING', 'DSN'] }, {}, async (hop, sink) => {
    const wishes = new Map<string, string | true>([
      ['SIZE', '10'],
      ['RET', 'HDRS'],
    ]);
    await sendMail(hop, { params: wishes, rcpts: ['<b@c> NOTIFY=NEVER X=Y'] });
    assert.deepEqual(sink.connections[0]?.commands.slice(1, 3), [
      'MAIL FROM:<a@example.org> RET=HDRS',
      'RCPT TO:<b@c> NOTIFY=NEVER',
    ]);
    const needs = await sendMail(hop, { params: new Map([['BODY', '8BITMIME']]) });
    assert.deepEqual(needs.events, ['failed envelope cannot-carry']);
    assert.equal(needs.failure?.reply?.enhanced, '5.6.3');
    const utf8 = await sendMail(hop, { params: new Map([['SMTPUTF8', true as const]]) });
    assert.equal(utf8.failure?.reply?.enhanced, '5.6.7');
    assert.equal((await sendMail(hop)).result, 250);
    assert.equal(sink.connections.length, 1);
  });
});

test('exact content goes by BDAT where CHUNKING is offered, and arrives octet for octet', async () => {
  const content = [Buffer.from('a\nb\rc\r\n.\r\n'), Buffer.from('.no end')];
  await withHop({}, {}, async (hop, sink) => {
    const sent = await sendMail(hop, { content, exact: true });
    assert.deepEqual(sent.events, ['rcpt 0 250', 'data 354', 'final 250']);
    assert.deepEqual(sink.mails[0]?.content, Buffer.concat(content));
    assert.equal(sink.mails[0]?.by, 'BDAT');
    await sendMail(hop);
    assert.equal(sink.mails[1]?.by, 'DATA');
  });
});

test('a command is one line, whatever the caller believes', async () => {
  await withHop({}, {}, async (hop) => {
    const nothing = { onRcptReply() {}, onDataReply() {}, onDrain() {}, onFinalReply() {}, onFailed() {} };
    assert.throws(() => hop.open({ mail: '<a@b>\r\nRSET', params: new Map() }, nothing), TypeError);
    const out = hop.open({ mail: '<a@b>', params: new Map() }, nothing);
    assert.throws(() => out.rcpt('<a@b>\nRSET'), TypeError);
    out.abort();
  });
});

test('what the hop offers is known once a connection was made', async () => {
  await withHop({ offers: ['PIPELINING', 'SIZE 7'] }, {}, async (hop) => {
    assert.deepEqual([hop.offers], [undefined]);
    await sendMail(hop);
    assert.equal(hop.offers?.get('SIZE'), '7');
  });
});

test('calls out of order are bugs of the caller', async () => {
  await withHop({}, {}, async (hop) => {
    const sent = new SentMail(hop, { onGo: () => {} });
    assert.throws(() => sent.out.content([], true), /before 354/);
    sent.out.data();
    assert.throws(() => sent.out.data(), /twice/);
    assert.throws(() => sent.out.rcpt('<late@c>'), /after data/);
    sent.out.abort();
  });
});

test('no event comes from within a call', async () => {
  await withHop({}, {}, async (hop) => {
    let isCalling = false;
    const guard = <T>(call: () => T): T => {
      isCalling = true;
      const value = call();
      isCalling = false;
      return value;
    };
    const check = () => assert.equal(isCalling, false);
    for (const exact of [false, true]) {
      await new Promise<void>((resolve) => {
        const out = hop.open(
          { mail: '<a@b>', params: new Map() },
          {
            onRcptReply: () => {
              check();
              guard(() => out.data({ exact }));
            },
            onDataReply: () => {
              check();
              guard(() => out.content([Buffer.from('x')], true));
            },
            onDrain: check,
            onFinalReply: () => {
              check();
              resolve();
            },
            onFailed: check,
          },
        );
        guard(() => out.rcpt('<b@c>'));
      });
    }
  });
});

test('a refusal in the middle of content is the final reply, and the connection is not used again', async () => {
  let said = false;
  const script: SinkOptions = {
    duringContent: () => {
      if (said) return undefined;
      said = true;
      return { say: '552 5.3.4 Too big\r\n', next: 'close' };
    },
  };
  await withHop(script, {}, async (hop, sink) => {
    const sent = await sendMail(hop, { onGo: ({ out }) => void out.content([Buffer.from('part\r\n')], false) });
    assert.deepEqual(sent.events, ['rcpt 0 250', 'data 354', 'final 552']);
    assert.equal(sent.out.content([Buffer.from('more')], true), true, 'content behind the end is dropped');
    await sendMail(hop);
    assert.equal(sink.connections.length, 2);
    assert.equal(sink.mails.length, 1);
  });
});

test('a hop that answers twice is not used again', async () => {
  await withHop(
    { answer: (c) => (c.verb === 'CONTENT' ? '250 ok\r\n250 ok\r\n' : undefined) },
    {},
    async (hop, sink) => {
      assert.equal((await sendMail(hop)).result, 250);
      assert.equal((await sendMail(hop)).result, 250);
      assert.equal(sink.connections.length, 2);
    },
  );
});

test('abort at each stage ends with no event, and the hop takes no mail', async () => {
  const cases: readonly (readonly [string, TestMail, number])[] = [
    ['before the replies', {}, 1],
    ['behind the replies', { onEnvelope: ({ out }) => out.abort() }, 1],
    ['at 354', { onGo: ({ out }) => out.abort() }, 2],
    [
      'within content',
      {
        onGo: ({ out }) => {
          out.content([Buffer.from('part\r\n.\r\n')], false);
          setImmediate(() => out.abort());
        },
      },
      2,
    ],
  ];
  for (const [name, mail, connections] of cases) {
    await withHop({}, {}, async (hop, sink) => {
      const sent = new SentMail(hop, mail);
      if (name === 'before the replies') sent.out.abort();
      else if (name !== 'behind the replies') await sink.until(() => sink.connections[0]?.isClosed === true);
      sent.out.abort();
      const next = await sendMail(hop);
      assert.equal(next.result, 250, name);
      assert.equal(sink.mails.length, 1, name);
      assert.equal(sink.connections.length, connections, name);
      assert.ok(!sent.events.some((event) => /final|failed/.test(event)), name);
    });
  }
});

test('nobody there', async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  await new Promise((resolve) => server.close(resolve));
  const hop = new NextHop({
    address: { kind: 'smtp', host: '127.0.0.1', port: address.port },
    tls: { policy: 'may' },
    helo: 'us.example',
  });
  const sent = await Promise.all([sendMail(hop), sendMail(hop)]);
  for (const { events, failure } of sent) {
    assert.deepEqual(events, ['failed connect unreachable']);
    assert.equal(failure?.detail, 'ECONNREFUSED');
  }
  await hop.close(0);
});

test('a hop that refuses at the greeting or at EHLO', async () => {
  for (const verb of ['CONNECT', 'EHLO'] as const) {
    await withHop({ answer: (c) => (c.verb === verb ? '451 4.3.2 Not now\r\n' : undefined) }, {}, async (hop) => {
      const sent = await sendMail(hop);
      assert.deepEqual(sent.events, ['failed hello refused']);
      assert.equal(sent.failure?.reply?.code, 451);
    });
  }
});

test('wishes for reports go where DSN is offered, and whoever asks is told whether they went', async () => {
  const params = new Map([['ENVID', 'ours']]);
  const wishes = new Map<string, string | true>([['NOTIFY', 'NEVER']]);
  for (const offers of [['DSN'], ['PIPELINING']]) {
    await withHop({ offers }, {}, async (hop, sink) => {
      const sent = new SentMail(hop, { rcpts: [], params });
      assert.equal(sent.out.passesDsn, undefined, 'not known yet');
      sent.out.rcpt('<b@c>', wishes);
      assert.throws(() => sent.out.rcpt('<b@c>', new Map([['ORCPT', 'rfc822;b\r\nRSET']])), TypeError);
      await sent.done;
      const isOffered = offers.includes('DSN');
      assert.equal(sent.out.passesDsn, isOffered);
      const [mail] = sink.mails;
      assert.deepEqual(
        [mail?.mail, mail?.rcpts],
        isOffered ? ['<a@example.org> ENVID=ours', ['<b@c> NOTIFY=NEVER']] : ['<a@example.org>', ['<b@c>']],
      );
    });
  }
});
