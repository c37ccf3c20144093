import assert from 'node:assert/strict';
import { test } from 'vitest';
import { MAX_NUMBER } from '../index.ts';
import { Xids } from './xids.ts';

test('identifiers of ours grow by one, until they are used up', () => {
  const xids = new Xids(MAX_NUMBER - 1, 8);
  assert.equal(xids.create(), MAX_NUMBER - 1);
  assert.equal(xids.create(), MAX_NUMBER);
  assert.equal(xids.create(), undefined);
  assert.equal(xids.create(), undefined);
});

test('the peer may leave gaps, but never come back', () => {
  const xids = new Xids(0, 8);
  assert.equal(xids.recvCreate(0), true);
  assert.equal(xids.recvCreate(7), true);
  for (const xid of [0, 3, 7]) assert.equal(xids.recvCreate(xid), false, `${xid}`);
  assert.equal(xids.recvCreate(MAX_NUMBER), true);
  assert.equal(xids.recvCreate(MAX_NUMBER), false);
});

test('a strange identifier is answered once, is used up then, and too many are abuse', () => {
  const xids = new Xids(1, 2);
  assert.equal(xids.create(), 1);
  assert.equal(xids.judge(1), 'over');
  assert.equal(xids.judge(3), 'stray');
  assert.equal(xids.judge(3), 'over');
  assert.equal(xids.create(), 2);
  assert.equal(xids.create(), 4, 'the one the peer burnt is left out');
  assert.equal(xids.judge(9), 'stray');
  assert.equal(xids.recvCreate(9), false);
  assert.equal(xids.judge(20), 'abuse');
});
