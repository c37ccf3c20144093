/** Rows that were damaged are known as such, and keep no others from being read. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { toDelivery, toMail } from './rows.ts';

const MAIL = { id: 's.1', accepted_ms: 5, reverse_path: 'a@b', params: '{"BODY":"8BITMIME"}', facts: '{"x":1}' };
const DELIVERY = { mail: 1, id: 's.1', n: 0, content: 's.1/0', forward_path: 'c@d', params: '{}', notes: '{"y":2}' };

test('values as they were stored', () => {
  assert.deepEqual(toMail(MAIL), {
    id: 's.1',
    acceptedMs: 5,
    reversePath: 'a@b',
    params: { BODY: '8BITMIME' },
    facts: { x: 1 },
  });
  assert.deepEqual([toDelivery(DELIVERY).notes, toDelivery(DELIVERY).isDamaged], [{ y: 2 }, undefined]);
});

test('what is no JSON: nothing of the values is trusted, and who it is from and for is known', () => {
  for (const column of ['params', 'facts']) {
    const { id, reversePath, params, facts, isDamaged } = toMail({ ...MAIL, [column]: '{"BODY' });
    assert.deepEqual([id, reversePath, params, facts, isDamaged], ['s.1', 'a@b', {}, null, true]);
  }
  for (const column of ['params', 'notes']) {
    const { forwardPath, params, notes, isDamaged } = toDelivery({ ...DELIVERY, [column]: '' });
    assert.deepEqual([forwardPath, params, notes, isDamaged], ['c@d', {}, null, true]);
  }
});
