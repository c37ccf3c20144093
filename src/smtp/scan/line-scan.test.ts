import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { readMemory, scanLines } from './line-scan.ts';

const [LF, CR, DOT] = [10, 13, 46];

/** What the scan should say, an octet at a time. */
function reference(buf: Buffer, from: number, to: number, before: number): number {
  let last = before;
  for (let i = from; i < to; i++) {
    const octet = buf[i] as number;
    if ((octet === LF) !== (last === CR) || (octet === DOT && last === LF)) return i;
    last = octet;
  }
  return to;
}

// Long stretches without a hit, so that hits fall on every place of a block of sixteen, and behind the first window.
const stretch = fc.oneof(
  { weight: 6, arbitrary: fc.nat(3000).map((n) => 'x'.repeat(n)) },
  { weight: 6, arbitrary: fc.constant('\r\n') },
  { weight: 1, arbitrary: fc.constantFrom('\r', '\n', '.', '\r\n.', '\x8d\x8a', '\x8a', '\0', '\x2e\x2e', '\n.') },
);

test('random content: what a loop over octets finds, from hit to hit', () => {
  const content = fc
    .array(stretch, { maxLength: 60 })
    .map((parts) => Buffer.from(parts.join('').slice(0, readMemory.length), 'latin1'));
  const ahead = fc.constantFrom(0, CR, LF, DOT, 120);
  fc.assert(
    fc.property(content, fc.nat(40), fc.nat(40), ahead, (buf, skip, cut, before) => {
      const to = Math.max(0, buf.length - cut);
      const inPlace = readMemory.subarray(readMemory.length - buf.length);
      buf.copy(inPlace);
      let last = before;
      for (let from = Math.min(skip, to); from <= to; from++) {
        const found = scanLines(buf, from, to, last);
        assert.equal(found, reference(buf, from, to, last));
        assert.equal(scanLines(inPlace, from, to, last), found);
        last = buf[found] ?? 0;
        from = found;
      }
    }),
    { numRuns: 500 },
  );
});

test('a hit at every offset, behind every size', () => {
  for (let size = 1; size <= 70; size++) {
    for (let at = 0; at < size; at++) {
      const buf = Buffer.alloc(size, 'x');
      buf[at] = LF;
      assert.equal(scanLines(buf, 0, size, 0), at);
    }
  }
});

test('what an earlier call left in memory is not found', () => {
  scanLines(Buffer.alloc(200, '\n'), 0, 200, CR);
  for (let size = 0; size < 40; size++) assert.equal(scanLines(Buffer.alloc(40, 'x'), 0, size, 0), size);
  scanLines(Buffer.alloc(200, '\n'), 0, 200, CR);
  assert.equal(scanLines(Buffer.from('xxx\r'), 0, 4, 0), 4);
});
