import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished, test } from 'vitest';
import { jsonLog } from './log.ts';
import { LineWriter } from './stderr.ts';

function scratch(): string {
  const dir = mkdtempSync(join(tmpdir(), 'opes-log-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  return dir;
}

/** A pipe that nobody reads until the test does; writing into it never waits. */
function pipe(): { fd: number; read: () => string } {
  const path = join(scratch(), 'pipe');
  execFileSync('mkfifo', [path]);
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  onTestFinished(() => closeSync(fd));
  const buffer = Buffer.alloc(1 << 20);
  return {
    fd,
    read() {
      let text = '';
      try {
        for (;;) text += buffer.toString('utf8', 0, readSync(fd, buffer));
      } catch {
        return text; // nothing more to read now
      }
    },
  };
}

test('log lines are JSON with level, time and event, in order, out at once where they warn', () => {
  const file = join(scratch(), 'log');
  const log = jsonLog('info', new LineWriter(openSync(file, 'w')));
  log.debug('unseen');
  log.info('mail', { mail: 'a.1', size: 3 });
  log.warn('service-ended', { service: 'av' });
  const lines = readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.deepEqual(
    lines.map((line) => ({ ...line, time: undefined })),
    [
      { level: 'info', time: undefined, mail: 'a.1', size: 3, event: 'mail' },
      { level: 'warn', time: undefined, service: 'av', event: 'service-ended' },
    ],
  );
  assert.match(String(lines[0]?.['time']), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
});

test('a reader that is behind gets every line whole once it reads', () => {
  const { fd, read } = pipe();
  const writer = new LineWriter(fd);
  const line = (i: number) => `${'x'.repeat(1000)} ${i}\n`;
  for (let i = 0; i < 300; i++) writer.write(line(i));
  let text = '';
  for (let i = 0; i < 20; i++) {
    text += read();
    writer.flush();
  }
  assert.equal(text, Array.from({ length: 300 }, (_, i) => line(i)).join(''));
});

test('beyond a cap lines are dropped, and how many is told', () => {
  const { fd, read } = pipe();
  const writer = new LineWriter(fd);
  for (let i = 0; i < 6000; i++) writer.write(`${'x'.repeat(1000)}\n`);
  let text = '';
  for (let i = 0; i < 200; i++) {
    text += read();
    writer.flush();
  }
  const lost = /"lines":(\d+),"event":"log-lines-lost"/.exec(text);
  const kept = text.split('\n').filter((line) => line.startsWith('x')).length;
  assert.ok(lost !== null && kept > 3000);
  assert.equal(kept + Number(lost[1]), 6000);
});

test('a reader that is gone ends nothing and is not waited for', () => {
  const path = join(scratch(), 'closed');
  const fd = openSync(path, 'w');
  closeSync(fd);
  const writer = new LineWriter(fd);
  writer.write('a\n');
  writer.flush();
  writer.write('b\n');
  writer.flush();
});
