/**
 * What a person does with a report: copies out of it what a bypass request names, and sends the mail again with that (REQ-057). By the
 * field of the message as by the parameter, and not by whoever is nobody.
 */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { afterAll, test } from 'vitest';
import { config, Gateway, SYSTEM_URI, serve, withoutTrace } from '../support/gateway.ts';
import { NextHop } from '../support/next-hop.ts';
import { SmtpTalk, verdict } from '../support/smtp-talk.ts';
import { loggedIn, usersFile } from '../support/users.ts';

const USER = 'ann@src.test';
const MAIL = Buffer.from(`From: <${USER}>\r\nTo: <b@dst.test>\r\nSubject: report\r\n\r\nHello\r\n`);
const withField = (uri: string): Buffer => Buffer.concat([Buffer.from(`OPES-Bypass: ${uri}\r\n`), MAIL]);

const ends: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const end of ends.toReversed()) await end();
});

test('what a report names, copied into a request, is left out', async () => {
  const [hop, home] = [await NextHop.listen(), await NextHop.listen()];
  const refuses = await serve(fileURLToPath(new URL('services/refuses.ts', import.meta.url)));
  ends.push(
    () => hop.close(),
    () => home.close(),
    () => refuses.child.stop(),
  );
  const gateway = await Gateway.start(
    config(
      hop.url,
      // `config` makes services that may be left out.
      { refuses: { connect: refuses.endpoint, when: "recipient.local == 'strict'" } },
      {
        listeners: [
          { name: 'sub', address: '127.0.0.1:0', side: 'sender', auth: await usersFile(USER), requireTls: false },
          { name: 'mx', address: '127.0.0.1:0', side: 'recipient' },
        ],
        routes: [
          { to: 'dst.test', nextHop: hop.url },
          { to: 'src.test', nextHop: home.url },
        ],
      },
    ),
  );
  ends.push(() => gateway.stop());

  // Refused for one of two: the sender gets a report.
  const talk = await loggedIn(gateway.port('sub'), USER);
  const both = ['strict@dst.test', 'other@dst.test'];
  assert.equal(verdict(await talk.mail({ from: USER, to: both, content: MAIL })), 250);
  const report = (await home.waitForMails(1))[0]?.content.toString('latin1') ?? '';
  assert.match(report, /You may ask that your mail is handled without this service \(a bypass\)/);
  const named = report.match(/^ {4}https:\S+/gm)?.map((line) => line.trim()) ?? [];
  assert.equal(named.length, 2, 'the System, with the id of the mail, and the service');

  for (const uri of named) {
    const arrived = (await hop.waitForMails(1)).length;
    const params = `OPESBYPASS=${uri.replaceAll('=', '+3D')}`;
    assert.equal(verdict(await talk.mail({ from: USER, to: ['strict@dst.test'], content: MAIL, params })), 250, uri);
    const content = withField(uri);
    assert.equal(verdict(await talk.mail({ from: USER, to: ['strict@dst.test'], content })), 250, uri);
    for (const mail of (await hop.waitForMails(arrived + 2)).slice(arrived))
      assert.match(mail.content.toString('latin1'), /opes\/refuses;outcome=bypassed;bypass=honoured/);
  }
  await talk.quit();
  const lines = () => gateway.logs().filter(({ event }) => event === 'callout.bypassed');
  const logged = await gateway.child.until(() => (lines().length < 4 ? undefined : lines()), 'lines of the log');
  const by = logged.map((line) => line['by']);
  for (const form of ['OPES-Bypass', 'OPESBYPASS'])
    assert.equal(by.filter((one) => one === `${form} of login ${USER}`).length, 2, form);
  assert.equal(logged.length, 4, 'each honoured request has its line (REQ-263)');

  // A stranger who saw the report gets the same reply as before, whichever way he asks.
  const stranger = await SmtpTalk.hello(gateway.port('mx'));
  const uri = named[1] ?? '';
  for (const attempt of [{ params: `OPESBYPASS=${uri} OPESAUTH`, content: MAIL }, { content: withField(uri) }]) {
    const { content } = await stranger.mail({ from: USER, to: ['strict@dst.test'], ...attempt });
    assert.equal(content?.code, 550);
    assert.match(content?.lines.join('\n') ?? '', /OPES-System: https:\/\/gw\.test\/opes\?id=/);
  }
  await stranger.quit();
  assert.deepEqual(withoutTrace(hop.mails.at(-1)?.content ?? Buffer.alloc(0)).rest, withField(named[1] ?? ''));
});

test('EHLO says OPES on each listener, and a line of MAIL may be as much longer as that needs (REQ-087, REQ-088)', async () => {
  const hop = await NextHop.listen();
  ends.push(() => hop.close());
  hop.script = { extensions: ['PIPELINING', 'OPES'] };
  const gateway = await Gateway.start(config(hop.url));
  ends.push(() => gateway.stop());
  const talk = await SmtpTalk.connect(gateway.port());
  assert.ok((await talk.say('EHLO client.test')).lines.includes('OPES'));
  const uris = Array.from({ length: 20 }, (_, i) => `https://mail.example.com/opes/service-number/${i}`).join(',');
  assert.ok(uris.length > 930 && uris.length <= 960);
  const params = `OPESBYPASS=${uris} OPESTRACE`;
  assert.equal(verdict(await talk.mail({ from: 'a@src.test', to: ['b@dst.test'], content: MAIL, params })), 250);
  await talk.quit();
  const mail = (await hop.waitForMails(1))[0];
  assert.equal(
    mail?.mail,
    `<a@src.test> ${params}`,
    'without services, and without authority, it goes on as it came (REQ-092)',
  );
  assert.deepEqual(withoutTrace(mail?.content ?? Buffer.alloc(0)).rest, MAIL);
});

test('an embedded service is left out like any other, for a peer that the listener names (REQ-067)', async () => {
  const hop = await NextHop.listen();
  ends.push(() => hop.close());
  const uri = `${SYSTEM_URI}/banner`;
  const may = ['edit-content', 'edit-header', 'add-header'];
  const gateway = await Gateway.start(
    config(
      hop.url,
      {},
      {
        listeners: [{ name: 'mx', address: '127.0.0.1:0', side: 'recipient', bypassFrom: ['127.0.0.0/8'] }],
        services: { banner: { uri, run: 'builtin:banner', may } },
        pipeline: [{ service: 'banner' }],
      },
    ),
  );
  ends.push(() => gateway.stop());
  const talk = await SmtpTalk.hello(gateway.port());
  for (const [params, mark] of [
    [`OPESBYPASS=${uri} OPESAUTH`, 'outcome=bypassed;bypass=honoured'],
    [`OPESBYPASS=${uri}`, 'outcome=edited;bypass=refused;why=authority'],
  ] as const) {
    const mails = hop.mails.length;
    assert.equal(verdict(await talk.mail({ from: 'a@src.test', to: ['b@dst.test'], content: MAIL, params })), 250);
    const text = (await hop.waitForMails(mails + 1)).at(-1)?.content.toString('latin1') ?? '';
    assert.ok(text.replaceAll(/\r\n\t/g, ' ').includes(`opes/banner;${mark}`), text);
  }
  await talk.quit();
});
