import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { Content, FixedOctets, MemoryBudget, OctetStore } from '../content/index.ts';
import { AdaptedData, describeEdits, MAX_EDITS } from './adapted-data.ts';

function adapt(text: string, maxOctets = 10_000) {
  const input = new Content();
  input.append(new FixedOctets(Buffer.from(text, 'latin1')), 0, text.length);
  const inserted = new OctetStore(
    new MemoryBudget(),
    { isFull: false, open: () => assert.fail('no spill here') },
    { onCaughtUp() {}, onFailed() {}, onFault() {} },
  );
  return { input, data: new AdaptedData(input, () => inserted, maxOctets), inserted };
}

const textOf = (content: Content) => Buffer.concat(content.view(0, content.size) ?? []).toString('latin1');

test('the input copied whole, in however many ranges, is no change', () => {
  const { data } = adapt('Subject: a\r\n\r\nhello\r\n');
  data.copy(0, 5);
  data.copy(5, 10);
  assert.equal(data.isUnchanged, false);
  data.copy(15, 6);
  assert.equal(data.isUnchanged, true);
  assert.equal(data.output.pieces.length, 1);
});

test('octets sent back by value where they stand in order are taken as references', () => {
  const { data, inserted } = adapt('Subject: a\r\n\r\nhello\r\n');
  data.insert(Buffer.from('Subject: a\r\n'));
  data.insert(Buffer.from('\r\nhello\r\n'));
  assert.equal(data.isUnchanged, true);
  assert.equal(inserted.size, 0);
});

test('after an insertion the rest is recognised again', () => {
  const { data, inserted } = adapt('A: 1\r\n\r\nhello\r\n');
  data.insert(Buffer.from('X: new\r\n'));
  data.insert(Buffer.from('A: 1\r\n\r\nhello\r\n'));
  assert.equal(textOf(data.output), 'X: new\r\nA: 1\r\n\r\nhello\r\n');
  assert.equal(inserted.size, 8);
  assert.deepEqual(describeEdits(data.edits, 15), ['inserted 8 octets at 0']);
});

test('edits are told in words', () => {
  const { data } = adapt('0123456789');
  data.copy(0, 3);
  data.insert(Buffer.from('xy'));
  data.copy(5, 2);
  data.copy(8, 2);
  assert.equal(textOf(data.output), '012xy5689');
  assert.deepEqual(describeEdits(data.edits, 10), ['replaced 2 octets at 3 by 2', 'removed 1 octets at 7']);
});

test('an answer larger than its cap, or in too many pieces, is caught where it happens', () => {
  const { data } = adapt('0123456789', 25);
  assert.equal(data.copy(0, 10), undefined);
  assert.equal(data.copy(0, 10), undefined);
  assert.equal(data.copy(0, 10), 'adapted-size');
  assert.equal(data.insert(Buffer.from('123456')), 'adapted-size');
  const many = adapt('0123456789', 10_000_000).data;
  let cap: string | undefined;
  let n = 0;
  while (cap === undefined) cap = many.copy(n++ % 2 === 0 ? 0 : 5, 1);
  assert.equal(cap, 'adapted-pieces');
  assert.ok(n <= MAX_EDITS + 1);
});

test('an input in many pieces, copied again and again, is caught before it is millions of them', () => {
  const octets = new FixedOctets(Buffer.alloc(MAX_EDITS, 'x'));
  const input = new Content();
  for (let at = 0; at < MAX_EDITS; at += 2) input.append(octets, at, 1);
  const pieces = input.pieces.length;
  assert.equal(pieces, MAX_EDITS / 2);
  const data = new AdaptedData(input, () => assert.fail('nothing is inserted'), 1e9);
  // Copied once, in whatever ranges, it is no more than it was.
  for (let at = 0; at < pieces; at += 2) assert.equal(data.copy(at, 2), undefined);
  assert.equal(data.isUnchanged, true);
  for (let n = 0; n < MAX_EDITS / pieces; n++) assert.equal(data.copy(0, pieces), undefined);
  assert.equal(data.copy(0, pieces), 'adapted-pieces');
  assert.ok(data.output.pieces.length <= pieces + MAX_EDITS);
});

test('whatever is copied and inserted, the output is what was meant', () => {
  const step = fc.oneof(fc.record({ from: fc.nat(99), size: fc.nat(60) }), fc.string({ minLength: 1, maxLength: 6 }));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const text = Array.from({ length: 100 }, (_, i) => String.fromCharCode(48 + (i % 40))).join('');
      const { data } = adapt(text);
      let expected = '';
      for (const one of steps) {
        if (typeof one === 'string') {
          data.insert(Buffer.from(one, 'latin1'));
          expected += Buffer.from(one, 'latin1').toString('latin1');
        } else {
          const size = Math.min(one.size, 100 - one.from);
          data.copy(one.from, size);
          expected += text.slice(one.from, one.from + size);
        }
      }
      assert.equal(textOf(data.output), expected);
    }),
  );
});
