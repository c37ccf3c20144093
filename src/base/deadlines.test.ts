import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { Armed, Deadlines } from './index.ts';

const told = (log: string[], name: string) => new Armed({ onDeadline: (now) => log.push(`${name}@${now}`) });

test('a deadline is told once, at the first tick at or after it', () => {
  const log: string[] = [];
  const deadlines = new Deadlines();
  deadlines.arm(told(log, 'a'), 100);
  deadlines.tick(99);
  assert.deepEqual(log, []);
  deadlines.tick(100);
  deadlines.tick(200);
  assert.deepEqual(log, ['a@100']);
});

test('a moved deadline is told at its new time only, later or earlier', () => {
  const log: string[] = [];
  const deadlines = new Deadlines();
  const later = told(log, 'later');
  const earlier = told(log, 'earlier');
  deadlines.arm(later, 10);
  deadlines.arm(later, 50);
  deadlines.arm(earlier, 50);
  deadlines.arm(earlier, 10);
  for (let now = 5; now <= 100; now += 5) deadlines.tick(now);
  assert.deepEqual(log, ['earlier@10', 'later@50']);
});

test('a disarmed deadline is never told, and arming for ever does not grow the heap', () => {
  const log: string[] = [];
  const deadlines = new Deadlines();
  const armed = told(log, 'a');
  for (let i = 0; i < 10_000; i++) {
    deadlines.arm(armed, 1000);
    deadlines.tick(i);
  }
  deadlines.disarm(armed);
  assert.ok(deadlines.size <= 2, `${deadlines.size} entries`);
  deadlines.tick(1_000_000);
  assert.deepEqual(log, []);
});

test('deadlines that were released keep nothing alive, however far away they were', () => {
  const deadlines = new Deadlines();
  for (let i = 0; i < 100_000; i++) {
    const armed = told([], 'x');
    deadlines.arm(armed, 240_000);
    deadlines.release(armed);
  }
  assert.ok(deadlines.size <= 600, `${deadlines.size} entries`);
});

test('whatever is armed, moved and disarmed: each is told exactly once and never early', () => {
  const step = fc.record({ who: fc.nat(5), inMs: fc.integer({ min: 0, max: 50 }), advance: fc.nat(20) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const deadlines = new Deadlines();
      let now = 0;
      const due = new Map<number, number>();
      const all = Array.from({ length: 6 }, (_, who) => {
        return new Armed({
          onDeadline(at) {
            const expected = due.get(who);
            assert.ok(expected !== undefined && expected <= at, `${who} told at ${at}, due ${expected}`);
            due.delete(who);
          },
        });
      });
      for (const { who, inMs, advance } of steps) {
        deadlines.arm(all[who] as Armed, inMs);
        due.set(who, now + Math.max(1, inMs));
        now += advance;
        deadlines.tick(now);
        for (const at of due.values()) assert.ok(at > now, 'a due deadline was not told');
      }
    }),
  );
});
