/** A hop that answers the content before it can have it. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { type HopTestOptions, SentMail, sendMail, withHop } from '../../../test/support/outbound.ts';
import type { SinkOptions } from '../../../test/support/sink.ts';

/** More than any socket takes at once: the end of it waits here when the hop has its beginning. */
const LARGE = [Buffer.alloc(24 * 1024 * 1024, 'a line of content\r\n')];

/** Not told of room, as it never lacked any. */
class Small extends SentMail {
  override onDrain(): void {}
}

function once(wire: string): () => string | undefined {
  let left: string | undefined = wire;
  return () => {
    const said = left;
    left = undefined;
    return said;
  };
}

for (const [kind, lmtp] of [
  ['smtp', false],
  ['lmtp', true],
] as const) {
  for (const exact of [false, true]) {
    const by = `${kind}, ${exact ? 'BDAT' : 'DATA'}`;
    const options: HopTestOptions = { kind };

    test(`a yes before the end of the content has left is no answer to it (${by})`, async () => {
      const script: SinkOptions = { lmtp, duringContent: once('250 2.0.0 Ok\r\n') };
      await withHop(script, options, async (hop, sink) => {
        const sent = await sendMail(hop, { content: LARGE, exact });
        assert.equal(sent.events.at(-1), 'failed final unsolicited sent');
        assert.deepEqual(sink.mails, []);
      });
    });

    test(`behind a refusal before the end of the content has left, no other mail goes there (${by})`, async () => {
      const script: SinkOptions = {
        lmtp,
        answer: ({ verb, argument }) =>
          verb === 'RCPT' && argument.includes('nobody') ? '550 5.1.1 No\r\n' : undefined,
        duringContent: once('552 5.3.4 Too big\r\n'),
      };
      await withHop(script, options, async (hop, sink) => {
        const first = await sendMail(hop, { content: LARGE, exact });
        assert.equal(first.finalReply?.code, 552);
        const second = new Small(hop, { rcpts: ['<nobody@example.com>'] });
        await second.done;
        assert.deepEqual(second.events, ['rcpt 0 550']);
        assert.equal(sink.connections.length, 2);
      });
    });
  }
}

test('a yes in one go with the 354 is no answer to the content', async () => {
  const script: SinkOptions = {
    answer: ({ verb }) => (verb === 'DATA' ? '354 Go ahead\r\n250 2.0.0 Ok\r\n' : undefined),
  };
  await withHop(script, {}, async (hop, sink) => {
    const sent = new SentMail(hop, {});
    await sent.done;
    assert.equal(sent.events.at(-1), 'failed final unsolicited sent');
    assert.deepEqual(sink.mails, []);
  });
});
