import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { onTestFinished, test } from 'vitest';
import { scratchFolder } from '../../../test/support/scratch.ts';
import { ServerSocket } from './server-socket.ts';
import { SocketPathError } from './unix-place.ts';

const path = () => join(scratchFolder('unix'), 's');

async function bind(at: string, mode = 0o660): Promise<ServerSocket> {
  const socket = await ServerSocket.bind({ path: at, mode });
  onTestFinished(() => socket.close());
  return socket;
}

const modeOf = (file: string) => statSync(file).mode & 0o777;

async function answers(at: string): Promise<boolean> {
  const probe = connect(at);
  try {
    await once(probe, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    probe.destroy();
  }
}

/** What a process that was killed leaves. */
async function leaveDead(at: string): Promise<void> {
  const child = spawn(process.execPath, [
    '-e',
    `net.createServer().listen(${JSON.stringify(at)}, () => console.log())`,
  ]);
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'close');
  assert.ok(lstatSync(at).isSocket());
}

const failsWith = (code: string, at: string) => (error: unknown) =>
  error instanceof SocketPathError && error.code === code && error.path === at;

test('the file has its mode whatever the mask of the process, and is gone with the listener', async () => {
  const at = path();
  const before = process.umask(0);
  try {
    const socket = await bind(at, 0o600);
    assert.deepEqual([modeOf(at), socket.place], [0o600, { path: at }]);
    assert.equal(process.umask(), 0, 'the mask is as it was');
    assert.ok(await answers(at));
    await socket.close();
    assert.deepEqual([existsSync(at), socket.place], [false, undefined]);
  } finally {
    process.umask(before);
  }
  await bind(at, 0o666);
  assert.equal(modeOf(at), 0o666);
});

test('before the mode is set nobody but the owner could connect', async () => {
  const at = path();
  const before = process.umask(0);
  try {
    const bound = ServerSocket.bind({ path: at, mode: 0o666 });
    // The file is there as soon as `bind` returns its promise; what follows waits for a turn.
    assert.equal(modeOf(at) & 0o077, 0);
    const socket = await bound;
    assert.equal(modeOf(at), 0o666);
    await socket.close();
  } finally {
    process.umask(before);
  }
});

test('what a dead process left is replaced', async () => {
  const at = path();
  await leaveDead(at);
  await bind(at);
  assert.ok(await answers(at));
});

test('a socket that somebody answers is left alone, and said to be in use', async () => {
  const at = path();
  await bind(at);
  await assert.rejects(ServerSocket.bind({ path: at, mode: 0o660 }), failsWith('in-use', at));
  assert.ok(await answers(at));
});

test('a file, a directory or a link is never removed', async () => {
  const folder = scratchFolder('unix');
  const [file, directory, link, target] = ['file', 'directory', 'link', 'target'].map((name) => join(folder, name));
  assert.ok(file !== undefined && directory !== undefined && link !== undefined && target !== undefined);
  writeFileSync(file, 'mail');
  mkdirSync(directory);
  await leaveDead(target);
  symlinkSync(target, link);
  for (const at of [file, directory, link]) {
    await assert.rejects(ServerSocket.bind({ path: at, mode: 0o660 }), failsWith('no-socket', at));
  }
  assert.equal(readFileSync(file, 'utf8'), 'mail');
  assert.ok(lstatSync(link).isSymbolicLink() && lstatSync(target).isSocket());
});

test('a directory that is missing is told from one that is closed', async () => {
  const folder = scratchFolder('unix');
  const at = join(folder, 'none', 's');
  await assert.rejects(ServerSocket.bind({ path: at, mode: 0o660 }), failsWith('no-directory', at));
  writeFileSync(join(folder, 'file'), '');
  const below = join(folder, 'file', 's');
  await assert.rejects(ServerSocket.bind({ path: below, mode: 0o660 }), failsWith('no-directory', below));
});

test('where the group cannot be set nothing is left behind', async () => {
  const at = path();
  // Beyond what a gid can be: not even root may.
  await assert.rejects(ServerSocket.bind({ path: at, mode: 0o660, gid: 2 ** 32 - 1 + 5 }), failsWith('access', at));
  assert.equal(existsSync(at), false);
});

test('another mode holds at once, and can be taken back', async () => {
  const at = path();
  const socket = await bind(at, 0o600);
  const undo = socket.setAccess({ mode: 0o666 });
  assert.equal(modeOf(at), 0o666);
  undo();
  assert.equal(modeOf(at), 0o600);
});

test('what stands in place of the socket keeps its mode: a link would lead to a file of somebody else', async () => {
  const at = path();
  const socket = await bind(at, 0o600);
  const undo = socket.setAccess({ mode: 0o666 });
  const other = join(scratchFolder('unix'), 'other');
  writeFileSync(other, 'secret', { mode: 0o640 });
  unlinkSync(at);
  symlinkSync(other, at);
  undo();
  assert.throws(() => socket.setAccess({ mode: 0o666 }), failsWith('access', at));
  assert.equal(modeOf(other), 0o640);
});
