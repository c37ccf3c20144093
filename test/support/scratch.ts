/** Temporary folders and free ports of a test, all on loopback. */
import { mkdtempSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeAtEnd } from './cleanup.ts';

/** A new empty folder, removed at the end of the test file. Its path is short: Unix sockets fail beyond about 107 octets. */
export function scratchFolder(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `opes-${name}-`));
  removeAtEnd(folder);
  return folder;
}

/**
 * A port nobody listens on right now, for programs that cannot be told "any port". Whoever takes it in between makes the
 * program's start fail, and the caller tries another.
 */
export async function freePort(): Promise<number> {
  const server = net.createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

/** The same below 1024, where only root may listen. */
export async function freeLowPort(): Promise<number> {
  for (let port = 1023; port >= 600; port--) {
    const server = net.createServer();
    const isFree = await new Promise<boolean>((resolve) => {
      server.once('error', () => resolve(false));
      server.listen(port, '127.0.0.1', () => resolve(true));
    });
    if (!isFree) continue;
    await new Promise((resolve) => server.close(resolve));
    return port;
  }
  throw new Error('no port below 1024 can be had: this test needs root');
}

/** Whether somebody listens there. */
export async function isOpen(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Asks again until `check` holds; for what cannot tell by itself (files, ports of foreign programs). */
export async function eventually(
  check: () => boolean | Promise<boolean>,
  what: string,
  timeoutMs = 20_000,
): Promise<void> {
  const end = Date.now() + timeoutMs;
  while (!(await check())) {
    if (Date.now() > end) throw new Error(`${what}: not within ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
