/** A hop that is slow or silent, and content that is large. Deadlines are short here; nothing sleeps, everything waits for an event. */
import assert from 'node:assert/strict';
import { createServer, type Socket } from 'node:net';
import fc from 'fast-check';
import { test } from 'vitest';
import { sendMail, withHop } from '../../../test/support/outbound.ts';
import type { SinkOptions } from '../../../test/support/sink.ts';
import type { NextHopLimits } from '../client/limits.ts';
import { NextHop } from './next-hop.ts';

const SHORT: Readonly<Record<string, Partial<NextHopLimits>>> = {
  greeting: { greetingMs: 20 },
  hello: { helloMs: 20 },
  envelope: { envelopeMs: 20 },
  data: { dataMs: 20 },
  final: { finalMs: 20 },
};

const STALLS: readonly (readonly [string, string, string])[] = [
  ['CONNECT', 'failed hello timeout', 'greeting'],
  ['EHLO', 'failed hello timeout', 'hello'],
  ['MAIL', 'failed envelope timeout', 'envelope'],
  ['RCPT', 'failed envelope timeout', 'envelope'],
  ['DATA', 'failed data timeout', 'data'],
  ['CONTENT', 'failed final timeout sent', 'final'],
];
for (const [verb, event, detail] of STALLS) {
  test(`a hop that falls silent at ${verb}`, async () => {
    await withHop(
      { answer: (c) => (c.verb === verb ? { next: 'stall' } : undefined) },
      { limits: SHORT[detail] ?? {} },
      async (hop, sink) => {
        const sent = await sendMail(hop);
        assert.equal(sent.events.at(-1), event);
        assert.equal(sent.failure?.detail, detail);
        assert.equal(sink.connections.length, 1, 'silence is no reason for a second try');
        assert.equal(hop.stats.connections, 0);
      },
    );
  });
}

test('a hop that drips its reply octet by octet has no more time than one that says nothing', async () => {
  const server = createServer((socket: Socket) => {
    socket.on('error', () => {});
    const drip = setInterval(() => socket.write('2'), 5);
    socket.on('close', () => clearInterval(drip));
    socket.write('220-');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  const hop = new NextHop({
    address: { kind: 'smtp', host: '127.0.0.1', port: address.port },
    tls: { policy: 'none' },
    helo: 'us',
    limits: { greetingMs: 30, tickMs: 5 },
  });
  const sent = await sendMail(hop);
  assert.deepEqual(sent.events, ['failed hello timeout']);
  await hop.close(0);
  await new Promise((resolve) => server.close(resolve));
});

const BIG = Array.from({ length: 400 }, (_, i) => Buffer.alloc(64 * 1024, `${i}.line of content\r\n`));

test('a hop that does not read: content() says false, and the write has its deadline', async () => {
  const script: SinkOptions = { duringContent: () => ({ next: 'stall' }) };
  await withHop(script, { limits: { blockMs: 20, minOctetsPerSecond: 1e8 } }, async (hop) => {
    const before = process.memoryUsage().arrayBuffers;
    const sent = await sendMail(hop, { content: BIG });
    assert.deepEqual(sent.events, ['rcpt 0 250', 'data 354', 'failed data timeout']);
    assert.equal(sent.failure?.detail, 'content');
    assert.ok(process.memoryUsage().arrayBuffers - before < 20e6, 'the content piled up');
  });
});

test('a hop that reads, large content: in bounded memory, octet for octet', async () => {
  for (const exact of [false, true]) {
    await withHop({}, {}, async (hop, sink) => {
      const sent = await sendMail(hop, { content: BIG, exact });
      assert.equal(sent.result, 250);
      assert.ok(sent.drains > 0, 'no back-pressure at 25 MiB');
      const whole = Buffer.concat(BIG);
      const got = sink.mails[0]?.content ?? Buffer.alloc(0);
      assert.equal(got.subarray(0, whole.length).equals(whole), true);
      assert.equal(got.length - whole.length, exact || whole.subarray(-2).toString() === '\r\n' ? 0 : 2);
    });
  }
});

test('content in one call, far beyond what one write takes', async () => {
  await withHop({}, {}, async (hop, sink) => {
    const sent = await sendMail(hop, { onGo: ({ out }) => void out.content(BIG.slice(0, 50), true) });
    assert.equal(sent.result, 250);
    assert.ok((sink.mails[0]?.content.length ?? 0) >= 50 * 64 * 1024);
  });
});

test('any content in any chunks arrives as it was', async () => {
  const piece = fc.constantFrom('.', '..', '\r\n', '\r\n.', '\r\n.\r\n', 'word', 'x'.repeat(1000));
  const chunk = fc.array(piece, { maxLength: 8 }).map((pieces) => Buffer.from(pieces.join('')));
  await withHop({}, {}, async (hop, sink) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(chunk, fc.boolean()), { minLength: 1, maxLength: 12 }),
        fc.boolean(),
        async (chunks, exact) => {
          const before = sink.mails.length;
          const sent = await sendMail(hop, {
            exact,
            onGo: ({ out }) => {
              // Some chunks go in one turn, some in later ones.
              let i = 0;
              const more = (): void => {
                for (let now = true; now && i < chunks.length; ) {
                  const [octets, wait] = chunks[i++] as [Buffer, boolean];
                  out.content([octets], i === chunks.length);
                  now = !wait;
                }
                if (i < chunks.length) setImmediate(more);
              };
              more();
            },
          });
          assert.equal(sent.result, 250);
          const content = Buffer.concat(chunks.map(([octets]) => octets)).toString('latin1');
          const whole = exact || content === '' || content.endsWith('\r\n') ? content : `${content}\r\n`;
          assert.equal(sink.mails[before]?.content.toString('latin1'), whole);
        },
      ),
      { numRuns: 150 },
    );
    assert.equal(sink.connections.length, 1);
  });
});
