/**
 * The next hop dies, resets, falls silent, talks nonsense or trickles, at each of its replies and after any number of octets: the
 * client hears 451 or the truth, nothing is answered 250 that did not arrive whole, and the session lives on.
 */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { Draft00 } from '../support/draft00.ts';
import { config, Gateway, withoutTrace } from '../support/gateway.ts';
import { NextHop, type NextHopFault, type NextHopScript, type Point } from '../support/next-hop.ts';
import { SmtpTalk, verdict } from '../support/smtp-talk.ts';

const CONTENT = Buffer.from(`Subject: hop\r\n\r\n${'a line of text\r\n.dot\r\n'.repeat(12)}`);
const DEADLINE_MS = 1000;

let hop: NextHop;
let callout: Draft00;
let gateway: Gateway;
beforeAll(async () => {
  hop = await NextHop.listen();
  callout = await Draft00.start({ yours: true });
  const service = { connect: callout.endpoint, requires: ['RCPT', 'RAWDATA'], when: "listener.name == 'filtered'" };
  const listeners = ['plain', 'filtered'].map((name) => ({ name, address: '127.0.0.1:0', side: 'recipient' }));
  gateway = await Gateway.start(config(hop.url, { filter: service }, { listeners, deadline: `${DEADLINE_MS}ms` }));
});
afterAll(async () => {
  await gateway.stop();
  await callout.stop();
  await hop.close();
});

let ids = 0;
/** One mail in this session; returns its code and how often it arrived. */
async function send(talk: SmtpTalk): Promise<{ code: number; arrived: number; heard: string }> {
  const to = `m${++ids}@dst.test`;
  const outcome = await talk.mail({ from: 'a@src.test', to: [to], content: CONTENT });
  const code = verdict(outcome);
  if (code !== 250) await talk.say('RSET');
  const mails = hop.mails.filter((m) => m.rcpts.includes(`<${to}>`));
  for (const mail of mails)
    assert.deepEqual(withoutTrace(mail.content).rest, CONTENT, 'half a mail was taken for whole');
  const heard = JSON.stringify(outcome.content ?? outcome.data ?? outcome.rcpts[0] ?? outcome.mail);
  return { code, arrived: mails.length, heard };
}

async function meets(talk: SmtpTalk, script: NextHopScript, what: string): Promise<number> {
  hop.reset(script);
  const { code, arrived, heard } = await send(talk);
  if (code === 250) assert.equal(arrived, 1, `${what}: 250 for ${arrived} mails`);
  else assert.equal(code, 451, `${what}: ${heard}`);
  return code;
}

/** Pooled connections may have died with the fault; nothing of that may reach a mail. */
async function livesOn(talk: SmtpTalk, what: string): Promise<void> {
  hop.reset();
  const { code, arrived, heard } = await send(talk);
  assert.deepEqual([code, arrived], [250, 1], `${what}, and then: ${heard}`);
}

const POINTS: readonly Point[] = ['CONNECT', 'EHLO', 'MAIL', 'RCPT', 'DATA', 'CONTENT'];
/** Silence before the data phase has the patience of RFC 5321 (minutes); there the deadline from the final dot counts. */
const IMPATIENT = new Set<Point>(['DATA', 'CONTENT']);

for (const listener of ['plain', 'filtered']) {
  describe(`${listener} listener`, () => {
    for (const on of POINTS) {
      const kinds = (['die', 'reset', 'garbage', 'mute', 'slow'] as const).filter(
        (kind) => IMPATIENT.has(on) || (kind !== 'mute' && kind !== 'slow'),
      );
      for (const kind of kinds) {
        test(`${kind} in place of the reply to ${on}, on new and on pooled connections`, async () => {
          const talk = await SmtpTalk.hello(gateway.port(listener));
          // Each silence costs a deadline: on a pooled connection only.
          for (const pooled of kind === 'mute' || kind === 'slow' ? [true] : [false, true]) {
            const what = `${kind} at ${on}, ${pooled ? 'pooled' : 'new'} connection`;
            if (!pooled) hop.drop();
            if (on === 'CONNECT' || on === 'EHLO') hop.drop();
            assert.equal(await meets(talk, { fault: { kind, on } }, what), 451, what);
            await livesOn(talk, what);
            // Once only: what had not been sent whole may be sent again, what had been may not.
            const code = await meets(talk, { fault: { kind, on, times: 1 } }, `${what}, once`);
            if (on === 'CONTENT') assert.equal(code, 451, `${what}, once: sent twice or believed`);
            await livesOn(talk, what);
          }
          await talk.quit();
        });
      }
    }

    test('cut after any number of octets', async () => {
      const talk = await SmtpTalk.hello(gateway.port(listener));
      for (let received = 1; received < 1200; received += listener === 'plain' ? 7 : 29) {
        const fault: NextHopFault = { kind: received % 2 === 0 ? 'die' : 'reset', received };
        await meets(talk, { fault }, `cut after ${received} octets`);
        await livesOn(talk, `cut after ${received} octets`);
      }
      await talk.quit();
    });

    test('a pooled connection that died unnoticed costs nobody a mail', async () => {
      const talk = await SmtpTalk.hello(gateway.port(listener));
      for (let i = 0; i < 5; i++) {
        await livesOn(talk, 'a dropped pool');
        hop.drop();
      }
      await talk.quit();
    });

    test('no next hop at all: 451, until it is back', async () => {
      const talk = await SmtpTalk.hello(gateway.port(listener));
      await hop.close();
      const { code, heard } = await send(talk);
      assert.equal(code, 451, heard);
      await hop.open();
      await livesOn(talk, 'back again');
      await talk.quit();
    });
  });
}

const strange: readonly (readonly [string, NextHopScript])[] = [
  ['two replies to one RCPT', { replies: { RCPT: '250 2.1.5 ok\r\n250 2.1.5 and ok' } }],
  ['a final reply sent with the 354', { replies: { DATA: '354 go\r\n250 2.0.0 kept already' } }],
  ['a reply of two codes', { replies: { CONTENT: '250-2.0.0 yes\r\n550 5.0.0 no' } }],
  ['2yz in place of 354', { replies: { DATA: '250 2.0.0 what for' } }],
  ['354 in place of the last reply', { replies: { CONTENT: '354 more' } }],
  ['a line without end', { replies: { CONTENT: `250 ${'x'.repeat(100_000)}` } }],
  ['lines without end', { replies: { CONTENT: '250-x\r\n'.repeat(50_000).concat('250 y') } }],
];
for (const [what, script] of strange) {
  test(`${what}: the client is told nothing that is not so`, async () => {
    const talk = await SmtpTalk.hello(gateway.port('plain'));
    hop.drop();
    hop.reset(script);
    const { code, arrived, heard } = await send(talk);
    assert.ok(code === 250 ? arrived === 1 : code >= 400 && code < 500, `${what}: ${heard}, arrived ${arrived}`);
    hop.drop();
    await livesOn(talk, what);
    await talk.quit();
  });
}

test('control octets in a reply of the next hop do not reach the client', async () => {
  const talk = await SmtpTalk.hello(gateway.port('plain'));
  for (const text of ['bad\0\x1b[31mthing\x7f\xff', 'a\rbare CR', 'a\nbare LF', 'eight \xff bits']) {
    hop.reset({ replies: { CONTENT: `554 5.7.1 ${text}` } });
    const outcome = await talk.mail({ from: 'a@src.test', to: ['b@dst.test'], content: CONTENT });
    const { code = 0, lines = [] } = outcome.content ?? {};
    assert.ok(code === 554 || code === 451, `${code} ${lines.join('|')}`);
    assert.ok(
      lines.every((line) => /^[\x20-\x7e]*$/.test(line)),
      JSON.stringify(lines),
    );
  }
  await talk.quit();
});
