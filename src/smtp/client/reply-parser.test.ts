import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { type Reply, reply, writeReply } from '../reply.ts';
import { ReplyParser } from './reply-parser.ts';

const LIMITS = { line: 64, lines: 4 };

interface Vector {
  readonly name: string;
  readonly wire: string;
  readonly replies: readonly Reply[];
  readonly rule?: string;
  readonly isEmpty?: boolean;
}

const vectors: readonly Vector[] = [
  { name: 'one line', wire: '250 2.1.0 Ok\r\n', replies: [reply(250, '2.1.0', 'Ok')] },
  {
    name: 'two replies',
    wire: '250 a\r\n550 b\r\n',
    replies: [reply(250, undefined, 'a'), reply(550, undefined, 'b')],
  },
  { name: 'a code alone (RFC 5321 4.2)', wire: '250\r\n', replies: [reply(250, undefined, '')] },
  { name: 'several lines', wire: '250-a\r\n250-\r\n250 c\r\n', replies: [reply(250, undefined, 'a', '', 'c')] },
  {
    name: 'the enhanced code is taken off every line that has it',
    wire: '550-5.1.1 a\r\n550-b\r\n550 5.1.1 c\r\n',
    replies: [reply(550, '5.1.1', 'a', 'b', 'c')],
  },
  {
    name: 'an enhanced code of another class stays text',
    wire: '250 5.1.1 x\r\n',
    replies: [reply(250, undefined, '5.1.1 x')],
  },
  { name: 'an enhanced code alone', wire: '550 5.7.1\r\n', replies: [reply(550, '5.7.1', '')] },
  { name: 'codes outside the grammar that hops use', wire: '571 no\r\n', replies: [reply(571, undefined, 'no')] },
  { name: '8-bit text is kept', wire: '550 \xe4\xff\r\n', replies: [reply(550, undefined, '\xe4\xff')] },
  { name: 'the longest line', wire: `250 ${'x'.repeat(58)}\r\n`, replies: [reply(250, undefined, 'x'.repeat(58))] },
  { name: 'a line too long', wire: `250 ${'x'.repeat(59)}\r\n`, replies: [], rule: 'reply-line-size' },
  { name: 'a line without an end', wire: `250 ${'x'.repeat(60)}`, replies: [], rule: 'reply-line-size' },
  {
    name: 'as many lines as allowed',
    wire: '250-\r\n250-\r\n250-\r\n250 \r\n',
    replies: [reply(250, undefined, '', '', '', '')],
  },
  {
    name: 'a reply without an end',
    wire: '250-\r\n250-\r\n250-\r\n250-\r\n250-\r\n',
    replies: [],
    rule: 'reply-lines',
  },
  { name: 'another code within a reply', wire: '250-a\r\n550 b\r\n', replies: [], rule: 'reply-code-changed' },
  { name: 'a bare LF ends no line', wire: '250 a\n250 b\r\n', replies: [], rule: 'bare-lf' },
  { name: 'an LF alone', wire: '\n', replies: [], rule: 'bare-lf' },
  { name: 'a bare CR within a line', wire: '250 a\r250 b\r\n', replies: [], rule: 'bare-cr' },
  { name: 'an empty line', wire: '\r\n', replies: [], rule: 'reply-code' },
  { name: 'two digits', wire: '25 a\r\n', replies: [], rule: 'reply-code' },
  { name: 'four digits', wire: '2500 a\r\n', replies: [], rule: 'reply-code' },
  { name: 'first digit 6', wire: '650 a\r\n', replies: [], rule: 'reply-code' },
  { name: 'first digit 0', wire: '050 a\r\n', replies: [], rule: 'reply-code' },
  { name: 'a word', wire: 'HTTP/1.1 400 Bad Request\r\n', replies: [], rule: 'reply-code' },
  {
    name: 'nothing after a rule is broken',
    wire: '250 a\r\nx\r\n250 b\r\n',
    replies: [reply(250, undefined, 'a')],
    rule: 'reply-code',
  },
  { name: 'half a line is left over', wire: '250 a\r\n25', replies: [reply(250, undefined, 'a')], isEmpty: false },
  { name: 'half a reply is left over', wire: '250-a\r\n', replies: [], isEmpty: false },
];

function everyCut(wire: Buffer): Buffer[][] {
  const cuts: Buffer[][] = [[wire], [...wire].map((octet) => Buffer.of(octet))];
  for (let i = 1; i < wire.length; i++) cuts.push([wire.subarray(0, i), wire.subarray(i)]);
  return cuts;
}

function read(parser: ReplyParser, chunks: readonly Buffer[]): Reply[] {
  const replies: Reply[] = [];
  for (const chunk of chunks) {
    // The socket's buffer is used again after each read: nothing may point into it.
    const shared = Buffer.from(chunk);
    parser.feed(shared);
    for (let next = parser.next(); next !== undefined; next = parser.next()) replies.push(next);
    shared.fill(0x21);
  }
  return replies;
}

for (const { name, wire, replies, rule, isEmpty } of vectors) {
  test(`${name}: the answer does not depend on the chunks`, () => {
    for (const chunks of everyCut(Buffer.from(wire, 'latin1'))) {
      const parser = new ReplyParser(LIMITS);
      assert.deepEqual(read(parser, chunks), replies, JSON.stringify(chunks.map(String)));
      assert.equal(parser.rule, rule);
      if (rule === undefined) assert.equal(parser.isEmpty, isEmpty ?? true);
    }
  });
}

test('a caller may stop between replies and see that there is more', () => {
  const parser = new ReplyParser(LIMITS);
  parser.feed(Buffer.from('220 go\r\n250 injected\r\n'));
  assert.equal(parser.next()?.code, 220);
  assert.equal(parser.isEmpty, false);
});

const anyReply = fc.record({
  code: fc.tuple(fc.integer({ min: 2, max: 5 }), fc.nat(5), fc.nat(9)).map(([a, b, c]) => a * 100 + b * 10 + c),
  text: fc.array(
    fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((c) => String.fromCharCode(c)), maxLength: 40 }),
    {
      minLength: 1,
      maxLength: 4,
    },
  ),
});

test('whatever is written reads back', () => {
  fc.assert(
    fc.property(fc.array(anyReply, { maxLength: 5 }), fc.array(fc.nat(60)), (made, cuts) => {
      const wire = Buffer.from(made.map((r) => writeReply({ ...r, enhanced: undefined })).join(''), 'latin1');
      const chunks: Buffer[] = [];
      let at = 0;
      for (const size of cuts) {
        chunks.push(wire.subarray(at, at + size));
        at += size;
      }
      chunks.push(wire.subarray(at));
      const parser = new ReplyParser(LIMITS);
      const back = read(parser, chunks);
      assert.equal(parser.rule, undefined);
      assert.deepEqual(
        back.map(
          (r) =>
            [r.code, r.enhanced === undefined ? r.text : r.text.map((line) => `${r.enhanced} ${line}`)].flat().length,
        ),
        made.map((r) => 1 + r.text.length),
      );
      assert.deepEqual(
        back.map((r) => r.code),
        made.map((r) => r.code),
      );
    }),
  );
});
