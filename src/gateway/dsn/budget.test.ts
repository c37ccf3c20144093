import assert from 'node:assert/strict';
import { test } from 'vitest';
import { ReportBudget } from './budget.ts';

test('the table is bounded: the oldest window goes, the others stay', () => {
  const budget = new ReportBudget(1, 3);
  for (const [at, sender] of ['a', 'b', 'c'].entries()) assert.ok(budget.take(sender, at));
  assert.ok(!budget.take('a', 3));
  assert.ok(budget.take('d', 4)); // forgets a
  assert.ok(!budget.take('b', 5));
  assert.ok(!budget.take('c', 5));
  assert.ok(budget.take('a', 6)); // forgets b
  assert.ok(!budget.take('d', 7));
  assert.ok(budget.take('b', 8));
});

test('a window lasts an hour from its first report', () => {
  const budget = new ReportBudget(2);
  assert.deepEqual(
    [0, 3_599_999, 3_599_999, 3_600_000, 3_600_001, 3_600_001].map((at) => budget.take('a', at)),
    [true, true, false, true, true, false],
  );
});

test('none is none', () => assert.ok(!new ReportBudget(0).take('a', 0)));

test('a clock that goes back gives nothing away', () => {
  const budget = new ReportBudget(1);
  assert.deepEqual([budget.take('a', 1_000_000), budget.take('a', 0)], [true, false]);
});

test('nor does it take a window away for longer than an hour', () => {
  const budget = new ReportBudget(1);
  assert.deepEqual([budget.take('a', 36_000_000), budget.take('a', 0), budget.take('a', 1)], [true, true, false]);
});
