import assert from 'node:assert/strict';
import { test } from 'vitest';
import { Destinations, MAX_PLACES } from './destinations.ts';
import type { Task } from './task.ts';

const HOUR = 3_600_000;

test('places that never answered are forgotten when there are many, those that matter still are not', () => {
  const places = new Destinations(
    { perDestination: 1, retryMs: [60_000] },
    () => undefined,
    () => undefined,
  );
  const taskTo = (destination: string): Task => ({ destination }) as Task;
  const fail = (destination: string, nowMs: number): void => {
    const task = taskTo(destination);
    places.push(task, nowMs);
    places.free(task, true, nowMs);
  };
  places.push(taskTo('under way'), 0);
  for (let i = 0; i < MAX_PLACES; i++) fail(`${i}.example`, 0);
  fail('late.example', HOUR);
  assert.equal(places.size, 2);
  assert.equal(places.active, 1);
  fail('other.example', HOUR);
  assert.equal(places.size, 3);
});

test('a clock that is set back leaves no place alone for longer than a pause', () => {
  const tried: number[] = [];
  const untils: number[] = [];
  let nowMs = 10 * HOUR;
  const places = new Destinations(
    { perDestination: 1, retryMs: [60_000] },
    () => void tried.push(nowMs),
    (_, untilMs) => void untils.push(untilMs),
  );
  const task = { destination: 'one.example' } as Task;
  places.push(task, nowMs);
  places.free(task, true, nowMs);
  nowMs = HOUR;
  places.push(task, nowMs);
  assert.deepEqual([tried, untils], [[10 * HOUR, HOUR], []]);
});
