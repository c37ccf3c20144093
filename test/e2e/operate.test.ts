/**
 * docs/operate.md, held to the program: its configurations load, its commands exist and run, its Postfix lines work with a real
 * Postfix, the filter is broken as it says, and the replies and fields it explains are the ones there are.
 */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished, test } from 'vitest';
import { readConfig } from '../../src/cli/load.ts';
import { showProblem } from '../../src/config/index.ts';
import { makeRuleEngine } from '../../src/gateway/index.ts';
import { run } from '../support/child.ts';
import { Dovecot } from '../support/dovecot.ts';
import { Gateway, OPES, ROOT, serve } from '../support/gateway.ts';
import { Postfix } from '../support/postfix.ts';
import { needPrograms } from '../support/programs.ts';
import { eventually, freePort, scratchFolder } from '../support/scratch.ts';
import { SmtpTalk, verdict } from '../support/smtp-talk.ts';

const PAGE = readFileSync(join(ROOT, 'docs/operate.md'), 'utf8');
const INSTALLED = '/opt/opes/';

/** The blocks of one language, in order. */
const blocks = (language: string): string[] =>
  [...PAGE.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)]
    .filter(([, name]) => name === language)
    .map(([, , text = '']) => text);

const [BEFORE = '', PROXY = '', LMTP = '', TRY = '', TLS = ''] = blocks('yaml');

/** Everything the page calls its own place, in a folder of the test's. */
function placed(text: string, folder: string): string {
  return text.replaceAll(/(\/etc\/opes|\/var\/lib\/opes|\/tmp\/opes-try)\b/g, (place) => join(folder, place));
}

async function write(text: string): Promise<string> {
  const folder = scratchFolder('operate');
  const etc = join(folder, '/etc/opes');
  mkdirSync(etc, { recursive: true });
  const args = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 90 -subj /CN=mx1.example.com';
  const made = await run('openssl', [
    ...args.split(' '),
    '-keyout',
    join(etc, 'mx1.key'),
    '-out',
    join(etc, 'mx1.pem'),
  ]);
  assert.equal(made.code, 0, made.stderr);
  const file = join(etc, 'opes.yaml');
  writeFileSync(file, placed(text, folder));
  const user = await run(OPES, ['user', 'ann@example.com'], { input: 'secret word\n' });
  assert.equal(user.code, 0, user.stderr);
  writeFileSync(join(etc, 'users.yaml'), user.stdout, { mode: 0o640 });
  return file;
}

test('its configurations are whole, and good', async () => {
  await needPrograms('postfix'); // whose group one of them names
  const all = blocks('yaml');
  assert.equal(all.length, 6);
  for (const text of all) {
    const loaded = readConfig(await write(text));
    if (loaded.kind === 'broken') assert.fail(`${text}\n${loaded.problems.map(showProblem).join('\n')}`);
    assert.deepEqual(loaded.notices.map(showProblem), []);
  }
  assert.match(TLS, /\/etc\/opes\/mx1\.key/);
});

test('its rules are rules', () => {
  const rules = [...PAGE.matchAll(/^\| `([^`]+)` \| [^|]+ \|$/gm)]
    .map(([, rule = '']) => rule)
    .filter((rule) => rule.includes('.'));
  const engine = makeRuleEngine();
  assert.ok(rules.length >= 6);
  for (const rule of rules) {
    const compiled = engine.compile(rule);
    if ('error' in compiled) assert.fail(`${rule}: ${compiled.error.message}`);
  }
});

test('its commands exist, with their options; what they name of the clone is in it', async () => {
  const lines = blocks('sh').flatMap((block) => block.trim().split('\n'));
  const others = new Set('git install systemd-sysusers systemctl journalctl curl ssh chmod sqlite3'.split(' '));
  const helps = new Map<string, string>();
  for (const line of lines) {
    const [program = '', ...args] = line.split(' ');
    // `queue` and `quarantine` have commands of their own.
    const words = args.slice(0, args[0]?.startsWith('qu') === true ? 2 : 1);
    const command = words.join(' ');
    for (const [path] of line.matchAll(/\/opt\/opes\/[\w./-]+/g))
      assert.ok(existsSync(join(ROOT, path.slice(INSTALLED.length))), `${line}: ${path} is not in the clone`);
    if (program !== `${INSTALLED}bin/opes`) {
      assert.ok(others.has(program), `${line}: what is ${program}?`);
      continue;
    }
    const asked = command.startsWith('--') ? words : [...words, '--help'];
    const help = helps.get(command) ?? (await run(OPES, asked)).stdout;
    helps.set(command, help);
    assert.match(help, /^Usage: opes/, line);
    for (const option of args.filter((one) => one.startsWith('--')))
      assert.ok(help.includes(option), `${line}: ${option}`);
  }
  assert.deepEqual(
    [...helps.keys()],
    [
      '--help',
      'check',
      'serve',
      'start',
      'send',
      'queue list',
      'quarantine list',
      'queue retry',
      'quarantine release',
      'queue counters',
      'trace',
      'user',
    ],
  );
});

test('what it tries with opes check goes as it says', async () => {
  const file = await write(BEFORE);
  const commands = blocks('sh')
    .flatMap((block) => block.trim().split('\n'))
    .filter((line) => line.includes('opes check'));
  assert.ok(commands.length >= 3);
  for (const line of new Set(commands)) {
    const args = line.split(' ').slice(1);
    const here = args.map((arg) => arg.replace('/etc/opes/opes.yaml', file).replace(INSTALLED, ROOT));
    const { code, stdout, stderr } = await run(OPES, here);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /opes\.yaml is good\n/);
    if (line.includes('--from')) assert.match(stdout, /banner {2}changed/);
  }
});

// --- with a real Postfix --------------------------------------------------------------------------------------------

const postfixLines = (file: string): string[] =>
  blocks('')
    .filter((block) => block.startsWith(`# ${file}\n`))
    .map((block) => block.split('\n').slice(1).join('\n'));

const MAIL = (subject: string, to = 'b@dst.test') => ({
  from: 'a@src.test',
  to: [to],
  content: Buffer.from(`Subject: ${subject}\r\nFrom: a@src.test\r\n\r\nHello\r\n`),
});

async function gatewayAt(text: string): Promise<Gateway> {
  const folder = scratchFolder('operate');
  const gateway = await Gateway.start(placed(text, folder));
  onTestFinished(async () => {
    await gateway.stop();
  });
  return gateway;
}

async function postfixWith(main: string, servers: (port: number) => string): Promise<Postfix> {
  const settings = main.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  const postfix = await Postfix.start({ servers, settings });
  onTestFinished(() => postfix.stop());
  return postfix;
}

test('before Postfix: mail arrives by both; Postfix behind relays for nobody', async () => {
  const [main = ''] = postfixLines('main.cf');
  const [master = ''] = postfixLines('master.cf');
  const postfix = await postfixWith(main, (port) => master.replace('127.0.0.1:10026', `127.0.0.1:${port}`).trimEnd());
  const gateway = await gatewayAt(
    BEFORE.replace('0.0.0.0:25', '127.0.0.1:0')
      .replace('127.0.0.1:10026', `127.0.0.1:${postfix.port}`)
      .replace('to: example.com', 'to: dst.test')
      .replace('127.0.0.1:8025', '127.0.0.1:0')
      .replace('127.0.0.1:9464', '127.0.0.1:0'),
  );
  const talk = await SmtpTalk.hello(gateway.port());
  assert.equal(verdict(await talk.mail(MAIL('before'))), 250, postfix.log());
  assert.equal(verdict(await talk.mail(MAIL('elsewhere', 'b@elsewhere.test'))), 550);
  await talk.quit();
  const [arrived] = await postfix.waitForMails(1);
  assert.match(arrived?.content.toString('latin1') ?? '', /^OPES-Via: /m);
  const direct = await SmtpTalk.hello(postfix.port);
  assert.equal(verdict(await direct.mail(MAIL('relay', 'b@elsewhere.test'))), 554, 'though it comes from 127.0.0.1');
  await direct.quit();
});

test("behind Postfix's port 25: its client hears of a refusal, and a mail comes back to it and arrives", async () => {
  const main = postfixLines('main.cf')[1] ?? '';
  const master = postfixLines('master.cf')[1] ?? '';
  const [proxy, back] = [await freePort(), await freePort()];
  const postfix = await postfixWith(main, (port) =>
    master
      .trimEnd()
      .replace('smtp inet', `127.0.0.1:${port} inet`)
      .replaceAll('127.0.0.1:10026', `127.0.0.1:${back}`)
      .replaceAll('127.0.0.1:10025', `127.0.0.1:${proxy}`),
  );
  await gatewayAt(
    PROXY.replace('127.0.0.1:10025', `127.0.0.1:${proxy}`)
      .replace('127.0.0.1:10026', `127.0.0.1:${back}`)
      .replace('127.0.0.1:9464', '127.0.0.1:0'),
  );
  const talk = await SmtpTalk.hello(postfix.port);
  assert.equal(verdict(await talk.mail(MAIL('through the proxy'))), 250, postfix.log());
  const [arrived] = await postfix.waitForMails(1);
  assert.match(arrived?.content.toString('latin1') ?? '', /^OPES-System: /m);
  const program = Buffer.from(
    'From: a@src.test\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream; name="x.exe"\r\n' +
      'Content-Disposition: attachment; filename="x.exe"\r\n\r\nMZ\r\n',
  );
  const refused = await talk.mail({ ...MAIL(''), content: program });
  assert.equal(verdict(refused), 550, JSON.stringify(refused));
  await talk.quit();
});

test('between Postfix and the mailboxes: each recipient has a reply of his own, through two Unix sockets', async () => {
  const dovecot = await Dovecot.start();
  onTestFinished(() => dovecot.stop());
  const folder = scratchFolder('lmtp');
  chmodSync(folder, 0o755);
  const socket = join(folder, 'opes-lmtp.sock');
  const gateway = await gatewayAt(
    LMTP.replace('/run/opes-lmtp.sock', socket)
      .replace('/run/dovecot/lmtp', dovecot.lmtp)
      .replace('to: example.com', 'to: dst.test')
      .replace('127.0.0.1:9464', '127.0.0.1:0'),
  );
  const main = (postfixLines('main.cf')[2] ?? '').replace('/run/opes-lmtp.sock', socket);
  const master = (postfixLines('master.cf')[2] ?? '').trimEnd();
  const postfix = await postfixWith(main, (port) => `127.0.0.1:${port} inet n - n - - smtpd\n${master}`);
  const talk = await SmtpTalk.hello(postfix.port, 'desk.src.test');
  const to = ['ann@dst.test', 'stranger@dst.test'];
  assert.equal(verdict(await talk.mail({ ...MAIL('by LMTP'), from: '', to })), 250);
  await talk.quit();
  const statuses = (): string[] =>
    to.map((one) => new RegExp(`to=<${one}>.*status=(\\w+)`).exec(postfix.log())?.[1] ?? '-');
  await eventually(() => !statuses().includes('-'), 'two statuses');
  assert.deepEqual(statuses(), ['sent', 'bounced'], postfix.log());
  await eventually(() => dovecot.mails('ann').length === 1, 'a mail in the mailbox');
  assert.match(dovecot.mails('ann')[0] ?? '', /^OPES-Via: /m);
  const line = await gateway.child.until(() => gateway.logs().find(({ event }) => event === 'mail'), 'the mail');
  assert.deepEqual([line['client'], line['helo']], ['127.0.0.1', 'desk.src.test'], 'by lmtp_send_xforward_command');
});

// --- the broken filter ----------------------------------------------------------------------------------------------

test('the filter is broken: each policy does what the table says, and a reload is enough to change it', async () => {
  const filter = await serve(join(ROOT, 'examples/add-header.ts'));
  const port = filter.endpoint.split(':').at(-1) ?? '';
  const text = TRY.replace('127.0.0.1:2525', '127.0.0.1:0').replace('127.0.0.1:4037', `127.0.0.1:${port}`);
  const gateway = await gatewayAt(text);
  const box = join(/dataDir: (\S+)/.exec(readFileSync(gateway.file, 'utf8'))?.[1] ?? '', 'mailbox');
  const command =
    blocks('sh')
      .find((block) => block.includes('opes send'))
      ?.trim() ?? '';
  const send = async (): Promise<string> => {
    const args = command
      .split(' ')
      .slice(1)
      .map((arg) => arg.replace(INSTALLED, ROOT));
    const here = args.map((arg) => arg.replace('127.0.0.1:2525', `127.0.0.1:${gateway.port()}`));
    return (await run(OPES, here)).stdout;
  };
  const delivered = (): string[] =>
    readdirSync(box)
      .filter((name) => name.endsWith('.eml'))
      .map((name) => readFileSync(join(box, name), 'latin1'));

  assert.match(await send(), /S: 250 2\.0\.0 kept as/);
  assert.match(delivered()[0] ?? '', /^X-Envelope: from ann@example\.org to 1 recipient/m);
  await filter.child.stop();

  const rows = [...PAGE.matchAll(/^\| `(tempfail|reject|skip|spool|quarantine)` \| `([^`]+)`/gm)];
  const actions = ['tempfail', 'reject', 'skip', 'spool', 'quarantine'];
  assert.deepEqual(
    rows.map(([, action]) => action),
    actions,
  );
  for (const [, action = '', hears = ''] of rows) {
    const said = await gateway.reload(
      readFileSync(gateway.file, 'utf8').replace(/onFailure: \w+/, `onFailure: ${action}`),
    );
    assert.equal(said['event'], 'reloaded', JSON.stringify(said));
    const before = delivered().length;
    const [code = '', ...words] = hears.split(' ');
    const heard = await send();
    // A refusal carries the trace, in a line of its own.
    assert.ok(heard.includes(`S: ${code}-${words.join(' ')}`) || heard.includes(`S: ${hears}`), heard);
    assert.equal(delivered().length, before + (action === 'skip' ? 1 : 0));
  }
  assert.ok(delivered().some((mail) => mail.includes('outcome=skipped;reason=unreachable')));
  const failures = gateway.logs().filter(({ event }) => event === 'callout.failed');
  assert.deepEqual(
    failures.map(({ action }) => action),
    // What was spooled is tried at the filter once more, at once.
    actions.flatMap((action) => (action === 'spool' ? [action, action] : [action])),
  );
});

/** A command of the page, for this gateway: `changed` is put in the place of what the page has there. */
async function command(
  beginning: string,
  gateway: Gateway,
  changed: Readonly<Record<string, string>> = {},
): Promise<string> {
  const line = blocks('sh')
    .flatMap((block) => block.trim().split('\n'))
    .find((one) => one.startsWith(`${INSTALLED}bin/opes ${beginning}`));
  assert.ok(line !== undefined, `the page has no opes ${beginning}`);
  const here = {
    '/etc/opes/opes.yaml': gateway.file,
    '/tmp/opes-try.yaml': gateway.file,
    [INSTALLED]: ROOT,
    ...changed,
  };
  const args = line.split(' ').slice(1);
  for (const [from, to] of Object.entries(here))
    for (const at of args.keys()) args[at] = (args[at] ?? '').replace(from, to);
  const { code, stdout, stderr } = await run(OPES, args);
  assert.equal(code, 0, `${line}\n${stdout}${stderr}`);
  return stdout;
}

test("the operator's afternoon: before a real Postfix the filter dies, the mail is found, and drained when it is back", async () => {
  const postfix = await postfixWith(postfixLines('main.cf')[0] ?? '', (port) =>
    (postfixLines('master.cf')[0] ?? '').replace('127.0.0.1:10026', `127.0.0.1:${port}`).trimEnd(),
  );
  const file = join(ROOT, 'examples/add-header.ts');
  const filter = await serve(file);
  const at = Number(filter.endpoint.split(':').at(-1));
  // The page's MX, with the filter of its section 6.
  const filtered = (TRY.match(/^services:[\s\S]*/m)?.[0] ?? '').replace('127.0.0.1:4037', `127.0.0.1:${at}`);
  const text = BEFORE.replace(/^services:[\s\S]*(?=^console:)/m, filtered)
    .replace('0.0.0.0:25', '127.0.0.1:0')
    .replace('127.0.0.1:10026', `127.0.0.1:${postfix.port}`)
    .replace('to: example.com', 'to: dst.test')
    .replace('127.0.0.1:8025', '127.0.0.1:0')
    .replace('127.0.0.1:9464', '127.0.0.1:0');
  const gateway = await gatewayAt(text.replace('onFailure: tempfail', 'onFailure: spool'));
  const send = async (): Promise<string> =>
    await command('send', gateway, {
      '127.0.0.1:2525': `127.0.0.1:${gateway.port()}`,
      'bob@example.com': 'b@dst.test',
    });
  assert.match(await send(), /^S: 250 2\.0\.0 Ok: queued as/m);
  assert.match((await postfix.waitForMails(1))[0]?.content.toString('latin1') ?? '', /^X-Envelope: /m);

  // It breaks. What the gateway says leads to the mail, and to the reason.
  await filter.child.stop();
  const id = /accepted as (\S+)/.exec(await send())?.[1] ?? '';
  const traced = await command('trace', gateway, { 'og-OssTrjxlU.1': id });
  assert.match(traced, /^ {2}filter {2}failed +unreachable: /m);
  assert.ok(traced.includes(`${id}#0`), traced);
  assert.match(await command('queue list', gateway), /b@dst\.test/);
  await gateway.reload(readFileSync(gateway.file, 'utf8').replace('onFailure: spool', 'onFailure: quarantine'));
  const refused = await SmtpTalk.hello(gateway.port());
  assert.equal(verdict(await refused.mail(MAIL('kept'))), 554);
  await refused.quit();
  assert.match(await command('quarantine list', gateway), /filter \(unreachable\)/);
  const health = gateway.ready.metrics ?? '';
  assert.match(await (await fetch(`${health}readyz`)).text(), /^not ready\nservice filter is not connected/);

  // It is back, and what waits is let go without waiting for anything.
  const again = await serve(file, at);
  onTestFinished(async () => void (await again.child.stop()));
  await command('queue retry', gateway);
  await gateway.child.until(() => gateway.logs().find(({ event }) => event === 'delivery'), 'the retried mail');
  await command('quarantine release', gateway);
  const arrived = (await postfix.waitForMails(3)).map(({ content }) => content.toString('latin1'));
  assert.match(arrived.find((mail) => mail.includes(`id=${id}`)) ?? '', /^X-Envelope: /m);
  assert.match(arrived.find((mail) => mail.includes('Subject: kept')) ?? '', /outcome=bypassed/);
  await gateway.child.until(
    () =>
      gateway.logs().filter(({ event, delivered }) => event === 'delivery' && delivered !== undefined).length === 2 ||
      undefined,
    'both deliveries in the log',
  );
  const counters = await command('queue counters', gateway);
  assert.match(counters, /^accepted +2 [\s\S]*^delivered +2 [\s\S]*^queued +0 [\s\S]*^held +0 /m);
}, 240_000);

// --- tables ---------------------------------------------------------------------------------------------------------

/** Column one of the table that begins with this head. */
function column(head: string): string[] {
  const at = PAGE.indexOf(`\n| ${head} |`);
  assert.ok(at > 0, head);
  const rows =
    PAGE.slice(at + 1)
      .split('\n\n', 1)[0]
      ?.split('\n')
      .slice(2) ?? [];
  return rows.map((row) => row.split(' | ', 1)[0]?.slice(2) ?? '');
}

test('the log line: the fields it explains are those there are, and its example is one', () => {
  const explained = column('Field').flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map(([, name]) => name ?? ''));
  const fields = written('dialog/mail-record.ts', 'mail');
  assert.ok(fields.length > 12);
  const all = ['level', 'time', 'event', ...fields];
  assert.deepEqual(explained.toSorted(byText), all.toSorted(byText));
  assert.deepEqual(unknown(0, all), []);
});

test('the line of a delivery: the fields it explains are those there are, and its example is one', () => {
  const explained = column('In `delivery`').map((cell) => cell.slice(1, -1));
  const fields = written('spool/log.ts', 'delivery');
  assert.ok(fields.length > 6);
  assert.deepEqual(explained.toSorted(byText), fields.toSorted(byText));
  assert.deepEqual(unknown(1, ['level', 'time', 'event', ...fields]), []);
});

/** The record's own source: fields that only some mails have are in it, too. */
function written(file: string, event: string): string[] {
  const source = readFileSync(join(ROOT, 'src/gateway', file), 'utf8');
  const fields = new RegExp(`log\\.info\\('${event}', \\{([\\s\\S]*?)\\n {2}\\}\\);`).exec(source)?.[1] ?? '';
  return [...fields.matchAll(/^ {4}(\w+)[:,]/gm)].map(([, name]) => name ?? '');
}

/** Of the page's nth example of a line. */
function unknown(n: number, fields: readonly string[]): string[] {
  const shown = Object.keys(JSON.parse(blocks('json')[n] ?? '') as object);
  return shown.filter((name) => !fields.includes(name));
}

const byText = (a: string, b: string): number => (a < b ? -1 : 1);

test('the replies it explains are replies of the program', () => {
  const explained = column('Reply').map((cell) => cell.slice(1, -1));
  const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
    .map((path) => readFileSync(join(ROOT, 'src', path), 'utf8'));
  const plain = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
  // What is filled in (`${code}`) may be anything.
  const written = files.flatMap((text) =>
    [...text.matchAll(/\breply\((\d{3}), '([\d.]+)', ['`]([^'`]+)['`]/g)].map(([, code, enhanced, words = '']) => {
      const fixed = `${code} ${enhanced} ${words}`.split(/\$\{[^}]*\}/);
      return new RegExp(`^${fixed.map(plain).join('.+')}$`);
    }),
  );
  assert.ok(explained.length > 20);
  assert.deepEqual(
    explained.filter((one) => !written.some((pattern) => pattern.test(one))),
    [],
  );
});
