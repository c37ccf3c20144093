/** LMTP (RFC 2033): LHLO, and an answer to the content for each recipient that was accepted. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished, test } from 'vitest';
import { sendMail, type TestMail, withHop } from '../../../test/support/outbound.ts';
import type { SinkAnswer, SinkCommand, SinkOptions } from '../../../test/support/sink.ts';

const LMTP = { kind: 'lmtp' } as const;
const THREE: TestMail = { rcpts: ['<a@x.example>', '<no@x.example>', '<full@x.example>', '<b@x.example>'] };

/** `no` is refused at RCPT, `full` at the end. */
function refusing(command: SinkCommand): SinkAnswer | undefined {
  if (command.verb === 'RCPT' && command.argument.includes('<no@')) return '550 5.1.1 No such user\r\n';
  if (command.verb === 'CONTENT' && command.argument.includes('<full@')) return '452 4.2.2 Mailbox full\r\n';
  return undefined;
}

test('an answer for each accepted recipient, and one that is true of all', async () => {
  await withHop({ lmtp: true, answer: refusing }, LMTP, async (hop, sink) => {
    const sent = await sendMail(hop, THREE);
    assert.deepEqual(sent.events, [
      'rcpt 0 250',
      'rcpt 1 550',
      'rcpt 2 250',
      'rcpt 3 250',
      'data 354',
      'final 452 250,-,452,250',
    ]);
    assert.deepEqual(
      sink.mails.map((mail) => mail.rcpts[0]),
      ['<a@x.example>', '<b@x.example>'],
    );
    const all = await sendMail(hop, { rcpts: ['<a@x.example>', '<b@x.example>'] });
    assert.equal(all.events.at(-1), 'final 250 250,250');
    assert.match(all.finalReply?.text.join() ?? '', /queued as 2/, 'the first of them');
    assert.equal(sink.connections.length, 1, 'the connection is used again');
    assert.equal(sink.connections[0]?.commands[0], 'LHLO us.example');
  });
});

test('by BDAT, where the content must not change; over a Unix socket; without PIPELINING', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'opes-lmtp-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const path = join(folder, 's');
  await withHop({ lmtp: true, answer: refusing, path }, {}, async (hop, sink) => {
    const sent = await sendMail(hop, { ...THREE, exact: true, content: [Buffer.from('no end')] });
    assert.equal(sent.events.at(-1), 'final 452 250,-,452,250');
    assert.deepEqual([sink.mails[0]?.by, sink.mails[0]?.content.toString()], ['BDAT', 'no end']);
    assert.equal((await sendMail(hop, THREE)).events.at(-1), 'final 452 250,-,452,250');
    assert.equal(sink.connections.length, 1);
  });
  await withHop({ lmtp: true, answer: refusing, offers: [] }, LMTP, async (hop) => {
    assert.equal((await sendMail(hop, THREE)).events.at(-1), 'final 452 250,-,452,250');
  });
});

const ENDS: readonly SinkAnswer[] = [
  { next: 'close' },
  { next: 'reset' },
  { say: '25', next: 'close' },
  { say: '421 4.3.2 Bye\r\n', next: 'close' },
  { next: 'stall' },
];

test('lost between two answers: those that came hold, and the others get 451', async () => {
  for (const end of ENDS) {
    const answer = (c: SinkCommand) => (c.verb === 'CONTENT' && c.nth === 2 ? end : refusing(c));
    await withHop({ lmtp: true, answer }, { ...LMTP, limits: { finalMs: 1000 } }, async (hop) => {
      const sent = await sendMail(hop, { rcpts: ['<a@x.example>', '<b@x.example>', '<c@x.example>'] });
      assert.equal(sent.events.at(-1), 'final 451 250,250,451');
      assert.equal(sent.finalReply?.enhanced?.startsWith('4.'), true);
      const refused = await sendMail(hop, { rcpts: ['<full@x.example>', '<b@x.example>', '<c@x.example>'] });
      assert.equal(refused.events.at(-1), 'final 452 452,250,451');
    });
  }
});

test('lost before the first answer: nobody knows anything, and nothing is sent again', async () => {
  for (const end of ENDS) {
    const answer = (c: SinkCommand) => (c.verb === 'CONTENT' ? end : undefined);
    await withHop({ lmtp: true, answer }, { ...LMTP, limits: { finalMs: 50 } }, async (hop, sink) => {
      const sent = await sendMail(hop, THREE);
      assert.match(sent.events.at(-1) ?? '', /^failed final (lost|closing|timeout) sent$/);
      assert.equal(sink.connections.length, 1);
    });
  }
});

test('one answer too many ends the connection, and no other mail meets it', async () => {
  const answer = (c: SinkCommand) => (c.verb === 'CONTENT' && c.nth === 0 ? '250 one\r\n250 more\r\n' : undefined);
  await withHop({ lmtp: true, answer }, LMTP, async (hop, sink) => {
    assert.equal((await sendMail(hop)).events.at(-1), 'final 250 250');
    assert.equal((await sendMail(hop)).result, 250);
    assert.equal(sink.connections.length, 2);
  });
});

test('a refusal in the middle of the content stands for every accepted recipient', async () => {
  const script: SinkOptions = {
    lmtp: true,
    answer: refusing,
    duringContent: () => ({ say: '552 5.3.4 Too much\r\n', next: 'stall' }),
  };
  await withHop(script, LMTP, async (hop) => {
    const sent = await sendMail(hop, { ...THREE, onGo: (one) => void one.out.content([Buffer.alloc(70_000)], false) });
    assert.equal(sent.events.at(-1), 'final 552 552,-,552,552');
  });
});

test('LHLO has no HELO to fall back on, and a hop that refuses it serves nobody', async () => {
  const answer = (c: SinkCommand) => (c.verb === 'LHLO' ? '500 5.5.1 What?\r\n' : undefined);
  await withHop({ lmtp: true, answer }, LMTP, async (hop, sink) => {
    assert.deepEqual((await sendMail(hop)).events, ['failed hello refused']);
    assert.deepEqual(sink.connections[0]?.commands, ['LHLO us.example']);
  });
});

test('silence at each stage ends in time, with its stage', async () => {
  // Only the stage that is silent is short: a busy machine may be slower than that at any other.
  for (const [verb, stage, limit] of [
    ['CONNECT', 'hello', 'greetingMs'],
    ['LHLO', 'hello', 'helloMs'],
    ['MAIL', 'envelope', 'envelopeMs'],
    ['RCPT', 'envelope', 'envelopeMs'],
    ['DATA', 'data', 'dataMs'],
    ['CONTENT', 'final', 'finalMs'],
  ] as const) {
    const answer = (c: SinkCommand) => (c.verb === verb ? ({ next: 'stall' } as const) : undefined);
    await withHop({ lmtp: true, answer }, { ...LMTP, limits: { [limit]: 30 } }, async (hop) => {
      const { failure } = await sendMail(hop);
      assert.deepEqual([failure?.reason, failure?.stage], ['timeout', stage], verb);
    });
  }
});

test('a pooled connection that died is replaced before the final dot, as in SMTP', async () => {
  const answer = (c: SinkCommand) =>
    c.connection === 0 && c.verb === 'DATA' && c.nth === 1 ? ({ next: 'reset' } as const) : refusing(c);
  await withHop({ lmtp: true, answer }, LMTP, async (hop, sink) => {
    await sendMail(hop, THREE);
    const sent = await sendMail(hop, THREE);
    assert.equal(sent.events.at(-1), 'final 452 250,-,452,250');
    assert.equal(sink.connections.length, 2);
  });
});
