/**
 * When V8 collects what mail leaves in memory. Content lives in buffers outside V8's own heap, and V8's defaults are made for
 * programs that have few of them. Flags of V8 may be set while it runs: `main.ts` does so
 * first of all (docs/decisions/0012-buffers-count-towards-the-heap.md, 0056-garbage-waits-for-48-mib.md).
 */
import { setFlagsFromString } from 'node:v8';

const FLAGS: readonly string[] = [
  // By default everything is collected whenever some 64 MB of buffers came, however small V8's own heap is: for mails of 1 MiB that
  // was two thirds of all CPU time. With this they count towards the whole.
  '--external-memory-accounted-in-global-limit',
  // The whole is collected when it is seven times what the last collection left.
  '--heap-growing-percent=600',
  // The young are collected when four times this many MiB of buffers are among them: 48 MiB, by default 128.
  '--scavenger-max-new-space-capacity-mb=12',
];

export function setMemoryFlags(): void {
  for (const flag of FLAGS) setFlagsFromString(flag);
}
