import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { everyCut, SessionRig } from '../../../test/support/server-session.ts';
import { DataReader } from './data-reader.ts';

interface ReadContent {
  readonly content: string;
  /** What stands behind the final dot line, or undefined where none was seen. */
  readonly behind: string | undefined;
}

function read(chunks: readonly Buffer[]): ReadContent {
  let content = '';
  const reader = new DataReader({
    take: (buf, from, to) => {
      assert.ok(from < to, 'an empty range');
      content += buf.toString('latin1', from, to);
    },
  });
  for (const [i, chunk] of chunks.entries()) {
    const end = reader.next(chunk, 0);
    // The next hop's stuffing relies on it (bare newlines are refused anyway).
    if (!/\r(?!\n)|(?<!\r)\n/.test(content)) assert.equal(reader.hasDotLine, /^\.|\n\./.test(content), 'dot line');
    if (end >= 0)
      return { content, behind: Buffer.concat([chunk.subarray(end), ...chunks.slice(i + 1)]).toString('latin1') };
  }
  return { content, behind: undefined };
}

/** The same with strings: what ends content is CRLF.CRLF, and a line's first dot goes. */
function reference(wire: string): ReadContent {
  const end = `\r\n${wire}`.indexOf('\r\n.\r\n');
  const content = end < 0 ? wire : wire.slice(0, end);
  const unstuffed = `\r\n${content}`.replaceAll('\r\n.', '\r\n').slice(2);
  return { content: unstuffed, behind: end < 0 ? undefined : wire.slice(end + 3) };
}

function stuff(content: string): string {
  return `\r\n${content}`.replaceAll('\r\n.', '\r\n..').slice(2);
}

const vectors: readonly (readonly [wire: string, content: string, behind: string | undefined])[] = [
  ['.\r\n', '', ''],
  ['.\r\nQUIT\r\n', '', 'QUIT\r\n'],
  ['a\r\n.\r\n', 'a\r\n', ''],
  ['..\r\n.\r\n', '.\r\n', ''],
  ['.a\r\n.\r\n', 'a\r\n', ''],
  ['a.\r\n.\r\n', 'a.\r\n', ''],
  ['\r\n\r\n.\r\n.\r\n', '\r\n\r\n', '.\r\n'],
  ['...\r\n....\r\n.\r\n', '..\r\n...\r\n', ''],
];

for (const [wire, content, behind] of vectors) {
  test(`${JSON.stringify(wire)} at every cut`, () => {
    assert.deepEqual(reference(wire), { content, behind });
    for (const chunks of everyCut(Buffer.from(wire))) assert.deepEqual(read(chunks), { content, behind });
  });
}

test('any octets, in any two chunks: as the definition says', () => {
  const octets = fc.string({
    unit: fc.constantFrom('\r\n', '\r\n.', '.', '\r', '\n', 'a', '\r\n.\r\n'),
    maxLength: 12,
  });
  fc.assert(
    fc.property(octets, (wire) => {
      const expected = reference(wire);
      for (const chunks of everyCut(Buffer.from(wire))) {
        const found = read(chunks);
        // What is held back at the end (a dot, a CR behind it) is no content yet.
        if (expected.behind === undefined) assert.ok(expected.content.startsWith(found.content.replace(/\.?\r?$/, '')));
        else assert.deepEqual(found, expected);
      }
    }),
    { numRuns: 3000 },
  );
});

test('content out is content in, stuffed, in any chunks', () => {
  const line = fc.string({ unit: fc.constantFrom('.', 'a', ' ', '\0', '\xff'), maxLength: 6 });
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), fc.nat(100), fc.nat(100), (lines, a, b) => {
      const content = lines.map((text) => `${text}\r\n`).join('');
      const wire = Buffer.from(`${stuff(content)}.\r\nNOOP\r\n`, 'latin1');
      const [i, j] = [Math.min(a, b, wire.length), Math.min(Math.max(a, b), wire.length)];
      const chunks = [wire.subarray(0, i), wire.subarray(i, j), wire.subarray(j)];
      assert.deepEqual(read(chunks), { content, behind: 'NOOP\r\n' });
    }),
    { numRuns: 3000 },
  );
});

/**
 * SMTP smuggling (Longin, 2023; CVE-2023-51764 to 51766): what some server or other takes for the end of the content.
 * Every newline before the dot with every newline behind it.
 */
const newlines = [
  '\r\n',
  '\n',
  '\r',
  '\r\r\n',
  '\n\r',
  '\r\n\0',
  '\0\r\n',
  '\n\n',
  '\r\n\r',
  '\n\r\n',
  ' ',
  '\0',
  '\x85',
  '\v',
  '\f',
  '',
];

test('smuggling: of all these ends only CRLF.CRLF is one, at every cut', () => {
  const inner = 'MAIL FROM:<evil@b.c>\r\nRCPT TO:<victim@e.f>\r\nDATA\r\nevil\r\n.\r\n';
  let variants = 0;
  for (const before of newlines) {
    for (const after of newlines) {
      if (before.endsWith('\r\n') && after.startsWith('\r\n')) continue; // that one is an end
      variants++;
      const wire = `good${before}.${after}${inner}`;
      for (const chunks of cuts(Buffer.from(wire, 'latin1'))) smuggle(chunks, JSON.stringify(`${before}.${after}`));
    }
  }
  assert.ok(variants > 200, `${variants}`);
});

/** Not more than the border matters: whole, single octets, and each cut near the dot. */
function* cuts(wire: Buffer): Generator<readonly Buffer[]> {
  yield [wire];
  yield Array.from(wire, (_, i) => wire.subarray(i, i + 1));
  for (let i = 1; i < 16; i++) yield [wire.subarray(0, i), wire.subarray(i)];
}

function smuggle(chunks: readonly Buffer[], name: string): void {
  const rig = SessionRig.greeted();
  rig.send('MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n').heard();
  for (const chunk of chunks) rig.send(chunk);
  const heard = rig.heard();
  // One content, one reply: the inner mail is content of the outer one, or both are refused.
  assert.match(heard, /^(?:250 2\.0\.0 OK, message accepted|550 5\.6\.11 [^\r\n]*)\r\n$/, name);
  if (heard.startsWith('250')) assert.equal(rig.mails.length, 1, name);
  else assert.deepEqual([rig.mails, rig.resets], [[], ['BAD_CONTENT']], name);
  assert.equal(rig.send('NOOP\r\n').heard(), '250 2.0.0 OK\r\n', name);
}

test('smuggling through BDAT: no end is looked for, bare newlines are refused', () => {
  for (const before of newlines) {
    for (const after of newlines) {
      const content = Buffer.from(`good${before}.${after}x\r\n`, 'latin1');
      const isClean = !/\r(?!\n)|(?<!\r)\n/.test(content.toString('latin1'));
      const rig = SessionRig.greeted();
      rig.send('MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\n').heard();
      rig.send(`BDAT ${content.length} LAST\r\n`).send(content);
      assert.equal(rig.heard().slice(0, 3), isClean ? '250' : '550');
      assert.deepEqual(
        rig.mails.map((mail) => mail.content),
        isClean ? [content] : [],
      );
    }
  }
});
