/**
 * What a newcomer meets: a fresh clone that runs whatever Node the machine has, and the demo, from the mail that is sent to
 * the page that shows it, in a real browser. The demo's fixed ports are replaced; nothing else of it is.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, onTestFinished, test } from 'vitest';
import { Child, run } from '../support/child.ts';
import { OPES, ROOT } from '../support/gateway.ts';
import { needPrograms } from '../support/programs.ts';
import { scratchFolder } from '../support/scratch.ts';

interface Ready {
  readonly listeners: readonly { readonly port: number }[];
  readonly console: string;
}

const HELLO = join(ROOT, 'examples/mails/hello.eml');

/** Without them Chromium calls its maker's hosts at every start. */
const QUIET = [
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

let browser: Browser;

beforeAll(async () => {
  const { chromium: executablePath } = await needPrograms('chromium');
  browser = await chromium.launch({ executablePath, args: QUIET });
});

afterAll(async () => {
  await browser.close();
});

/** The demo on free ports. */
async function demo(): Promise<{ folder: string; server: string; console: string }> {
  const folder = scratchFolder('demo');
  const yaml = readFileSync(join(ROOT, 'examples/demo.yaml'), 'utf8')
    .replace('address: "127.0.0.1:2525"', 'address: "127.0.0.1:0"')
    .replace('console: { address: "127.0.0.1:8025"', 'console: { address: "127.0.0.1:0"');
  writeFileSync(join(folder, 'demo.yaml'), yaml);
  const child = new Child(OPES, ['start', '--config', 'demo.yaml'], { cwd: folder });
  onTestFinished(async () => {
    await child.stop();
  });
  const ready = await child.event<Ready>('ready', 60_000);
  return { folder, server: `127.0.0.1:${ready.listeners[0]?.port}`, console: ready.console };
}

function delivered(folder: string): string[] {
  const mailbox = join(folder, 'opes-data/mailbox');
  return readdirSync(mailbox)
    .filter((name) => name.endsWith('.eml'))
    .map((name) => readFileSync(join(mailbox, name), 'utf8'));
}

const send = (server: string, file: string) =>
  run(OPES, ['send', '--server', server, '--from', 'ann@example.org', '--to', 'bob@example.com', file]);

test('a mail gets a 250, is delivered with banner and trace, and the console shows both sides', async () => {
  const { folder, server, console } = await demo();
  const { code, stdout } = await send(server, HELLO);
  assert.equal(code, 0, stdout);
  assert.match(stdout, /\nS: 250 2\.0\.0 [^\n]*\nC: QUIT\n/);

  const [mail = ''] = delivered(folder);
  assert.match(mail, /\r\nOPES-System: http:\/\/127\.0\.0\.1:8025\/\?id=\S+\r\n/);
  assert.match(mail, /services\/attachments;outcome=unchanged,\s+http:\S+services\/banner;outcome=edited\r\n/);
  assert.match(mail, /\r\n\r\nCAUTION: [\s\S]*\r\nHello Bob,\r\n/);

  const page = await browser.newPage();
  const complaints: string[] = [];
  page.on('console', (message) => complaints.push(message.text()));
  await page.goto(console);
  await page.getByText('Lunch today?').click();
  await page.waitForURL(/\/mail\//);
  assert.deepEqual(await page.locator('.journey h3').allTextContents(), [
    'Client',
    'attachments',
    'banner',
    'Next hop',
    'Answer to the client',
  ]);
  assert.deepEqual(await page.locator('.journey .badge').allTextContents(), ['unchanged', 'changed']);
  const added = (await page.locator('.diff .is code').allTextContents()).join('\n');
  assert.match(added, /OPES-System:[\s\S]*CAUTION: /);
  assert.equal(await page.locator('.diff .was').count(), 0, 'nothing was taken away');
  assert.ok((await page.locator('.diff .same').allTextContents()).some((line) => line.includes('Hello Bob,')));
  assert.match(await page.locator('.trace').innerText(), /OPES-Via/);
  assert.deepEqual(complaints, [], 'the content security policy stops nothing of ours');
  await page.close();
});

test('a program under the name of a picture is refused, with the reason, and is not delivered', async () => {
  const { folder, server, console } = await demo();
  const program = readFileSync('/proc/self/exe').subarray(0, 3000).toString('base64').replace(/.{76}/g, '$&\n');
  const file = join(folder, 'program.eml');
  const part = (head: string, body: string) => `--x\n${head}\n\n${body}\n`;
  const picture = 'Content-Type: image/png; name=cat.png\nContent-Transfer-Encoding: base64';
  const head = 'From: a@b.example\nSubject: a cat\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=x';
  writeFileSync(file, `${head}\n\n${part('Content-Type: text/plain', 'look')}${part(picture, program)}--x--\n`);
  const { code, stdout } = await send(server, file);
  assert.equal(code, 1);
  assert.match(stdout, /\nS: 550-5\.7\.1 [^\n]*cat\.png[^\n]*program\n/);
  assert.deepEqual(delivered(folder), []);
  const page = await browser.newPage();
  await page.goto(console);
  assert.deepEqual(await page.locator('.mail .badge').allTextContents(), ['refused']);
  await page.close();
});

test('a fresh clone runs with whatever Node is on the path, from 20 on', { timeout: 300_000 }, async () => {
  const clone = join(scratchFolder('clone'), 'opes');
  const cloned = await run('git', ['clone', '-q', '--no-hardlinks', ROOT, clone]);
  assert.equal(cloned.code, 0, cloned.stderr);
  const path = (process.env['PATH'] ?? '').split(delimiter).filter((one) => !/node-linux-|node_modules/.test(one));
  const env = { PATH: path.join(delimiter), NODE_COMPILE_CACHE: '' };
  const checked = await run('bin/opes', ['check'], { cwd: clone, env, timeoutMs: 240_000 });
  assert.equal(checked.code, 0, checked.stderr);
  assert.match(checked.stdout, /^demo configuration is good\n/);
  const again = await run('bin/opes', ['check'], { cwd: clone, env });
  assert.equal(again.stderr, '', 'what is installed is not installed again');
});
