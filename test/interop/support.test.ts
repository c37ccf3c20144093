/**
 * The instruments themselves: what they say of a mail must be so before anything of ours is judged by them. Real swaks,
 * smtp-source and Postfix meet the scripted next hop, without a line of src between.
 */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, test } from 'vitest';
import { NextHop } from '../support/next-hop.ts';
import { Postfix } from '../support/postfix.ts';
import { smtpSource } from '../support/smtp-source.ts';
import { SmtpTalk, verdict } from '../support/smtp-talk.ts';
import { swaks } from '../support/swaks.ts';

const ODD = Buffer.from(
  `Subject: odd\r\nX-Eight: caf\xc3\xa9 \xff\r\n\r\n.dot first\r\n..two\r\n${'x'.repeat(998)}\r\n${'y'.repeat(3000)}\r\n\r\nend\r\n`,
  'latin1',
);

let hop: NextHop;
let postfix: Postfix;
beforeAll(async () => {
  hop = await NextHop.listen();
  postfix = await Postfix.start();
});
afterAll(async () => {
  await postfix.stop();
  await hop.close();
});

test('the next hop keeps every octet, however the client cuts them', async () => {
  for (const content of [ODD, Buffer.alloc(0), Buffer.from('\r\n'), Buffer.from('.\r\n'), Buffer.from('a\0b\r\n')]) {
    hop.reset();
    const talk = await SmtpTalk.hello(hop.port);
    const outcome = await talk.mail({ from: 'a@src.test', to: ['b@dst.test', 'c@dst.test'], content });
    assert.equal(verdict(outcome), 250);
    await talk.quit();
    const [mail] = hop.mails;
    assert.deepEqual([mail?.mail, mail?.rcpts], ['<a@src.test>', ['<b@dst.test>', '<c@dst.test>']]);
    assert.deepEqual(mail?.content, content);
  }
  hop.reset();
  const talk = await SmtpTalk.hello(hop.port);
  const wire = 'MAIL FROM:<a@src.test>\r\nRCPT TO:<b@dst.test>\r\nDATA\r\n..one\r\n.\r\nBDAT 3\r\nNOOP\r\n';
  for (const octet of wire) talk.send(octet);
  const codes: number[] = [];
  for (let i = 0; i < 5; i++) codes.push((await talk.hear()).code);
  assert.deepEqual(codes, [250, 250, 354, 250, 554]);
  assert.equal(hop.mails[0]?.content.toString(), '.one\r\n');
  talk.destroy();
});

test('BDAT chunks are joined without a change', async () => {
  hop.reset({ extensions: ['CHUNKING'] });
  const talk = await SmtpTalk.hello(hop.port);
  talk.send('MAIL FROM:<>\r\nRCPT TO:<b@dst.test>\r\nBDAT 4\r\na\r\n.BDAT 0\r\nBDAT 5 LAST\r\n\0\xffz');
  for (let i = 0; i < 4; i++) assert.equal((await talk.hear()).code, 250);
  talk.send('yx');
  assert.equal((await talk.hear()).code, 250);
  assert.deepEqual(hop.mails[0]?.content.toString('latin1'), 'a\r\n.\0\xffzyx');
  assert.equal(hop.mails[0]?.by, 'BDAT');
  talk.destroy();
});

test('scripted refusals and faults of the next hop are what the client meets', async () => {
  hop.reset({
    replies: {
      RCPT: (to) => (to.startsWith('<no@') ? '550 5.1.1 nobody' : undefined),
      CONTENT: '554-5.6.0 a\r\n554 5.6.0 b',
    },
  });
  const talk = await SmtpTalk.hello(hop.port);
  const outcome = await talk.mail({ from: 'a@src.test', to: ['no@dst.test', 'b@dst.test'], content: ODD });
  assert.deepEqual(
    outcome.rcpts.map((r) => r.code),
    [550, 250],
  );
  assert.deepEqual(outcome.content, { code: 554, lines: ['5.6.0 a', '5.6.0 b'] });
  assert.equal(hop.mails.length, 0);
  hop.reset({ fault: { kind: 'die', on: 'CONTENT', times: 1 } });
  await assert.rejects(talk.mail({ from: 'a@src.test', to: ['b@dst.test'], content: ODD }), /closed/);
  assert.equal(hop.mails.length, 1, 'it had arrived whole all the same');
});

test('swaks sends the octets it is given and tells the replies', async () => {
  hop.reset({ replies: { CONTENT: '250-2.0.0 first\r\n250 2.0.0 last' } });
  const sent = await swaks({ port: hop.port, from: 'a@src.test', to: ['b@dst.test'], content: ODD });
  assert.equal(sent.code, 0, sent.transcript.join('\n'));
  assert.deepEqual(hop.mails[0]?.content, ODD);
  assert.ok(sent.replies.includes('250-2.0.0 first\n250 2.0.0 last'), sent.replies.join(' | '));
});

test('smtp-source numbers its recipients, so that each mail is one of a kind', async () => {
  hop.reset({ keepContent: false });
  await smtpSource({ port: hop.port, mails: 500, sessions: 20, octets: 1000, keep: true, numbered: true });
  assert.equal(hop.mails.length, 500);
  assert.equal(new Set(hop.mails.map((m) => m.rcpts[0])).size, 500);
});

test("Postfix's mailbox shows what it was given", async () => {
  const sent = await swaks({ port: postfix.port, from: 'a@src.test', to: ['b@dst.test'], content: ODD });
  assert.equal(sent.code, 0, sent.transcript.join('\n'));
  const [mail] = await postfix.waitForMails(1);
  assert.equal(mail?.from, 'a@src.test');
  assert.equal(mail?.to, 'b@dst.test');
  assert.deepEqual(mail?.content, ODD);
});
