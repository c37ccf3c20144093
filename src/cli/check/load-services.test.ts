import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { test } from 'vitest';
import { readConfig } from '../load.ts';
import { loadServices } from './load-services.ts';

test('a service that takes long to load is named, and those that do not are not', async () => {
  const loaded = readConfig(undefined);
  assert.ok(loaded.kind === 'loaded');
  const [service] = loaded.config.services;
  assert.ok(service !== undefined);
  const services = ['quick', 'slow', 'slower'].map((name) => ({
    ...service,
    name,
    from: { kind: 'run', file: `/services/${name}.ts` } as const,
  }));
  const slowOf = async (takes: Readonly<Record<string, number>>): Promise<readonly string[]> => {
    let nowMs = 0;
    let turn = Promise.resolve();
    const processes = {
      // One after the other, so that each is ready at its time.
      start: ({ services: [one] }: typeof loaded.config) => {
        const mine = turn.then(() => {
          nowMs = takes[one?.name ?? ''] ?? 0;
        });
        turn = mine.then(() => nextTurn());
        return mine.then(() => ({ services: [], sockets: [], started: [], release: async () => undefined }));
      },
    };
    const { problems, slow } = await loadServices({ ...loaded.config, services }, processes, loaded.place, () => nowMs);
    assert.deepEqual(problems, []);
    return slow;
  };
  assert.deepEqual(await slowOf({ quick: 400, slow: 500, slower: 600 }), []);
  assert.deepEqual(await slowOf({ quick: 400, slow: 3200, slower: 9000 }), ['slower (9 s)', 'slow (3.2 s)']);
});
