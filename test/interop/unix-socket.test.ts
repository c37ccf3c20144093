/**
 * A real Postfix at our Unix sockets, as its users set it up (docs/operate.md): lmtp(8) by `lmtp:unix:/path`, which hears what
 * became of each recipient, and `smtpd_proxy_filter = unix:/path`. Who Postfix's own client was is told by XFORWARD.
 */
import assert from 'node:assert/strict';
import { chmodSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, test } from 'vitest';
import { run } from '../support/child.ts';
import { config, Gateway, serve, withoutTrace } from '../support/gateway.ts';
import { NextHop } from '../support/next-hop.ts';
import { Postfix } from '../support/postfix.ts';
import { needPrograms } from '../support/programs.ts';
import { eventually, scratchFolder } from '../support/scratch.ts';
import { Sink } from '../support/sink.ts';
import { SmtpTalk, verdict } from '../support/smtp-talk.ts';

const TO = ['refused@one.test', 'plain@one.test', 'full@lmtp.test'];
const MAIL = Buffer.from('Subject: to three\r\n\r\nHi all.\r\n.dot\r\n');

let hop: NextHop;
let mailbox: Sink;
let gateway: Gateway;
let folder: string;
const ends: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  await needPrograms('postfix');
  hop = await NextHop.listen();
  mailbox = await Sink.listen({
    lmtp: true,
    answer: ({ verb, argument }) =>
      verb === 'CONTENT' && argument.includes('full@') ? '452 4.2.2 Mailbox full\r\n' : undefined,
  });
  const refuses = await serve(fileURLToPath(new URL('../e2e/services/refuses.ts', import.meta.url)));
  folder = scratchFolder('unix');
  // Postfix's own users have to pass through; the sockets are for its group alone.
  chmodSync(folder, 0o755);
  const local = { group: 'postfix', xforwardFrom: ['unix'] };
  gateway = await Gateway.start(
    config(
      hop.url,
      { refuses: { connect: refuses.endpoint, when: "recipient.local == 'refused'" } },
      {
        listeners: [
          { name: 'box', address: `unix:${folder}/lmtp.sock`, protocol: 'lmtp', ...local },
          { name: 'filter', address: `unix:${folder}/filter.sock`, relayFrom: ['unix'], ...local },
        ],
        routes: [
          { to: 'one.test', nextHop: hop.url },
          { to: 'lmtp.test', nextHop: `lmtp://127.0.0.1:${mailbox.port}` },
          { to: '*', nextHop: hop.url },
        ],
      },
    ),
  );
  ends.push(
    () => hop.close(),
    () => mailbox.close(),
    () => refuses.child.stop(),
    () => gateway.stop(),
  );
});
afterAll(async () => {
  for (const end of ends.toReversed()) await end();
});

const mails = (listener: string) =>
  gateway.logs().filter((line) => line['event'] === 'mail' && line['listener'] === listener);

test('lmtp:unix: one recipient sent, one bounced, one put off, in one transaction', async () => {
  const postfix = await Postfix.start({
    settings: [`default_transport = lmtp:unix:${folder}/lmtp.sock`, 'relayhost =', 'lmtp_send_xforward_command = yes'],
    servers: (port) => `127.0.0.1:${port} inet n - n - - smtpd\nlmtp unix - - n - - lmtp`,
  });
  ends.push(() => postfix.stop());
  const { gid, mode } = statSync(join(folder, 'lmtp.sock'));
  const group = Number((await run('getent', ['group', 'postfix'])).stdout.split(':')[2]);
  assert.deepEqual([gid, mode & 0o777], [group, 0o660]);

  const talk = await SmtpTalk.hello(postfix.port, 'desk.src.test');
  assert.equal(verdict(await talk.mail({ from: '', to: TO, content: MAIL })), 250);
  await talk.quit();
  const statuses = (): string[] =>
    TO.map((to) => new RegExp(`to=<${to}>.*status=(\\w+)`).exec(postfix.log())?.[1] ?? '-');
  await eventually(() => !statuses().includes('-'), 'three statuses');
  assert.deepEqual(statuses(), ['bounced', 'sent', 'deferred'], postfix.log());
  assert.match(postfix.log(), new RegExp(`to=<plain@one\\.test>, relay=pf\\.test\\[${folder}/lmtp\\.sock\\]`));
  assert.match(postfix.log(), /to=<refused@one\.test>.*550.*Content refused/s);

  await eventually(() => mails('box').length > 0, 'the mail in our log');
  const [line, ...more] = mails('box');
  assert.equal(more.length, 0);
  assert.deepEqual((line?.['to'] as string[] | undefined)?.toSorted(), [
    'full@lmtp.test 452',
    'plain@one.test 250',
    'refused@one.test 550',
  ]);
  // Postfix's client, by XFORWARD; the socket itself has no address to show.
  assert.deepEqual([line?.['client'], line?.['helo']], ['127.0.0.1', 'desk.src.test']);
  const { trace, rest } = withoutTrace(hop.mails.at(-1)?.content ?? Buffer.alloc(0));
  assert.match(trace[0] ?? '', /^Received: from desk\.src\.test \(.*\[127\.0\.0\.1\]\).*\swith LMTP id /s);
  assert.ok(rest.toString('latin1').endsWith('Subject: to three\r\n\r\nHi all.\r\n.dot\r\n'));
  assert.deepEqual(
    hop.mails.at(-1)?.rcpts.map((to) => to.replace(/ .*/, '')),
    ['<plain@one.test>'],
  );
});

test('smtpd_proxy_filter = unix: a refusal is Postfix’s own, before it takes the mail', async () => {
  const postfix = await Postfix.start({ settings: [`smtpd_proxy_filter = unix:${folder}/filter.sock`] });
  ends.push(() => postfix.stop());
  const talk = await SmtpTalk.hello(postfix.port, 'desk.src.test');
  const before = hop.mails.length;
  assert.equal(verdict(await talk.mail({ from: 'a@src.test', to: ['far@away.test'], content: MAIL })), 250);
  assert.equal(verdict(await talk.mail({ from: 'a@src.test', to: ['refused@one.test'], content: MAIL })), 550);
  await talk.quit();
  assert.equal(hop.mails.length, before + 1);
  await eventually(() => mails('filter').length === 2, 'two mails in our log');
  assert.deepEqual(
    mails('filter').map((line) => [line['client'], line['outcome']]),
    [
      ['127.0.0.1', 'relayed'],
      ['127.0.0.1', 'refused'],
    ],
  );
});
