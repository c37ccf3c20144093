import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { LiveTransactions } from './live-transactions.ts';
import type { Transaction } from './transaction.ts';

const transaction = (xid: number) => ({ xid, nextLive: undefined }) as unknown as Transaction;

test('it finds what was added and not removed, with xids of any distance', () => {
  const step = fc.record({
    adds: fc.boolean(),
    xid: fc.integer({ min: 0, max: 40 }),
    stride: fc.constantFrom(1, 64, 1 << 24),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const live = new LiveTransactions();
      const model = new Map<number, Transaction>();
      for (const { adds, xid: small, stride } of steps) {
        const xid = small * stride;
        const known = model.get(xid);
        if (adds && known === undefined) {
          model.set(xid, transaction(xid));
          live.add(model.get(xid) as Transaction);
        } else if (!adds && known !== undefined) {
          model.delete(xid);
          live.remove(known);
          live.remove(known);
          assert.equal(known.nextLive, undefined);
        }
        assert.equal(live.find(xid), model.get(xid));
        assert.equal(live.size, model.size);
      }
      const all = [...model.values()].toSorted((a, b) => a.xid - b.xid);
      assert.deepEqual([...live], all);
      assert.deepEqual(live.clear(), all);
      assert.equal(live.size, 0);
    }),
  );
});

test('who is removed while all are told is not told', () => {
  const live = new LiveTransactions();
  const all = [transaction(1), transaction(2), transaction(3)] as const;
  for (const one of all) live.add(one);
  const told: number[] = [];
  for (const { xid } of live) {
    told.push(xid);
    live.remove(all[1]);
    if (xid === 1) live.add(transaction(4));
  }
  assert.deepEqual(told, [1, 3]);
});

test('it grows with those in it', () => {
  const live = new LiveTransactions();
  const all = Array.from({ length: 1000 }, (_, n) => transaction(n * 64));
  for (const one of all) live.add(one);
  assert.deepEqual([...live], all);
  for (const one of all) assert.equal(live.find(one.xid), one);
  for (const one of live) live.remove(one);
  assert.equal(live.size, 0);
});
