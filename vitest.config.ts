import { defineConfig } from 'vitest/config';

/**
 * Four projects: `unit` (quick, no program of the machine's), `system` (real programs, real sockets, whole gateway), `crash`
 * (processes killed under load; KILLS says how often) and `fuzz` (random and mutated input; FUZZ_RUNS says how many).
 * `npm test` runs all of them once.
 */
const resolve = { conditions: ['opes-source'] };
// Programs the tests start keep their compiled code in the clone, not in the home of whoever runs them.
process.env['XDG_CACHE_HOME'] ??= `${import.meta.dirname}/node_modules/.cache`;
const ssr = { resolve: { conditions: ['opes-source'] } };

export default defineConfig({
  test: {
    projects: [
      {
        resolve,
        ssr,
        test: { name: 'unit', include: ['src/**/*.test.ts', 'test/*.test.ts'], isolate: false, testTimeout: 20_000 },
      },
      {
        resolve,
        ssr,
        test: {
          name: 'system',
          include: ['test/e2e/**/*.test.ts', 'test/interop/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 240_000,
          fileParallelism: false,
        },
      },
      {
        resolve,
        ssr,
        test: { name: 'crash', include: ['test/crash/**/*.test.ts'], fileParallelism: false },
      },
      {
        resolve,
        ssr,
        test: { name: 'fuzz', include: ['test/fuzz/**/*.test.ts'], testTimeout: 1_200_000, fileParallelism: false },
      },
    ],
  },
});
