import assert from 'node:assert/strict';
import { test } from 'vitest';
import type { FailureAction } from './options.ts';
import { isRequired } from './required.ts';

function entry(service: string, action: FailureAction, ...buildsOn: string[]) {
  const usual = 'tempfail' as const;
  const onFailure = { timeout: usual, unreachable: action, crash: usual, invalid: usual, overload: usual };
  return { service, buildsOn, onFailure };
}

test('what is skipped is not required, unless something that is counts on it', () => {
  const required = (...pipeline: ReturnType<typeof entry>[]): string[] =>
    ['a', 'b', 'c'].filter((name) => isRequired(name, pipeline));
  assert.deepEqual(required(entry('a', 'skip'), entry('b', 'tempfail')), ['b']);
  assert.deepEqual(required(entry('a', 'skip'), entry('b', 'tempfail', 'a')), ['a', 'b']);
  assert.deepEqual(required(entry('a', 'skip'), entry('b', 'skip', 'a'), entry('c', 'spool', 'b')), ['a', 'b', 'c']);
  assert.deepEqual(required(entry('a', 'skip'), entry('b', 'skip', 'a'), entry('c', 'spool')), ['c']);
});
