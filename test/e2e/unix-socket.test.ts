/**
 * Listeners on Unix sockets: who may open them, whose files they replace and remove, what a reload does to them, and that
 * nobody relays through one because it is local (decision 0057).
 */
import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, onTestFinished, test } from 'vitest';
import { Child, run } from '../support/child.ts';
import { type Config, config, Gateway, OPES } from '../support/gateway.ts';
import { NextHop } from '../support/next-hop.ts';
import { needPrograms } from '../support/programs.ts';
import { eventually, freePort, scratchFolder } from '../support/scratch.ts';
import { SmtpTalk, verdict } from '../support/smtp-talk.ts';

const NOBODY = 65534;
const MAIL = { from: 'a@src.test', to: ['b@dst.test'], content: Buffer.from('Subject: x\r\n\r\nHello\r\n') };

let hop: NextHop;
beforeAll(async () => {
  hop = await NextHop.listen();
});
afterAll(() => hop.close());

async function start(configuration: Config, folder?: string): Promise<Gateway> {
  const gateway = await Gateway.start(configuration, folder);
  onTestFinished(async () => {
    await gateway.stop('SIGKILL');
  });
  return gateway;
}

const socketIn = (folder: string, name = 's') => join(folder, name);
/** Listeners before a route to one domain. */
const made = (...listeners: Config[]) =>
  config(hop.url, {}, { listeners, routes: [{ to: 'dst.test', nextHop: hop.url }] });
const unix = (path: string, more: Config = {}): Config => ({ name: 'local', address: `unix:${path}`, ...more });
const modeOf = (path: string) => statSync(path).mode & 0o777;

async function send(at: number | string): Promise<number> {
  const talk = await SmtpTalk.hello(at);
  const code = verdict(await talk.mail(MAIL));
  await talk.quit();
  return code;
}

/** Starts what cannot start. */
async function refused(configuration: Config, folder: string): Promise<{ code: number | null; stderr: string }> {
  const file = join(folder, 'refused.yaml');
  writeFileSync(file, JSON.stringify(configuration));
  const { code, stderr } = await run(OPES, ['start', '--config', file]);
  return { code, stderr };
}

test('the ready line has its path; its peer is `unix` in log and trace; its file goes with it', async () => {
  const path = socketIn(scratchFolder('unix'));
  const gateway = await start(made(unix(path)));
  assert.deepEqual(gateway.ready.listeners, [{ name: 'local', path }]);
  assert.equal(modeOf(path), 0o660);
  assert.equal(await send(path), 250);
  const line = await gateway.child.until(() => gateway.logs().find(({ event }) => event === 'mail'), 'the mail');
  assert.deepEqual([line['client'], line['listener'], line['outcome']], ['unix', 'local', 'relayed']);
  const content = hop.mails.at(-1)?.content.toString('latin1') ?? '';
  assert.match(content, /^Received: from client\.test \(Unix socket\) by gw\.test\r\n/m);
  assert.equal((await gateway.stop()).code, 0);
  assert.equal(existsSync(path), false);
});

test('the file of a killed gateway is replaced; that of a living one, and what is no socket, is not', async () => {
  const folder = scratchFolder('unix');
  const path = socketIn(folder);
  const first = await start(made(unix(path)), folder);
  const second = await refused({ ...made(unix(path)), dataDir: './other' }, folder);
  assert.equal(second.code, 1, second.stderr);
  assert.match(
    second.stderr,
    new RegExp(`unix:${path} is already in use: another program, or another opes.*\n {4}end it`),
  );
  assert.equal(await send(path), 250);
  await first.stop('SIGKILL');
  assert.ok(existsSync(path), 'nobody was left to remove it');
  const third = await start(made(unix(path)), folder);
  assert.equal(await send(path), 250);
  await third.stop();

  writeFileSync(path, 'precious');
  const fourth = await refused(made(unix(path)), folder);
  assert.equal(fourth.code, 1, fourth.stderr);
  assert.match(fourth.stderr, /is a file and no socket; it is left alone\n {4}move it away/);
  assert.equal(readFileSync(path, 'utf8'), 'precious');
  const fifth = await refused(made(unix(join(folder, 'none', 's'))), folder);
  assert.match(
    fifth.stderr,
    /cannot be made: there is no directory .*\/none\n {4}make it, owned by the user that runs opes/,
  );
});

test('it is no open relay for being local: anywhere is for whom `relayFrom: [unix]` names', async () => {
  const folder = scratchFolder('unix');
  const [closed, open] = [socketIn(folder, 'closed'), socketIn(folder, 'open')];
  const listeners = [unix(closed), unix(open, { name: 'open', relayFrom: ['unix'] })];
  const gateway = await start(config(hop.url, {}, { listeners }));
  const rcpt = async (at: string) => {
    const talk = await SmtpTalk.hello(at);
    await talk.say('MAIL FROM:<a@src.test>');
    const { code, lines } = await talk.say('RCPT TO:<b@anywhere.test>');
    await talk.quit();
    return `${code} ${lines.join(' ')}`;
  };
  assert.match(await rcpt(closed), /^550 5\.7\.1 Relaying denied/);
  assert.match(await rcpt(open), /^250 /);
  const check = async (listener: string) => {
    const words = ['check', '--config', gateway.file, '--listener', listener, '--from', 'a@src.test'];
    return (await run(OPES, [...words, '--to', 'b@anywhere.test'])).stdout;
  };
  assert.match(await check('local'), /550 5\.7\.1 Relaying denied/);
  assert.doesNotMatch(await check('open'), /Relaying denied/);
  const whole = (await run(OPES, ['check', '--config', gateway.file])).stdout;
  assert.match(whole, new RegExp(`open +unix:${open} \\(mode 0660\\).*anywhere for unix`));
});

test('a reload keeps it, gives it another mode, moves it', async () => {
  const folder = scratchFolder('unix');
  const [here, there] = [socketIn(folder, 'here'), socketIn(folder, 'there')];
  const gateway = await start(made(unix(here)));
  const lasting = await SmtpTalk.hello(here);
  const { ino } = statSync(here);
  const reload = async (configuration: Config) => {
    const said = await gateway.reload(configuration);
    assert.equal(said['event'], 'reloaded', JSON.stringify(said));
  };
  await reload(made(unix(here, { maxSize: '1MB', mode: '0666' })));
  assert.deepEqual([statSync(here).ino, modeOf(here)], [ino, 0o666]);
  assert.equal(verdict(await lasting.mail(MAIL)), 250, 'its sessions go on');
  await lasting.quit();
  await reload(made(unix(there)));
  assert.deepEqual([existsSync(here), modeOf(there)], [false, 0o660]);
  assert.equal(await send(there), 250);
  // To a port, and back.
  const port = await freePort();
  await reload(made({ name: 'local', address: `127.0.0.1:${port}` }));
  assert.deepEqual([existsSync(there), await send(port)], [false, 250]);
  await reload(made(unix(here)));
  assert.equal(await send(here), 250);
});

test('a reload that cannot have its new place leaves the old one as it was', async () => {
  const folder = scratchFolder('unix');
  const [here, free, taken] = ['here', 'free', 'taken'].map((name) => socketIn(folder, name)) as [
    string,
    string,
    string,
  ];
  const gateway = await start(made(unix(here)));
  writeFileSync(taken, '');
  const said = await gateway.reload(
    made(unix(here, { mode: '0666' }), unix(free, { name: 'free' }), unix(taken, { name: 'taken' })),
  );
  assert.equal(said['event'], 'reload-failed');
  assert.match(String(said['why']), new RegExp(`^unix:${taken} is a file and no socket`));
  assert.deepEqual([modeOf(here), existsSync(free), existsSync(taken)], [0o660, false, true]);
  assert.equal(await send(here), 250);
});

test('started as root it belongs to the user opes becomes, and to the group that is named', async () => {
  const folder = scratchFolder('unix');
  chmodSync(folder, 0o755);
  const place = join(folder, 'run');
  mkdirSync(place, { mode: 0o755 });
  chownSync(place, NOBODY, NOBODY);
  const path = socketIn(place);
  const mail = Number((await run('getent', ['group', 'mail'])).stdout.split(':')[2]);
  const users = { user: 'nobody', dataDir: join(folder, 'data') };
  const gateway = await start({ ...made(unix(path, { group: 'mail' })), ...users }, folder);
  const { uid, gid } = statSync(path);
  assert.deepEqual([uid, gid, modeOf(path)], [NOBODY, mail, 0o660]);
  // Nobody is not in the group: what only root could do is told, and changes nothing.
  const said = await gateway.reload({ ...made(unix(`${path}2`, { group: 'mail' })), ...users });
  assert.match(String(said['why']), /^group and mode of unix:.*2 cannot be set\n {4}group: names one that the user/);
  assert.equal(existsSync(`${path}2`), false);
  assert.equal(await send(path), 250);
  assert.equal((await gateway.stop()).code, 0);
  assert.equal(existsSync(path), false);
});

test('systemd’s socket serves it, stays through a reload, and is left to systemd', async () => {
  const { 'systemd-socket-activate': activate } = await needPrograms('systemd-socket-activate');
  const folder = scratchFolder('unix');
  const path = socketIn(folder);
  const begin = async (address: string) => {
    const file = join(scratchFolder('unix'), 'opes.yaml');
    writeFileSync(file, JSON.stringify(made({ name: 'local', address })));
    const child = new Child(activate, ['-l', path, '--fdname=local', OPES, 'start', '--config', file]);
    onTestFinished(async () => {
      await child.stop('SIGKILL');
    });
    await eventually(() => child.stderr.some((line) => line.includes('Listening')), 'the socket');
    return child;
  };
  const other = await begin(`unix:${folder}/other`);
  const knock = SmtpTalk.connect(path).catch((error: Error) => error.message);
  assert.equal((await other.exited).code, 78, other.stderr.join('\n'));
  assert.match(other.stderr.join('\n'), new RegExp(`listens on unix:${path}, the file says unix:${folder}/other\n`));
  await knock;

  const child = await begin(`unix:${path}`);
  chmodSync(path, 0o606);
  assert.equal(await send(path), 250);
  const ready = await child.event<{ listeners: unknown; pid: number }>('ready', 60_000);
  assert.deepEqual(ready.listeners, [{ name: 'local', path }]);
  process.kill(ready.pid, 'SIGHUP');
  await child.until(() => child.stderr.find((line) => line.includes('"event":"reloaded"')), 'reload');
  assert.equal(await send(path), 250);
  await child.stop();
  assert.equal(modeOf(path), 0o606, 'its file is not ours to change or remove');
});

test('opes send reaches it, by SMTP and by LMTP', async () => {
  const folder = scratchFolder('unix');
  const [smtp, lmtp] = [socketIn(folder, 'smtp'), socketIn(folder, 'lmtp')];
  await start(made(unix(smtp), unix(lmtp, { name: 'box', protocol: 'lmtp' })));
  const mail = join(folder, 'mail.eml');
  writeFileSync(mail, 'Subject: x\n\nHello\n');
  const sending = async (...words: string[]) =>
    await run(OPES, ['send', '--from', 'a@src.test', '--to', 'b@dst.test', '--to', 'c@dst.test', ...words, mail]);
  const one = await sending('--server', `unix:${smtp}`);
  assert.equal(one.code, 0, one.stdout + one.stderr);
  const each = await sending('--server', `unix:${lmtp}`, '--lmtp');
  assert.equal(each.code, 0, each.stdout + each.stderr);
  assert.match(each.stdout, /LHLO .*C: \.\nS: 250 .*\nS: 250 .*\nC: QUIT/s);
  const none = await sending('--server', `unix:${folder}/none`);
  assert.deepEqual([none.code, none.stderr.trim()], [1, `there is no unix:${folder}/none`]);
});
