#!/usr/bin/env node
/** `opes`. In a clone `bin/opes` sees to a Node that is new enough; installed as a package, this is all there is. */
const NEEDED = 24;

if (Number(process.versions.node.split('.')[0]) < NEEDED) {
  process.stderr.write(`opes: needs Node ${NEEDED} or newer, this is ${process.version}\n`);
  process.exitCode = 1;
} else {
  const { setMemoryFlags } = await import('./memory-flags.ts');
  setMemoryFlags();
  const { keepCompiled } = await import('./compile-cache.ts');
  keepCompiled(process.env);
  const { run } = await import('./program.ts');
  // Whatever still holds the event loop (a keep-alive socket, a stuck drain) is not waited for: the command has ended.
  process.exit(await run(process.argv.slice(2)));
}
