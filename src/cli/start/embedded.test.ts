import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished, test } from 'vitest';
import type { Log, LogFields } from '../../base/index.ts';
import { EmbeddedService } from './embedded.ts';

/** Log lines, and a way to wait for one. */
class Heard {
  readonly lines: string[] = [];
  readonly log: Log;
  #waiting: { event: string; resolve: (fields: LogFields) => void }[] = [];

  constructor() {
    const hear = (event: string, fields: LogFields = {}) => {
      this.lines.push(`${event} ${JSON.stringify(fields)}`);
      for (const one of this.#waiting.filter((waiter) => waiter.event === event)) one.resolve(fields);
      this.#waiting = this.#waiting.filter((waiter) => waiter.event !== event);
    };
    this.log = { debug: hear, info: hear, warn: hear, error: hear };
  }

  next(event: string): Promise<LogFields> {
    return new Promise((resolve) => this.#waiting.push({ event, resolve }));
  }
}

const READY = `console.log('{"event":"ready","pid":' + process.pid + '}');`;
const STAY = 'process.stdin.resume().on("end", () => process.exit(0));';

function options(script: string, heard: Heard) {
  const dir = mkdtempSync(join(tmpdir(), 'opes-embedded-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  return { name: 'svc', args: ['-e', script], socket: join(dir, 's.sock'), log: heard.log };
}

async function start(script: string, heard: Heard): Promise<EmbeddedService> {
  const service = await EmbeddedService.start(options(script, heard));
  onTestFinished(() => service.stop());
  return service;
}

test('what it says becomes log lines, its own ones as they are', async () => {
  const heard = new Heard();
  const output = heard.next('service-output');
  const own = heard.next('own');
  const script = `${READY} console.error('{"level":"warn","time":"t","event":"own","a":1}'); console.log('plain\\x1b[2J'); ${STAY}`;
  await start(script, heard);
  assert.deepEqual(await output, { service: 'svc', text: 'plain?[2J' });
  assert.deepEqual(await own, { service: 'svc', a: 1 });
});

test('one that ends is started again, after a pause', async () => {
  const heard = new Heard();
  const ended = heard.next('service-ended');
  const again = heard.next('service-restarted');
  await start(`${READY} setTimeout(() => process.exit(3), 50); ${STAY}`, heard);
  assert.deepEqual(await ended, { service: 'svc', code: 3, signal: null, said: undefined, againInMs: 250 });
  await again;
});

test('one that never is ready is a failure that holds its words, and is not tried again', async () => {
  const heard = new Heard();
  await assert.rejects(start('console.error("no such module"); process.exit(1)', heard), {
    name: 'Failure',
    message: 'service svc did not start: it ended (exit code 1)\n    no such module',
  });
  assert.deepEqual(heard.lines, []);
});

test('it has an empty environment, and ends when told to', async () => {
  const heard = new Heard();
  const env = heard.next('env');
  const script = `${READY} console.log(JSON.stringify({ level: 'info', event: 'env', env: Object.keys(process.env), cwd: process.cwd() })); ${STAY}`;
  const service = await start(script, heard);
  assert.deepEqual(await env, { service: 'svc', env: [], cwd: '/' });
  await service.stop();
  assert.ok(!heard.lines.some((line) => line.startsWith('service-ended')));
});

test('one that does not listen to SIGTERM is killed', async () => {
  const heard = new Heard();
  const service = await start(`process.on('SIGTERM', () => {}); ${READY} ${STAY}`, heard);
  await service.stop();
});

test('one that answers nothing any more is killed, and started again', async () => {
  const heard = new Heard();
  // Deaf to its parent and to SIGTERM alike, as in a loop without end.
  const service = await start(`${READY} setTimeout(() => { for (;;); }, 50);`, heard);
  const ended = heard.next('service-ended');
  service.giveUp();
  assert.equal((await ended)['signal'], 'SIGKILL');
  assert.ok(heard.lines.some((line) => line.startsWith('service-silent ')));
  await heard.next('service-restarted');
});
