import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished, test } from 'vitest';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));

/** Files that one run of the program leaves in `cache`. */
function filesAfterRun(cache: string, env: Record<string, string>): number {
  execFileSync(process.execPath, ['-C', 'opes-source', MAIN, '--help'], { env, stdio: 'pipe' });
  return existsSync(cache) ? readdirSync(cache, { recursive: true }).length : 0;
}

function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'opes-cache-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test('compiled code is kept where the user or systemd says, closed to others', () => {
  const home = scratch();
  const own = join(home, '.cache', 'opes');
  assert.ok(filesAfterRun(own, { HOME: home }) > 10);
  assert.equal(statSync(own).mode & 0o777, 0o700);
  assert.ok(filesAfterRun(join(home, 'xdg', 'opes'), { HOME: home, XDG_CACHE_HOME: join(home, 'xdg') }) > 10);
  assert.ok(filesAfterRun(join(home, 'unit'), { CACHE_DIRECTORY: join(home, 'unit') }) > 10);
});

test('nothing is kept where others could write, or where nobody wants it', () => {
  const home = scratch();
  const open = join(home, 'open');
  mkdirSync(open);
  chmodSync(open, 0o777);
  assert.equal(filesAfterRun(open, { CACHE_DIRECTORY: open }), 0);
  mkdirSync(join(home, 'real'));
  symlinkSync(join(home, 'real'), join(home, 'link'));
  assert.equal(
    filesAfterRun(join(home, 'link'), { CACHE_DIRECTORY: join(home, 'link') }),
    0,
    'a link may lead anywhere',
  );
  assert.equal(
    filesAfterRun(join(home, 'off'), { CACHE_DIRECTORY: join(home, 'off'), NODE_DISABLE_COMPILE_CACHE: '1' }),
    0,
  );
  assert.equal(filesAfterRun(join(home, 'rel'), { CACHE_DIRECTORY: 'rel' }), 0);
  assert.equal(filesAfterRun(join(home, '.cache'), {}), 0);
});
