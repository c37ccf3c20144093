import assert from 'node:assert/strict';
import { test } from 'vitest';
import { Outbox, Scratch } from './index.ts';

function taken(out: Outbox, scratch: Scratch, text: string): Buffer {
  out.head(text);
  const [buffer] = out.take(scratch);
  assert.ok(buffer !== undefined);
  assert.equal(buffer.toString('latin1'), text);
  return buffer;
}

test('what a socket took at once makes room for the next output', () => {
  const out = new Outbox();
  const scratch = new Scratch();
  const first = taken(out, scratch, 'first');
  scratch.giveBack(false);
  const second = taken(out, scratch, 'second');
  assert.equal(second.buffer, first.buffer);
});

test('what is still read, or lent twice, is written over by nobody', () => {
  const out = new Outbox();
  const scratch = new Scratch();
  const waiting = taken(out, scratch, 'waiting');
  const beside = taken(out, scratch, 'beside');
  scratch.giveBack(true);
  const next = taken(out, scratch, 'next');
  assert.deepEqual([waiting, beside, next].map(String), ['waiting', 'beside', 'next']);
  assert.notEqual(next.buffer, waiting.buffer);
});

test('output of any size fits', () => {
  const out = new Outbox();
  const scratch = new Scratch();
  for (const size of [1, 100_000, 20_000, 262_144]) {
    assert.equal(taken(out, scratch, 'x'.repeat(size)).length, size);
    scratch.giveBack(false);
  }
  for (let i = 0; i < 600; i++) out.octets(Buffer.alloc(1000, i));
  const buffers = out.take(scratch);
  assert.equal(buffers.length, 3);
  const whole = Buffer.concat(buffers);
  for (let i = 0; i < 600; i++) assert.equal(whole[i * 1000], i & 255);
});
