/**
 * A real OpenSMTPD, with a parser of its own, as next hop and as the client of a real gateway (in the clear, with TLS, and logged in): what
 * it gets, hears and does with it.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, onTestFinished, test } from 'vitest';
import { type HopTls, NextHop } from '../../src/smtp/index.ts';
import { run } from '../support/child.ts';
import { Draft00 } from '../support/draft00.ts';
import { config, Gateway, OPES, withoutTrace } from '../support/gateway.ts';
import { NextHop as ScriptedHop } from '../support/next-hop.ts';
import { OpenSmtpd } from '../support/opensmtpd.ts';
import { SentMail, sendMail, type TestMail } from '../support/outbound.ts';
import { scratchFolder } from '../support/scratch.ts';
import { SmtpTalk, verdict } from '../support/smtp-talk.ts';
import { TestCa } from '../support/test-ca.ts';

const ca = new TestCa();
const own = ca.make('osmtpd.test', { names: 'DNS:osmtpd.test' });
const TO: TestMail = { rcpts: ['<b@dst.test>'] };

let server: OpenSmtpd;
const hops: NextHop[] = [];
beforeAll(async () => {
  server = await OpenSmtpd.start({ keys: own });
}, 300_000);
afterAll(async () => {
  for (const hop of hops) await hop.close(1000);
  await server.stop();
  ca[Symbol.dispose]();
});

function hopTo(port: number, tls: HopTls): NextHop {
  const hop = new NextHop({ address: { kind: 'smtp', host: '127.0.0.1', port }, tls, helo: 'us.example' });
  hops.push(hop);
  return hop;
}

// --- as next hop ----------------------------------------------------------------------------------------------------

test('many mails over one connection, each recipient with its own answer', async () => {
  const hop = hopTo(server.port, { policy: 'none' });
  for (let i = 0; i < 3; i++) {
    const sent = await sendMail(hop, { rcpts: ['<x@elsewhere.example>', '<b@dst.test>', '<nobody@dst.test>'] });
    assert.equal(sent.result, 250, server.log());
    assert.deepEqual(
      sent.rcptReplies.map((one) => one?.code),
      [550, 250, 524],
    );
  }
  assert.equal(hop.stats.opened, 1);
});

test('its STARTTLS fails: where TLS is wished for the mail goes without, where it is required it stays', async () => {
  const wished = await sendMail(hopTo(server.tlsPort, { policy: 'may' }), TO);
  assert.equal(wished.result, 250, server.log());
  const required = await sendMail(hopTo(server.tlsPort, { policy: 'require' }), TO);
  assert.equal(required.result, 'tls');
});

test('content arrives as it was; reports are asked for, as it offers DSN', async () => {
  const hop = hopTo(server.port, { policy: 'none' });
  // It adds a Date and a Message-ID where there are none.
  const header = 'Subject: whole\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <whole@src.test>\r\n';
  const content = [Buffer.from(`${header}\r\n.dot\r\n..two\r\n`), Buffer.alloc(300_000, 'a line\r\n')];
  const sent = new SentMail(hop, { ...TO, content, params: new Map([['RET', 'HDRS']]) });
  await sent.done;
  assert.equal(sent.result, 250, server.log());
  assert.equal(sent.out.passesDsn, true);
  const expected = Buffer.concat(content).toString().replaceAll('\r\n', '\n');
  const mail = await server.mail('Subject: whole');
  assert.ok(mail.endsWith(expected));
});

// --- as client ------------------------------------------------------------------------------------------------------

/** A gateway with one service, before the OpenSMTPD above; and another OpenSMTPD that relays to it. */
async function chain(
  how: 'plain' | 'tls' | 'login',
): Promise<{ client: OpenSmtpd; gateway: Gateway; service: Draft00 }> {
  const service = await Draft00.start({
    rules: [
      { part: 'RCPT', match: '<refused', error: '550 5.7.1 not to this one' },
      { part: 'RAWDATA', addHeader: ['X-Seen: yes'] },
    ],
  });
  const folder = scratchFolder('gateway');
  const user = await run(OPES, ['user', 'ann', '--sender', '@src.test'], { input: 'sesame\n' });
  writeFileSync(join(folder, 'users.yaml'), user.stdout, { mode: 0o600 });
  writeFileSync(join(folder, 'cert.pem'), own.cert);
  writeFileSync(join(folder, 'key.pem'), own.key, { mode: 0o600 });
  const tls = { tls: { cert: 'cert.pem', key: 'key.pem' }, requireTls: true };
  const auth = { side: 'sender', auth: 'users.yaml' };
  const listener = { name: 'in', address: '127.0.0.1:0', side: 'recipient' };
  const listeners = { plain: listener, tls: { ...listener, ...tls }, login: { ...listener, ...tls, ...auth } };
  const gateway = await Gateway.start(
    config(`smtp://127.0.0.1:${server.port}`, { seer: { connect: service.endpoint } }, { listeners: [listeners[how]] }),
    folder,
  );
  const scheme = how === 'plain' ? 'smtp+notls://' : how === 'tls' ? 'smtp+tls://' : 'smtp+tls://gw@';
  const client = await OpenSmtpd.start({
    keys: own,
    relayTo: `${scheme}127.0.0.1:${gateway.port()}`,
    relayOptions: how === 'plain' ? '' : how === 'tls' ? 'tls no-verify' : 'tls no-verify auth <secrets>',
  });
  onTestFinished(async () => {
    await client.stop();
    await gateway.stop();
    await service.stop();
  });
  return { client, gateway, service };
}

const contentOf = (subject: string): Buffer =>
  Buffer.from(
    `From: <a@src.test>\r\nTo: <b@dst.test>\r\nSubject: ${subject}\r\nDate: Sun, 22 Nov 2026 10:00:00 +0000\r\n` +
      'Message-ID: <1@src.test>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n' +
      `Content-Transfer-Encoding: 8bit\r\n\r\n.dot\r\n..two\r\nGr\u00fc\u00dfe\r\n${'long '.repeat(150)}\r\n.\r\n`,
  );

async function hand(client: OpenSmtpd, to: readonly string[], content: Buffer): Promise<void> {
  const talk = await SmtpTalk.hello(client.clientPort);
  assert.equal(verdict(await talk.mail({ from: 'a@src.test', to, content })), 250);
  await talk.quit();
}

for (const how of ['plain', 'tls', 'login'] as const) {
  test(`it relays to us (${how}): adapted, traced, and otherwise octet by octet`, async () => {
    const { client, gateway } = await chain(how);
    const content = contentOf(`by OpenSMTPD, ${how}`);
    await hand(client, ['b@dst.test'], content);
    assert.match(await client.told(/to=<b@dst\.test>.*Ok/), /250/);
    const mail = await server.mail(`Subject: by OpenSMTPD, ${how}`);
    assert.match(mail, /^X-Seen: yes$/m);
    // Above ours stand the lines of the OpenSMTPD that delivered it, below ours those of the one that sent it.
    const ours = mail.slice(mail.indexOf('Received: from client.osmtpd.test'));
    const { trace, rest } = withoutTrace(Buffer.from(ours.replaceAll('\n', '\r\n'), 'latin1'));
    assert.equal(trace.filter((line) => line.startsWith('OPES-System: ')).length, 1);
    const body = (octets: Buffer): string => octets.toString('latin1').split('\r\n\r\n').slice(1).join('\r\n\r\n');
    assert.equal(body(rest), body(content));
    const record = await gateway.child.until(() => gateway.logs().find(({ event }) => event === 'mail'), 'the mail');
    assert.deepEqual([record['helo'], record['outcome']], ['client.osmtpd.test', 'relayed']);
    assert.equal(record['user'], how === 'login' ? 'ann' : undefined);
  });
}

test('a recipient that our service refuses is refused to it for good; the other is delivered', async () => {
  const { client } = await chain('plain');
  await hand(client, ['refused@dst.test', 'b@dst.test'], contentOf('for one of two'));
  assert.match(await client.told(/to=<refused@dst\.test>.*PermFail/), /550/);
  await client.told(/to=<b@dst\.test>.*Ok/);
  assert.match(await server.mail('Subject: for one of two'), /^X-Seen: yes$/m);
  assert.ok(server.mails().every((mail) => !mail.includes('for <refused@dst.test>')));
});

test('a hop that is not there is a 451 to it, and it keeps the mail', async () => {
  const hop = await ScriptedHop.listen();
  const gateway = await Gateway.start(config(hop.url));
  await hop.close();
  const client = await OpenSmtpd.start({ keys: own, relayTo: `smtp+notls://127.0.0.1:${gateway.port()}` });
  onTestFinished(async () => {
    await client.stop();
    await gateway.stop();
  });
  await hand(client, ['b@dst.test'], contentOf('not now'));
  assert.match(await client.told(/to=<b@dst\.test>.*TempFail/), /451/);
});
