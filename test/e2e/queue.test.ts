/**
 * The operator's commands beside a running gateway: `opes queue`, `opes quarantine`, `opes trace`. What is held is the mail
 * as it was sent, each recipient has an end of its own, and the counters balance after every command.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, test } from 'vitest';
import { Draft00 } from '../support/draft00.ts';
import { config, Gateway, OPES, SYSTEM_URI, withoutTrace } from '../support/gateway.ts';
import { NextHop } from '../support/next-hop.ts';
import { scratchFolder } from '../support/scratch.ts';
import { SmtpTalk, verdict } from '../support/smtp-talk.ts';

const MAIL = Buffer.from('From: <a@src.test>\r\nTo: <b@dst.test>\r\nSubject: hello\r\n\r\nHi there.\r\n.dot\r\n\r\n');

interface Entry {
  readonly id: string;
  readonly trace: string;
  readonly state: string;
  readonly to: string;
  readonly attempts: number;
  readonly held?: { readonly service: string; readonly reason: string };
}

type Counters = Readonly<Record<string, number>>;

const open: { stop?: () => Promise<unknown>; close?: () => Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await (one.stop ?? one.close)?.call(one);
});

function keep<T extends (typeof open)[number]>(one: T): T {
  open.push(one);
  return one;
}

interface Said {
  readonly code: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

/** A command for the gateway that works in `folder`; stdout octet by octet. */
function opes(folder: string, args: readonly string[]): Promise<Said> {
  return new Promise((resolve) => {
    const all = [...args, '--config', join(folder, 'opes.yaml')];
    execFile(OPES, all, { encoding: 'buffer', timeout: 60_000, maxBuffer: 100_000_000 }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, stdout, stderr: stderr.toString() });
    });
  });
}

/** The lines of a command that must succeed, as JSON. */
async function asked<T>(gateway: Gateway, ...args: string[]): Promise<T[]> {
  const { code, stdout, stderr } = await opes(gateway.folder, [...args, '--json']);
  assert.equal(code, 0, stderr);
  const lines = stdout
    .toString()
    .split('\n')
    .filter((line) => line !== '');
  return lines.map((line) => JSON.parse(line) as T);
}

async function balanced(gateway: Gateway): Promise<Counters> {
  const [counters] = await asked<Counters>(gateway, 'queue', 'counters');
  assert.ok(counters !== undefined);
  const { accepted, ...ends } = counters;
  assert.equal(
    Object.values(ends).reduce((sum, one) => sum + one, 0),
    accepted,
  );
  const listed = await asked<Entry>(gateway, 'queue', 'list', '--state', 'all');
  assert.equal(listed.length, (counters['queued'] ?? 0) + (counters['held'] ?? 0));
  assert.equal(listed.filter(({ held }) => held !== undefined).length, counters['held']);
  return counters;
}

async function send(gateway: Gateway, to: readonly string[], content = MAIL, expected = 250): Promise<void> {
  const talk = await SmtpTalk.hello(gateway.port());
  const outcome = await talk.mail({ from: 'a@src.test', to, content });
  await talk.quit();
  assert.equal(verdict(outcome), expected);
}

const sha256 = (octets: Buffer): string => createHash('sha256').update(octets).digest('hex');

/** Two services: one that may not be bypassed and is dead, and one that may. */
async function withDeadService(notice: boolean): Promise<{ gateway: Gateway; hop: NextHop; stamp: Draft00 }> {
  const hop = keep(await NextHop.listen());
  const stamp = keep(await Draft00.start({ rules: [{ part: 'RAWDATA', addHeader: ['X-Stamp: seen'] }] }));
  const shout = keep(await Draft00.start({ rules: [{ part: 'RAWDATA', replace: ['Hi', 'HI'] }] }));
  await stamp.listen(false);
  await stamp.drop();
  const plain = config(
    hop.url,
    {
      stamp: { connect: stamp.endpoint, onFailure: 'quarantine' },
      shout: { connect: shout.endpoint },
    },
    { quarantine: { notice } },
  );
  const services = plain['services'] as Record<string, object>;
  const strict = { ...plain, services: { ...services, stamp: { ...services['stamp'], bypassable: 'never' } } };
  return { gateway: keep(await Gateway.start(strict)), hop, stamp };
}

async function back(stamp: Draft00): Promise<void> {
  await stamp.listen(true);
  await stamp.child.until(() => stamp.child.events('negotiated').at(-1), 'the gateway back at the service');
}

test('held for a dead service, kept as it was sent, released to one recipient and removed for the other', async () => {
  const { gateway, hop, stamp } = await withDeadService(true);
  await send(gateway, ['b@dst.test', 'c@dst.test']);
  const notices = (await hop.waitForMails(2)).flatMap(({ mail, rcpts }) => [mail, ...rcpts]);
  assert.deepEqual(notices.toSorted(), ['<>', '<>', '<b@dst.test>', '<c@dst.test>']);
  const held = await asked<Entry>(gateway, 'quarantine', 'list');
  assert.deepEqual(
    held.map(({ to, state, held: why }) => [to, state, why?.service, why?.reason]),
    [
      ['b@dst.test', 'held', 'stamp', 'unreachable'],
      ['c@dst.test', 'held', 'stamp', 'unreachable'],
    ],
  );
  const [first, second] = held.map(({ id }) => id) as [string, string];
  const mail = first.split('#')[0] as string;
  assert.deepEqual([second, held[0]?.trace], [`${mail}#1`, mail]);
  await reaches(gateway, count({ accepted: 4, delivered: 2, held: 2 }));

  const shown = await opes(gateway.folder, ['quarantine', 'show', '--octets', mail.slice(0, 8)]);
  assert.deepEqual(shown.stdout, MAIL);
  const [detail] = await asked<{ sha256: string; header: string }>(gateway, 'quarantine', 'show', mail);
  assert.equal(detail?.sha256, sha256(MAIL));
  assert.match(detail.header, /^Subject: hello\r$/m);
  const words = (await opes(gateway.folder, ['quarantine', 'show', mail])).stdout.toString();
  assert.match(words, /by stamp \(unreachable\)/);
  const trace = await opes(gateway.folder, ['trace', `OPES-System: ${SYSTEM_URI}?id=${mail}`]);
  assert.match(trace.stdout.toString(), /^in the queue$/m);

  await back(stamp);
  assert.match((await opes(gateway.folder, ['quarantine', 'release', first])).stdout.toString(), / {2}released$/m);
  await hop.waitForMails(3);
  assert.deepEqual(hop.mails[2]?.rcpts, ['<b@dst.test>']);
  const { trace: lines, rest } = withoutTrace(hop.mails[2]?.content ?? Buffer.alloc(0));
  const via = lines.join('\n');
  assert.deepEqual(
    lines.filter((line) => line.startsWith('OPES-System:')),
    [`OPES-System: ${SYSTEM_URI}?id=${mail}`],
  );
  assert.match(via, /stamp;outcome=header-added/);
  assert.match(via, /shout;outcome=bypassed/);
  assert.deepEqual(rest.toString(), `X-Stamp: seen\r\n${MAIL.toString()}`);

  const removed = await opes(gateway.folder, ['quarantine', 'remove', 'nosuch', second]);
  assert.deepEqual([removed.code, removed.stdout.toString()], [1, `${second}  c@dst.test  removed\n`]);
  await reaches(gateway, count({ accepted: 4, delivered: 3, removed: 1 }));
  assert.deepEqual(await asked(gateway, 'quarantine', 'list'), []);
  const again = await opes(gateway.folder, ['quarantine', 'remove', second]);
  assert.deepEqual([again.code, again.stderr.includes('neither in the queue nor in quarantine')], [1, true]);
  assert.ok(gateway.logs().some((line) => line['event'] === 'operator' && line['act'] === 'remove'));
});

test('where nobody is told the client is refused, and the copy that is kept is shown whole', async () => {
  const { gateway } = await withDeadService(false);
  const large = Buffer.concat([MAIL, Buffer.from('large mail, line after line\r\n'.repeat(100_000))]);
  await send(gateway, ['b@dst.test'], large, 554);
  const [entry] = await asked<Entry>(gateway, 'quarantine', 'list');
  const shown = await opes(gateway.folder, ['quarantine', 'show', '--octets', entry?.id ?? '']);
  // More than a pipe and a socket hold.
  assert.equal(shown.code, 0, shown.stderr);
  assert.equal(sha256(shown.stdout), sha256(large));
});

test('retry, hold and release of what a next hop would not take', async () => {
  const hop = keep(await NextHop.listen());
  await hop.close();
  const queue = { mode: 'spool', retry: ['1h'] };
  const gateway = keep(await Gateway.start(config(hop.url, {}, { queue })));
  await send(gateway, ['b@dst.test']);
  await gateway.child.until(
    () => gateway.logs().find((line) => line['event'] === 'delivery' && line['later'] !== undefined),
    'a first try in vain',
  );
  const [entry] = await asked<Entry>(gateway, 'queue', 'list', '--to', 'B@dst');
  assert.deepEqual([entry?.state, entry?.attempts], ['queued', 1]);
  const id = entry?.id ?? '';
  const list = (await opes(gateway.folder, ['queue', 'list'])).stdout.toString();
  assert.match(list, /^ID +AGE +NEXT TRY +TRIES +FROM +TO\n/);
  assert.ok(list.includes(id) && list.includes('b@dst.test'));

  const early = await opes(gateway.folder, ['quarantine', 'remove', id]);
  assert.deepEqual([early.code, early.stdout.toString().includes('not held aside')], [1, true]);
  await asked(gateway, 'queue', 'hold', id);
  assert.equal((await balanced(gateway))['held'], 1);
  assert.equal((await opes(gateway.folder, ['queue', 'retry', id])).code, 1);
  await hop.open();
  await asked(gateway, 'queue', 'release', id);
  await hop.waitForMails(1);
  assert.deepEqual(withoutTrace(hop.mails[0]?.content ?? Buffer.alloc(0)).rest, MAIL);

  await hop.close();
  await send(gateway, ['c@dst.test']);
  await gateway.child.until(
    () => gateway.logs().filter((line) => line['event'] === 'delivery' && line['later'] !== undefined)[1],
    'a try in vain',
  );
  await hop.open();
  assert.match(
    (await opes(gateway.folder, ['queue', 'retry', '--to', 'DST.test'])).stdout.toString(),
    /^to be tried now: 1$/m,
  );
  await hop.waitForMails(2);
  await gateway.child.until(
    () => gateway.logs().filter((line) => line['event'] === 'delivery' && line['delivered'] !== undefined)[1],
    'both deliveries',
  );
  await reaches(gateway, count({ accepted: 2, delivered: 2 }));
  assert.match((await opes(gateway.folder, ['queue', 'list'])).stdout.toString(), /^nothing is queued$/m);
});

test('a trace line of a delivered mail tells what was done to it', async () => {
  const hop = keep(await NextHop.listen());
  const gateway = keep(await Gateway.start(config(hop.url, {}, { console: { address: '127.0.0.1:0' } })));
  await send(gateway, ['b@dst.test']);
  const { trace } = withoutTrace(hop.mails[0]?.content ?? Buffer.alloc(0));
  const line = trace.find((one) => one.startsWith('OPES-System:')) ?? '';
  const said = await opes(gateway.folder, ['trace', line]);
  assert.equal(said.code, 0, said.stderr);
  const text = said.stdout.toString();
  assert.match(text, /^ {2}outcome {2}relayed: the next hop took it$/m);
  assert.ok(text.includes(line) && text.includes('b@dst.test'), text);
  const unknown = await opes(gateway.folder, ['trace', 'nosuch.1']);
  assert.match(unknown.stderr, /neither in the queue nor among the last 1 mails; look for it in the log/);
});

test('a trace of a stored mail says how it ended, by whatever is known of its id', async () => {
  const hop = keep(await NextHop.listen());
  await hop.close();
  const more = { queue: { mode: 'spool', retry: ['1h'] }, console: { address: '127.0.0.1:0' } };
  const gateway = keep(await Gateway.start(config(hop.url, {}, more)));
  await send(gateway, ['b@dst.test', 'c@dst.test']);
  const told = (): unknown =>
    gateway.logs().find((line) => line['event'] === 'delivery' && line['later'] !== undefined);
  await gateway.child.until(told, 'a first try in vain');
  const [first, second] = await asked<Entry>(gateway, 'queue', 'list');
  const id = first?.id ?? '';
  const traced = async (): Promise<string> => {
    const whole = await opes(gateway.folder, ['trace', id]);
    assert.equal(whole.code, 0, whole.stderr);
    const begun = await opes(gateway.folder, ['trace', id.slice(0, 6)]);
    assert.match(begun.stdout.toString(), /^mail \S+\.1\n/);
    return whole.stdout.toString();
  };
  const waiting = await traced();
  assert.match(waiting, /^ {2}outcome {2}stored: this gateway answers for it\n/m);
  assert.match(waiting, /^in the queue$/m);
  assert.doesNotMatch(waiting, /no answer|^deliveries$|the log says/m);
  await asked(gateway, 'queue', 'remove', second?.id ?? '');
  assert.match(await traced(), /^deliveries\n {2}c@dst\.test {2}removed {2}\d+s ago {4}by an operator$/m);
  await hop.open();
  await asked(gateway, 'queue', 'retry', id);
  await hop.waitForMails(1);
  await reaches(gateway, count({ accepted: 2, delivered: 1, removed: 1 }));
  const ended = await traced();
  assert.match(ended, /^ {2}b@dst\.test {2}delivered {2}\d+s ago {2}127\.0\.0\.1:\d+ {2}250 /m);
  assert.match(ended, /^ {2}outcome {2}stored: this gateway answers for it; some of it removed by an operator$/m);
  assert.doesNotMatch(ended, /the log says/);
});

test('what the commands say where there is nothing to talk to, or nothing to say', async () => {
  const hop = keep(await NextHop.listen());
  const gateway = keep(await Gateway.start(config(hop.url)));
  const socket = join(gateway.folder, 'data', 'admin.sock');
  assert.equal(statSync(socket).mode & 0o777, 0o600);
  const cases = [
    [['queue', 'show', 'nosuch'], 1, /neither in the queue nor in quarantine/],
    [['trace', 'nosuch.1'], 1, /nothing is known of nosuch\.1/],
    [['trace', 'OPES-System: https://other.test/?id=x.1'], 1, /no trace of this gateway.*https:\/\/other\.test/],
    [['trace', 'two words'], 2, /no id in it/],
    [['queue', 'retry'], 2, /an ID or several, --to DOMAIN, or --all/],
    [['queue', 'nosuch'], 2, /unknown command/],
  ] as const;
  for (const [args, code, text] of cases) {
    const said = await opes(gateway.folder, args);
    assert.deepEqual([said.code, text.test(said.stderr)], [code, true], `${args.join(' ')}: ${said.stderr}`);
  }
  await gateway.stop();
  const late = await opes(gateway.folder, ['queue', 'list']);
  assert.equal(late.code, 1);
  assert.match(late.stderr, /^no gateway is running on .*data \(start it, or name its configuration with --config\)$/m);
  assert.equal((await opes(scratchFolder('none'), ['queue', 'list'])).code, 78);
});

test('a killed gateway leaves its socket, and the next one takes its place', async () => {
  const hop = keep(await NextHop.listen());
  const gateway = keep(await Gateway.start(config(hop.url)));
  await gateway.stop('SIGKILL');
  assert.equal((await opes(gateway.folder, ['queue', 'counters'])).code, 1);
  const again = keep(await Gateway.start(config(hop.url), gateway.folder));
  assert.deepEqual(await balanced(again), count({}));
});

test('a data directory too deep for a socket', async () => {
  const hop = keep(await NextHop.listen());
  const dataDir = `./${'deep-'.repeat(20)}/data`;
  const gateway = keep(await Gateway.start(config(hop.url, {}, { dataDir })));
  assert.deepEqual(await balanced(gateway), count({}));
  await gateway.stop('SIGKILL');
  const again = keep(await Gateway.start(config(hop.url, {}, { dataDir }), gateway.folder));
  assert.deepEqual(await balanced(again), count({}));
});

test('clients that say nonsense, too much or half of it harm nobody else', async () => {
  const hop = keep(await NextHop.listen());
  const gateway = keep(await Gateway.start(config(hop.url)));
  const path = join(gateway.folder, 'data', 'admin.sock');
  const half = connect(path);
  half.write('{"v":1,"do":');
  assert.match(await say(path, 'EHLO there\n'), /"bad-request"/);
  assert.match(await say(path, '{"v":2,"do":"counters"}\n'), /"version"/);
  assert.match(await say(path, Buffer.alloc(10_000_000, 'x')), /"too-long"/);
  assert.deepEqual(await balanced(gateway), count({}));
  half.destroy();
});

/** Writes, and hears what is said until the other end hangs up. */
function say(path: string, octets: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    let heard = '';
    const socket = connect(path, () => socket.write(octets));
    socket.on('data', (chunk) => {
      heard += chunk.toString();
    });
    // It may be cut off while it still writes.
    socket.on('error', () => undefined).on('close', () => resolve(heard));
  });
}

function count(some: Counters): Counters {
  return { accepted: 0, delivered: 0, reported: 0, excepted: 0, removed: 0, queued: 0, held: 0, ...some };
}

/** What has been delivered is counted a moment later: asked again until it is so. */
async function reaches(gateway: Gateway, wanted: Counters): Promise<void> {
  for (let i = 0; i < 50; i++) {
    const [found] = await asked<Counters>(gateway, 'queue', 'counters');
    if (found?.['delivered'] === wanted['delivered']) break;
  }
  assert.deepEqual(await balanced(gateway), wanted);
}
