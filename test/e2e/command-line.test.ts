/** The command line as its users meet it: real processes, exit codes, the ready line, files that come out. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { onTestFinished, test } from 'vitest';
import { Child, type Exit, run } from '../support/child.ts';
import { OPES } from '../support/gateway.ts';
import { scratchFolder } from '../support/scratch.ts';

const OK = 0;
const FAILED = 1;
const USAGE = 2;
const BAD_CONFIGURATION = 78;

interface Ready {
  readonly event: string;
  readonly listeners: readonly { readonly name: string; readonly address: string; readonly port: number }[];
  readonly ocp: readonly { readonly address?: string; readonly port?: number; readonly path?: string }[];
  readonly console?: string;
  readonly pid: number;
}

type Ended = Exit & { readonly stdout: string; readonly stderr: string };

const opes = (args: readonly string[], cwd: string): Promise<Ended> => run(OPES, args, { cwd });

function running(args: readonly string[], cwd: string): Child {
  const child = new Child(OPES, args, { cwd });
  onTestFinished(async () => {
    await child.stop('SIGKILL');
  });
  return child;
}

/** Adds to a mail what it finds out about the process it runs in. */
const service = (config: string) => `import { readFileSync } from 'node:fs';
import { defineService, edit } from 'opes-smtp/callout';
import { word } from './word.ts';

function tried(path: string): string {
  try {
    readFileSync(path);
    return 'read';
  } catch (error) {
    return (error as { code: string }).code;
  }
}

export default defineService({
  uri: 'https://example.com/own-name',
  message() {
    const environment = String(Object.keys(process.env).length);
    return edit({ headers: { add: [['X-Word', word], ['X-Env', environment], ['X-Config', tried('${config}')]] } });
  },
});
`;

function writeSystem(dir: string): string {
  mkdirSync(join(dir, 'services'));
  const file = join(dir, 'opes.yaml');
  writeFileSync(join(dir, 'services', 'word.ts'), "export const word: string = 'hello';\n");
  writeFileSync(join(dir, 'services', 'own.ts'), service(file));
  writeFileSync(
    file,
    `version: 1
system: { uri: "https://mail.example.com/opes" }
hostname: gw.test
dataDir: data
listeners: [{ name: mx, address: "127.0.0.1:0" }]
routes: [{ to: "*", nextHop: mailbox }]
services:
  own: { uri: "https://mail.example.com/opes/own", run: ./services/own.ts, may: [add-header] }
pipeline: [{ service: own, requires: [RAWDATA] }]
console: { address: "127.0.0.1:0", showMail: true }
`,
  );
  writeFileSync(join(dir, 'mail.eml'), 'From: a@b.example\nTo: c@d.example\nSubject: lunch\n\nHello,\n.dot\n');
  return file;
}

test('start: one ready line; a mail passes an embedded service and is kept; SIGTERM ends it with 0', async () => {
  const dir = scratchFolder('cli');
  const gateway = running(['start', '--config', writeSystem(dir)], dir);
  const ready = await gateway.event<Ready>('ready', 60_000);
  assert.deepEqual(Object.keys(ready), ['event', 'listeners', 'ocp', 'console', 'pid']);
  assert.deepEqual([ready.event, ready.pid, ready.listeners[0]?.name], ['ready', gateway.pid, 'mx']);
  const server = `127.0.0.1:${ready.listeners[0]?.port}`;
  const sent = await opes(
    ['send', '--server', server, '--from', 'a@b.example', '--to', 'c@d.example', 'mail.eml'],
    dir,
  );
  assert.equal(sent.code, OK, sent.stdout + sent.stderr);
  assert.match(sent.stdout, /^S: 220 gw\.test ESMTP\nC: EHLO [\s\S]*\nC: \.\nS: 250 2\.0\.0 [\s\S]*C: QUIT\nS: 221 /);

  const [kept] = readdirSync(join(dir, 'data/mailbox')).filter((name) => name.endsWith('.eml'));
  const mail = readFileSync(join(dir, 'data/mailbox', kept ?? ''), 'latin1');
  assert.match(mail, /^Return-Path: <a@b\.example>\r\nDelivered-To: c@d\.example\r\nReceived: /);
  assert.match(mail, /\r\nX-Word: hello\r\n/);
  assert.ok(mail.endsWith('\r\n\r\nHello,\r\n.dot\r\n'));
  assert.match(mail, /\r\nX-Env: 0\r\n/, 'the service has an empty environment');
  assert.match(mail, /\r\nX-Config: ERR_ACCESS_DENIED\r\n/, 'the service reads only its own directory');
  assert.equal(statSync(join(dir, 'data')).mode & 0o777, 0o700);
  const socket = ready.ocp[0]?.path ?? '';
  assert.equal(statSync(socket).mode & 0o777, 0o600);

  const page = await (await fetch(ready.console ?? '')).text();
  assert.ok(page.includes('lunch') && page.includes('own'));
  const { code } = await gateway.stop();
  assert.equal(code, OK, gateway.stderr.join('\n'));
  assert.equal(gateway.stdout.length, 1, 'exactly one line on stdout');
  assert.ok(gateway.stderr.every((line) => typeof (JSON.parse(line) as { event: unknown }).event === 'string'));
  assert.throws(() => statSync(socket), { code: 'ENOENT' });
});

test('check: prints what a configuration comes to, and what would be done to a mail', async () => {
  const dir = scratchFolder('cli');
  const config = writeSystem(dir);
  const good = await opes(['check', '--config', config], dir);
  assert.equal(good.code, OK, good.stderr);
  assert.match(
    good.stdout,
    /opes\.yaml is good\n[\s\S]*\npipeline \(in this order\)\n {2}1\. {2}own {2}always {2}on failure tempfail/,
  );
  const args = ['--from', 'a@b.example', '--to', 'c@d.example', '--client', '192.0.2.7', 'mail.eml'];
  const mail = await opes(['check', '--config', config, ...args], dir);
  assert.equal(mail.code, OK, mail.stderr);
  for (const said of ['called:', 'own  changed', 'added', '->  mailbox  250', '250 2.0.0'])
    assert.ok(mail.stdout.includes(said), mail.stdout);
  assert.throws(() => statSync(join(dir, 'data')), { code: 'ENOENT' }, 'the data directory is left alone');
});

test('check: a service file that does not load breaks the configuration, with or without a mail', async () => {
  const dir = scratchFolder('cli');
  const files = [
    ['syntax', 'import {;\n', /syntax\.ts cannot be loaded:[\s\S]*SyntaxError/],
    ['package', "import 'nosuchpkg';\n", /package\.ts cannot be loaded: it imports nosuchpkg, which is not there/],
    ['empty', 'export default 3;\n', /empty\.ts exports no service; write: export default defineService/],
  ] as const;
  const config = writeSystem(dir);
  const services = files.map(([name]) => `  ${name}: { uri: "https://mail.example.com/${name}", run: ./${name}.ts }\n`);
  writeFileSync(config, readFileSync(config, 'utf8').replace('services:\n', `services:\n${services.join('')}`));
  for (const [name, text] of files) writeFileSync(join(dir, `${name}.ts`), text);
  for (const mail of [[], ['--to', 'c@d.example', 'mail.eml']]) {
    const { code, stdout, stderr } = await opes(['check', '--config', 'opes.yaml', ...mail], dir);
    assert.deepEqual([code, stdout], [BAD_CONFIGURATION, '']);
    const problems = stderr.split(/^(?=opes\.yaml:\d+:\d+: )/m).filter((one) => !one.startsWith('note: '));
    assert.deepEqual(
      problems.map((one) => one.split(': ').slice(0, 2)),
      files.map(([name], at) => [`opes.yaml:${8 + at}:${46 + 2 * name.length}`, `services.${name}.run`]),
    );
    for (const [at, [, , says]] of files.entries()) assert.match(problems[at] ?? '', says);
  }
});

test('check: what is said of a mail is an error where there is none', async () => {
  const dir = scratchFolder('cli');
  writeSystem(dir);
  const args = ['check', '--config', 'opes.yaml', '--helo', 'x.example', '--client', '192.0.2.7'];
  const { code, stdout, stderr } = await opes(args, dir);
  assert.deepEqual([code, stdout], [USAGE, '']);
  assert.match(stderr, /^--client, --helo: of a mail, and there is none; name a recipient, .*--to bob@example\.com/);
});

test('check: where a service is dead, the way ends where its failure action has it, with or without a mail', async () => {
  const dir = scratchFolder('cli');
  writeFileSync(join(dir, 'mail.eml'), 'Subject: hello\r\n\r\nHi.\r\n');
  const ask = async (action: string, ...mail: readonly string[]): Promise<string> => {
    writeFileSync(
      join(dir, 'opes.yaml'),
      `version: 1
system: { uri: "https://mail.example.com/opes" }
listeners: [{ name: mx, address: "127.0.0.1:2525" }]
routes: [{ to: "*", nextHop: "smtp://10.0.0.5:25" }]
services: { av: { uri: "https://mail.example.com/opes/av", connect: "ocp://127.0.0.1:1", may: [refuse] } }
pipeline: [{ service: av, onFailure: ${action} }]
`,
    );
    const args = ['check', '--config', 'opes.yaml', '--to', 'c@d.example', '--client', '192.0.2.7', ...mail];
    const { stdout } = await opes(args, dir);
    return /\nway\n *(.*)\n/.exec(stdout)?.[1] ?? stdout;
  };
  const waits =
    /^c@d\.example {2}-> {2}the spool, then 10\.0\.0\.5:25 {2}waits for av, which failed \(unreachable: .*ECONNREFUSED\)$/;
  assert.match(await ask('spool', 'mail.eml'), waits);
  assert.match(await ask('spool'), waits);
  const held = /^c@d\.example {2}-> {2}quarantine {2}held by av \(unreachable\)$/;
  assert.match(await ask('quarantine', 'mail.eml'), held);
  assert.match(await ask('quarantine'), held);
  assert.match(await ask('tempfail'), /-> {2}10\.0\.0\.5:25 {2}451-4\.7\.1/);
});

test('check: where all mail is stored first, so is this one; where nobody may have it, that is said', async () => {
  const dir = scratchFolder('cli');
  writeFileSync(join(dir, 'mail.eml'), 'Subject: hello\r\n\r\nHi.\r\n');
  writeFileSync(
    join(dir, 'opes.yaml'),
    `version: 1
system: { uri: "https://mail.example.com/opes" }
listeners: [{ name: mx, address: "127.0.0.1:2525" }]
routes: [{ to: d.example, nextHop: "smtp://10.0.0.5:25" }]
queue: { mode: spool }
`,
  );
  const ask = (to: string) => opes(['check', '--config', 'opes.yaml', '--to', to, 'mail.eml'], dir);
  const { stdout } = await ask('c@d.example');
  assert.match(stdout, /^ {2}queue +spool: 250 when a mail is stored/m);
  assert.match(stdout, /\nway\n {2}c@d\.example {2}-> {2}the spool, then 10\.0\.0\.5:25 {2}delivered from the queue\n/);
  assert.match(stdout, /\n {2}250 2\.0\.0 OK, message accepted as check\.1\s*$/);
  assert.match((await ask('c@elsewhere.example')).stdout, /\n {2}none: no recipient is accepted, .*\s*$/);
});

test('user: an entry that check takes; check says who may send what, and refuses an open relay', async () => {
  const dir = scratchFolder('cli');
  const entry = await run(OPES, ['user', 'ann@example.com'], { cwd: dir, input: 'pencil\n' });
  assert.equal(entry.code, OK, entry.stderr);
  writeFileSync(join(dir, 'users.yaml'), `${entry.stdout}\n`, { mode: 0o600 });
  assert.equal((await run(OPES, ['user', 'ann'], { cwd: dir, input: 'pencil\n' })).code, USAGE);
  const configuration = (relayFrom: string): string => `version: 1
system: { uri: "https://mail.example.com/opes" }
listeners:
  - { name: mx, address: "0.0.0.0:2525", relayFrom: [${relayFrom}] }
  - { name: submission, address: "127.0.0.1:2587", side: sender, auth: users.yaml, requireTls: false }
routes: [{ to: example.com, nextHop: "smtp://10.0.0.5:25" }, { to: "*", nextHop: "smtp://10.0.0.6:25" }]
`;
  writeFileSync(join(dir, 'opes.yaml'), configuration(''));
  const ask = (...args: readonly string[]) => opes(['check', '--config', 'opes.yaml', ...args], dir);
  const stranger = await ask('--to', 'x@dst.example', '--client', '192.0.2.7');
  assert.match(stranger.stdout, /1 user may log in/);
  assert.match(stranger.stdout, /x@dst\.example .*550 5\.7\.1 Relaying denied/);
  const submission = ['--listener', 'submission', '--to', 'x@dst.example', '--from'];
  const nobody = await ask(...submission, 'ann@example.com');
  assert.deepEqual([nobody.code, /530 5\.7\.0/.test(nobody.stderr)], [USAGE, true], nobody.stderr);
  const ann = await ask(...submission, 'ann@example.com', '--user', 'ann@example.com');
  assert.match(ann.stdout, /x@dst\.example .*250 2\.1\.5/, ann.stderr);
  const other = await ask(...submission, 'boss@example.com', '--user', 'ann@example.com');
  assert.match(other.stderr, /553 5\.7\.1/);
  writeFileSync(join(dir, 'opes.yaml'), configuration('"0.0.0.0/0"'));
  const open = await ask();
  assert.equal(open.code, BAD_CONFIGURATION);
  assert.match(open.stderr, /^opes\.yaml:4:\d+: listeners\[0\]\.relayFrom\[0\]: open relay/);
});

test('a broken configuration: every problem on stderr, exit code 78', async () => {
  const dir = scratchFolder('cli');
  writeFileSync(join(dir, 'opes.yaml'), 'version: 1\nlistners: []\nroutes:\n');
  for (const command of ['start', 'check']) {
    const { code, stdout, stderr } = await opes([command, '--config', 'opes.yaml'], dir);
    assert.deepEqual([code, stdout], [BAD_CONFIGURATION, '']);
    assert.ok(stderr.includes('opes.yaml:2:1: unknown key "listners"\n    did you mean listeners?'), stderr);
  }
});

test('a rule that does not check is shown where it stands', async () => {
  const dir = scratchFolder('cli');
  const config = writeSystem(dir);
  writeFileSync(
    config,
    readFileSync(config, 'utf8').replace('{ service: own,', '{ service: own, when: "listener.syde == \'sender\'",'),
  );
  const { code, stderr } = await opes(['check', '--config', config], dir);
  assert.equal(code, BAD_CONFIGURATION);
  assert.match(stderr, /opes\.yaml:9:\d+: pipeline\[0\]\.when: .*syde.*\n {4}did you mean .*side/);
});

test('a port that is taken: what to do, exit code 1, nothing left behind', async () => {
  const dir = scratchFolder('cli');
  const config = writeSystem(dir);
  const taken = createServer().listen(0, '127.0.0.1');
  onTestFinished(() => void taken.close());
  await new Promise((resolve) => taken.once('listening', resolve));
  const { port } = taken.address() as { port: number };
  for (const which of ['listeners: [{ name: mx, address: "127.0.0.1:', 'console: { address: "127.0.0.1:']) {
    const file = join(dir, 'taken.yaml');
    writeFileSync(file, readFileSync(config, 'utf8').replace(`${which}0"`, `${which}${port}"`));
    const { code, stdout, stderr } = await opes(['start', '--config', 'taken.yaml'], dir);
    assert.deepEqual([code, stdout], [FAILED, '']);
    assert.match(
      stderr,
      new RegExp(`127\\.0\\.0\\.1:${port} is already in use: .*\\n {4}end it, or change the address in taken\\.yaml`),
    );
  }
});

test('a service that does not start says why', async () => {
  const dir = scratchFolder('cli');
  const config = writeSystem(dir);
  writeFileSync(join(dir, 'services', 'own.ts'), "throw new Error('no words today');\n");
  const { code, stderr } = await opes(['start', '--config', config], dir);
  assert.equal(code, FAILED);
  assert.match(stderr, /^service own did not start: it ended \(exit code 78\)\n[\s\S]*no words today/);
});

test('usage: help is 0, mistakes are 2', async () => {
  const dir = scratchFolder('cli');
  const codes = async (...args: string[]) => (await opes(args, dir)).code;
  assert.equal(await codes('--help'), OK);
  assert.equal(await codes('strat'), USAGE);
  assert.equal(await codes('start', '--confg', 'x'), USAGE);
  assert.equal(await codes('send', '--from', 'a@b', 'x.eml'), USAGE);
  assert.equal(await codes('send', '--from', 'a@b', '--to', 'c@d', 'none.eml'), USAGE);
  assert.equal(await codes('serve', 'x.ts', '--listen', '127.0.0.1:99999'), USAGE);
});

test('serve: services of a module on a port; ended by SIGTERM', async () => {
  const dir = scratchFolder('cli');
  writeSystem(dir);
  const server = running(['serve', 'services/own.ts', '--listen', '127.0.0.1:0'], dir);
  const ready = await server.event<Ready>('ready', 60_000);
  assert.deepEqual([ready.listeners, ready.ocp[0]?.address, (ready.ocp[0]?.port ?? 0) > 0], [[], '127.0.0.1', true]);
  assert.equal((await server.stop()).code, OK);
  const none = await opes(['serve', 'services/word.ts', '--listen', '127.0.0.1:0'], dir);
  assert.equal(none.code, BAD_CONFIGURATION);
  assert.match(none.stderr, /services\/word\.ts exports no service; write: export default defineService/);
});

test('serve: what a service file imports and is not there is named, and who imports it', async () => {
  const dir = scratchFolder('cli');
  writeFileSync(join(dir, 'package.ts'), "import x from 'nosuchpkg';\nexport default x;\n");
  writeFileSync(join(dir, 'module.ts'), "import x from './none.ts';\nexport default x;\n");
  writeFileSync(join(dir, 'behind.ts'), "import x from './package.ts';\nexport default x;\n");
  const cases = [
    ['package.ts', 'package.ts cannot be loaded: it imports nosuchpkg, which is not there'],
    ['module.ts', `module.ts cannot be loaded: it imports ${join(dir, 'none.ts')}, which is not there`],
    ['behind.ts', `behind.ts cannot be loaded: ${join(dir, 'package.ts')} imports nosuchpkg, which is not there`],
    ['none.ts', 'there is no file none.ts'],
  ] as const;
  for (const [file, says] of cases) {
    const { code, stderr } = await opes(['serve', file, '--listen', '127.0.0.1:0'], dir);
    assert.deepEqual([code, stderr.split('\n')[0]], [BAD_CONFIGURATION, says]);
  }
});
