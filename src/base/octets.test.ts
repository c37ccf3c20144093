import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { printable, readDecimal } from './index.ts';

const read = (text: string, max?: number) => readDecimal(Buffer.from(text, 'latin1'), 0, text.length, max);

test('a decimal is digits only, without sign or leading zero', () => {
  assert.equal(read('0'), 0);
  assert.equal(read('2147483647'), 2147483647);
  for (const text of ['', '00', '01', '-1', '+1', ' 1', '1 ', '1e3', '0x1', '2147483648', '99999999999999999999']) {
    assert.equal(read(text), undefined, JSON.stringify(text));
  }
  assert.equal(read('11', 10), undefined);
});

test('every number reads back as itself', () => {
  fc.assert(fc.property(fc.nat(2147483647), (n) => read(String(n)) === n));
});

test('text from outside comes out on one line and bounded', () => {
  assert.equal(printable('a\r\nb\0c\u0085'), 'a??b?c?');
  assert.equal(printable('x'.repeat(300), 10), 'xxxxxxxxxx...');
});
