import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { everyCut } from '../../../test/support/server-session.ts';
import { type Flaw, NewlineCheck } from './newlines.ts';

/** What the check should say, an octet at a time. */
function reference(octets: Buffer, maxLine: number): Flaw | undefined {
  let length = 0;
  for (let i = 0; i < octets.length; i++) {
    const isCr = octets[i] === 13;
    const isLf = octets[i] === 10;
    if (isCr && octets[i + 1] === 10) {
      i++;
      length = 0;
    } else if (isCr && i + 1 === octets.length) {
      return undefined; // not known yet
    } else if (isCr || isLf) {
      return 'bare-newline';
    } else if (++length > maxLine) {
      return 'line-too-long';
    }
  }
  return undefined;
}

function check(chunks: readonly Buffer[], maxLine: number): Flaw | undefined {
  const newlines = new NewlineCheck(maxLine);
  for (const chunk of chunks) {
    const flaw = newlines.next(chunk, 0, chunk.length);
    if (flaw !== undefined) return flaw;
  }
  return undefined;
}

const vectors: readonly (readonly [string, Flaw | undefined])[] = [
  ['', undefined],
  ['\r\n', undefined],
  ['12345\r\n12345\r\n', undefined],
  ['12345', undefined],
  ['\r', undefined],
  ['\n', 'bare-newline'],
  ['a\nb', 'bare-newline'],
  ['a\rb', 'bare-newline'],
  ['a\r\r\n', 'bare-newline'],
  ['a\r\n\n', 'bare-newline'],
  ['a\n\r', 'bare-newline'],
  ['123456', 'line-too-long'],
  ['123456\n', 'line-too-long'],
  ['12345\n', 'bare-newline'],
  ['12345\rx', 'bare-newline'],
  ['1\r\n123456\r\n\n', 'line-too-long'],
  ['\0\t\v\f\x0e', undefined],
  ['\x8d\x8a\r\n', undefined], // CR and LF with the top bit are other octets
];

for (const [text, flaw] of vectors) {
  test(`${JSON.stringify(text)}: ${flaw ?? 'clean'}, at every cut`, () => {
    for (const chunks of everyCut(Buffer.from(text, 'latin1'))) assert.equal(check(chunks, 5), flaw);
  });
}

test('any content, anywhere in a larger buffer, in any chunks: as an octet at a time', () => {
  const line = fc.string({ unit: fc.constantFrom('a', '\t', '\0', '\x0e', '\xff', '\x8a'), maxLength: 40 });
  const ending = fc.oneof(
    { weight: 30, arbitrary: fc.constant('\r\n') },
    { weight: 1, arbitrary: fc.constantFrom('\r', '\n', '\r\r\n', '\n\r', '') },
  );
  const content = fc.array(fc.tuple(line, ending), { maxLength: 30 });
  fc.assert(
    fc.property(content, fc.nat(7), fc.array(fc.nat(400), { maxLength: 4 }), (lines, shift, cuts) => {
      const octets = Buffer.from(lines.flat().join(''), 'latin1');
      const expected = reference(octets, 60);
      const newlines = new NewlineCheck(60);
      // One buffer, its start at any octet of a word, with CR and LF around the range.
      const around = Buffer.concat([Buffer.alloc(shift, 13), octets, Buffer.alloc(9, 10)]);
      const borders = [0, ...cuts.map((cut) => Math.min(cut, octets.length)), octets.length].sort((a, b) => a - b);
      let found: Flaw | undefined;
      for (let i = 1; i < borders.length && found === undefined; i++) {
        found = newlines.next(around, shift + (borders[i - 1] as number), shift + (borders[i] as number));
      }
      assert.equal(found, expected);
    }),
    { numRuns: 2000 },
  );
});

test('a CR that ended a range is bare, whatever stood in the buffer before the next', () => {
  const newlines = new NewlineCheck(100);
  assert.equal(newlines.next(Buffer.from('a\r'), 0, 2), undefined);
  assert.equal(newlines.next(Buffer.from('BDAT 2\r\n.x'), 8, 10), 'bare-newline');
});
