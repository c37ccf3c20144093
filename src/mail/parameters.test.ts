import assert from 'node:assert/strict';
import { test } from 'vitest';
import { decodeEncodedWords, encodeWords, mailLimits, parseStructured } from './index.ts';

/** Field body; value; parameters; charsets; whether it can be read in two ways. */
const fields: readonly (readonly [string, string, Record<string, string>, Record<string, string>?, boolean?])[] = [
  ['text/plain', 'text/plain', {}],
  ['TEXT/Plain; Charset="UTF-8"', 'text/plain', { charset: 'UTF-8' }],
  ['a;b=c;d="e;f"; g = h ', 'a', { b: 'c', d: 'e;f', g: 'h' }],
  ['a; b="c\\"d\\\\"', 'a', { b: 'c"d\\' }],
  ['a (x (y) \\) ) ; (z) b (=) = (q) c (r)', 'a', { b: 'c' }],
  ['a; b=c d', 'a', { b: 'c d' }],
  ['a;;; ;b=', 'a', { b: '' }],
  ['', '', {}],
  // RFC 2231 section 3, 4 and 4.1.
  ["a; t*=us-ascii'en-us'This%20is%20%2A%2A%2Afun", 'a', { t: 'This is ***fun' }, { t: 'us-ascii' }],
  [
    "a; t*0*=us-ascii'en'This%20is%20even%20more%20; t*1*=%2A%2A%2Afun%2A%2A%2A%20; t*2=\"isn't it!\"",
    'a',
    { t: "This is even more ***fun*** isn't it!" },
    { t: 'us-ascii' },
  ],
  ['a; t*0="x"; t*1="y"', 'a', { t: 'xy' }],
  ['a; t*1=y; t*0=x; t=old; t*2*=%7A', 'a', { t: 'xyz' }],
  ["a; t=old; t*=''new", 'a', { t: 'new' }],
  ['a; t*=%41%4', 'a', { t: 'A%4' }],
  // Read in two ways: told.
  ['a; b=c; b=d', 'a', { b: 'c' }, {}, true],
  ['a; b="c', 'a', { b: 'c' }, {}, true],
  ['a; b="c" d', 'a', { b: 'c' }, {}, true],
  ['a; b', 'a', {}, {}, true],
  ['a; t*0=x; t*2=z', 'a', { t: 'x' }, {}, true],
  ['a; t*1=x', 'a', { t: '' }, {}, true],
  ['a (open; b=c', 'a', {}, {}, true],
  ['a; b c=d', 'a', {}, {}, true],
  ['a; __proto__=x; constructor=y', 'a', { ['__proto__']: 'x', constructor: 'y' }],
];

test('parameters are read as senders mean them, and what can be meant twice is told', () => {
  for (const [body, value, params, charsets = {}, broken = false] of fields) {
    const read = parseStructured(body);
    const names = [...read.params.keys()];
    assert.deepEqual([...read.params], Object.entries(params), body);
    assert.deepEqual([read.value, Object.fromEntries(read.charsets), read.broken], [value, charsets, broken], body);
    assert.deepEqual(names, Object.keys(params));
  }
});

test('parameters are capped in number and size, and giant ones read in linear time', () => {
  const many = parseStructured(`a${'; b=c'.repeat(100_000)}`);
  assert.ok(many.broken && many.params.size === 1);
  const names = parseStructured(`a${Array.from({ length: 1000 }, (_, i) => `; n${i}=x`).join('')}`);
  assert.ok(names.broken && names.params.size === mailLimits.params);
  const long = parseStructured(`a; b="${'x'.repeat(5000)}"; c=d`);
  assert.deepEqual([...long.params], [['c', 'd']]);
  assert.ok(long.broken);
  for (const sign of ['(', '"', '\\', ';', '=', ' ', '*', "'", '%']) parseStructured(`a; b${sign.repeat(200_000)}`);
});

const read = (body: string) =>
  decodeEncodedWords(body).map(({ octets, charset }) => [charset ?? '', octets.toString('latin1')]);

test('encoded-words give octets and a charset; what is none stays text', () => {
  assert.deepEqual(read('plain'), [['', 'plain']]);
  assert.deepEqual(read(''), []);
  assert.deepEqual(read('=?ISO-8859-1?q?a=E4_b?='), [['iso-8859-1', 'a\xe4 b']]);
  assert.deepEqual(read('=?utf-8*de?B?w6Q=?= x'), [
    ['utf-8', '\xc3\xa4'],
    ['', ' x'],
  ]);
  // White space between two words is not text; a character divided between them is put together.
  assert.deepEqual(read('=?utf-8?B?ww==?= \t=?utf-8?Q?=A4?='), [['utf-8', '\xc3\xa4']]);
  assert.deepEqual(read('=?a?Q?x?= =?b?Q?y?='), [
    ['a', 'x'],
    ['b', 'y'],
  ]);
  assert.deepEqual(read('"=?a?Q?x?="y'), [
    ['', '"'],
    ['a', 'x'],
    ['', '"y'],
  ]);
  for (const none of ['=?a?X?x?=', '=?a?Q?x?', '=?a?Q?x', '=??Q?x?=', '=?a b?Q?x?='])
    assert.deepEqual(read(none), [['', none]]);
  assert.deepEqual(read('=?a?Q?=4=G1=?='), [['a', '=4=G1=']]);
});

test('words beyond the cap stay text, and hostile text is read in linear time', () => {
  const pieces = decodeEncodedWords('=?a?Q?x?= =?b?Q?y?= =?c?Q?z?=', { ...mailLimits, encodedWords: 2 });
  assert.equal(pieces.at(-1)?.octets.toString(), ' =?c?Q?z?=');
  for (const text of ['=?', '=?a', '=?a?Q?', '=?a?Q?x', '?', '=']) read(text.repeat(200_000));
});

test('text is encoded only where it must be, in words of at most 75 characters, between characters', () => {
  assert.equal(encodeWords('plain'), 'plain');
  assert.equal(encodeWords('ä'), '=?utf-8?B?w6Q=?=');
  for (const text of ['=?utf-8?Q?x?=', 'a\r\nBcc: x', '\ud800', `${'😀ä'.repeat(50)}x`, 'ü'.repeat(500)]) {
    const words = encodeWords(text);
    for (const word of words.split(' ')) assert.match(word, /^=\?utf-8\?B\?[A-Za-z0-9+/=]+\?=$/);
    assert.ok(words.split(' ').every((word) => word.length <= 75));
    const back = decodeEncodedWords(words).map((piece) => piece.octets.toString());
    assert.equal(back.join(''), text.toWellFormed());
  }
});
