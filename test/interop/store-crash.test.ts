/** What the store promised is there after a crash; and it was synchronised before it was promised. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'vitest';
import { openStore } from '../../src/store/index.ts';
import { run } from '../support/child.ts';
import { needPrograms } from '../support/programs.ts';
import { scratchFolder } from '../support/scratch.ts';
import { crash } from '../support/store-crash.ts';

const CHILD = fileURLToPath(new URL('../support/store-child.ts', import.meta.url));

test('SQLite: killed twenty times, nothing that was promised is lost', async () => {
  const dataDir = scratchFolder('crash');
  await crash({ dataDir, url: 'sqlite', kills: 20, open: () => openStore({ dataDir, url: 'sqlite' }) });
}, 600_000);

test('SQLite: the log was synchronised before the promise resolved', async () => {
  const { strace } = await needPrograms('strace');
  const folder = scratchFolder('strace');
  const trace = join(folder, 'trace');
  const calls = 'trace=write,pwrite64,fsync,fdatasync';
  // One session: what is written for a mail lies between the line of the one before and its own.
  const args = ['-f', '-y', '-s', '400', '-o', trace, '-e', calls, process.execPath, '-C', 'opes-source', CHILD];
  // It ends by itself: a tracer that is killed leaves its process behind.
  const { code, stderr } = await run(strace, [...args, join(folder, 'data'), 'sqlite', 's', '1', '40'], {
    timeoutMs: 120_000,
  });
  assert.equal(code, 0, stderr);
  const proved = prove(readFileSync(trace, 'utf8').split('\n'));
  assert.ok(proved > 20, `${proved} mails in the trace`);
}, 300_000);

/**
 * In the order of the trace: a mail's id is written to the log, the log is synchronised and that call returns, and only then the
 * id is written to stdout. Returns how many mails that was seen of.
 */
function prove(lines: readonly string[]): number {
  let dirty = true;
  let proved = 0;
  const unfinished = new Set<string>();
  for (const line of lines) {
    const thread = line.split(' ')[0] ?? '';
    const isOfLog = line.includes('store.sqlite-wal');
    if (isOfLog && /\bpwrite64\(/.test(line)) dirty = true;
    if (isOfLog && /\bf(?:data)?sync\(/.test(line)) {
      if (line.includes('<unfinished')) unfinished.add(thread);
      else if (line.endsWith('= 0')) dirty = false;
    } else if (unfinished.has(thread) && /<\.\.\. f(?:data)?sync resumed>/.test(line)) {
      unfinished.delete(thread);
      if (line.endsWith('= 0')) dirty = false;
    }
    if (!/\bwrite\(1</.test(line) || !/"-?s-0\.\d+\\n"/.test(line)) continue;
    assert.ok(!dirty, `told before it was synchronised: ${line}`);
    proved++;
    // The next one must be written and synchronised again.
    dirty = true;
  }
  return proved;
}
