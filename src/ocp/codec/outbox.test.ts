import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { Outbox } from './index.ts';

test('what is small leaves as one buffer, in order, and the box is empty then', () => {
  const out = new Outbox();
  out.head('a');
  out.octets(Buffer.from('b'));
  out.octets(Buffer.alloc(0));
  out.head('c');
  out.head('\xff');
  out.octets(Buffer.alloc(100_000, 'd'));
  assert.equal(out.pendingOctets, 100_004);
  const taken = out.take();
  assert.equal(taken.length, 1);
  assert.equal(taken[0]?.subarray(0, 6).toString('latin1'), 'abc\xffdd');
  assert.equal(out.pendingOctets, 0);
  assert.deepEqual(out.take(), []);
});

test('of much output large payloads go by reference, and what is between them in copies', () => {
  const out = new Outbox();
  const payloads: Buffer[] = Array.from({ length: 5 }, () => Buffer.alloc(64 * 1024, 'p'));
  for (const payload of payloads) {
    out.head('head');
    out.octets(payload);
    out.head('tail');
  }
  const taken = out.take();
  assert.deepEqual(
    taken.map((b) => b.length),
    [4, 65536, 8, 65536, 8, 65536, 8, 65536, 8, 65536, 4],
  );
  assert.deepEqual(
    taken.filter((b) => b.length === 65536).map((b) => payloads.indexOf(b)),
    [0, 1, 2, 3, 4],
  );
});

test('of much output in small pieces no copy is larger than 256 KiB', () => {
  const out = new Outbox();
  for (let i = 0; i < 600; i++) out.octets(Buffer.alloc(1000, i));
  const taken = out.take();
  assert.deepEqual(
    taken.map((b) => b.length),
    [262000, 262000, 76000],
  );
});

test('whatever is put in comes out in order', () => {
  const piece = fc.oneof(
    fc.string({ unit: 'binary-ascii', maxLength: 5 }),
    fc.nat(40_000).map((n) => Buffer.alloc(n, n)),
    fc.nat(300_000).map((n) => Buffer.alloc(n, n)),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
      const out = new Outbox();
      for (const p of pieces) {
        if (typeof p === 'string') out.head(p);
        else out.octets(p);
      }
      const whole = Buffer.concat(pieces.map((p) => (typeof p === 'string' ? Buffer.from(p, 'latin1') : p)));
      assert.equal(out.pendingOctets, whole.length);
      assert.ok(Buffer.concat(out.take()).equals(whole));
    }),
    { numRuns: 50 },
  );
});
