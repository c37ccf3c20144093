import assert from 'node:assert/strict';
import { test } from 'vitest';
import { parseReplyText, type Reply, reply, writeReply } from '../reply.ts';
import { type Asked, mapNextHopReply, replyToFailure } from './map-reply.ts';
import type { FailureReason } from './outbound.ts';

const show = (r: Reply) => writeReply(r).trimEnd();
const map = (asked: Asked, code: number, enhanced?: string, ...text: string[]) =>
  show(mapNextHopReply(asked, reply(code, enhanced, ...(text.length > 0 ? text : ['x']))));

test('answers to MAIL, RCPT and the end of data pass through', () => {
  assert.equal(map('mail', 250, '2.1.0', 'Sender ok'), '250 2.1.0 Sender ok');
  assert.equal(map('rcpt', 251, undefined, 'will forward'), '251 2.1.5 will forward');
  assert.equal(map('final', 250, undefined, 'queued as 1'), '250 2.0.0 queued as 1');
  assert.equal(map('rcpt', 550, '5.1.1', 'No such user', 'Go away'), '550-5.1.1 No such user\r\n550 5.1.1 Go away');
  assert.equal(map('rcpt', 450, undefined, 'Greylisted'), '450 4.0.0 Greylisted');
  assert.equal(map('data', 554, '5.5.1', 'No valid recipients'), '554 5.5.1 No valid recipients');
});

test('what is between the hop and us is not the business of our client', () => {
  assert.match(map('rcpt', 421, '4.3.2', 'mx7.internal closing'), /^451 4\.4\.2 (?!.*internal)/);
  for (const code of [454, 530, 534, 535, 538]) assert.match(map('mail', code), new RegExp(`^451 4\\.4\\.0 .*${code}`));
});

test('answers out of place become 451', () => {
  for (const code of [150, 354, 334, 300]) assert.match(map('rcpt', code), /^451 4\.5\.0 /);
  assert.match(map('data', 250), /^451 4\.5\.0 /);
});

test('codes that strict clients do not know become the plain ones of their kind', () => {
  assert.equal(map('mail', 220), '250 2.1.0 x');
  assert.equal(map('final', 252), '250 2.0.0 x');
  assert.equal(map('rcpt', 571, '5.7.1'), '550 5.7.1 x');
  assert.equal(map('rcpt', 471), '450 4.0.0 x');
});

test('text of the hop cannot break our line', () => {
  const wire = writeReply(mapNextHopReply('rcpt', reply(550, undefined, 'a\x1b[2Jb\u0085\xff', 'x'.repeat(2000))));
  for (const line of wire.split('\r\n').slice(0, -1)) {
    assert.match(line, /^550[ -]5\.0\.0 [\x20-\x7e]*$/);
    assert.ok(line.length <= 510);
  }
});

test('every failure has a reply, temporary but where the mail can never go this way', () => {
  const reasons: readonly FailureReason[] = [
    'unreachable',
    'refused',
    'lost',
    'closing',
    'tls',
    'no-tls',
    'untrusted',
    'auth',
    'identity',
    'starttls-injection',
    'timeout',
    'bad-reply',
    'unsolicited',
    'out-of-place',
    'changed',
    'busy',
    'shutdown',
  ];
  for (const reason of reasons) {
    const made = replyToFailure({ stage: 'hello', reason, sent: false, reply: reply(554, '5.7.1', 'secret.internal') });
    assert.equal(made.code, 451, reason);
    assert.match(made.enhanced ?? '', /^4\.[3457]\.\d$/);
    assert.ok(!made.text.join('').includes('internal'));
    assert.deepEqual(parseReplyText(show(made)), made);
  }
  const ours = reply(554, '5.6.3', 'no');
  assert.equal(replyToFailure({ stage: 'envelope', reason: 'cannot-carry', sent: false, reply: ours }), ours);
});
