import assert from 'node:assert/strict';
import { test } from 'vitest';
import { reply } from '../../smtp/index.ts';
import { nextTryMs } from './backoff.ts';
import type { QueuedDelivery } from './rows.ts';
import { settle } from './settle.ts';
import type { Outcome } from './task.ts';

const MINUTE = 60_000;
const PLAN = { retryMs: [5 * MINUTE, 10 * MINUTE], warnAfterMs: 240 * MINUTE };
const MAIL = { id: 'm', acceptedMs: 0, reversePath: 'a@src.example', params: {}, facts: {} };
const LATER: Outcome = { kind: 'later', reply: reply(451, '4.4.1', 'away', 'really') };

function delivery(n: number, more: Partial<QueuedDelivery> = {}): QueuedDelivery {
  return {
    mail: 'm',
    n,
    content: 'm/0',
    forwardPath: 'b@dst.example',
    params: {},
    destination: 'dst.example',
    lane: 'relay',
    hold: undefined,
    attempts: 0,
    nextMs: 0,
    expiresMs: 5 * 24 * 60 * MINUTE,
    lastReply: undefined,
    isWarned: false,
    notes: {},
    ...more,
  };
}

test('waits follow the plan, the last one repeats, and jitter stays within a tenth', () => {
  const waits = [1, 2, 3, 30].map((attempts) => nextTryMs(attempts, 1000, PLAN, 0.5) - 1000);
  assert.deepEqual(
    waits,
    [5, 10, 10, 10].map((minutes) => minutes * MINUTE),
  );
  assert.equal(nextTryMs(1, 0, PLAN, 0), 4.5 * MINUTE);
  assert.ok(nextTryMs(1, 0, PLAN, 0.999) < 5.5 * MINUTE);
});

test('each recipient ends for itself: delivered, failed for good, or to be tried again', () => {
  const outcomes: Outcome[] = [
    { kind: 'delivered', reply: reply(250, '2.0.0', 'ok'), speaksDsn: false },
    { kind: 'failed', reply: reply(550, '5.1.1', 'no') },
    LATER,
  ];
  const got = settle(MAIL, [delivery(0), delivery(1), delivery(2, { attempts: 1 })], outcomes, 1000, PLAN, () => 0.5);
  assert.deepEqual(
    got.delivered.map(({ delivery: { n } }) => n),
    [0],
  );
  assert.deepEqual(
    got.failed.map(({ delivery: { n } }) => n),
    [1],
  );
  assert.deepEqual(got.retries, [
    {
      kind: 'retry',
      mail: 'm',
      n: 2,
      attempts: 2,
      nextMs: 1000 + 10 * MINUTE,
      lastReply: '451 4.4.1 away / really',
      isWarned: false,
    },
  ]);
  assert.deepEqual(got.delayed, []);
});

test('the sender is told of a delay once', () => {
  const late = settle(
    MAIL,
    [delivery(0), delivery(1, { isWarned: true })],
    [LATER, LATER],
    241 * MINUTE,
    PLAN,
    () => 0.5,
  );
  assert.deepEqual(
    late.delayed.map(({ delivery: { n } }) => n),
    [0],
  );
  assert.deepEqual(
    late.retries.map((change) => change.kind === 'retry' && change.isWarned),
    [true, true],
  );
  const never = settle(MAIL, [delivery(0)], [LATER], 241 * MINUTE, { ...PLAN, warnAfterMs: undefined }, () => 0.5);
  assert.deepEqual(never.delayed, []);
});

test('given up where the next try would come after the end of its life', () => {
  const expiresMs = 100 * MINUTE;
  const got = settle(MAIL, [delivery(0, { expiresMs })], [LATER], 96 * MINUTE, PLAN, () => 0.5);
  assert.equal(got.failed[0]?.reply.code, 451);
  assert.deepEqual(got.retries, []);
});

test('what waited for a service to the end was stopped by the one that did not work last', () => {
  const by = { service: 's3', because: 'failure', isOnContent: false } as const;
  const waiting = delivery(0, { lane: 'adapt', notes: { service: 's2' }, expiresMs: 1 });
  const last = settle(MAIL, [waiting], [{ ...LATER, by }], 1000, PLAN, () => 0.5);
  assert.deepEqual(last.failed[0]?.by, by);
  const unknown = settle(MAIL, [waiting], [LATER], 1000, PLAN, () => 0.5);
  assert.equal(unknown.failed[0]?.by?.service, 's2');
});

test('a destination that is down costs no try, and ends no mail before its time', () => {
  const down: Outcome = { kind: 'later', reply: reply(451, '4.4.1', 'down'), atMs: 200 * MINUTE };
  const expiresMs = 100 * MINUTE;
  const waits = settle(MAIL, [delivery(0, { expiresMs, attempts: 3 })], [down], 99 * MINUTE, PLAN, () => 0.5);
  assert.deepEqual(
    waits.retries.map((change) => change.kind === 'retry' && [change.attempts, change.nextMs]),
    [[3, expiresMs]],
  );
  const over = settle(MAIL, [delivery(0, { expiresMs })], [down], 100 * MINUTE, PLAN, () => 0.5);
  assert.equal(over.failed.length, 1);
});
