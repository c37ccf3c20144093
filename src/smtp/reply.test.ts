import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { greeting, replies } from './replies.ts';
import { parseReplyText, type Reply, reply, withEnhanced, writeReply } from './reply.ts';

/** RFC 5321, 4.2 and RFC 2034: what every reply we write must be. */
function assertWellFormed(wire: string): void {
  assert.ok(wire.endsWith('\r\n'));
  const lines = wire.slice(0, -2).split('\r\n');
  for (const [i, line] of lines.entries()) {
    assert.match(line, /^[2-5][0-5][0-9][ -][\x20-\x7e]*$/);
    assert.equal(line[3], i === lines.length - 1 ? ' ' : '-');
    assert.equal(line.slice(0, 3), lines[0]?.slice(0, 3));
    assert.ok(line.length + 2 <= 512);
  }
}

const written: readonly (readonly [string, Reply, string])[] = [
  ['one line', reply(250, '2.0.0', 'OK'), '250 2.0.0 OK\r\n'],
  ['no enhanced code', reply(354, undefined, 'Go'), '354 Go\r\n'],
  ['no text', reply(250, undefined), '250 \r\n'],
  ['several lines: the code on each', reply(550, '5.7.1', 'a', 'b'), '550-5.7.1 a\r\n550 5.7.1 b\r\n'],
  ['text that would be a line of its own', reply(550, '5.7.1', 'a\r\n250 OK'), '550 5.7.1 a??250 OK\r\n'],
  ['controls and what is beyond ASCII', reply(550, '5.7.1', 'a\t\x1b[0m\x7f\xe9\u20ac'), '550 5.7.1 a ?[0m???\r\n'],
];

for (const [why, given, expected] of written) test(`written: ${why}`, () => assert.equal(writeReply(given), expected));

test('long lines are folded at a space, and a long reply is cut', () => {
  const words = writeReply(reply(550, '5.7.1', 'word '.repeat(300)));
  assertWellFormed(words);
  assert.equal(words.match(/word/g)?.length, 300);
  assert.ok(!/^(?:rd|ord|d)/m.test(words.replaceAll(/^550[ -]5\.7\.1 /gm, '')));
  const solid = writeReply(reply(550, undefined, 'x'.repeat(2000)));
  assertWellFormed(solid);
  assert.equal(solid.match(/x/g)?.length, 2000);
  const lines = writeReply(reply(550, '5.7.1', ...Array<string>(200).fill('x')));
  assertWellFormed(lines);
  assert.equal(lines.split('\r\n').length, 51);
});

test('whatever text a reply holds, what is written is well-formed', () => {
  const text = fc.string({ unit: 'binary', maxLength: 1200 });
  fc.assert(
    fc.property(fc.array(text, { maxLength: 6 }), (lines) =>
      assertWellFormed(writeReply(reply(451, '4.7.1', ...lines))),
    ),
  );
});

const parsed: readonly (readonly [string, Reply | undefined])[] = [
  ['250 OK', reply(250, undefined, 'OK')],
  ['250', reply(250, undefined, '')],
  ['550 5.7.1 no', reply(550, '5.7.1', 'no')],
  ['550-5.7.1 a\r\n550 5.7.1 b', reply(550, '5.7.1', 'a', 'b')],
  ['550-5.7.1 a\r\n550 b', reply(550, '5.7.1', 'a', 'b')],
  ['550-a\r\n550-\r\n550', reply(550, undefined, 'a', '', '')],
  ['550 5.7.1', reply(550, '5.7.1', '')],
  ['550 4.7.1 another class', reply(550, undefined, '4.7.1 another class')],
  ['550 5.7.1no', reply(550, undefined, '5.7.1no')],
  ['', undefined],
  ['550 a\r\n', undefined],
  ['550-a', undefined],
  ['550 a\r\n550 b', undefined],
  ['550-a\r\n551 b', undefined],
  ['550 a\nb', undefined],
  ['550 a\rb', undefined],
  ['550 a\0b', undefined],
  ['199 a', undefined],
  ['600 a', undefined],
  ['560 a', undefined],
  ['55 a', undefined],
  ['5500 a', undefined],
  ['550_a', undefined],
];

for (const [text, expected] of parsed) {
  test(`text ${JSON.stringify(text)}`, () => assert.deepEqual(parseReplyText(text), expected));
}

test('what is read of what was written is the same', () => {
  const line = fc
    .string({ unit: fc.constantFrom('a', ' ', '5', '.', '-', '1'), maxLength: 30 })
    .filter((text) => !/^[245]\.\d+\.\d+(?: |$)/.test(text));
  fc.assert(
    fc.property(
      fc.array(line, { minLength: 1, maxLength: 5 }),
      fc.constantFrom(undefined, '5.7.1'),
      (lines, enhanced) => {
        const given = reply(550, enhanced, ...lines);
        assert.deepEqual(parseReplyText(writeReply(given).slice(0, -2)), given);
      },
    ),
  );
});

test('a missing enhanced code is its class', () => {
  assert.equal(withEnhanced(reply(452, undefined, 'x')).enhanced, '4.0.0');
  assert.equal(withEnhanced(reply(452, '4.3.1', 'x')).enhanced, '4.3.1');
  assert.equal(withEnhanced(replies.goAhead).enhanced, undefined);
});

test('every reply of the table is well-formed, with a code of its class, and says nothing of our inside', () => {
  for (const [name, one] of Object.entries<Reply>(replies)) {
    assertWellFormed(writeReply(one));
    if (one.code >= 300 && one.code < 400) continue;
    assert.equal(one.enhanced?.[0], String(one.code)[0], name);
    assert.doesNotMatch(one.text.join(), /opes|node|handler|callout|version/i, name);
  }
  assert.equal(writeReply(greeting({ hostname: 'mx.example.com', protocol: 'smtp' })), '220 mx.example.com ESMTP\r\n');
});
