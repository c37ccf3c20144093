import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'vitest';
import type { Log } from '../base/index.ts';
import type { Level } from './levels.ts';
import { jsonLog } from './log.ts';
import { LineWriter } from './stderr.ts';

/** The lines that `say` makes at `level`. */
function logged(level: Level, say: (log: Log) => void): Record<string, unknown>[] {
  const dir = mkdtempSync(join(tmpdir(), 'opes-log-'));
  try {
    const fd = openSync(join(dir, 'log'), 'w');
    const log = jsonLog(level, new LineWriter(fd));
    say(log);
    log.flush();
    closeSync(fd);
    const lines = readFileSync(join(dir, 'log'), 'utf8').split('\n');
    assert.equal(lines.pop(), '');
    return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

test('a line is one JSON object: level, time, event, then the fields that have a value', () => {
  const [line] = logged('info', (log) => log.info('mail', { from: 'a"\n\u2028b', ms: 3, cause: undefined, to: ['x'] }));
  assert.match(String(line?.['time']), /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  assert.ok(Math.abs(Date.now() - Date.parse(String(line?.['time']))) < 60_000);
  assert.deepEqual(
    { ...line, time: 0 },
    { level: 'info', time: 0, event: 'mail', from: 'a"\n\u2028b', ms: 3, to: ['x'] },
  );
  assert.deepEqual(Object.keys(line ?? {}).slice(0, 3), ['level', 'time', 'event']);
});

test('no fields, and fields without a value, leave the three', () => {
  const lines = logged('debug', (log) => {
    log.debug('a');
    log.warn('b', {});
    log.error('c', { cause: undefined });
  });
  assert.deepEqual(
    lines.map((line) => [line['event'], Object.keys(line).length]),
    [
      ['a', 3],
      ['b', 3],
      ['c', 3],
    ],
  );
});

test('what is less important than asked for is not said', () => {
  const lines = logged('warn', (log) => {
    log.debug('a');
    log.info('b');
    log.warn('c');
    log.error('d');
  });
  assert.deepEqual(
    lines.map((line) => line['event']),
    ['c', 'd'],
  );
});

test('a value that JSON cannot say costs its fields, not the line and not the mail', () => {
  const [line] = logged('info', (log) => log.info('odd', { size: 3n }));
  assert.deepEqual([line?.['event'], line?.['unwritable']], ['odd', true]);
});
