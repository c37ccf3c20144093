/**
 * Under a service manager, and as root without one: units that systemd accepts, sockets it hands over, what it is told, and the
 * user opes becomes.
 */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, readFileSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, onTestFinished, test } from 'vitest';
import { Child, run } from '../support/child.ts';
import { type Config, config, Gateway, OPES, ROOT } from '../support/gateway.ts';
import { NextHop } from '../support/next-hop.ts';
import { needPrograms } from '../support/programs.ts';
import { eventually, freeLowPort, freePort, scratchFolder } from '../support/scratch.ts';
import { SmtpTalk, verdict } from '../support/smtp-talk.ts';

const UNITS = join(ROOT, 'packaging', 'systemd');
const NOBODY = 65534;

let hop: NextHop;
let programs: Awaited<ReturnType<typeof tools>>;
const tools = () => needPrograms('systemd-analyze', 'systemd-notify', 'systemd-socket-activate', 'setpriv', 'perl');

beforeAll(async () => {
  hop = await NextHop.listen();
  programs = await tools();
});
afterAll(() => hop.close());

const MAIL = { from: 'a@src.test', to: ['b@dst.test'], content: Buffer.from('Subject: x\r\n\r\nHello\r\n') };

function write(configuration: Config): string {
  const file = join(scratchFolder('systemd'), 'opes.yaml');
  writeFileSync(file, JSON.stringify(configuration));
  return file;
}

function running(command: string, args: readonly string[], env: Record<string, string> = {}): Child {
  const child = new Child(command, args, { env });
  onTestFinished(async () => {
    await child.stop('SIGKILL');
  });
  return child;
}

const listening = (name: string, port: number) =>
  config(hop.url, {}, { listeners: [{ name, address: `127.0.0.1:${port}` }] });

/** An embedded service. */
const BANNER = {
  services: {
    banner: {
      uri: 'https://gw.test/opes/banner',
      run: 'builtin:banner',
      may: ['edit-content', 'edit-header', 'add-header'],
    },
  },
  pipeline: [{ service: 'banner', onFailure: 'tempfail' }],
};

const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').map(Number);

// --- the units ------------------------------------------------------------------------------------------------------

test('systemd accepts the units, and finds little the service could do beside its work', async () => {
  const folder = scratchFolder('units');
  for (const name of readdirSync(UNITS).filter((one) => /\.(?:service|socket)$/.test(one))) {
    // Installed it lies in /opt/opes; here it lies where this clone does.
    writeFileSync(join(folder, name), readFileSync(join(UNITS, name), 'utf8').replaceAll('/opt/opes/bin/opes', OPES));
  }
  const units = ['opes.service', 'opes.socket'].map((name) => join(folder, name));
  const verified = await run(programs['systemd-analyze'], ['verify', ...units]);
  assert.deepEqual([verified.code, verified.stdout, verified.stderr], [0, '', '']);
  // Exposure in tenths: 100 is a service without any bounds, 20 is what is left to one that listens on the Internet.
  const judged = await run(programs['systemd-analyze'], [
    'security',
    '--offline=true',
    '--threshold=20',
    units[0] ?? '',
  ]);
  assert.equal(judged.code, 0, judged.stdout);
});

test('the units, the configuration and the drain fit each other', () => {
  const service = readFileSync(join(UNITS, 'opes.service'), 'utf8');
  const stop = Number(/^TimeoutStopSec=(\d+)s$/m.exec(service)?.[1]);
  const drain = Number(/DRAIN_MS = (\d+);/.exec(readFileSync(join(ROOT, 'src/cli/shutdown.ts'), 'utf8'))?.[1]);
  assert.ok(stop * 1000 >= 2 * drain, `TimeoutStopSec=${stop}s, and opes drains for ${drain} ms`);
  for (const line of ['StateDirectoryMode=0700', 'NoNewPrivileges=yes', 'ProtectSystem=strict', 'KillMode=mixed'])
    assert.ok(service.includes(`\n${line}\n`), line);
  const { code: bad } = { code: Number(/RestartPreventExitStatus=(\d+)/.exec(service)?.[1]) };
  assert.equal(bad, 78);
});

// --- sockets --------------------------------------------------------------------------------------------------------

test('a socket of systemd serves the listener of its name: a port below 1024 without root, and the first client waits', async () => {
  const port = await freeLowPort();
  const file = write({ ...listening('mx', port), ...BANNER });
  const folder = join(file, '..');
  for (const place of [folder, file]) chmodSync(place, 0o755);
  mkdirSync(join(folder, 'data'), { mode: 0o700 });
  await run('chown', [`${NOBODY}:${NOBODY}`, join(folder, 'data')]);
  const user = ['--reuid', String(NOBODY), '--regid', String(NOBODY), '--clear-groups', '--no-new-privs'];
  const activated = [programs.setpriv, ...user, OPES, 'start', '--config', file];
  const child = running(programs['systemd-socket-activate'], ['-l', `127.0.0.1:${port}`, '--fdname=mx', ...activated]);
  await eventually(() => child.stderr.some((line) => line.includes('Listening')), 'the socket');
  // Nobody runs yet: this connection is what starts it.
  const talk = await SmtpTalk.hello(port);
  assert.equal(verdict(await talk.mail(MAIL)), 250);
  const ready = await child.event<{ listeners: unknown; pid: number }>('ready', 60_000);
  assert.deepEqual(ready.listeners, [{ name: 'mx', address: '127.0.0.1', port }]);
  assert.match(
    readFileSync(`/proc/${ready.pid}/status`, 'latin1'),
    new RegExp(`^Uid:\\s+${NOBODY}\\s+${NOBODY}\\s`, 'm'),
  );

  const passed = readlinkSync(`/proc/${ready.pid}/fd/3`);
  assert.match(passed, /^socket:/);
  const [banner = 0] = childrenOf(ready.pid);
  const held = readdirSync(`/proc/${banner}/fd`).map((fd) => readlinkSync(`/proc/${banner}/fd/${fd}`));
  assert.ok(held.length > 3 && !held.includes(passed), 'an embedded service has no part in it');

  // Reloaded, the socket stays.
  process.kill(ready.pid, 'SIGHUP');
  await child.until(() => child.stderr.find((line) => line.includes('"event":"reloaded"')), 'reload');
  const again = await SmtpTalk.hello(port);
  assert.equal(verdict(await again.mail(MAIL)), 250);
  await Promise.all([talk.quit(), again.quit()]);
});

test('a socket of another name or place is refused with what to do', async () => {
  const port = await freePort();
  const activate = async (name: string, file: string) => {
    const args = ['-l', `127.0.0.1:${port}`, `--fdname=${name}`, OPES, 'start', '--config', file];
    const child = running(programs['systemd-socket-activate'], args);
    await eventually(() => child.stderr.some((line) => line.includes('Listening')), 'the socket');
    const talk = SmtpTalk.connect(port).catch((error: Error) => error.message);
    const { code } = await child.exited;
    await talk;
    return { code, stderr: child.stderr.join('\n') };
  };
  const strange = await activate('smtp', write(listening('mx', port)));
  assert.equal(strange.code, 78, strange.stderr);
  assert.match(
    strange.stderr,
    /systemd passed a socket named "smtp", and no listener has that name\n {4}the listeners are: mx;/,
  );
  const elsewhere = await activate('mx', write(listening('mx', port === 2525 ? 2526 : 2525)));
  assert.equal(elsewhere.code, 78, elsewhere.stderr);
  assert.ok(elsewhere.stderr.includes(`listener "mx": systemd's socket listens on 127.0.0.1:${port}, the file says`));
});

// --- what systemd is told -------------------------------------------------------------------------------------------

/** Prints what is sent to the socket; what comes beside the octets (systemd-notify's barrier) is dropped, as it waits for. */
const MANAGER = `$| = 1;
socket(S, AF_UNIX, SOCK_DGRAM, 0) and bind(S, sockaddr_un($ARGV[0])) or die $!;
print "listening\n";
print "$m\n" while defined(recv(S, $m, 65536, 0));`;

test('READY=1 when mail is taken, RELOADING=1 and READY=1 around a reload, STOPPING=1 at the end', async () => {
  const socket = join(scratchFolder('notify'), 'notify');
  const manager = running(programs.perl, ['-MSocket', '-e', MANAGER, socket]);
  await manager.until(() => manager.stdout[0], 'the socket');
  const words = (): string[] => manager.stdout.slice(1).filter((line) => line !== '' && line !== 'BARRIER=1');
  const file = write(config(hop.url));
  const child = running(OPES, ['start', '--config', file], { NOTIFY_SOCKET: socket });
  await child.event('ready', 60_000);
  await eventually(() => words().includes('READY=1'), 'READY=1');
  assert.deepEqual(words(), ['READY=1', 'STATUS=serving']);

  const before = process.hrtime.bigint() / 1000n;
  process.kill(child.pid, 'SIGHUP');
  await eventually(() => words().length >= 6, 'the end of the reload');
  const [reloading, since = '', ...ready] = words().slice(2);
  assert.deepEqual([reloading, ...ready], ['RELOADING=1', 'READY=1', 'STATUS=serving']);
  const atUsec = BigInt(/^MONOTONIC_USEC=(\d+)$/.exec(since)?.[1] ?? 0);
  assert.ok(atUsec >= before && atUsec <= process.hrtime.bigint() / 1000n, `${since}, asked at ${before}`);

  writeFileSync(file, 'version: 2\n');
  process.kill(child.pid, 'SIGHUP');
  await eventually(() => words().length >= 10, 'the end of the failed reload');
  assert.deepEqual(words().slice(8, 9), ['READY=1']);
  assert.match(words()[9] ?? '', /^STATUS=serving; the last reload failed/);
  assert.equal((await child.stop()).code, 0);
  await eventually(() => words().includes('STOPPING=1'), 'STOPPING=1');
});

// --- without systemd ------------------------------------------------------------------------------------------------

test('started as root with user: the port is taken, then nothing runs as root, services neither', async () => {
  assert.equal(process.getuid?.(), 0, 'this test needs root');
  const port = await freeLowPort();
  const file = write({
    ...listening('mx', port),
    user: 'nobody',
    ...BANNER,
  });
  // Its directory can be entered, and is not nobody's: the data directory has to be made for it.
  chmodSync(join(file, '..'), 0o755);
  const child = running(OPES, ['start', '--config', file]);
  const { pid } = await child.event<{ pid: number }>('ready', 60_000);
  const ids = (of: number) =>
    [...readFileSync(`/proc/${of}/status`, 'latin1').matchAll(/^(?:Uid|Gid):\s+(.*)$/gm)].map(([, all = '']) =>
      all.split('\t').map(Number),
    );
  const nobody = [NOBODY, NOBODY, NOBODY, NOBODY];
  assert.deepEqual(ids(pid), [nobody, nobody]);
  assert.deepEqual(childrenOf(pid).map(ids), [[nobody, nobody]]);
  const data = statSync(join(file, '..', 'data'));
  assert.deepEqual([data.uid, data.mode & 0o777], [NOBODY, 0o700]);
  const talk = await SmtpTalk.hello(port);
  assert.equal(verdict(await talk.mail(MAIL)), 250);
  await talk.quit();
  assert.equal((await child.stop()).code, 0, child.stderr.join('\n'));
});

test('started as root without user: it says so; with a user that is not there, it does not start', async () => {
  const gateway = await Gateway.start(config(hop.url));
  onTestFinished(async () => {
    await gateway.stop('SIGKILL');
  });
  assert.ok(gateway.logs().some(({ event, level }) => event === 'running-as-root' && level === 'warn'));
  const { code, stderr } = await run(OPES, [
    'start',
    '--config',
    write({ ...config(hop.url), user: 'nobody-of-this-name' }),
  ]);
  assert.equal(code, 78);
  assert.match(stderr, /^user: there is no user "nobody-of-this-name" on this machine\n {4}make it \(useradd /);
});
