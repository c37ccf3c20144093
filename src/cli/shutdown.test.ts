/** An exception nobody could attribute: said in a line of the log, and the end of the process all the same. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { test } from 'vitest';

const url = (file: string): string => JSON.stringify(pathToFileURL(join(import.meta.dirname, file)).href);

for (const [origin, crash] of [
  ['uncaughtException', `setTimeout(() => { throw new Error('on purpose'); }, 1)`],
  ['unhandledRejection', `Promise.reject(new Error('on purpose'))`],
])
  test(`${origin}: a line with its stack, and exit code 1`, () => {
    const program = `
      import { makeLog } from ${url('log.ts')};
      import { Shutdown } from ${url('shutdown.ts')};
      new Shutdown(makeLog('info', false));
      setInterval(() => undefined, 1000);
      ${crash};`;
    const ended = spawnSync(process.execPath, ['--input-type=module', '-e', program], { encoding: 'utf8' });
    assert.equal(ended.status, 1);
    const [line = '{}'] = ended.stderr.split('\n').filter((one) => one.startsWith('{'));
    const { level, event, origin: from, error } = JSON.parse(line) as Record<string, string>;
    assert.deepEqual([level, event, from], ['error', 'crashed', origin]);
    assert.match(error ?? '', /on purpose\n +at /);
  });
