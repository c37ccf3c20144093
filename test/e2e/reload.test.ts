/**
 * SIGHUP: the file is read again and takes the place of the one before, whole or not at all. No client notices but by what its
 * next session meets: sessions that are open finish with what they began with, no connection is refused meanwhile.
 */
import assert from 'node:assert/strict';
import { readFileSync, utimesSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import tls from 'node:tls';
import { afterAll, beforeAll, onTestFinished, test } from 'vitest';
import { run } from '../support/child.ts';
import { Draft00 } from '../support/draft00.ts';
import { type Config, config, Gateway, OPES } from '../support/gateway.ts';
import { NextHop } from '../support/next-hop.ts';
import { freePort, isOpen, scratchFolder } from '../support/scratch.ts';
import { SmtpTalk, verdict } from '../support/smtp-talk.ts';

let one: NextHop;
let two: NextHop;

beforeAll(async () => {
  [one, two] = await Promise.all([NextHop.listen(), NextHop.listen()]);
});
afterAll(async () => {
  await Promise.all([one.close(), two.close()]);
});

async function start(configuration: Config): Promise<Gateway> {
  const gateway = await Gateway.start(configuration);
  onTestFinished(async () => {
    await gateway.stop('SIGKILL');
  });
  return gateway;
}

const mail = (subject: string) => ({
  from: 'a@src.test',
  to: ['b@dst.test'],
  content: Buffer.from(`Subject: ${subject}\r\n\r\nHello\r\n`),
});

/** Sends one mail in a session of its own; the code that decided it. */
async function send(port: number, subject: string): Promise<number> {
  const talk = await SmtpTalk.hello(port);
  const code = verdict(await talk.mail(mail(subject)));
  await talk.quit();
  return code;
}

const subjects = (hop: NextHop) =>
  hop.mails.map(({ content }) => /^Subject: (.*)\r$/m.exec(content.toString('latin1'))?.[1] ?? '');

const find = async (hop: NextHop, subject: string): Promise<string> => {
  const found = hop.mails.find(({ content }) => content.includes(`Subject: ${subject}\r\n`));
  return found?.content.toString('latin1') ?? assert.fail(`${subject} is not among ${subjects(hop).join(', ')}`);
};

const events = (gateway: Gateway, name: string) => gateway.logs().filter(({ event }) => event === name);

test('a new route holds for new sessions; an open one finishes with what it began with', async () => {
  const gateway = await start(config(one.url));
  const open = await SmtpTalk.hello(gateway.port());
  const said = await gateway.reload(config(two.url));
  assert.equal(said['event'], 'reloaded', JSON.stringify(said));
  assert.deepEqual([said['settings'], said['sessionsBefore']], [['routes'], 1]);
  assert.equal(await send(gateway.port(), 'new session'), 250);
  assert.equal(verdict(await open.mail(mail('open session'))), 250);
  assert.equal(events(gateway, 'configuration-retired').length, 0, 'while a session holds it');
  await open.quit();
  await gateway.child.until(() => events(gateway, 'configuration-retired')[0], 'the end of the first configuration');
  assert.ok(subjects(two).includes('new session') && !subjects(one).includes('new session'));
  assert.ok(subjects(one).includes('open session') && !subjects(two).includes('open session'));
});

test('no connection is refused and no mail is lost while the configuration is reloaded again and again', async () => {
  const gateway = await start(config(one.url));
  const port = gateway.port();
  let isOver = false;
  let sent = 0;
  const client = async (n: number): Promise<void> => {
    for (let i = 0; !isOver || i === 0; i++) {
      // `connect` throws where nobody accepts, and where the greeting is no 220.
      assert.equal(await send(port, `loop ${n}.${i}`), 250);
      sent++;
    }
  };
  const clients = Promise.all([1, 2, 3, 4].map(client));
  for (let i = 0; i < 12; i++) {
    const said = await gateway.reload(config(i % 2 === 0 ? two.url : one.url, {}, { deadline: `${i + 1}m` }));
    assert.equal(said['event'], 'reloaded', JSON.stringify(said));
  }
  isOver = true;
  await clients;
  const arrived = [...subjects(one), ...subjects(two)].filter((subject) => subject.startsWith('loop '));
  assert.deepEqual([arrived.length, new Set(arrived).size], [sent, sent]);
  assert.ok(sent >= 12, `${sent} mails`);
});

test('a broken file changes nothing, and is logged in the words of opes check', async () => {
  const gateway = await start(config(one.url));
  const broken = 'version: 1\nlistners: []\nroutes:\n';
  const said = await gateway.reload(broken);
  assert.deepEqual([said['event'], said['problems'], said['effect']], ['reload-failed', 3, 'nothing changed']);
  const logged = events(gateway, 'configuration').map(({ problem }) => problem);
  const checked = await run(OPES, ['check', '--config', gateway.file]);
  assert.deepEqual(logged.join('\n'), checked.stderr);
  assert.equal(await send(gateway.port(), 'after a broken file'), 250);
  const back = await gateway.reload(config(two.url));
  assert.equal(back['event'], 'reloaded', 'mended, it is taken');
  assert.equal(await send(gateway.port(), 'after it was mended'), 250);
  assert.ok(subjects(one).includes('after a broken file') && subjects(two).includes('after it was mended'));
});

test('listeners: what stays keeps its socket, what is new is opened, what is gone drains', async () => {
  const [a, b, c] = [await freePort(), await freePort(), await freePort()];
  const at = (name: string, port: number, more: Config = {}) => ({ name, address: `127.0.0.1:${port}`, ...more });
  const listening = (...listeners: Config[]) => config(one.url, {}, { listeners });
  const gateway = await start(listening(at('stays', a), at('goes', b)));
  const [busy, lasting] = [await SmtpTalk.hello(b), await SmtpTalk.hello(b)];
  assert.equal((await lasting.say('MAIL FROM:<a@src.test>')).code, 250);
  assert.equal((await busy.say('MAIL FROM:<a@src.test>')).code, 250);
  assert.equal((await busy.say('RCPT TO:<b@dst.test>')).code, 250);

  const said = await gateway.reload(listening(at('stays', a, { maxSize: '1MB' }), at('new', c)));
  assert.equal(said['event'], 'reloaded', JSON.stringify(said));
  assert.deepEqual(
    [said['listenersAdded'], said['listenersChanged'], said['listenersRemoved']],
    [['new'], ['stays'], ['goes']],
  );
  assert.equal(await isOpen(b), false, 'no new session where the listener is gone');
  assert.equal((await busy.say('DATA')).code, 354);
  busy.send('Subject: on a listener that is gone\r\n\r\n.\r\n');
  assert.equal((await busy.hear()).code, 250, 'the mail under way goes on');
  assert.equal((await busy.hear()).code, 421, 'then the session ends');
  const fresh = await SmtpTalk.connect(a);
  assert.ok((await fresh.say('EHLO client.test')).lines.includes('SIZE 1000000'));
  fresh.destroy();
  assert.equal(await send(c, 'on the new listener'), 250);
  assert.equal((await gateway.stop()).code, 0, 'the end does not wait as long as the drain of a listener that is gone');
  lasting.destroy();
});

test('a place that cannot be had: nothing changes, not even what could have', async () => {
  const gateway = await start(config(one.url));
  const taken = net.createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void taken.close());
  const { port } = taken.address() as net.AddressInfo;
  const free = await freePort();
  const listeners = [
    { name: 'mx', address: '127.0.0.1:0' },
    { name: 'free', address: `127.0.0.1:${free}` },
    { name: 'taken', address: `127.0.0.1:${port}` },
  ];
  const said = await gateway.reload(config(two.url, {}, { listeners }));
  assert.equal(said['event'], 'reload-failed');
  assert.match(String(said['why']), new RegExp(`^127\\.0\\.0\\.1:${port} is already in use`));
  assert.equal(await isOpen(free), false, 'what was opened for it is closed again');
  assert.equal(await send(gateway.port(), 'still the first'), 250);
  assert.ok(subjects(one).includes('still the first'));
});

test('channels and next-hop connections that are the same are kept; a changed service serves its mails to the end', async () => {
  const server = await Draft00.start({ rules: [{ part: 'RAWDATA', addHeader: ['X-From: one'] }] });
  const other = await Draft00.start({ rules: [{ part: 'RAWDATA', addHeader: ['X-From: two'] }] });
  onTestFinished(async () => {
    await Promise.all([server.stop(), other.stop()]);
  });
  const hop = await NextHop.listen();
  onTestFinished(() => hop.close());
  const made = (connect: string, more: Config = {}) => config(hop.url, { scan: { connect } }, more);
  const gateway = await start(made(server.endpoint));
  assert.equal(await send(gateway.port(), 'before'), 250);
  assert.equal((await gateway.reload(made(server.endpoint, { deadline: '3m' })))['event'], 'reloaded');
  assert.equal(await send(gateway.port(), 'same service'), 250);
  assert.equal(events(gateway, 'callout.up').length, 1, 'one channel all along');
  assert.equal(hop.connections, 1, 'and one connection to the next hop');

  const open = await SmtpTalk.hello(gateway.port());
  assert.equal((await open.say('MAIL FROM:<a@src.test>')).code, 250);
  assert.equal((await open.say('RCPT TO:<b@dst.test>')).code, 250);
  const said = await gateway.reload(made(other.endpoint));
  assert.deepEqual(said['servicesChanged'], ['scan'], JSON.stringify(said));
  assert.equal(await send(gateway.port(), 'changed service'), 250);
  assert.equal((await open.say('DATA')).code, 354);
  open.send('Subject: begun before\r\n\r\nHello\r\n.\r\n');
  assert.equal((await open.hear()).code, 250);
  await open.quit();
  assert.match(await find(hop, 'changed service'), /^X-From: two\r$/m);
  assert.match(await find(hop, 'begun before'), /^X-From: one\r$/m);
});

const PID_SERVICE = `import { defineService, edit } from 'opes-smtp/callout';
export default defineService({
  uri: 'https://example.com/own-name',
  message: () => edit({ headers: { add: [['X-Pid', String(process.pid)]] } }),
});
`;

test('an embedded service runs on while its words and its file are the same; else a new one is up before the old one ends', async () => {
  const file = join(scratchFolder('service'), 'pid.ts');
  writeFileSync(file, PID_SERVICE);
  const made = (deadline: string, uri = 'https://gw.test/opes/pid') => ({
    ...config(one.url, {}, { deadline }),
    services: { pid: { uri, run: file, may: ['add-header'] } },
    pipeline: [{ service: 'pid', requires: ['RAWDATA'] }],
  });
  const gateway = await start(made('1m'));
  const pidOf = async (subject: string): Promise<string> => {
    assert.equal(await send(gateway.port(), subject), 250);
    return /^X-Pid: (\d+)\r$/m.exec(await find(one, subject))?.[1] ?? '';
  };
  const first = await pidOf('pid 1');
  assert.equal((await gateway.reload(made('2m')))['started'], undefined);
  assert.equal(await pidOf('pid 2'), first);

  const open = await SmtpTalk.hello(gateway.port());
  const later = new Date(Date.now() + 10_000);
  utimesSync(file, later, later);
  assert.deepEqual((await gateway.reload(made('2m')))['started'], ['pid']);
  const second = await pidOf('pid 3');
  assert.notEqual(second, first);
  assert.equal(verdict(await open.mail(mail('pid of an open session'))), 250);
  assert.ok((await find(one, 'pid of an open session')).includes(`X-Pid: ${first}\r\n`));
  assert.doesNotThrow(() => process.kill(Number(first), 0), 'it is there while a session may need it');
  await open.quit();
  const isGone = () => gateway.logs().some(({ event, service }) => event === 'stopped' && service === 'pid');
  await gateway.child.until(() => (isGone() ? true : undefined), 'the end of the first process');

  writeFileSync(file, 'this is no TypeScript\n');
  const said = await gateway.reload(made('2m'));
  assert.equal(said['event'], 'reload-failed');
  assert.match(String(said['why']), /^service pid did not start/);
  assert.equal(await pidOf('pid 4'), second);
});

/** A certificate that names `host`, as certbot would renew it in place. */
async function certify(folder: string, host: string): Promise<void> {
  const args = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=${host}`.split(' ');
  const made = await run('openssl', [...args, '-keyout', join(folder, 'mx.key'), '-out', join(folder, 'mx.pem')]);
  assert.equal(made.code, 0, made.stderr);
}

async function certificateAt(port: number): Promise<string | undefined> {
  const talk = await SmtpTalk.hello(port);
  assert.equal((await talk.say('STARTTLS')).code, 220);
  talk.socket.removeAllListeners('data');
  return await new Promise((resolve, reject) => {
    const secure = tls.connect({ socket: talk.socket, rejectUnauthorized: false }, () => {
      resolve(String(secure.getPeerCertificate().subject.CN));
      secure.destroy();
    });
    secure.once('error', reject);
  });
}

test('a renewed certificate is shown after a reload; half a pair changes nothing', async () => {
  const folder = scratchFolder('tls');
  await certify(folder, 'old.example.com');
  const keys = { cert: join(folder, 'mx.pem'), key: join(folder, 'mx.key') };
  const secured = config(one.url, {}, { listeners: [{ name: 'mx', address: '127.0.0.1:0', tls: keys }] });
  const gateway = await start(secured);
  assert.equal(await certificateAt(gateway.port()), 'old.example.com');
  await certify(folder, 'new.example.com');
  const said = await gateway.reload(secured);
  assert.deepEqual(said['listenersChanged'], ['mx'], JSON.stringify(said));
  assert.equal(await certificateAt(gateway.port()), 'new.example.com');
  const key = readFileSync(keys.key);
  await certify(folder, 'half.example.com');
  writeFileSync(keys.key, key);
  assert.equal((await gateway.reload(secured))['event'], 'reload-failed');
  assert.equal(await certificateAt(gateway.port()), 'new.example.com');
});

test('what only a start can change is told, and the rest is taken', async () => {
  const gateway = await start(config(one.url));
  const said = await gateway.reload(config(two.url, {}, { dataDir: './elsewhere' }));
  assert.equal(said['event'], 'reloaded');
  const [kept] = events(gateway, 'reload-kept');
  assert.deepEqual([kept?.['key'], kept?.['fix']], ['dataDir', 'restart opes to change it']);
  assert.equal(await send(gateway.port(), 'elsewhere'), 250);
  assert.ok(subjects(two).includes('elsewhere'));
});

test('pages move with the file; the console and the figures of before go on', async () => {
  const [a, b] = [await freePort(), await freePort()];
  const made = (port: number) =>
    config(one.url, {}, { console: { address: '127.0.0.1:0' }, metrics: { address: `127.0.0.1:${port}` } });
  const gateway = await start(made(a));
  assert.equal(await send(gateway.port(), 'counted'), 250);
  assert.equal((await gateway.reload({ ...made(b), hostname: 'other.test' }))['event'], 'reloaded');
  const figures = await (await fetch(`http://127.0.0.1:${b}/metrics`)).text();
  assert.match(figures, /^opes_mails_total\{outcome="relayed"\} 1$/m);
  assert.match(figures, /^opes_reloads_total\{result="done"\} 1$/m);
  await assert.rejects(fetch(`http://127.0.0.1:${a}/metrics`));
  const page = await (await fetch(gateway.ready.console ?? '')).text();
  assert.ok(page.includes('other.test') && page.includes('a@src.test'), 'the same page, of the new configuration');
});
