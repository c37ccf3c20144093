/** Which mail a trace is of, by what an operator has of its id. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { mailRecord } from '../../../test/support/records.ts';
import { silentLog } from '../../base/index.ts';
import type { QueueAdmin, QueueEntry } from '../../gateway/index.ts';
import { AdminHandler } from './handler.ts';

const never = (): never => assert.fail();

function entry(id: string, trace: string): QueueEntry {
  const times = { acceptedMs: 0, nextMs: 0, expiresMs: 1, attempts: 0, lastReply: undefined, held: undefined };
  const path = { from: 'a@x.example', to: 'b@x.example', destination: 'x.example', lane: 'relay' } as const;
  return { id, trace, state: 'queued', ...times, ...path };
}

/** `rows`: the id of a delivery in the queue, and its mail's. */
async function traced(typed: string, remembered: readonly string[], rows: readonly (readonly [string, string])[] = []) {
  const queue: QueueAdmin = {
    show: never,
    message: never,
    act: never,
    counters: never,
    list: async ({ id = '' }) => ({
      entries: rows.filter(([own]) => own.startsWith(id)).map(([own, trace]) => entry(own, trace)),
      after: undefined,
    }),
  };
  const recent = {
    list: () => remembered.map((id) => mailRecord(id)),
    find: (id: string) => (remembered.includes(id) ? mailRecord(id) : undefined),
  };
  let text = '';
  for await (const line of new AdminHandler({ queue, recent, log: silentLog }).answer({ do: 'trace', id: typed }))
    text += String(line);
  const { ok, error } = JSON.parse(text) as {
    readonly ok?: { readonly id: string; readonly record?: object; readonly entries: readonly QueueEntry[] };
    readonly error?: { readonly code: string; readonly message: string };
  };
  if (error !== undefined) return `${error.code}: ${error.message}`;
  return [ok?.id, ok?.record !== undefined, ok?.entries.map(({ id }) => id)];
}

test('a whole id, and a beginning that only one mail has', async () => {
  assert.deepEqual(await traced('ab.1', ['ab.1', 'ab.10']), ['ab.1', true, []]);
  assert.deepEqual(await traced('a', ['ab.1', 'cd.1']), ['ab.1', true, []]);
  assert.deepEqual(await traced('c', ['ab.1'], [['cd.1#0', 'cd.1']]), ['cd.1', false, ['cd.1#0']]);
  assert.deepEqual(await traced('a', ['ab.1'], [['ab.1#0', 'ab.1']]), ['ab.1', true, ['ab.1#0']]);
});

test('a beginning that several have names them', async () => {
  assert.match(String(await traced('ab', ['ab.2', 'ab.1'])), /^ambiguous: ab begins more than one id: ab\.2, ab\.1: /);
  assert.match(String(await traced('a', ['ab.1'], [['ac.1#0', 'ac.1']])), /^ambiguous: /);
});

test('variants and reports are of the mail they belong to', async () => {
  assert.deepEqual(await traced('ab.1.v2', ['ab.1']), ['ab.1', true, []], 'none of it is in the queue any more');
  assert.deepEqual(await traced('a', ['ab.1'], [['ab.1.r1#0', 'ab.1.r1']]), ['ab.1', true, ['ab.1.r1#0']]);
});

test('nothing known is an answer', async () => {
  assert.deepEqual(await traced('zz', ['ab.1']), ['zz', false, []]);
});
