/**
 * One mail, end to end, through the program as its users start it: the ready line, the trace on top of untouched octets, the same
 * id in reply, trace and log, and a clean end.
 */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, test } from 'vitest';
import { config, Gateway, SYSTEM_URI, withoutTrace } from '../support/gateway.ts';
import { NextHop } from '../support/next-hop.ts';
import { SmtpTalk, verdict } from '../support/smtp-talk.ts';

const MAIL = Buffer.from('From: <a@src.test>\r\nTo: <b@dst.test>\r\nSubject: hello\r\n\r\nHi there.\r\n');

let hop: NextHop;
let gateway: Gateway;
beforeAll(async () => {
  hop = await NextHop.listen();
  gateway = await Gateway.start(config(hop.url));
});
afterAll(async () => {
  await gateway.stop();
  await hop.close();
});

test('the ready line is the only line on stdout and names the real port', async () => {
  assert.equal(gateway.child.stdout.length, 1);
  assert.equal(gateway.ready.pid, gateway.child.pid);
  assert.ok(gateway.port('mx') > 0);
  const talk = await SmtpTalk.connect(gateway.port('mx'));
  await talk.quit();
});

test('a mail arrives with our trace on top and every octet below it as sent', async () => {
  hop.reset();
  const talk = await SmtpTalk.hello(gateway.port());
  const outcome = await talk.mail({ from: 'a@src.test', to: ['b@dst.test', 'c@dst.test'], content: MAIL });
  assert.equal(verdict(outcome), 250);
  await talk.quit();
  const [mail] = hop.mails;
  assert.equal(hop.mails.length, 1);
  assert.match(mail?.mail ?? '', /^<a@src\.test>/);
  assert.deepEqual(mail?.rcpts, ['<b@dst.test>', '<c@dst.test>']);
  const { trace, rest } = withoutTrace(mail?.content ?? Buffer.alloc(0));
  assert.deepEqual(rest, MAIL);
  assert.deepEqual(trace.map((line) => line.split(':')[0]).slice(0, 2), ['Received', 'OPES-System']);
  assert.ok(trace[0]?.includes('gw.test'), trace[0]);
  assert.ok(!trace[0]?.includes(' for '), 'no recipient is told to another');
  assert.ok(trace[1]?.includes(SYSTEM_URI), trace[1]);
});

test('one summary log line tells of the mail, under the id of the trace', async () => {
  hop.reset();
  const talk = await SmtpTalk.hello(gateway.port());
  await talk.mail({ from: 'log@src.test', to: ['b@dst.test'], content: MAIL });
  await talk.quit();
  const trace = withoutTrace(hop.mails[0]?.content ?? Buffer.alloc(0)).trace.join('\n');
  const line = await gateway.child.until(
    () => gateway.logs().find((l) => JSON.stringify(l).includes('log@src.test')),
    'summary line',
  );
  const id = /[?=/]([A-Za-z0-9_-]{8,}\.\d+)/.exec(trace)?.[1];
  assert.ok(id !== undefined, trace);
  assert.ok(JSON.stringify(line).includes(id), `${id} in ${JSON.stringify(line)}`);
});

test('several mails in one session, and RSET in between', async () => {
  hop.reset();
  const talk = await SmtpTalk.hello(gateway.port());
  for (let i = 0; i < 3; i++) {
    await talk.say('MAIL FROM:<dropped@src.test>');
    await talk.say('RCPT TO:<b@dst.test>');
    assert.equal((await talk.say('RSET')).code, 250);
    assert.equal(verdict(await talk.mail({ from: '', to: ['b@dst.test'], content: MAIL })), 250);
  }
  await talk.quit();
  assert.equal(hop.mails.length, 3);
  assert.ok(hop.mails.every((m) => m.mail.startsWith('<>')));
});

test('a pipelined envelope gets its replies in order', async () => {
  hop.reset({ replies: { RCPT: (to) => (to.startsWith('<no@') ? '550 5.1.1 nobody here' : undefined) } });
  const talk = await SmtpTalk.hello(gateway.port());
  talk.send(
    'MAIL FROM:<a@src.test>\r\nRCPT TO:<b@dst.test>\r\nRCPT TO:<no@dst.test>\r\nRCPT TO:<c@dst.test>\r\nDATA\r\n',
  );
  const codes: number[] = [];
  for (let i = 0; i < 5; i++) codes.push((await talk.hear()).code);
  assert.deepEqual(codes, [250, 250, 550, 250, 354]);
  talk.send('Subject: x\r\n\r\nx\r\n.\r\nNOOP\r\n');
  assert.equal((await talk.hear()).code, 250);
  assert.equal((await talk.hear()).code, 250);
  assert.deepEqual(hop.mails[0]?.rcpts, ['<b@dst.test>', '<c@dst.test>']);
  await talk.quit();
});

test("the next hop's own refusals reach the client, line by line", async () => {
  hop.reset({ replies: { MAIL: '553-5.1.8 not\r\n553 5.1.8 from there' } });
  const talk = await SmtpTalk.hello(gateway.port());
  const refusedSender = await talk.mail({ from: 'a@src.test', to: ['b@dst.test'], content: MAIL });
  assert.equal(verdict(refusedSender), 553);
  await talk.say('RSET');
  hop.reset({ replies: { CONTENT: '552-5.3.4 too\r\n552 5.3.4 large' } });
  const refused = await talk.mail({ from: 'a@src.test', to: ['b@dst.test'], content: MAIL });
  assert.deepEqual(refused.content, { code: 552, lines: ['5.3.4 too', '5.3.4 large'] });
  hop.reset({ replies: { RCPT: '421 4.3.2 closing' } });
  const closing = await talk.mail({ from: 'a@src.test', to: ['b@dst.test'], content: MAIL });
  assert.equal(verdict(closing), 451, "the next hop's 421 is not ours");
  await talk.quit();
});

test('SIGTERM ends it with exit 0', async () => {
  const second = await Gateway.start(config(hop.url));
  const exit = await second.stop();
  assert.deepEqual(exit, { code: 0, signal: null });
});
