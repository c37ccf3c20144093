/**
 * What a callout server decides, as the sending program and the next mail server see it: the independent draft-00 server behind the
 * gateway, swaks before it, a real Postfix behind it. Each case once with everything sent back, once by reference, once with the
 * older spellings a bare peer may use.
 */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { Draft00, type Draft00Rule, type Draft00Script } from '../support/draft00.ts';
import { config, Gateway, SYSTEM_URI, withoutTrace } from '../support/gateway.ts';
import { Postfix } from '../support/postfix.ts';
import { swaks } from '../support/swaks.ts';

const MAIL = Buffer.from(
  'From: <a@src.test>\r\nTo: <b@dst.test>\r\nSubject: adapt\r\n\r\nthe quick brown fox\r\n.a dot\r\ncaf\xc3\xa9\r\n',
  'latin1',
);
const TEXT = MAIL.toString('latin1');

let callout: Draft00;
let postfix: Postfix;
let gateway: Gateway;
beforeAll(async () => {
  [callout, postfix] = await Promise.all([Draft00.start(), Postfix.start()]);
  const service = { connect: callout.endpoint, requires: ['RCPT', 'RAWDATA'] };
  gateway = await Gateway.start(config(`smtp://127.0.0.1:${postfix.port}`, { filter: service }));
});
afterAll(async () => {
  await gateway.stop();
  await postfix.stop();
  await callout.stop();
});

const manners: readonly (readonly [string, Draft00Script])[] = [
  ['everything sent back, Add-Header as one atom', { modp: false }],
  ['by reference, Add-Header as a list', { yours: true, addHeaderForm: 'list' }],
  ['the older `-Commands` lists', { alias: true, yours: true }],
];

for (const [manner, base] of manners) {
  describe(manner, () => {
    /** Scripts the server, sends one mail by swaks, and says what came of it. */
    async function send(rules: readonly Draft00Rule[], to: readonly string[] = ['b@dst.test']) {
      await callout.script({ ...base, rules });
      await callout.renegotiate(); // the part lists depend on the script
      const before = postfix.mails().length;
      const seen = callout.transactions().length;
      const sent = await swaks({ port: gateway.port(), from: 'a@src.test', to, content: MAIL });
      return { sent, before, transactions: () => callout.transactions().slice(seen) };
    }
    const arrived = async (before: number) => {
      const mail = (await postfix.waitForMails(before + 1)).slice(before)[0];
      assert.ok(mail !== undefined);
      const { trace, rest } = withoutTrace(mail.content);
      return { ...mail, trace, rest: rest.toString('latin1') };
    };

    test('untouched: bit-exact below the trace, which names system and service', async () => {
      const { sent, before, transactions } = await send([]);
      assert.equal(sent.code, 0, sent.transcript.join('\n'));
      const mail = await arrived(before);
      assert.equal(mail.rest, TEXT);
      const trace = mail.trace.join('\n');
      assert.ok(trace.includes(SYSTEM_URI) && trace.includes(`${SYSTEM_URI}/filter`), trace);
      const [tx] = transactions();
      assert.deepEqual(
        tx?.parts.filter((p) => p.part !== 'RAWDATA').map((p) => `${p.part} ${p.text}`),
        ['IP [127.0.0.1]', 'EHLO swaks.test', 'MAIL <a@src.test>', 'RCPT <b@dst.test>'],
      );
    });

    test('a refused recipient: swaks hears the reply, the other one gets the mail', async () => {
      const rule = { part: 'RCPT', match: '^<no@', error: '550 5.1.1 No such user here' } as const;
      const { sent, before } = await send([rule], ['no@dst.test', 'b@dst.test']);
      assert.equal(sent.code, 0, sent.transcript.join('\n'));
      const refusal = sent.replies.find((r) => r.startsWith('550')) ?? '';
      assert.ok(refusal.includes('5.1.1 No such user here'), sent.replies.join(' | '));
      assert.ok(refusal.includes(SYSTEM_URI), `the refusal says whose it is: ${refusal}`);
      const mail = await arrived(before);
      assert.equal(mail.to, 'b@dst.test');
      assert.equal(mail.rest, TEXT);
    });

    test('only refused recipients: nothing is sent on', async () => {
      const { sent, before } = await send([{ part: 'RCPT', error: '550 5.7.1 Not today' }], ['no@dst.test']);
      assert.equal(sent.code, 24, sent.transcript.join('\n'));
      assert.equal(postfix.mails().length, before);
    });

    test('a temporary refusal keeps its code', async () => {
      const { sent } = await send([{ part: 'RCPT', error: '450 4.2.1 Greylisted' }]);
      assert.ok(
        sent.replies.some((r) => r.startsWith('450') && r.includes('4.2.1 Greylisted')),
        sent.replies.join(' | '),
      );
    });

    test('a rewritten recipient: Postfix delivers to the new one', async () => {
      const { sent, before } = await send([{ part: 'RCPT', match: '^<b@', rewrite: '<other@dst.test>' }]);
      assert.equal(sent.code, 0, sent.transcript.join('\n'));
      const mail = await arrived(before);
      assert.equal(mail.to, 'other@dst.test');
      assert.equal(mail.rest, TEXT);
    });

    test('refused data with two lines: both are heard, ours before the last', async () => {
      const error = '550-5.7.1 Content refused\r\n550 5.7.1 Policy P-12';
      const { sent, before } = await send([{ part: 'RAWDATA', error }]);
      assert.equal(sent.code, 26, sent.transcript.join('\n'));
      const lines = sent.replies.at(-2)?.split('\n') ?? [];
      assert.deepEqual([lines[0], lines.at(-1)], ['550-5.7.1 Content refused', '550 5.7.1 Policy P-12']);
      assert.ok(lines.length >= 3 && lines.slice(1, -1).join('\n').includes(SYSTEM_URI), lines.join(' | '));
      assert.equal(postfix.mails().length, before);
    });

    test('rewritten content arrives, and nothing but the rewriting', async () => {
      const { sent, before } = await send([{ part: 'RAWDATA', replace: ['brown', 'red'] }]);
      assert.equal(sent.code, 0, sent.transcript.join('\n'));
      assert.equal((await arrived(before)).rest, TEXT.replace('brown', 'red'));
    });

    test('an added header stands below our trace, above the rest', async () => {
      const { sent, before } = await send([{ part: 'RAWDATA', addHeader: ['X-Spam-Score: 1.2'] }]);
      assert.equal(sent.code, 0, sent.transcript.join('\n'));
      const mail = await arrived(before);
      assert.equal(mail.rest, `X-Spam-Score: 1.2\r\n${TEXT}`);
    });

    test('headers and rewritten content in one answer, and a rewritten recipient before', async () => {
      const { sent, before } = await send([
        { part: 'RCPT', rewrite: '<three@dst.test>' },
        { part: 'RAWDATA', replace: ['fox', 'dog'], addHeader: ['X-One: 1', 'X-Two: 2'] },
      ]);
      assert.equal(sent.code, 0, sent.transcript.join('\n'));
      const mail = await arrived(before);
      assert.equal(mail.to, 'three@dst.test');
      const expected = TEXT.replace('fox', 'dog');
      assert.equal(mail.rest, `X-One: 1\r\nX-Two: 2\r\n${expected}`);
    });
  });
}
