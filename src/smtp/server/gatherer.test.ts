import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { Gatherer } from './gatherer.ts';

function gather(pieces: readonly Buffer[]): Buffer[] {
  const out: Buffer[] = [];
  const gatherer = new Gatherer({ onContent: (octets) => out.push(octets) });
  for (const piece of pieces) gatherer.put(piece, 0, piece.length);
  gatherer.flush();
  return out;
}

test('no piece is memory of the input', () => {
  const input = Buffer.alloc(1024, 1);
  const out: Buffer[] = [];
  const gatherer = new Gatherer({ onContent: (octets) => out.push(octets) });
  gatherer.put(input, 0, 600);
  gatherer.put(input, 600, 610);
  gatherer.flush();
  input.fill(2);
  assert.deepEqual(Buffer.concat(out), Buffer.alloc(610, 1));
});

test('pieces come out whole and in order, and never many small ones', () => {
  const sizes = fc.array(fc.oneof(fc.nat(3), fc.nat(600), fc.constant(511)), { maxLength: 60 });
  fc.assert(
    fc.property(sizes, (lengths) => {
      const pieces = lengths.map((size, i) => Buffer.alloc(size, i));
      const out = gather(pieces);
      assert.deepEqual(Buffer.concat(out), Buffer.concat(pieces));
      for (let i = 1; i < out.length; i++) {
        const both = (out[i - 1]?.length ?? 0) + (out[i]?.length ?? 0);
        assert.ok(both > 512 || i === out.length - 1, `pieces of ${both} octets together`);
      }
    }),
  );
});

test('a mail sent octet by octet costs a few times its size', () => {
  const out = gather(Array.from({ length: 100_000 }, () => Buffer.alloc(1)));
  assert.equal(out.length, Math.ceil(100_000 / 2048));
});
