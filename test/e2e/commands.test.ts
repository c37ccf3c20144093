/**
 * Commands outside of mails as clients, services and the next mail server meet them: a service of the SDK and an independent
 * server of draft-00 that knows nothing of replays, behind the real program; swaks before it, a real Postfix behind it.
 */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, test } from 'vitest';
import { Draft00 } from '../support/draft00.ts';
import { config, Gateway, SYSTEM_URI, serve } from '../support/gateway.ts';
import { Postfix } from '../support/postfix.ts';
import { SmtpTalk, verdict } from '../support/smtp-talk.ts';
import { swaks } from '../support/swaks.ts';

const MAIL = Buffer.from('From: <a@src.test>\r\nTo: <b@dst.test>\r\nSubject: greeted\r\n\r\nHello\r\n');
const MAY = ['refuse', 'rewrite-command', 'add-header'];
const COMMANDS = ['EHLO', 'VRFY'];
const SELECTED = { adaptive: ['EHLO', 'HELO', 'VRFY', 'RCPT', 'RAWDATA'], informative: ['IP'] };

let bare: Draft00;
let postfix: Postfix;
let gateway: Gateway;
let served: Awaited<ReturnType<typeof serve>>;
beforeAll(async () => {
  [bare, postfix, served] = await Promise.all([
    Draft00.start({
      ...SELECTED,
      rules: [{ part: 'EHLO', match: '^worse', error: '554 5.7.1 Not you either' }],
    }),
    Postfix.start({ settings: ['smtpd_authorized_xclient_hosts = 127.0.0.1'] }),
    serve(fileURLToPath(new URL('services/greets.ts', import.meta.url))),
  ]);
  const services = {
    greets: { connect: served.endpoint, may: MAY, commands: COMMANDS },
    bare: { connect: bare.endpoint, may: [...MAY, 'edit-content'], commands: COMMANDS },
  };
  const routes = [{ to: '*', nextHop: `smtp://127.0.0.1:${postfix.port}`, identity: 'xclient' }];
  gateway = await Gateway.start(config('', services, { routes }));
});
afterAll(async () => {
  await gateway.stop();
  await postfix.stop();
  await bare.stop();
  await served.child.stop();
});

test('swaks is refused at EHLO and at HELO, in the words of the service, with our trace', async () => {
  const mail = { port: gateway.port(), from: 'a@src.test', to: ['b@dst.test'], content: MAIL };
  const { code, replies, transcript } = await swaks({ ...mail, options: ['--helo', 'bad.test'] });
  assert.notEqual(code, 0);
  const refusals = replies.filter((reply) => reply.startsWith('550'));
  assert.ok(refusals.length > 0, transcript.join('\n'));
  for (const refusal of refusals) {
    assert.match(refusal, /^550-5\.7\.1 bad\.test at 127\.0\.0\.1 is not welcome\n550 5\.7\.1 OPES-System: /);
    assert.ok(refusal.includes(`${SYSTEM_URI}?id=`), refusal);
  }
  assert.ok(!replies.some((reply) => reply.startsWith('354')));
});

test('a changed greeting: the second service and Postfix have the new name, our Received the old one', async () => {
  const before = postfix.mails().length;
  const seen = bare.transactions().length;
  const mail = { port: gateway.port(), from: 'a@src.test', to: ['b@dst.test'], content: MAIL };
  const { code, transcript } = await swaks({ ...mail, options: ['--helo', 'OLD.test'] });
  assert.equal(code, 0, transcript.join('\n'));
  const [delivered] = (await postfix.waitForMails(before + 1)).slice(before);
  assert.match(delivered?.received ?? '', /^Received: from new\.test \(/);
  const content = delivered?.content.toString() ?? '';
  assert.match(content, /^Received: from OLD\.test \(/m);
  assert.match(content, /^X-Greeted: new\.test\r$/m);
  assert.match(
    content,
    /\/greets;outcome=greeting-edited,\s+\S+\/greets;outcome=header-added,\s+\S+\/bare;outcome=unchanged/,
  );
  const parts = bare
    .transactions()
    .slice(seen)
    .map((tx) => tx.parts.map(({ part, text }) => `${part} ${text}`).slice(0, 2));
  assert.deepEqual(parts, [
    ['IP [127.0.0.1]', 'EHLO new.test'],
    ['IP [127.0.0.1]', 'EHLO new.test'],
  ]);
  const line = gateway.logs().findLast(({ event }) => event === 'command');
  assert.deepEqual([line?.['argument'], line?.['changedTo'], line?.['outcome']], ['OLD.test', 'new.test', 'changed']);
});

test('a server of the draft alone refuses a greeting; the session goes on with another', async () => {
  const talk = await SmtpTalk.connect(gateway.port());
  const refused = await talk.say('EHLO worse.test');
  assert.deepEqual([refused.code, refused.lines[0]], [554, '5.7.1 Not you either']);
  assert.equal((await talk.say('MAIL FROM:<a@src.test>')).code, 503);
  assert.equal((await talk.say('EHLO better.test')).code, 250);
  const outcome = await talk.mail({ from: 'a@src.test', to: ['b@dst.test'], content: MAIL });
  assert.equal(verdict(outcome), 250);
  await talk.quit();
});

test('VRFY is refused by a service, and otherwise answered by us; EXPN, which nobody was to be asked about, is as ever', async () => {
  const talk = await SmtpTalk.hello(gateway.port());
  const refused = await talk.say('VRFY boss');
  assert.equal(refused.code, 550);
  assert.equal(refused.lines[0], '5.1.1 No such user, client.test');
  assert.equal((await talk.say('VRFY ann')).code, 252);
  assert.equal((await talk.say('EXPN boss')).code, 502);
  await talk.quit();
});

test('commands sent at once are answered in order, whatever the services take', async () => {
  const talk = await SmtpTalk.connect(gateway.port());
  talk.send('EHLO bad.test\r\nVRFY boss\r\nHELO good.test\r\nVRFY ann\r\nNOOP\r\n');
  const codes: number[] = [];
  for (let i = 0; i < 5; i++) codes.push((await talk.hear()).code);
  assert.deepEqual(codes, [550, 550, 250, 252, 250]);
  await talk.quit();
});

test('a client that hangs up while a service is asked: nobody waits for it', async () => {
  await bare.script({ ...SELECTED, fault: { kind: 'mute', on: 'EHLO' } });
  const talk = await SmtpTalk.connect(gateway.port());
  talk.send('EHLO gone.test\r\n');
  await bare.child.event('fault');
  talk.socket.destroy();
  const line = await gateway.child.until(
    () => gateway.logs().find(({ event, argument }) => event === 'command' && argument === 'gone.test'),
    'the line of the command',
  );
  assert.equal(line['outcome'], 'aborted');
  await bare.script(SELECTED);
  await bare.renegotiate();
});

test('a peer has so many look-ups under way as the file says, over all its sessions', async () => {
  await bare.script({ ...SELECTED, fault: { kind: 'mute', on: 'VRFY' } });
  const services = { bare: { connect: bare.endpoint, may: MAY, commands: COMMANDS } };
  const own = await Gateway.start(config('smtp://127.0.0.1:9', services, { limits: { inquiriesPerPeer: 1 } }));
  const [one, two] = [await SmtpTalk.hello(own.port()), await SmtpTalk.hello(own.port())];
  const before = bare.child.events('fault').length;
  one.send('VRFY held\r\n');
  await bare.child.until(() => bare.child.events('fault')[before], 'the service asked');
  const refused = await two.say('VRFY more');
  assert.deepEqual(
    [refused.code, refused.lines[0]],
    [451, '4.4.5 Too many commands are being checked; try again later'],
  );
  const ended = (argument: string, outcome: string) =>
    own.child.until(
      () => own.logs().find((line) => line['argument'] === argument && line['outcome'] === outcome),
      `the line of ${argument}`,
    );
  await ended('more', 'crowded');
  one.socket.destroy();
  await ended('held', 'aborted');
  await bare.script(SELECTED);
  await two.quit();
  await own.stop();
  await bare.renegotiate();
});

test('a server that is gone: the client may come again, and is served when it is back', async () => {
  await bare.script({ ...SELECTED, fault: { kind: 'die', on: 'EHLO', times: 2 } });
  const talk = await SmtpTalk.connect(gateway.port());
  const said = await talk.say('EHLO client.test');
  assert.equal(said.code, 451, said.lines.join('|'));
  const failed = gateway.logs().findLast(({ event }) => event === 'callout.failed');
  assert.equal(failed?.['service'], 'bare');
  await bare.script(SELECTED);
  const isUp = () => {
    const last = gateway
      .logs()
      .findLast(({ service, event }) => service === 'bare' && /^callout\.(?:up|down)$/.test(String(event)));
    return last?.['event'] === 'callout.up' ? true : undefined;
  };
  await gateway.child.until(isUp, 'the server back');
  assert.equal((await talk.say('EHLO client.test')).code, 250);
  await talk.quit();
});
