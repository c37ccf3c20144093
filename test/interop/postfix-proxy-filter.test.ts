/**
 * A real Postfix hands its clients' mail through the gateway before it takes it (`smtpd_proxy_filter`): rules, services and trace
 * see the client that Postfix sees, the mail goes on bit by bit, and nothing is permitted by what XFORWARD says.
 */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, test } from 'vitest';
import { config, Gateway, withoutTrace } from '../support/gateway.ts';
import { Postfix } from '../support/postfix.ts';
import { Sink } from '../support/sink.ts';
import { SmtpTalk } from '../support/smtp-talk.ts';

const BODY = Buffer.from(
  `Subject: odd\r\nX-Eight: caf\xc3\xa9 \xff\r\n\r\n.dot first\r\n..two\r\n${'x'.repeat(990)}\r\n\r\nend\r\n`,
  'latin1',
);

let sink: Sink;
let gateway: Gateway;
let postfix: Postfix;

beforeAll(async () => {
  sink = await Sink.listen();
  gateway = await Gateway.start(
    config(
      `smtp://127.0.0.1:${sink.port}`,
      {},
      {
        listeners: [{ name: 'filter', address: '127.0.0.1:0', xforwardFrom: ['127.0.0.1'] }],
      },
    ),
  );
  postfix = await Postfix.start({
    settings: [
      `smtpd_proxy_filter = 127.0.0.1:${gateway.port()}`,
      // So that a test may come from anywhere.
      'smtpd_authorized_xclient_hosts = 127.0.0.1',
      'inet_protocols = all',
    ],
  });
});
afterAll(async () => {
  await postfix.stop();
  await gateway.stop();
  await sink.close();
});

/** A client of Postfix with this address and greeting. */
async function clientFrom(attributes: string, helo: string): Promise<SmtpTalk> {
  const talk = await SmtpTalk.hello(postfix.port, 'proxy.test');
  const restarted = await talk.say(`XCLIENT ${attributes}`);
  assert.equal(restarted.code, 220, restarted.lines.join(' '));
  const hello = await talk.say(`EHLO ${helo}`);
  assert.equal(hello.code, 250, hello.lines.join(' '));
  return talk;
}

test('the trace shows the original client, and the mail is bit-exact', async () => {
  const talk = await clientFrom('NAME=client.example.org ADDR=192.0.2.77 PROTO=ESMTP', 'client.example.org');
  const before = sink.mails.length;
  const replies = [
    // What Postfix passes on as it came.
    await talk.say(`MAIL FROM:<a@src.test> SIZE=${BODY.length} BODY=8BITMIME RET=HDRS ENVID=e1`),
    await talk.say('RCPT TO:<b@dst.test> NOTIFY=FAILURE,DELAY ORCPT=rfc822;b@dst.test'),
    await talk.say('DATA'),
  ];
  assert.deepEqual(
    replies.map(({ code }) => code),
    [250, 250, 354],
    JSON.stringify(replies),
  );
  talk.send(`${BODY.toString('latin1').replaceAll('\r\n.', '\r\n..')}.\r\n`);
  const taken = await talk.hear();
  assert.equal(taken.code, 250, taken.lines.join(' '));
  const mails = await sink.mailsOf(before + 1);
  const { trace, rest } = withoutTrace(mails.at(-1)?.content ?? Buffer.alloc(0));
  const [ours = '', ...others] = trace;
  assert.match(ours, /^Received: from client\.example\.org \(client\.example\.org \[192\.0\.2\.77\]\)/);
  // Postfix puts its own `Received` on top before it passes the mail on.
  assert.ok(
    others.some((line) => /^Received:.*192\.0\.2\.77.*by pf\.test/s.test(line)),
    trace.join('\n'),
  );
  assert.deepEqual(rest, BODY);
  talk.destroy();
});

test('each mail of a connection has its own client; one that Postfix knows nothing of is unknown', async () => {
  for (const [attributes, shown] of [
    ['ADDR=IPV6:2001:db8::7 NAME=[UNAVAILABLE]', /\[IPv6:2001:db8::7\]/],
    ['ADDR=192.0.2.78 NAME=[TEMPUNAVAIL]', /\[192\.0\.2\.78\]/],
  ] as const) {
    const before = sink.mails.length;
    const talk = await clientFrom(attributes, 'other.example.org');
    await talk.say('MAIL FROM:<>');
    await talk.say('RCPT TO:<b@dst.test>');
    await talk.say('DATA');
    talk.send(`${BODY.toString('latin1').replaceAll('\r\n.', '\r\n..')}.\r\n`);
    assert.equal((await talk.hear()).code, 250);
    const mails = await sink.mailsOf(before + 1);
    assert.match(withoutTrace(mails.at(-1)?.content ?? Buffer.alloc(0)).trace[0] ?? '', shown);
    talk.destroy();
  }
});

test('a refusal of ours reaches the client by Postfix', async () => {
  const talk = await clientFrom('ADDR=192.0.2.79', 'loop.example.org');
  await talk.say('MAIL FROM:<a@src.test>');
  await talk.say('RCPT TO:<b@dst.test>');
  await talk.say('DATA');
  // With Postfix's own, one hop more than the gateway takes.
  talk.send(`${'Received: from a by b\r\n'.repeat(50)}Subject: loop\r\n\r\nx\r\n.\r\n`);
  const answer = await talk.hear();
  assert.match(`${answer.code} ${answer.lines[0]}`, /^554 5\.4\.6 /);
  talk.destroy();
});
