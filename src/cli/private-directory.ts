/** Directories for sockets: short, for a socket's path has at most 107 octets, and closed to others. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Ours adds about 20 octets to the directory's path. */
const LONGEST_TMP = 70;

/** Made with mode 0700: whoever cannot enter it cannot reach the sockets in it. */
export function privateDirectory(): string {
  const wanted = tmpdir();
  return mkdtempSync(join(wanted.length <= LONGEST_TMP ? wanted : '/tmp', 'opes-'));
}
