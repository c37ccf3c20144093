import assert from 'node:assert/strict';
import { test } from 'vitest';
import { SessionIds } from './session-ids.ts';

test('ids are twelve characters, and none comes twice, within a stock and beyond', () => {
  const [one, other] = [new SessionIds(), new SessionIds()];
  const ids = Array.from({ length: 2000 }, (_, i) => (i % 2 === 0 ? one : other).next());
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) assert.match(id, /^[A-Za-z0-9_][A-Za-z0-9_-]{11}$/);
});
