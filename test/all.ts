/**
 * `npm test`: every test once, then one closing line, `N passed, N failed`, from vitest's own result. Nothing is skipped
 * here: a test that did not run counts as failed, as does a file that could not be loaded. What vitest prints while it
 * runs goes to stderr, the result to stdout.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';

interface VitestResult {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly message: string;
    readonly assertionResults: readonly {
      readonly status: string;
      readonly fullName: string;
      readonly failureMessages: readonly string[];
    }[];
  }[];
}

interface Failure {
  readonly where: string;
  readonly test: string;
  readonly why: string;
}

const dir = mkdtempSync(join(tmpdir(), 'opes-test-'));
const resultFile = join(dir, 'result.json');
const exitCode = await runVitest(process.argv.slice(2));
const { passed, failures } = count(readResult());
rmSync(dir, { recursive: true });
if (exitCode !== 0 && failures.length === 0) {
  failures.push({ where: 'vitest', test: 'ended with an error of its own', why: `exit code ${exitCode}; see above` });
}
if (passed === 0 && failures.length === 0) failures.push({ where: 'vitest', test: 'no test ran', why: '' });
for (const failure of failures) console.log(`\nFAILED ${failure.where}: ${failure.test}\n${indented(failure.why)}`);
console.log(`${failures.length > 0 ? '\n' : ''}${passed} passed, ${failures.length} failed`);
process.exitCode = failures.length > 0 ? 1 : 0;

/** Arguments of ours are vitest's: `npm test -- --project unit src/config`. */
async function runVitest(args: readonly string[]): Promise<number> {
  const reporters = ['--reporter=dot', '--reporter=json', `--outputFile.json=${resultFile}`];
  const vitest = spawn('vitest', ['run', ...reporters, ...args], { stdio: ['ignore', 2, 2] });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => vitest.kill(signal));
  return await new Promise((resolve, reject) => {
    vitest.once('error', reject);
    vitest.once('close', (code) => resolve(code ?? 1));
  });
}

function readResult(): VitestResult {
  try {
    return JSON.parse(readFileSync(resultFile, 'utf8')) as VitestResult;
  } catch {
    return { testResults: [] };
  }
}

function count(result: VitestResult): { passed: number; failures: Failure[] } {
  let passed = 0;
  const failures: Failure[] = [];
  for (const file of result.testResults) {
    const where = relative(process.cwd(), file.name);
    if (file.status === 'failed' && file.assertionResults.every((one) => one.status !== 'failed')) {
      failures.push({ where, test: 'the file as a whole', why: file.message });
    }
    for (const one of file.assertionResults) {
      if (one.status === 'passed') passed++;
      else
        failures.push({ where, test: one.fullName, why: one.failureMessages.join('\n') || `not run: ${one.status}` });
    }
  }
  return { passed, failures };
}

function indented(text: string): string {
  const lines = text.split('\n').filter((line) => !line.includes('/node_modules/'));
  return lines
    .slice(0, 30)
    .map((line) => `    ${line}`)
    .join('\n');
}
