/**
 * The whole way of a mail (RFC 4496 section 3.1): from a mail program to a mailbox, through every role a gateway can have. The three
 * configurations of examples/profiles are judged as they stand, then run together; one service serves both sides.
 */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, test } from 'vitest';
import { run } from '../support/child.ts';
import { Draft00 } from '../support/draft00.ts';
import { config, Gateway, OPES, ROOT, withoutTrace } from '../support/gateway.ts';
import { Postfix } from '../support/postfix.ts';
import { needPrograms } from '../support/programs.ts';
import { scratchFolder } from '../support/scratch.ts';
import { SINK_CERT, SINK_KEY } from '../support/sink.ts';
import { SmtpTalk, verdict } from '../support/smtp-talk.ts';

const PROFILES = join(ROOT, 'examples/profiles');
const USER = 'ann@example.org';
const PASSWORD = 'secret word';
const LETTER = 'From: ann@example.org\nTo: bob@example.com\nSubject: the whole way\n\nHello Bob,\n.a line with a dot\n';

/** A mailbox server of example.com. */
const MAILBOX = ['virtual_mailbox_domains = example.com'];

const ends: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const end of ends.toReversed()) await end();
});
let mailbox: Postfix;
beforeAll(async () => {
  mailbox = await Postfix.start({ settings: MAILBOX });
  ends.push(() => mailbox.stop());
});

/** A profile with the files it names, in a folder of its own. */
async function placed(name: string, changes: readonly (readonly [string, string])[] = []): Promise<string> {
  const folder = scratchFolder('profile');
  const etc = join(folder, 'etc/opes');
  mkdirSync(etc, { recursive: true });
  for (const host of ['mx1', 'submission']) {
    writeFileSync(join(etc, `${host}.pem`), SINK_CERT);
    writeFileSync(join(etc, `${host}.key`), SINK_KEY, { mode: 0o600 });
  }
  const user = await run(OPES, ['user', USER], { input: `${PASSWORD}\n` });
  writeFileSync(join(etc, 'users.yaml'), user.stdout, { mode: 0o600 });
  let text = readFileSync(join(PROFILES, `${name}.yaml`), 'utf8');
  for (const [from, to] of changes) {
    assert.ok(text.includes(from), `${name}: ${from}`);
    text = text.replaceAll(from, to);
  }
  return text.replaceAll(/(\/etc\/opes|\/var\/lib\/opes)\b/g, (place) => join(folder, place));
}

/** On loopback, at any port. */
const HERE = [
  ['127.0.0.1:8025', '127.0.0.1:0'],
  ['127.0.0.1:9464', '127.0.0.1:0'],
] as const;

async function started(name: string, changes: readonly (readonly [string, string])[]): Promise<Gateway> {
  const gateway = await Gateway.start(await placed(name, [...HERE, ...changes]));
  ends.push(() => gateway.stop());
  return gateway;
}

/** A mail program hands in a letter; what it said if it could not. */
async function hand(port: number, more: readonly string[]): Promise<string> {
  const { msmtp } = await needPrograms('msmtp');
  const file = join(scratchFolder('msmtp'), 'msmtprc');
  const lines = ['account default', 'host 127.0.0.1', `port ${port}`, `from ${USER}`, 'domain laptop.test', ...more];
  writeFileSync(file, `${lines.join('\n')}\n`);
  chmodSync(file, 0o600);
  const done = await run(msmtp, ['-C', file, 'bob@example.com'], { input: LETTER });
  return done.code === 0 ? '' : done.stderr;
}

const text = (octets: Buffer): string => octets.toString('latin1');
/** Systems a mail went through, the last one first. */
const systems = (mail: string): string[] =>
  [...mail.matchAll(/^OPES-System: (\S+?)\?id=/gm)].map(([, uri = '']) => uri);

test('the profiles are all there is, and each is good as it stands', async () => {
  const names = readdirSync(PROFILES).toSorted();
  assert.deepEqual(names, ['intermediate.yaml', 'recipient.yaml', 'sender.yaml']);
  for (const name of names) {
    const file = join(scratchFolder('profile'), name);
    writeFileSync(file, await placed(name.replace('.yaml', '')));
    const { code, stdout, stderr } = await run(OPES, ['check', '--config', file]);
    assert.equal(code, 0, stderr);
    assert.match(stdout, /is good\n/);
    assert.equal(stderr, '', 'nothing to remark');
  }
});

test('each profile, one behind the other: from a login to a mailbox, with the trace of each', async () => {
  const recipient = await started('recipient', [
    ['0.0.0.0:25', '127.0.0.1:0'],
    ['127.0.0.1:10026', `127.0.0.1:${mailbox.port}`],
  ]);
  const between = await started('intermediate', [
    ['0.0.0.0:25', '127.0.0.1:0'],
    ['smtp://mail.example.com:25", tls: verify', `smtp://127.0.0.1:${recipient.port()}", tls: require`],
  ]);
  const sender = await started('sender', [
    ['0.0.0.0:587', '127.0.0.1:0'],
    ['nextHop: mx', `nextHop: "smtp://127.0.0.1:${between.port()}", tls: require`],
  ]);
  const secret = join(scratchFolder('msmtp'), 'password');
  writeFileSync(secret, PASSWORD);
  const login = ['auth scram-sha-256', `user ${USER}`, `passwordeval cat ${secret}`];
  const tls = ['tls on', 'tls_starttls on', 'tls_certcheck off'];
  assert.match(await hand(sender.port(), tls), /Authentication required/, 'nobody sends without a login');
  assert.equal(await hand(sender.port(), [...tls, ...login]), '');
  const mail = text((await mailbox.waitForMails(1)).at(-1)?.content ?? Buffer.alloc(0));
  assert.deepEqual(systems(mail), [
    'https://mail.example.com/opes',
    'https://filter.example.net/opes',
    'https://mail.example.org/opes',
  ]);
  assert.ok(mail.includes('CAUTION: ') && mail.includes('\r\nHello Bob,\r\n.a line with a dot\r\n'));
  // Neither of the two that serve recipients is a way to anywhere else.
  for (const gateway of [recipient, between]) {
    const talk = await SmtpTalk.hello(gateway.port());
    const away = { from: USER, to: ['x@elsewhere.test'], content: Buffer.from('Subject: x\r\n\r\nx\r\n') };
    assert.equal(verdict(await talk.mail(away)), 550);
    await talk.quit();
  }
});

test('from a mail program by its own server, our gateway and the destination to the mailbox', async () => {
  const seer = await Draft00.start({ rules: [{ part: 'RAWDATA', addHeader: ['X-Seen: yes'] }] });
  const gateway = await Gateway.start(config(`smtp://127.0.0.1:${mailbox.port}`, { seer: { connect: seer.endpoint } }));
  const submission = await Postfix.start({ relayPort: gateway.port() });
  ends.push(
    () => seer.stop(),
    () => gateway.stop(),
    () => submission.stop(),
  );
  const before = mailbox.mails().length;
  assert.equal(await hand(submission.port, []), '');
  const mail = (await mailbox.waitForMails(before + 1)).slice(before)[0];
  assert.deepEqual([mail?.from, mail?.to], [USER, 'bob@example.com']);
  const { trace, rest } = withoutTrace(mail?.content ?? Buffer.alloc(0));
  assert.match(trace[0] ?? '', /^Received: from pf\.test /, 'handed over by the first Postfix');
  assert.match(
    text(rest),
    /^X-Seen: yes\r\nReceived: from laptop\.test [\s\S]*by pf\.test/,
    'which had it of the mail program',
  );
  assert.ok(text(rest).endsWith('\r\n\r\nHello Bob,\r\n.a line with a dot\r\n'));
});

test('one service, bound once to receive and once to send, is called once for each, and for nothing else', async () => {
  const stamp = await Draft00.start({ rules: [{ part: 'RAWDATA', addHeader: ['X-Stamp: yes'] }] });
  ends.push(() => stamp.stop());
  const receives = "listener.side == 'recipient' && recipient.domain == 'example.com'";
  const sends = "listener.side == 'sender' && sender.domain == 'example.org'";
  const gateway = await Gateway.start(
    config(
      `smtp://127.0.0.1:${mailbox.port}`,
      { stamp: { connect: stamp.endpoint, when: `(${receives}) || (${sends})` } },
      {
        listeners: [
          { name: 'in', address: '127.0.0.1:0', side: 'recipient' },
          { name: 'out', address: '127.0.0.1:0', side: 'sender', relayFrom: ['127.0.0.0/8'] },
        ],
      },
    ),
  );
  ends.push(() => gateway.stop());
  const stamps = async (listener: string, from: string): Promise<number> => {
    const before = mailbox.mails().length;
    const talk = await SmtpTalk.hello(gateway.port(listener));
    const mail = { from, to: ['bob@example.com'], content: Buffer.from('Subject: bound twice\r\n\r\nx\r\n') };
    assert.equal(verdict(await talk.mail(mail)), 250);
    await talk.quit();
    const got = text((await mailbox.waitForMails(before + 1)).slice(before)[0]?.content ?? Buffer.alloc(0));
    const called = got.match(/stamp;outcome=header-added/g)?.length ?? 0;
    assert.equal(got.match(/^X-Stamp: yes\r$/gm)?.length ?? 0, called);
    return called;
  };
  assert.equal(await stamps('in', 'someone@example.net'), 1);
  assert.equal(await stamps('out', USER), 1);
  assert.equal(await stamps('out', 'someone@example.net'), 0, 'bound to its own senders only');
  const sides = stamp.transactions().map(({ parts }) => parts.find(({ part }) => part === 'MAIL')?.text);
  assert.deepEqual(sides, ['<someone@example.net>', `<${USER}>`]);
});
