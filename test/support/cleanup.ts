/**
 * What a test file leaves behind when it fails half-way is ended here: behind its own hooks, and whatever they did. Imported while the
 * file is collected, so that the hook belongs to that file.
 */
import { rmSync } from 'node:fs';
import { afterAll } from 'vitest';

const closers = new Set<() => Promise<unknown>>();
const folders = new Set<string>();

/** Called at the end of the file unless taken back; returns how to take it back. */
export function atEnd(close: () => Promise<unknown>): () => void {
  closers.add(close);
  return () => void closers.delete(close);
}

/** Removed when nobody is left to write there. */
export function removeAtEnd(folder: string): void {
  folders.add(folder);
}

function removeFolders(): void {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
  folders.clear();
}
// Where files share their modules (the unit tests) the hook below belongs to the first of them only.
process.once('exit', removeFolders);

// Hooks run in the opposite order of their definition: this one is the first to be defined and the last to run.
afterAll(async () => {
  await Promise.all([...closers].map((close) => close()));
  removeFolders();
}, 60_000);
