import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { Base64Decoder, Base64Encoder, QuotedPrintableDecoder, QuotedPrintableEncoder } from './index.ts';

interface Coder {
  feed(chunk: Uint8Array): Buffer;
  end(): Buffer;
}

function coded(coder: Coder, chunks: readonly Buffer[]): string {
  return Buffer.concat([...chunks.map((chunk) => coder.feed(chunk)), coder.end()]).toString('latin1');
}

function* everyCut(octets: Buffer): Generator<Buffer[]> {
  yield [octets];
  yield Array.from(octets, (octet) => Buffer.of(octet));
  for (let i = 1; i < octets.length; i++) yield [octets.subarray(0, i), octets.subarray(i)];
}

/** Encoded, decoded, broken rule. */
const base64: readonly (readonly [string, string, string?])[] = [
  ['', ''],
  ['YWJj', 'abc'],
  ['YWI=', 'ab'],
  ['YQ==', 'a'],
  ['YW\r\n\tJj \nZA==\r\n', 'abcd'],
  ['YW*Jj!', 'abc', 'foreign-octet'],
  ['YQ==YmM=', 'abc', 'data-after-padding'],
  ['YWJjZA', 'abcd', 'odd-end'],
  ['YWJjZ', 'abc', 'odd-end'],
  ['YWJj====', 'abc'],
  ['YWJj\x80\xff-_', 'abc', 'foreign-octet'],
  ['=', ''],
];

test('base64 is decoded at every cut as a whole', () => {
  for (const [text, expected, broken] of base64) {
    for (const chunks of everyCut(Buffer.from(text, 'latin1'))) {
      const decoder = new Base64Decoder();
      assert.equal(coded(decoder, chunks), expected, text);
      assert.equal(decoder.broken, broken, text);
    }
  }
});

const quotedPrintable: readonly (readonly [string, string, string?])[] = [
  ['', ''],
  ['a=3Db=c3=A4', 'a=b\xc3\xa4'],
  ['a\r\nb\nc\rd', 'a\r\nb\nc\rd'],
  ['a=\r\nb=\nc', 'abc'],
  ['a= \t\r\nb=', 'ab'],
  ['a \t\r\nb  \nc ', 'a\r\nb\nc'],
  ['a =\r\n b', 'a  b'],
  ['a  b \r c', 'a  b \r c'],
  ['=4', '=4', 'bad-escape'],
  ['=4\r\n', '=4\r\n', 'bad-escape'],
  ['=4=41', '=4A', 'bad-escape'],
  ['=x', '=x', 'bad-escape'],
  ['==41', '=A', 'bad-escape'],
  ['= x', '=x', 'bad-escape'],
  ['=\rx', '\rx'],
  ['\x80\x00', '\x80\x00'],
  [`a${' '.repeat(1024)}\r\n`, 'a\r\n'],
  [`a${' '.repeat(1025)}\r\n`, `a${' '.repeat(1025)}\r\n`, 'long-space'],
];

test('quoted-printable is decoded at every cut as a whole, line ends as they were', () => {
  for (const [text, expected, broken] of quotedPrintable) {
    for (const chunks of everyCut(Buffer.from(text, 'latin1'))) {
      const decoder = new QuotedPrintableDecoder();
      assert.equal(coded(decoder, chunks), expected, JSON.stringify(text));
      assert.equal(decoder.broken, broken, JSON.stringify(text));
    }
  }
});

test('encoded text is what the RFC shows', () => {
  const quoted = (text: string) => coded(new QuotedPrintableEncoder(), [Buffer.from(text, 'latin1')]);
  assert.equal(quoted('a=b \r\nc\t\r\n d\re\nf '), 'a=3Db=20\r\nc=09\r\n d=0De=0Af=20');
  assert.equal(quoted('x'.repeat(80)), `${'x'.repeat(75)}=\r\n${'x'.repeat(5)}`);
  assert.equal(quoted('\xe4'.repeat(26)), `${'=E4'.repeat(25)}=\r\n=E4`);
  assert.equal(coded(new Base64Encoder(), [Buffer.alloc(58)]), `${'A'.repeat(76)}\r\nAA==\r\n`);
});

test('what was encoded decodes to the same octets, in lines of at most 76, whatever the cuts', () => {
  const octet = fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from(' \t\r\n=.aZ')));
  const input = fc.array(fc.array(octet, { maxLength: 120 }), { maxLength: 5 });
  fc.assert(
    fc.property(input, (lists) => {
      const chunks = lists.map((list) => Buffer.from(list));
      const whole = Buffer.concat(chunks);
      for (const [Encoder, Decoder] of [
        [Base64Encoder, Base64Decoder],
        [QuotedPrintableEncoder, QuotedPrintableDecoder],
      ] as const) {
        const encoded = coded(new Encoder(), chunks);
        assert.equal(encoded, coded(new Encoder(), [whole]));
        for (const line of encoded.split('\r\n')) assert.match(line, /^[\t -~]{0,76}$/);
        const decoder = new Decoder();
        assert.equal(coded(decoder, [Buffer.from(encoded, 'latin1')]), whole.toString('latin1'));
        assert.equal(decoder.broken, undefined);
      }
    }),
  );
});
