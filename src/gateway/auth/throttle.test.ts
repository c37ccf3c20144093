import assert from 'node:assert/strict';
import { test } from 'vitest';
import { FORGET_MS, LONGEST_DELAY_MS, MAX_ADDRESS_FAILURES, MAX_REMEMBERED, MAX_USER_FAILURES } from './limits.ts';
import { Throttle } from './throttle.ts';

function setup() {
  const time = { ms: 1 };
  return { time, throttle: new Throttle(() => time.ms) };
}

test('the first failures cost nothing, further ones ever more, up to a bound', () => {
  const { throttle } = setup();
  const delays = Array.from({ length: 8 }, () => throttle.failed('192.0.2.1', 'ann'));
  assert.deepEqual(delays, [0, 0, 1000, 2000, 4000, LONGEST_DELAY_MS, LONGEST_DELAY_MS, LONGEST_DELAY_MS]);
});

test('an address that guesses at many logins is slowed down and then sent away, and the logins are not', () => {
  const { throttle } = setup();
  for (let i = 0; i < MAX_ADDRESS_FAILURES; i++) {
    assert.equal(throttle.blocked('192.0.2.1', 'x'), undefined);
    throttle.failed('192.0.2.1', `user${i}`);
  }
  assert.equal(throttle.blocked('192.0.2.1', 'x'), 'address');
  assert.equal(throttle.blocked('192.0.2.2', 'user1'), undefined);
});

test('a login that many addresses guess at rests, but not for where its owner is', () => {
  const { throttle } = setup();
  throttle.succeeded('198.51.100.1', 'ann');
  for (let i = 0; i < MAX_USER_FAILURES; i++) throttle.failed(`10.0.0.${i}`, 'ann');
  assert.equal(throttle.blocked('10.9.9.9', 'ann'), 'user');
  assert.equal(throttle.blocked('198.51.100.1', 'ann'), undefined);
  assert.equal(throttle.blocked('10.9.9.9', 'bob'), undefined);
});

test('success clears the login and not the address', () => {
  const { throttle } = setup();
  for (let i = 0; i < MAX_ADDRESS_FAILURES - 1; i++) throttle.failed('192.0.2.1', 'ann');
  throttle.succeeded('192.0.2.1', 'ann');
  throttle.failed('192.0.2.1', 'bob');
  assert.equal(throttle.blocked('192.0.2.1', 'ann'), 'address');
  assert.equal(throttle.failed('192.0.2.9', 'ann'), 0);
});

test('all is forgotten in time', () => {
  const { throttle, time } = setup();
  for (let i = 0; i < MAX_ADDRESS_FAILURES; i++) throttle.failed('192.0.2.1', 'ann');
  time.ms += FORGET_MS - 1;
  assert.equal(throttle.blocked('192.0.2.1', 'ann'), 'address');
  time.ms += 1;
  assert.equal(throttle.blocked('192.0.2.1', 'ann'), undefined);
  assert.equal(throttle.failed('192.0.2.1', 'ann'), 0);
});

test('tables are bounded, and what was seen lately stays', () => {
  const { throttle } = setup();
  for (let i = 0; i < MAX_ADDRESS_FAILURES; i++) throttle.failed('192.0.2.1', 'ann');
  for (let i = 0; i < 3 * MAX_REMEMBERED; i++) {
    throttle.failed(`10.0.${i}`, `user${i}`);
    throttle.succeeded(`10.0.${i}`, `other${i}`);
    if (i % 5000 === 0) throttle.failed('192.0.2.1', 'ann');
  }
  assert.ok(throttle.size <= 3 * MAX_REMEMBERED, `${throttle.size}`);
  assert.equal(throttle.blocked('192.0.2.1', 'x'), 'address');
});
