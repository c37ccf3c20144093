/**
 * Mixed verdicts on one mail, told to real clients: Postfix's lmtp(8) at our LMTP listener, Exim by PRDR at our SMTP listener.
 * One recipient is delivered, a service refuses another, and an LMTP server behind us has no room for the third. Each client
 * knows at once, nothing is stored, and nobody is sent a report by us.
 */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, test } from 'vitest';
import { run } from '../support/child.ts';
import { Exim } from '../support/exim.ts';
import { config, Gateway, OPES, serve, withoutTrace } from '../support/gateway.ts';
import { NextHop } from '../support/next-hop.ts';
import { Postfix } from '../support/postfix.ts';
import { eventually } from '../support/scratch.ts';
import { Sink } from '../support/sink.ts';
import { SmtpTalk, stuff } from '../support/smtp-talk.ts';
import { TestCa } from '../support/test-ca.ts';

const TO = ['refused@one.test', 'plain@one.test', 'full@lmtp.test', 'yes@lmtp.test'];
const CODES = ['550', '250', '452', '250'];
const MAIL = Buffer.from('Subject: to four\r\n\r\nHi all.\r\n.dot\r\n');

const ca = new TestCa();
let hop: NextHop;
let lmtp: Sink;
let gateway: Gateway;
const ends: (() => Promise<unknown>)[] = [() => Promise.resolve(ca[Symbol.dispose]())];

beforeAll(async () => {
  hop = await NextHop.listen();
  lmtp = await Sink.listen({
    lmtp: true,
    answer: ({ verb, argument }) =>
      verb === 'CONTENT' && argument.includes('full@') ? '452 4.2.2 Mailbox full\r\n' : undefined,
  });
  const refuses = await serve(fileURLToPath(new URL('../e2e/services/refuses.ts', import.meta.url)));
  gateway = await Gateway.start(
    config(
      hop.url,
      { refuses: { connect: refuses.endpoint, when: "recipient.local == 'refused'" } },
      {
        listeners: [
          { name: 'mx', address: '127.0.0.1:0' },
          { name: 'box', address: '127.0.0.1:0', protocol: 'lmtp' },
        ],
        routes: [
          { to: 'one.test', nextHop: hop.url },
          { to: 'lmtp.test', nextHop: `lmtp://127.0.0.1:${lmtp.port}` },
        ],
      },
    ),
  );
  ends.push(
    () => hop.close(),
    () => lmtp.close(),
    () => refuses.child.stop(),
    () => gateway.stop(),
  );
});
afterAll(async () => {
  for (const end of ends.toReversed()) await end();
});

/** What the gateway says of the mails from `listener` that are over. */
function lines(listener: string): Record<string, unknown>[] {
  return gateway.logs().filter((line) => line['event'] === 'mail' && line['listener'] === listener);
}

async function queued(): Promise<string> {
  const listed = await run(OPES, ['queue', 'list', '--config', gateway.file]);
  assert.equal(listed.code, 0, listed.stderr);
  return listed.stdout;
}

function counts(listener: string): { hop: number; lmtp: number; lines: number } {
  return { hop: hop.mails.length, lmtp: lmtp.mails.length, lines: lines(listener).length };
}

/** The mail arrived for the two that took it, and is not in the spool for anybody. */
async function assertDelivered(listener: string, before: ReturnType<typeof counts>): Promise<void> {
  await eventually(() => lines(listener).length > before.lines, `a line of ${listener}`);
  const [line] = lines(listener).slice(-1);
  assert.deepEqual(
    (line?.['to'] as string[] | undefined)?.toSorted(),
    TO.map((to, i) => `${to} ${CODES[i]}`).toSorted(),
  );
  assert.equal(line?.['outcome'], 'relayed');
  const box = await lmtp.mailsOf(before.lmtp + 1);
  const arrived = [...hop.mails.slice(before.hop), ...box.slice(before.lmtp)];
  // Postfix adds ORCPT.
  assert.deepEqual(
    arrived.map(({ rcpts }) => rcpts.map((to) => to.replace(/ .*/, ''))),
    [['<plain@one.test>'], ['<yes@lmtp.test>']],
  );
  assert.doesNotMatch(await queued(), /@/);
}

test('by hand: LMTP and PRDR on the wire', async () => {
  for (const [listener, hello, mail, first, last] of [
    ['box', 'LHLO', 'MAIL FROM:<a@src.test>', [], []],
    ['mx', 'EHLO', 'MAIL FROM:<a@src.test> PRDR', ['353'], ['250']],
  ] as const) {
    const before = counts(listener);
    const talk = await SmtpTalk.connect(gateway.port(listener));
    const offers = (await talk.say(`${hello} client.test`)).lines;
    assert.equal(offers.includes('PRDR'), listener === 'mx');
    assert.equal((await talk.say(mail)).code, 250);
    for (const to of TO) assert.equal((await talk.say(`RCPT TO:<${to}>`)).code, 250);
    assert.equal((await talk.say('DATA')).code, 354);
    talk.send(stuff(MAIL));
    const expected = [...first, ...CODES, ...last];
    const heard: string[] = [];
    for (const _ of expected) {
      const { code, lines: text } = await talk.hear();
      heard.push(String(code));
      // The trace is in our service's refusal, and in no other.
      assert.equal(text.join(' ').includes('https://gw.test/opes'), code === 550, text.join(' '));
    }
    assert.deepEqual(heard, expected, listener);
    assert.equal((await talk.say('NOOP')).code, 250, 'and no reply more');
    await talk.quit();
    await assertDelivered(listener, before);
    const trace = withoutTrace(hop.mails.at(-1)?.content ?? Buffer.alloc(0));
    assert.deepEqual(trace.rest, MAIL);
    assert.match(trace.trace.join('\n'), listener === 'box' ? /\swith LMTP id / : /\swith ESMTP id /);
  }
});

test("Postfix's LMTP client: two sent, one bounced, one put off", async () => {
  const postfix = await Postfix.start({
    settings: [`default_transport = lmtp:inet:[127.0.0.1]:${gateway.port('box')}`, 'relayhost ='],
    servers: (port) => `127.0.0.1:${port} inet n - n - - smtpd\nlmtp unix - - n - - lmtp`,
  });
  ends.push(() => postfix.stop());
  const before = counts('box');
  const talk = await SmtpTalk.hello(postfix.port);
  const outcome = await talk.mail({ from: '', to: TO, content: MAIL });
  assert.equal(outcome.content?.code, 250);
  await talk.quit();
  const statuses = (): string[] =>
    TO.map((to) => new RegExp(`to=<${to}>.*status=(\\w+)`).exec(postfix.log())?.[1] ?? '-');
  await eventually(() => !statuses().includes('-'), 'four statuses');
  assert.deepEqual(statuses(), ['bounced', 'sent', 'deferred', 'sent'], postfix.log());
  assert.match(postfix.log(), /to=<refused@one\.test>.*550.*Content refused/s);
  await assertDelivered('box', before);
});

test('Exim by PRDR: two sent, one failed, one put off, in one transaction', async () => {
  const exim = await Exim.start(ca.make('exim.test'), { relayPort: gateway.port('mx') });
  ends.push(() => exim.stop());
  assert.match(await exim.version(), /\bPRDR\b/);
  const before = counts('mx');
  await exim.send('a@dst.test', TO, MAIL.toString().replaceAll('\r\n', '\n'));
  await exim.deliver();
  const log = exim.log();
  for (const [to, what] of [
    ['plain@one.test', '=> plain@one.test .*PRDR.*C="250 '],
    ['yes@lmtp.test', '[-=]> yes@lmtp.test .*PRDR.*C="250 '],
    ['refused@one.test', '\\*\\* refused@one.test .*PRDR error after .*: 550'],
    ['full@lmtp.test', '== full@lmtp.test .*defer.*PRDR error after .*: 452'],
  ] as const)
    assert.match(log, new RegExp(what), `${to}\n${log}`);
  await assertDelivered('mx', before);
  assert.equal(lines('mx').length, before.lines + 1);
});
