#!/usr/bin/env node
/** `opes`. In a clone `bin/opes` sees to a Node that is new enough; installed as a package, this is all there is. */
import { setFlagsFromString } from 'node:v8';

const NEEDED = 24;

// Mail content lives in buffers outside V8's heap. By default V8 collects everything whenever some 64 MB of them came, however
// small its own heap is: for 1 MiB mails that was two thirds of all CPU time. With this they count towards the whole, and the
// whole is collected when it is seven times what the last collection left (docs/decisions/0012-buffers-count-towards-the-heap.md).
setFlagsFromString('--external-memory-accounted-in-global-limit');
setFlagsFromString('--heap-growing-percent=600');

if (Number(process.versions.node.split('.')[0]) < NEEDED) {
  process.stderr.write(`opes: needs Node ${NEEDED} or newer, this is ${process.version}\n`);
  process.exitCode = 1;
} else {
  const { keepCompiled } = await import('./compile-cache.ts');
  keepCompiled(process.env);
  const { run } = await import('./program.ts');
  // Whatever still holds the event loop (a keep-alive socket, a stuck drain) is not waited for: the command has ended.
  process.exit(await run(process.argv.slice(2)));
}
