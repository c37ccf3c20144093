import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'vitest';

const MIB = 2 ** 20;

/** 512 MiB in buffers of 64 KiB, each garbage at once: as large mail is read, and read back from the disk. */
const LITTER = `
  let most = 0;
  for (let i = 0; i < 8192; i++) {
    Buffer.allocUnsafeSlow(65_536).fill(1, 0, 1);
    if (i % 16 === 0) most = Math.max(most, process.memoryUsage().arrayBuffers);
  }
  console.log(most);
`;

/** Buffers are freed when they are collected, not soon afterwards; and the old are marked at once: meanwhile the young are not collected. */
const AT_ONCE = ['--no-concurrent-array-buffer-sweeping', '--no-incremental-marking'];

test('garbage in buffers is collected when 48 MiB of it came', () => {
  // Flags are those of a process: it gets one of its own.
  const module = fileURLToPath(new URL('./memory-flags.ts', import.meta.url));
  const script = `(await import(${JSON.stringify(module)})).setMemoryFlags();\n${LITTER}`;
  const args = [...AT_ONCE, '--input-type=module', '-C', 'opes-source', '-e', script];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  // V8 tells of a flag that it does not know here, and goes on.
  assert.equal(stderr, '');
  assert.equal(status, 0);
  // V8's own default is 128 MiB.
  const most = Number(stdout) / MIB;
  assert.ok(most > 0 && most < 64, `${Math.round(most)} MiB`);
});
