/**
 * One mail to six recipients: two next hops, an LMTP server that refuses one of its two, one whose service refuses the
 * content, one that gets a banner, one that does not. Each gets exactly what its policy says; the sender, who logged in and
 * asked to hear of everything, learns exactly what happened; no copy shows another's blind recipients.
 */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { afterAll, test } from 'vitest';
import { run } from '../support/child.ts';
import { config, Gateway, OPES, SYSTEM_URI, serve, withoutTrace } from '../support/gateway.ts';
import { NextHop } from '../support/next-hop.ts';
import { Sink } from '../support/sink.ts';
import { stuff } from '../support/smtp-talk.ts';
import { loggedIn, usersFile } from '../support/users.ts';

const MAIL = Buffer.from(
  'From: <ann@src.test>\r\nTo: <plain@one.test>\r\nSubject: to six\r\nMessage-ID: <six@src.test>\r\n\r\nHi all.\r\n.\r\n',
);
const SIX = [
  'plain@one.test',
  'banner@one.test',
  'plain@two.test',
  'refused@two.test',
  'yes@lmtp.test',
  'full@lmtp.test',
] as const;

const service = (name: string): string => fileURLToPath(new URL(`services/${name}.ts`, import.meta.url));
const ends: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const end of ends.toReversed()) await end();
});

/** What reports say, by recipient. */
function actions(reports: readonly { readonly content: Buffer }[]): Map<string, string> {
  const found = new Map<string, string>();
  for (const { content } of reports) {
    const text = content.toString('latin1');
    for (const block of text.split(/\r\n\r\n/)) {
      const to = /^Final-Recipient: rfc822; ?(\S+)/m.exec(block)?.[1];
      const action = /^Action: (\w+)/m.exec(block)?.[1];
      if (to !== undefined && action !== undefined) found.set(to, action);
    }
  }
  return found;
}

test('each gets what its policy says, the sender learns what happened, and nobody sees the others', async () => {
  const [one, two, home] = [await NextHop.listen(), await NextHop.listen(), await NextHop.listen()];
  const lmtp = await Sink.listen({
    lmtp: true,
    answer: ({ verb, argument }) =>
      verb === 'CONTENT' && argument.includes('full@') ? '552 5.2.2 Mailbox full\r\n' : undefined,
  });
  const banners = await serve(service('banners'));
  const refuses = await serve(service('refuses'));
  ends.push(...[one, two, home, lmtp].map((hop) => () => hop.close()));
  ends.push(
    () => banners.child.stop(),
    () => refuses.child.stop(),
  );
  const gateway = await Gateway.start(
    config(
      one.url,
      {
        banners: { connect: banners.endpoint, when: "recipient.local == 'banner'" },
        refuses: { connect: refuses.endpoint, when: "recipient.local == 'refused'" },
      },
      {
        listeners: [
          {
            name: 'sub',
            address: '127.0.0.1:0',
            side: 'sender',
            auth: await usersFile('ann@src.test'),
            requireTls: false,
          },
        ],
        routes: [
          { to: 'one.test', nextHop: one.url },
          { to: 'two.test', nextHop: two.url },
          { to: 'lmtp.test', nextHop: `lmtp://127.0.0.1:${lmtp.port}` },
          { to: 'src.test', nextHop: home.url },
        ],
      },
    ),
  );
  ends.push(() => gateway.stop());

  const talk = await loggedIn(gateway.port(), 'ann@src.test');
  assert.equal((await talk.say('MAIL FROM:<ann@src.test> ENVID=six')).code, 250);
  for (const to of SIX) assert.equal((await talk.say(`RCPT TO:<${to}> NOTIFY=SUCCESS,FAILURE`)).code, 250, to);
  assert.equal((await talk.say('DATA')).code, 354);
  talk.send(stuff(MAIL));
  assert.equal((await talk.hear()).code, 250);
  await talk.quit();

  // What arrived, where.
  await one.waitForMails(2);
  await two.waitForMails(1);
  const [lmtpMail] = await lmtp.mailsOf(1);
  const got = [...one.mails, ...two.mails, ...(lmtpMail === undefined ? [] : [lmtpMail])];
  const byRecipient = new Map(
    got.flatMap((mail) => mail.rcpts.map((to) => [to.replace(/[<>]/g, '').split(' ')[0], mail.content])),
  );
  assert.deepEqual([...byRecipient.keys()].toSorted(), SIX.filter((to) => !/^(?:refused|full)@/.test(to)).toSorted());
  for (const [to, content] of byRecipient) {
    const { rest, trace } = withoutTrace(content);
    const banner = Buffer.from('X-Banner: yes\r\n');
    assert.deepEqual(rest, to?.startsWith('banner') === true ? Buffer.concat([banner, MAIL]) : MAIL, to);
    const systems = trace.filter((line) => line.startsWith('OPES-System:'));
    assert.equal(systems.length, 1, to);
    assert.ok(systems[0]?.startsWith(`OPES-System: ${SYSTEM_URI}?id=`), systems[0]);
    assert.equal(trace.join().includes('opes/banners'), to?.startsWith('banner') === true, to);
    assert.ok(!trace.join().includes('opes/refuses'), 'a service another met is not in the trace');
    // To names the one who is not blind.
    for (const other of SIX.slice(1)) assert.ok(!content.includes(other), `${other} shows in the copy of ${to}`);
  }

  // What the sender hears.
  await gateway.child.until(() => (actions(home.mails).size === SIX.length ? true : undefined), 'reports on all six');
  assert.deepEqual(
    new Map([...actions(home.mails)].toSorted(([a], [b]) => (a < b ? -1 : 1))),
    new Map([
      ['banner@one.test', 'relayed'],
      ['full@lmtp.test', 'failed'],
      ['plain@one.test', 'relayed'],
      ['plain@two.test', 'relayed'],
      ['refused@two.test', 'failed'],
      ['yes@lmtp.test', 'delivered'],
    ]),
  );
  const text = home.mails.map(({ content }) => content.toString('latin1')).join('\r\n');
  assert.match(text, /552 5\.2\.2 Mailbox full/);
  assert.match(text, /550 5\.7\.1 Content refused/);
  assert.match(text, /https:\/\/gw\.test\/opes\/refuses/);
  assert.ok(
    home.mails.every(({ mail }) => mail.startsWith('<>')),
    'reports have the null path',
  );
  // Nothing is left, and nothing is unaccounted for.
  const counters = await run(OPES, ['queue', 'counters', '--json', '--config', gateway.file]);
  const { accepted, delivered, reported, queued, held } = JSON.parse(counters.stdout) as Record<string, number>;
  assert.deepEqual([queued, held, reported], [0, 0, 2], counters.stdout);
  assert.equal(accepted, (delivered ?? 0) + (reported ?? 0));
});
