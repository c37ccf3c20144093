/** What filter authors do that no compiler has stopped: each fails its own mail at the most, at once, and is told why. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { change, defineService, edit, type MessageVerdict, replace } from './index.ts';
import { ask, type LogLine, run } from './testing.ts';

const URI = 'https://opes.example/odd';

const errorIn = ([line]: readonly LogLine[]): string => String(line?.fields['error']);

const byHand = (verdict: object) => verdict as MessageVerdict;

test.each([
  { kind: 'refuse' },
  { kind: 'refuse', reply: 550 },
  { kind: 'refuse', reply: '5'.repeat(70_000) },
  { kind: 'edit' },
  { kind: 'quarantine' },
  { kind: 'delay', reason: 'later' },
  { kind: 'delay', seconds: 0.5, reason: 'later' },
])('a verdict written by hand that lacks something is none: %j', async (verdict) => {
  const { outcome, failure, log } = await run(defineService({ uri: URI, message: () => byHand(verdict) }));
  assert.deepEqual([outcome, failure], ['failed', 'service-failed']);
  assert.match(errorIn(log), /^not a verdict on a message/);
});

test('a refusal without a reply lets no recipient pass', async () => {
  const service = defineService({ uri: URI, recipient: () => ({ kind: 'refuse' }) as never });
  const { outcome, log } = await run(service);
  assert.equal(outcome, 'failed');
  assert.match(errorIn(log), /^not a verdict on an address/);
});

test('a maker of content may fill one buffer again and again', async () => {
  const buffer = Buffer.alloc(6);
  function* lines() {
    for (let i = 0; i < 3; i++) {
      buffer.write(`A: ${i}\r\n`);
      yield buffer;
    }
  }
  const { message } = await run(defineService({ uri: URI, message: () => replace(lines()) }));
  assert.equal(message.toString(), 'A: 0\r\nA: 1\r\nA: 2\r\n');
});

test.each(['Subject: a\r\n\r\n', Buffer.from('Subject: a\r\n\r\n'), undefined, 5])(
  'content that is not in pieces is told where it is given: %j',
  (content) => {
    assert.throws(() => replace(content as never), /replace\(\[octets\]\)/);
  },
);

test('fields too large for one message fail their mail, and not the connection', async () => {
  const value = `${'w'.repeat(70)} `.repeat(200).slice(0, 7956);
  const add = Array.from({ length: 32 }, (_, i) => [`X-${i}`, value] as const);
  const { failure, log } = await run(defineService({ uri: URI, message: () => edit({ headers: { add } }) }));
  assert.equal(failure, 'service-failed');
  assert.match(errorIn(log), /octets of fields to add$/);
});

test('a look-up changed to more than a message holds fails, and its connection goes on', async () => {
  const service = defineService({ uri: URI, verify: () => change('a'.repeat(70_000)) });
  const { failure, log } = await ask(service, { command: 'VRFY', argument: 'ann' });
  assert.equal(failure, 'service-failed');
  assert.equal(errorIn(log), 'an argument of more than 2048 octets');
});
