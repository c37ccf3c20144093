/** What a service advises: read as it is meant, at every cut, and written so that nobody can read anything else. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import {
  DEFAULT_CODEC_LIMITS,
  type Message,
  MessageParser,
  type MessageSink,
  type Named,
  NO_NAMED,
  Outbox,
  type Structure,
  type Value,
  writeDum,
} from '../ocp/index.ts';
import { type Advice, answerBlock, MAX_DELAY_SECONDS, MAX_REASON_OCTETS, readAnswer } from './index.ts';

const named = (...pairs: readonly (readonly [string, Value])[]): Named => new Map(pairs);
const action = (...anonymous: readonly Value[]): Structure => ({ anonymous, named: NO_NAMED });

/** The named parameters of the one message in `wire`, however that is cut in two. */
function* atEveryCut(wire: Buffer): Generator<Named> {
  for (let cut = 0; cut < wire.length; cut++) {
    const found: Message[] = [];
    const sink: MessageSink = {
      onMessage: (message) => found.push(message),
      onPayloadStart() {},
      onPayload() {},
      onPayloadEnd: (message) => found.push(message),
      onBad: (rule) => assert.fail(rule),
    };
    const parser = new MessageParser(sink, { limits: DEFAULT_CODEC_LIMITS, kept: 'structure' });
    parser.feed(wire.subarray(0, cut));
    parser.feed(wire.subarray(cut));
    assert.ok(found[0] !== undefined && found[0].broken === undefined);
    yield found[0].named;
  }
}

/** Wire, and what it says; the second half are words of a draft-00 server, which knows no form of ours. */
const VECTORS: readonly (readonly [wire: string, says: Advice | undefined])[] = [
  ['Advice: ({quarantine "8:phishing"})', { kind: 'quarantine', reason: 'phishing' }],
  ['Advice: ({delay 600})', { kind: 'delay', seconds: 600, reason: '' }],
  ['Advice: ({delay 600 "8:outbreak"})', { kind: 'delay', seconds: 600, reason: 'outbreak' }],
  ['Advice: ({notify recipient},{delay 60})', { kind: 'delay', seconds: 60, reason: '' }],
  [
    'Advice: ({quarantine "4:spam"},{delay 60 "1:x"})',
    { kind: 'quarantine', reason: 'spam', delay: { kind: 'delay', seconds: 60, reason: 'x' } },
  ],
  ['Advice: Quarantine', { kind: 'quarantine', reason: '' }],
  ['Advice: "10:Quarantine"', { kind: 'quarantine', reason: '' }],
  ['Advice: (Quarantine,Notify)', { kind: 'quarantine', reason: '' }],
  ['Advice: {quarantine spam}', { kind: 'quarantine', reason: 'spam' }],
  ['Advice: Split', undefined],
];
for (const [line, says] of VECTORS) {
  test(`${line}: the answer does not depend on the chunks`, () => {
    for (const named of atEveryCut(
      Buffer.from(`DUM 72 0\r\nAM-Part: RAWDATA\r\n${line}\r\n\r\n0:\r\n;\r\n`, 'latin1'),
    )) {
      const answer = readAnswer(named, 'DUM');
      assert.ok(!('error' in answer));
      assert.deepEqual([answer.part, answer.advice], ['RAWDATA', says]);
    }
  });
}

test('advice in our form, and in the bare words of a draft-00 server', () => {
  const cases: readonly (readonly [Value, Advice | undefined, hasUnknown?: boolean])[] = [
    [[action('quarantine', 'spam')], { kind: 'quarantine', reason: 'spam' }],
    [[action('quarantine')], { kind: 'quarantine', reason: '' }],
    [action('quarantine', 4), { kind: 'quarantine', reason: '4' }],
    ['Quarantine', { kind: 'quarantine', reason: '' }],
    [['QUARANTINE', 'notify'], { kind: 'quarantine', reason: '' }, true],
    [[action('delay', 600)], { kind: 'delay', seconds: 600, reason: '' }],
    [[action('delay', 600, 'a\rb\xe9')], { kind: 'delay', seconds: 600, reason: 'a?b?' }],
    [[action('delay', 2147483647)], { kind: 'delay', seconds: MAX_DELAY_SECONDS, reason: '' }],
    [
      [action('delay', 5), action('quarantine', 'x'), action('delay', 9)],
      { kind: 'quarantine', reason: 'x', delay: { kind: 'delay', seconds: 9, reason: '' } },
    ],
    [
      [action('quarantine', 'x'), action('delay', 5, 'a'), action('quarantine', 'y')],
      { kind: 'quarantine', reason: 'x', delay: { kind: 'delay', seconds: 5, reason: 'a' } },
    ],
    [
      [action('delay', 5, 'a'), action('delay', 9, 'b'), action('delay', 9, 'c')],
      { kind: 'delay', seconds: 9, reason: 'b' },
    ],
    [[action('quarantine', 'y'.repeat(300))], { kind: 'quarantine', reason: 'y'.repeat(MAX_REASON_OCTETS) }],
    [[action('split', 'x'), 'report'], undefined, true],
    [[], undefined],
  ];
  for (const [value, advice, hasUnknown = false] of cases) {
    const answer = readAnswer(named(['AM-Part', 'RAWDATA'], ['Advice', value]), 'DUM');
    assert.ok(!('error' in answer), JSON.stringify(value));
    // Advice that is not known is told apart only where nothing else is wrong.
    assert.deepEqual([answer.advice, answer.flaw], [advice, hasUnknown ? 'advice-unknown' : undefined]);
  }
});

test('advice that cannot be followed makes the message invalid: none of it is passed over', () => {
  const cases: readonly (readonly [Value, string])[] = [
    ['discard', 'advice-discard'],
    [[action('quarantine'), action('Discard')], 'advice-discard'],
    ['delay', 'advice-delay'],
    [[action('delay')], 'advice-delay'],
    [[action('delay', 0)], 'advice-delay'],
    [[action('delay', 'soon')], 'advice-delay'],
    [[action('delay', '-5')], 'advice-delay'],
    [[action('delay', 5, ['x'])], 'advice-type'],
    [[action('quarantine', action('x'))], 'advice-type'],
    [[['quarantine']], 'advice-type'],
    [[action()], 'advice-type'],
    [Array.from({ length: 9 }, () => 'notify'), 'advice-count'],
  ];
  for (const [value, error] of cases)
    assert.deepEqual(readAnswer(named(['Advice', value]), 'DUY'), { error }, JSON.stringify(value));
  const both = named(['AM-Part', 'RAWDATA'], ['SMTP-Error', '550 no'], ['Advice', 'quarantine']);
  assert.deepEqual(readAnswer(both, 'DUM'), { error: 'advice-with-smtp-error' });
});

test('advice is written so that it cannot end its line, and reads back', () => {
  const advices: readonly Advice[] = [
    { kind: 'quarantine', reason: '' },
    { kind: 'quarantine', reason: 'score 12, see "P-12" {x}' },
    { kind: 'delay', seconds: 600, reason: '' },
    { kind: 'delay', seconds: 1, reason: '17' },
  ];
  for (const advice of advices) {
    const lines = answerBlock('RAWDATA', { advice });
    assert.match(lines, /^AM-Part: RAWDATA\r\nAdvice: \(\{[^\r\n]+\}\)\r\n$/);
    const out = new Outbox();
    writeDum(out, 72, 0, lines, [], 0);
    for (const named of atEveryCut(Buffer.concat(out.take()))) {
      const answer = readAnswer(named, 'DUM');
      assert.ok(!('error' in answer));
      assert.deepEqual(answer.advice, advice);
    }
  }
  const odd = answerBlock(undefined, { advice: { kind: 'quarantine', reason: 'a\r\nAM-Part: RCPT\u{20ac}' } });
  assert.equal(odd, 'Advice: ({quarantine "17:a??AM-Part: RCPT?"})\r\n');
  assert.throws(() => answerBlock(undefined, { advice: { kind: 'delay', seconds: 0, reason: '' } }), RangeError);
});
