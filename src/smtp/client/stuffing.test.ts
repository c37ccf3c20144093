import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { DotStuffer } from './stuffing.ts';

function stuff(chunks: readonly Uint8Array[]): string {
  const stuffer = new DotStuffer();
  const out: Uint8Array[] = [];
  let octets = 0;
  for (const chunk of chunks) octets += stuffer.push(chunk, out);
  const end = stuffer.end();
  const whole = Buffer.concat([...out, end]);
  assert.equal(whole.length, octets + end.length, 'the count of octets is wrong');
  return whole.toString('latin1');
}

const vectors: readonly (readonly [why: string, content: string, wire: string])[] = [
  ['empty content is the dot line alone', '', '.\r\n'],
  ['plain', 'a\r\n', 'a\r\n.\r\n'],
  ['a dot at the very start', '.a\r\n', '..a\r\n.\r\n'],
  ['a dot at the start of a line', 'a\r\n.b\r\n', 'a\r\n..b\r\n.\r\n'],
  ['a line that is a dot', 'a\r\n.\r\nb\r\n', 'a\r\n..\r\nb\r\n.\r\n'],
  ['only the first dot is doubled', '...\r\n', '....\r\n.\r\n'],
  ['dot lines in a row', '.\r\n.\r\n.\r\n', '..\r\n..\r\n..\r\n.\r\n'],
  ['a dot within a line', 'a.b\r\n', 'a.b\r\n.\r\n'],
  ['the last CRLF is added', 'a', 'a\r\n.\r\n'],
  ['a lone last dot', '.', '..\r\n.\r\n'],
  ['a last CR is not completed to a CRLF', 'a\r', 'a\r\r\n.\r\n'],
  ['a last bare LF is no end of line', 'a\n', 'a\n\r\n.\r\n'],
  ['LF alone', '\n', '\n\r\n.\r\n'],
  ['a dot behind a bare LF cannot end the mail at a hop that takes LF', 'a\n.\nMAIL', 'a\n..\nMAIL\r\n.\r\n'],
  ['a dot behind a bare CR stays: CR ends no line', 'a\r.\r\n', 'a\r.\r\n.\r\n'],
];

for (const [why, content, wire] of vectors) {
  test(`${why}, at every cut`, () => {
    const octets = Buffer.from(content, 'latin1');
    assert.equal(stuff([octets]), wire);
    assert.equal(stuff([...octets].map((octet) => Uint8Array.of(octet))), wire);
    for (let i = 0; i <= octets.length; i++) {
      assert.equal(stuff([octets.subarray(0, i), Buffer.alloc(0), octets.subarray(i)]), wire, `cut at ${i}`);
    }
  });
}

test('any content in any chunks arrives as it was, with a final CRLF', () => {
  const piece = fc.constantFrom('.', '\r\n', '\r\n.', 'a', '\r\n.\r\n', '..', 'word');
  fc.assert(
    fc.property(fc.array(fc.array(piece).map((p) => p.join(''))), (texts) => {
      const content = texts.join('');
      const wire = stuff(texts.map((text) => Buffer.from(text)));
      // RFC 5321 4.5.2, read naively: the first line that is a dot ends it; another dot at the start of a line goes.
      const lines = `${wire}`.split('\r\n');
      const end = lines.indexOf('.');
      assert.equal(end, lines.length - 2, 'ends early or not at all');
      const back = lines.slice(0, end).map((line) => (line.startsWith('.') ? line.slice(1) : line));
      const expected = content === '' || content.endsWith('\r\n') ? content : `${content}\r\n`;
      assert.equal(back.map((line) => `${line}\r\n`).join(''), expected);
    }),
  );
});

test('content without dot lines goes through by reference', () => {
  const out: Uint8Array[] = [];
  const chunk = Buffer.from('a line\r\nanother\r\n');
  new DotStuffer().push(chunk, out);
  assert.deepEqual(out, [chunk]);
  assert.equal(out[0]?.buffer, chunk.buffer);
});
