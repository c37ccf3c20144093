/** What a file says of its routes, done by the program: LMTP on a Unix socket; TLS that is verified, with a login. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, test } from 'vitest';
import { config, Gateway, withoutTrace } from '../support/gateway.ts';
import { eventually, scratchFolder } from '../support/scratch.ts';
import { Sink } from '../support/sink.ts';
import { SmtpTalk, verdict } from '../support/smtp-talk.ts';
import { TestCa } from '../support/test-ca.ts';

const MAIL = Buffer.from('Subject: hello\r\n\r\n.dot\r\nHi there.\r\n');
const USER = { user: 'opes', password: 'sesame, open' };

const ca = new TestCa();
const root = ca.make('root', { isIssuer: true });
const folder = scratchFolder('routes');
let lmtp: Sink;
let smartHost: Sink;
let stranger: Sink;
let gateway: Gateway;
beforeAll(async () => {
  const offers = ['PIPELINING', 'AUTH SCRAM-SHA-256 PLAIN'];
  const keys = ca.make('mx', { names: 'DNS:smart.example.com' }, root);
  const full = { verb: 'CONTENT', argument: '<full@lmtp.example>' };
  lmtp = await Sink.listen({
    lmtp: true,
    path: join(folder, 'lmtp'),
    answer: (c) => (c.verb === full.verb && c.argument === full.argument ? '452 4.2.2 Mailbox full\r\n' : undefined),
  });
  smartHost = await Sink.listen({ tls: 'implicit', offers, user: USER, keys });
  stranger = await Sink.listen({ tls: true });
  writeFileSync(join(folder, 'ca.pem'), root.cert);
  writeFileSync(join(folder, 'password'), `${USER.password}\n`, { mode: 0o600 });
  const verified = { tls: 'verify', tlsCa: join(folder, 'ca.pem'), tlsName: 'smart.example.com' };
  const auth = { user: USER.user, passwordFile: join(folder, 'password') };
  gateway = await Gateway.start(
    config(
      '',
      {},
      {
        routes: [
          { to: 'lmtp.example', nextHop: `lmtp+unix:${folder}/lmtp` },
          { to: 'smart.example', nextHop: `smtps://127.0.0.1:${smartHost.port}`, ...verified, auth },
          { to: 'stranger.example', nextHop: `smtp://127.0.0.1:${stranger.port}`, ...verified },
        ],
      },
    ),
  );
});
afterAll(async () => {
  await gateway.stop();
  await Promise.all([lmtp.close(), smartHost.close(), stranger.close()]);
  ca[Symbol.dispose]();
});

async function send(...to: string[]): Promise<number> {
  const talk = await SmtpTalk.hello(gateway.port());
  const outcome = await talk.mail({ from: 'a@src.test', to, content: MAIL });
  await talk.quit();
  return verdict(outcome);
}

test('LMTP: each recipient has an answer of its own', async () => {
  assert.equal(await send('b@lmtp.example', 'c@lmtp.example'), 250);
  const mails = await lmtp.mailsOf(2);
  assert.deepEqual(
    mails.map((mail) => mail.rcpts[0]),
    ['<b@lmtp.example>', '<c@lmtp.example>'],
  );
  for (const mail of mails) assert.deepEqual(withoutTrace(mail.content).rest, MAIL);
  // Two recipients are two answers, and the client hears one: what a mailbox does not take is tried again.
  assert.equal(await send('b@lmtp.example', 'full@lmtp.example'), 250);
  await lmtp.mailsOf(3);
  const isPutOff = (line: Readonly<Record<string, unknown>>): boolean =>
    line['event'] === 'delivery' && line['later'] !== undefined;
  await eventually(() => gateway.logs().some(isPutOff), 'a line of the delivery');
  const line = gateway.logs().find(isPutOff);
  assert.match(String(line?.['delivered']), /^b@lmtp\.example 250 /);
  assert.deepEqual(line?.['later'], ['full@lmtp.example 452 4.2.2 Mailbox full']);
  assert.deepEqual(lmtp.complaints, []);
});

test('TLS from the start, verified by a name of the route, and a login', async () => {
  assert.equal(await send('b@smart.example'), 250);
  const [mail] = await smartHost.mailsOf(1);
  assert.deepEqual([mail?.user, mail?.isSecure], ['opes', true]);
  assert.deepEqual(smartHost.complaints, []);
});

test('a next hop with another certificate gets nothing, and the log says why and what to do', async () => {
  const code = await send('b@stranger.example');
  assert.equal(code, 451);
  assert.equal(stranger.mails.length, 0);
  await eventually(() => gateway.logs().some((line) => line['event'] === 'next-hop.failed'), 'a line of the failure');
  const line = gateway.logs().find((one) => one['event'] === 'next-hop.failed');
  assert.equal(line?.['reason'], 'untrusted');
  assert.match(String(line?.['detail']), /SELF_SIGNED/);
  assert.match(String(line?.['fix']), /tlsCa/);
  assert.ok(!gateway.child.stderr.join('\n').includes('sesame'), 'no password in the log');
});
