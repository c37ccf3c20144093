/**
 * Many mails at once: 20,000 over 100 sessions arrive exactly once each, through a callout server, on one OCP connection; and a
 * gateway told to end in the middle of a load finishes what it began.
 */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, test } from 'vitest';
import { Draft00 } from '../support/draft00.ts';
import { config, Gateway } from '../support/gateway.ts';
import { NextHop } from '../support/next-hop.ts';
import { smtpSource } from '../support/smtp-source.ts';
import { SmtpTalk, verdict } from '../support/smtp-talk.ts';

const MAILS = 20_000;
const MANY = { maxConnections: 500, maxConnectionsPerPeer: 500 };

let hop: NextHop;
let callout: Draft00;
beforeAll(async () => {
  hop = await NextHop.listen({ keepContent: false });
  callout = await Draft00.start({ yours: true, rules: [{ part: 'RAWDATA', addHeader: ['X-Scan: yes'] }] });
});
afterAll(async () => {
  await callout.stop();
  await hop.close();
});

const start = async (): Promise<Gateway> =>
  await Gateway.start(
    config(
      hop.url,
      { filter: { connect: callout.endpoint, requires: ['RCPT', 'RAWDATA'] } },
      { listeners: [{ name: 'mx', address: '127.0.0.1:0', side: 'recipient', ...MANY }] },
    ),
  );

test('20,000 mails by smtp-source over 100 sessions: each arrives exactly once', async () => {
  const gateway = await start();
  const connected = callout.child.events('connected').length;
  await smtpSource({ port: gateway.port(), mails: MAILS, sessions: 100, octets: 1000, keep: true, numbered: true });
  assert.equal(hop.mails.length, MAILS);
  assert.equal(new Set(hop.mails.map((m) => m.rcpts[0])).size, MAILS);
  assert.ok(hop.mails.every((m) => m.rcpts.length === 1 && m.octets > 1000));
  assert.ok(connected <= 1 && callout.child.events('connected').length <= 1, 'one OCP connection carries all of this');
  assert.deepEqual(await gateway.stop(), { code: 0, signal: null });
});

test('SIGTERM under load: what was answered 250 arrived, what arrived is no half, and it ends by itself', async () => {
  hop.reset({ keepContent: false });
  const gateway = await start();
  const answered: string[] = [];
  const stopped: string[] = [];
  let goes = true;
  const session = async (s: number): Promise<void> => {
    const talk = await SmtpTalk.hello(gateway.port());
    for (let n = 0; goes; n++) {
      const to = `s${s}n${n}@dst.test`;
      const outcome = await talk.mail({
        from: 'a@src.test',
        to: [to],
        content: Buffer.from(`Subject: ${to}\r\n\r\nx\r\n`),
      });
      if (verdict(outcome) === 250) answered.push(`<${to}>`);
      else {
        stopped.push(String(verdict(outcome)));
        return;
      }
    }
  };
  const sessions = Array.from({ length: 20 }, (_, s) => session(s).catch(() => undefined));
  await hop.waitForMails(200);
  const exit = await gateway.stop();
  goes = false;
  await Promise.all(sessions);
  assert.deepEqual(exit, { code: 0, signal: null });
  const arrived = new Set(hop.mails.map((m) => m.rcpts[0]));
  assert.equal(hop.mails.length, arrived.size, 'nothing twice');
  assert.deepEqual(
    answered.filter((to) => !arrived.has(to)),
    [],
  );
  assert.ok(
    stopped.every((code) => code === '421' || code === '451'),
    stopped.join(' '),
  );
});

test('a mail under way when SIGTERM comes is finished; new clients are turned away', async () => {
  hop.reset();
  const gateway = await start();
  const talk = await SmtpTalk.hello(gateway.port());
  await talk.say('MAIL FROM:<a@src.test>');
  await talk.say('RCPT TO:<last@dst.test>');
  assert.equal((await talk.say('DATA')).code, 354);
  talk.send('Subject: last\r\n\r\n');
  const port = gateway.port();
  const exit = gateway.stop();
  await gateway.child.until(
    () => gateway.logs().find((l) => /drain|stop|shut|clos|term/i.test(JSON.stringify(l))),
    'word of the drain',
  );
  talk.send('the rest\r\n.\r\n');
  assert.equal((await talk.hear()).code, 250);
  assert.deepEqual(await exit, { code: 0, signal: null });
  assert.equal(hop.mails.length, 1);
  await assert.rejects(SmtpTalk.connect(port));
});
