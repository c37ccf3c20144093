import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { MAX_NUMBER } from '../index.ts';
import { Commitment, ReusableArea } from './preservation.ts';

test('nothing can be used before it was kept', () => {
  const commitment = new Commitment();
  assert.equal(commitment.recvUseYours(0, 5), 'use-outside-kept');
  assert.equal(commitment.recvUseYours(0, 0), 'use-outside-kept');
  assert.deepEqual(commitment.announce(0, 5, 5), { offset: 0, size: 5 });
  assert.equal(commitment.recvUseYours(0, 5), undefined);
  assert.equal(commitment.recvUseYours(5, 0), undefined);
  assert.equal(commitment.recvUseYours(0, 6), 'use-outside-kept');
});

test('only what was delivered is announced, and nothing twice', () => {
  const commitment = new Commitment();
  assert.deepEqual(commitment.announce(3, 100, 10), { offset: 3, size: 7 });
  assert.equal(commitment.announce(3, 7, 10), undefined);
  assert.deepEqual(commitment.announce(3, 100, 12), { offset: 3, size: 9 });
  assert.deepEqual(commitment.announce(0, 100, 12), { offset: 0, size: 12 });
});

test('octets still owed cannot be dropped, disposable ones can', () => {
  const commitment = new Commitment();
  commitment.announce(0, 10, 10);
  assert.throws(() => commitment.announce(2, 10, 12), RangeError);
  assert.equal(commitment.recvInterest(4, 100), undefined);
  assert.deepEqual(commitment.announce(4, 10, 14), { offset: 4, size: 10 });
  assert.equal(commitment.recvUseYours(3, 2), 'use-outside-kept');
});

test('octets that became disposable before they were kept are never kept (A-13)', () => {
  const commitment = new Commitment();
  commitment.announce(0, 11, 11);
  assert.equal(commitment.recvInterest(6, 5), undefined);
  assert.equal(commitment.announce(0, 20, 20), undefined);
  assert.equal(commitment.recvInterest(6, 0), undefined);
  assert.equal(commitment.announce(0, 30, 30), undefined);
  const late = new Commitment();
  assert.equal(late.recvInterest(100, 50), undefined);
  assert.deepEqual(late.announce(0, 120, 120), { offset: 100, size: 20 });
});

test('the reusable area only shrinks, and may be said open-ended (A-20)', () => {
  const commitment = new Commitment();
  assert.equal(commitment.recvInterest(0, MAX_NUMBER), undefined);
  assert.equal(commitment.recvInterest(129, MAX_NUMBER), undefined);
  assert.equal(commitment.recvInterest(200, MAX_NUMBER), undefined);
  assert.equal(commitment.recvInterest(199, 10), 'reusable-area-grows');
  assert.equal(commitment.recvInterest(250, 10), undefined);
  assert.equal(commitment.recvInterest(255, 6), 'reusable-area-grows');
  assert.equal(commitment.recvInterest(0, 0), undefined);
  assert.equal(commitment.recvInterest(250, 1), 'reusable-area-grows');
});

test('a range of no octets is usable wherever something is kept', () => {
  const area = new ReusableArea();
  area.recvKept(0, 10);
  assert.equal(area.sendInterest(5, 0), undefined);
  assert.equal(area.canUse(3, 0, 10), true);
  assert.equal(area.canUse(3, 1, 10), false);
  assert.equal(area.canUse(11, 0, 11), false);
  assert.equal(area.canUse(-1, 1, 10), false);
  assert.equal(area.canUse(0.5, 1, 10), false);
});

/** Octets of a small original, as sets: the wording of section 7, octet by octet. */
const range = (offset: number, size: number) => Array.from({ length: size }, (_, i) => offset + i);
const LENGTH = 24;
const step = fc.record({
  what: fc.constantFrom('keep', 'dispose', 'use'),
  offset: fc.nat(LENGTH),
  size: fc.nat(LENGTH),
});

test('both sides agree with the octets one by one, whatever is kept, disposed of and used', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25 }), (steps) => {
      const commitment = new Commitment();
      const area = new ReusableArea();
      let kept: Set<number> | undefined;
      let reusable = new Set(range(0, LENGTH * 2));
      for (const { what, offset, size } of steps) {
        const named = range(offset, size);
        if (what === 'dispose') {
          const grows = named.some((octet) => !reusable.has(octet));
          assert.equal(area.sendInterest(offset, size) !== undefined, grows);
          assert.equal(commitment.recvInterest(offset, size) !== undefined, grows);
          if (!grows) reusable = new Set(named);
        } else if (what === 'use') {
          const isAllowed = kept !== undefined && size > 0 && named.every((o) => kept?.has(o) && reusable.has(o));
          if (size > 0) assert.equal(commitment.recvUseYours(offset, size) === undefined, isAllowed);
          if (size > 0) assert.equal(area.canUse(offset, size, LENGTH * 2), isAllowed);
        } else {
          const wanted = new Set(named);
          const owed = [...(kept ?? [])].filter((octet) => reusable.has(octet));
          const drops = owed.some((octet) => !wanted.has(octet));
          if (drops) {
            assert.throws(() => commitment.announce(offset, size, LENGTH * 2), RangeError);
            continue;
          }
          const said = commitment.announce(offset, size, LENGTH * 2);
          if (said === undefined) continue;
          const now = range(said.offset, said.size);
          assert.ok(now.every((octet) => wanted.has(octet)));
          assert.ok(
            now.every((octet) => kept?.has(octet) || reusable.has(octet)),
            'newly keeps disposable octets',
          );
          assert.equal(area.recvKept(said.offset, said.size), undefined);
          kept = new Set(now);
        }
      }
    }),
    { numRuns: 2000 },
  );
});
