import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { Roster, type Seat } from './index.ts';

const byNumber = (a: number, b: number): number => a - b;

test('whoever entered and has not left is present, whatever the order', () => {
  const step = fc.record({ enters: fc.boolean(), which: fc.nat() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const roster = new Roster<number>();
      const seats: Seat<number>[] = [];
      const present = new Set<number>();
      for (const [n, { enters, which }] of steps.entries()) {
        if (enters || seats.length === 0) {
          seats.push(roster.enter(n));
          present.add(n);
        } else {
          const seat = seats[which % seats.length] as Seat<number>;
          const { member } = seat;
          assert.equal(roster.leave(seat), member !== undefined && present.delete(member));
        }
        assert.deepEqual([...roster].toSorted(byNumber), [...present].toSorted(byNumber));
        assert.equal(roster.size, present.size);
      }
    }),
  );
});

test('members may leave and enter while all are told: those who left are not told, those who entered neither', () => {
  const roster = new Roster<string>();
  const seats = ['a', 'b', 'c'].map((name) => roster.enter(name));
  const told: string[] = [];
  for (const name of roster) {
    told.push(name);
    if (name === 'a') {
      roster.leave(seats[1] as Seat<string>);
      roster.enter('d');
    }
  }
  assert.deepEqual(told, ['a', 'c']);
  assert.deepEqual([...roster].toSorted(), ['a', 'c', 'd']);
});
