/**
 * Verdicts of services beyond pass and refuse, as their users meet them: mail kept aside and let go by an operator, mail that
 * waits and is shown to its service again, and recipients with different results.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, test } from 'vitest';
import { Draft00 } from '../support/draft00.ts';
import { type Config, config, Gateway, OPES, serve, type TestService, withoutTrace } from '../support/gateway.ts';
import { NextHop } from '../support/next-hop.ts';
import { SmtpTalk, verdict } from '../support/smtp-talk.ts';

const textOf = (subject: string): string =>
  `From: <a@src.test>\r\nTo: <b@dst.test>\r\nSubject: ${subject}\r\n\r\nHi there.\r\n.dot\r\n`;
const mailOf = (subject: string): Buffer => Buffer.from(textOf(subject));

const open: { stop?: () => Promise<unknown>; close?: () => Promise<unknown> }[] = [];
let hop: NextHop;
let endpoint = '';
beforeEach(async () => {
  hop = keep(await NextHop.listen());
  const served = await serve(fileURLToPath(new URL('services/verdicts.ts', import.meta.url)));
  keep(served.child);
  endpoint = served.endpoint;
});
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await (one.stop ?? one.close)?.call(one);
});

function keep<T extends (typeof open)[number]>(one: T): T {
  open.push(one);
  return one;
}

/** One service that may not be bypassed, as what keeps mail aside mostly is. */
function strict(service: Partial<TestService>, more: Config = {}): Config {
  const may = ['quarantine', 'delay', 'add-header'];
  const plain = config(hop.url, { verdicts: { connect: endpoint, may, ...service } }, more);
  const services = plain['services'] as Record<string, object>;
  return { ...plain, services: { verdicts: { ...services['verdicts'], bypassable: 'never' } } };
}

async function start(configuration: Config): Promise<Gateway> {
  return keep(await Gateway.start(configuration));
}

async function send(gateway: Gateway, content: Buffer, to: readonly string[] = ['b@dst.test']): Promise<number> {
  const talk = await SmtpTalk.hello(gateway.port());
  const outcome = await talk.mail({ from: 'a@src.test', to, content });
  await talk.quit();
  return verdict(outcome);
}

function opes(gateway: Gateway, ...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(OPES, [...args, '--config', gateway.file], { timeout: 60_000 }, (error, stdout, stderr) =>
      error === null ? resolve(stdout) : reject(new Error(stderr)),
    );
  });
}

/** The counters when they have come to `expected`; they balance at any time. */
async function counters(gateway: Gateway, expected: Readonly<Record<string, number>>): Promise<void> {
  for (let tries = 0; ; tries++) {
    const { accepted, ...ends } = JSON.parse(await opes(gateway, 'queue', 'counters', '--json')) as Record<
      string,
      number
    >;
    assert.equal(
      Object.values(ends).reduce((sum, one) => sum + one, 0),
      accepted,
    );
    const all = { accepted, ...ends } as Record<string, number>;
    if (Object.entries(expected).every(([name, value]) => all[name] === value)) return;
    assert.ok(tries < 100, JSON.stringify({ all, expected }));
  }
}

test('kept aside by a service: 250, a notice, and on release the service does not keep it a second time', async () => {
  const gateway = await start(strict({}, { quarantine: { notice: true } }));
  assert.equal(await send(gateway, mailOf('quarantine phishing')), 250);
  const [notice] = await hop.waitForMails(1);
  assert.deepEqual([notice?.mail, notice?.rcpts], ['<>', ['<b@dst.test>']]);
  const list = await opes(gateway, 'quarantine', 'list');
  assert.match(list, /verdicts \(verdict: test of phishing\)/);
  await counters(gateway, { accepted: 2, delivered: 1, held: 1 });
  const advised = gateway.logs().find(({ event }) => event === 'callout.advised');
  assert.deepEqual([advised?.['service'], advised?.['reason']], ['verdicts', 'test of phishing']);

  const [entry] = (await opes(gateway, 'quarantine', 'list', '--json')).split('\n');
  await opes(gateway, 'quarantine', 'release', (JSON.parse(entry ?? '') as { id: string }).id);
  await hop.waitForMails(2);
  const { rest, trace } = withoutTrace(hop.mails[1]?.content ?? Buffer.alloc(0));
  assert.deepEqual(rest, mailOf('quarantine phishing'));
  assert.match(trace.join('\n'), /verdicts;outcome=unchanged/);
  await counters(gateway, { accepted: 2, delivered: 2, held: 0 });
});

test('kept aside where nobody is told: the client is refused, and the copy is there', async () => {
  const gateway = await start(strict({}));
  assert.equal(await send(gateway, mailOf('quarantine x')), 554);
  await counters(gateway, { accepted: 1, held: 1 });
});

test('put off: shown to its service again and delivered, not before its time', async () => {
  const gateway = await start(strict({}));
  const until = Date.now() + 2500;
  assert.equal(await send(gateway, mailOf(`until ${until}`)), 250);
  assert.equal(hop.mails.length, 0);
  await hop.waitForMails(1);
  assert.ok(Date.now() >= until);
  const { rest, trace } = withoutTrace(hop.mails[0]?.content ?? Buffer.alloc(0));
  assert.equal(rest.toString(), `X-Verdict: passed\r\n${textOf(`until ${until}`)}`);
  assert.match(trace.join('\n').replace(/\r\n\t/g, ''), /verdicts;outcome=delayed, ?\S+verdicts;outcome=header-added/);
  await counters(gateway, { accepted: 1, delivered: 1 });
});

test('put off over and over: its sender is told that it expired, and at which service', async () => {
  const gateway = await start(strict({}, { queue: { retry: ['1s'], lifetime: '3s' } }));
  assert.equal(await send(gateway, mailOf('always 1000')), 250);
  const [report] = await hop.waitForMails(1);
  assert.deepEqual([report?.mail, report?.rcpts], ['<>', ['<a@src.test>']]);
  const text = report?.content.toString('latin1') ?? '';
  assert.match(text, /^Status: 4\.4\.7\r\n/m);
  assert.match(text, /^OPES-Cause: delayed; ?https:\/\/gw\.test\/opes\/verdicts/m);
  await counters(gateway, { accepted: 2, delivered: 1, reported: 1 });
});

test('without the permission it is a failure, and its policy decides', async () => {
  const gateway = await start(strict({ may: ['add-header'] }));
  assert.equal(await send(gateway, mailOf('quarantine x')), 451);
  const delayOnly = await start(strict({ may: ['delay'], onFailure: { invalid: 'reject' } }));
  assert.equal(await send(delayOnly, mailOf('quarantine x')), 554);
  await counters(delayOnly, { accepted: 0 });
});

test('a server of draft-00 says it in the words of the draft', async () => {
  for (const yours of [true, false]) {
    const server = keep(
      await Draft00.start({ yours, rules: [{ part: 'RAWDATA', match: 'bad', advice: 'Quarantine' }] }),
    );
    const gateway = await start(strict({ connect: server.endpoint }, { quarantine: { notice: true } }));
    assert.equal(await send(gateway, mailOf('bad')), 250);
    assert.match(await opes(gateway, 'quarantine', 'list'), /verdicts \(verdict\)/);
    assert.equal(await send(gateway, mailOf('good')), 250);
    await gateway.child.until(() => hop.mails.find(({ content }) => content.includes('Subject: good')), 'the good one');
    assert.deepEqual(server.transactions()[0]?.outcome.at(-2), 'data advised');
  }
});

test('a rule on recipient and message: each recipient meets the services that are his', async () => {
  const when = "recipient.local == 'vip' && message.headers['subject'].startsWith('quarantine')";
  const gateway = await start(strict({ when }, { quarantine: { notice: false } }));
  assert.equal(await send(gateway, mailOf('quarantine x'), ['plain@dst.test', 'vip@dst.test']), 250);
  await hop.waitForMails(1);
  assert.deepEqual(hop.mails[0]?.rcpts, ['<plain@dst.test>']);
  const { rest, trace } = withoutTrace(hop.mails[0]?.content ?? Buffer.alloc(0));
  assert.deepEqual(rest, mailOf('quarantine x'));
  assert.ok(!/vip|plain|verdicts/.test(trace.join('\n')), trace.join('\n'));
  assert.match(await opes(gateway, 'quarantine', 'list'), /vip@dst\.test/);
  await counters(gateway, { accepted: 2, delivered: 1, held: 1 });
});

test('a rule on recipient and message.encrypted takes recipients apart, both delivered', async () => {
  const when = "recipient.local == 'vip' && !message.encrypted";
  const gateway = await start(strict({ when }));
  assert.equal(await send(gateway, mailOf('hello'), ['vip@dst.test', 'plain@dst.test']), 250);
  await hop.waitForMails(2);
  const [vip, plain] = ['<vip@dst.test>', '<plain@dst.test>'].map((to) =>
    hop.mails.find(({ rcpts }) => rcpts[0] === to),
  );
  assert.deepEqual([vip?.rcpts.length, plain?.rcpts.length], [1, 1]);
  assert.equal(
    withoutTrace(vip?.content ?? Buffer.alloc(0)).rest.toString(),
    `X-Verdict: passed\r\n${textOf('hello')}`,
  );
  assert.deepEqual(withoutTrace(plain?.content ?? Buffer.alloc(0)).rest, mailOf('hello'));
  assert.ok(!plain?.content.includes('vip') && !vip?.content.includes('plain'), 'no recipient is told to another');
});

test('check says what would be kept here, and what the client would be told', async () => {
  const gateway = await start(strict({}));
  const ask = async (subject: string): Promise<string> => {
    const file = join(gateway.folder, 'mail.eml');
    writeFileSync(file, mailOf(subject));
    return await opes(gateway, 'check', '--from', 'a@src.test', '--to', 'b@dst.test', '--client', '192.0.2.1', file);
  };
  const held = await ask('quarantine x');
  assert.match(held, /verdicts +quarantined .*test of x/);
  assert.match(held, /b@dst\.test +-> +quarantine +held by verdicts \(verdict: test of x\)/);
  assert.match(held, /554/);
  const byBoth = "recipient.local == 'vip' && message.headers['subject'] == 'hello'";
  const split = await start(strict({ when: byBoth }));
  writeFileSync(join(split.folder, 'mail.eml'), mailOf('hello'));
  const to = ['--to', 'vip@dst.test', '--to', 'b@dst.test'];
  const said = await opes(split, 'check', '--client', '192.0.2.1', ...to, join(split.folder, 'mail.eml'));
  assert.match(said, /data +verdicts +vip@dst\.test +called: +rule true/);
  assert.match(said, /data +verdicts +b@dst\.test +not called: +rule false/);
  const later = await ask('always 60000');
  assert.match(later, /verdicts +delayed .*for 60 s: never ready/);
  assert.match(later, /b@dst\.test +-> +the spool, then \S+ +shown to verdicts again in 60 s/);
});
