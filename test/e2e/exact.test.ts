/**
 * Untouched content arrives octet by octet: the table of odd contents, through no service, through one that sends all of it back and
 * through one that answers by reference, by DATA and by BDAT, in one piece and in pieces of one octet.
 */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { Draft00 } from '../support/draft00.ts';
import { config, Gateway, withoutTrace } from '../support/gateway.ts';
import { NextHop } from '../support/next-hop.ts';
import { SmtpTalk, stuff } from '../support/smtp-talk.ts';

const every = Buffer.from(Array.from({ length: 256 }, (_, i) => i)).filter((c) => c !== 13 && c !== 10);
const HEAD = 'Subject: exact\r\n\r\n';
const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1');

const contents: readonly (readonly [string, Buffer])[] = [
  ['all octets but CR and LF', Buffer.concat([latin1(HEAD), Buffer.from(every), latin1('\r\n')])],
  ['leading dots', latin1(`${HEAD}.\r\n..\r\n...x\r\n.MAIL FROM:<a@b>\r\n\r\n.\r\n`)],
  ['a dot first of all', latin1('.X: y\r\n\r\nz\r\n')],
  ['a line of 998 octets', latin1(`${HEAD}${'x'.repeat(998)}\r\n`)],
  ['longer lines', latin1(`${HEAD}${'y'.repeat(999)}\r\n${'z'.repeat(5000)}\r\n.${'d'.repeat(2000)}\r\n`)],
  ['an empty body', latin1(HEAD)],
  ['a header without body or empty line', latin1('Subject: exact\r\n')],
  ['nothing at all', Buffer.alloc(0)],
  ['one empty line', latin1('\r\n')],
  ['NUL in header and body', latin1('Subject: a\0b\r\n\r\n\0\0x\0\r\n')],
  ['many empty lines at the end', latin1(`${HEAD}x\r\n\r\n\r\n\r\n`)],
  ['300 KiB, beyond what memory keeps', latin1(`${HEAD}${'The quick brown fox.\r\n.dot\r\n'.repeat(11_000)}`)],
];
const unended: readonly (readonly [string, Buffer])[] = [
  ['no newline at the end', latin1(`${HEAD}last words`)],
  ['a dot at the end', latin1(`${HEAD}x\r\n.`)],
];

let hop: NextHop;
let callout: Draft00;
let gateway: Gateway;
beforeAll(async () => {
  hop = await NextHop.listen();
  callout = await Draft00.start();
  const both = { connect: callout.endpoint, requires: ['RAWDATA'] };
  gateway = await Gateway.start(
    config(
      hop.url,
      { filter: { ...both, when: "listener.name == 'filtered'" } },
      {
        listeners: [
          { name: 'plain', address: '127.0.0.1:0', side: 'recipient' },
          { name: 'filtered', address: '127.0.0.1:0', side: 'recipient' },
        ],
      },
    ),
  );
});
afterAll(async () => {
  await gateway.stop();
  await callout.stop();
  await hop.close();
});

const ways = [
  { name: 'no service', listener: 'plain', script: {} },
  { name: 'a service that sends all of it back', listener: 'filtered', script: { yours: false } },
  { name: 'a service that answers by reference', listener: 'filtered', script: { yours: true } },
] as const;
const CHUNKING = ['PIPELINING', '8BITMIME', 'SMTPUTF8', 'ENHANCEDSTATUSCODES', 'CHUNKING'];

for (const way of ways) {
  describe(way.name, () => {
    async function through(send: (talk: SmtpTalk) => Promise<number>, extensions?: readonly string[]): Promise<string> {
      await callout.script(way.script);
      hop.reset(extensions === undefined ? {} : { extensions });
      hop.drop(); // what the next hop can do is asked anew
      const talk = await SmtpTalk.hello(gateway.port(way.listener));
      assert.equal(await send(talk), 250);
      await talk.quit();
      assert.equal(hop.mails.length, 1);
      return withoutTrace(hop.mails[0]?.content ?? Buffer.alloc(0)).rest.toString('latin1');
    }

    for (const [name, content] of contents) {
      test(`${name}: by DATA`, async () => {
        const rest = await through(
          async (talk) => await byData(talk, content, content.length < 3000 ? 1 : content.length + 9),
        );
        assert.equal(rest, content.toString('latin1'));
      });
      test(`${name}: by BDAT`, async () => {
        assert.equal(await through(async (talk) => await byBdat(talk, content, 2)), content.toString('latin1'));
      });
    }
    for (const [name, content] of unended) {
      test(`${name}: by BDAT to a next hop that takes BDAT`, async () => {
        const rest = await through(async (talk) => await byBdat(talk, content, 3), CHUNKING);
        assert.equal(rest, content.toString('latin1'));
      });
    }
  });
}

/** All in pieces of `step` octets, the envelope too. */
async function byData(talk: SmtpTalk, content: Buffer, step: number): Promise<number> {
  await talk.say('MAIL FROM:<a@src.test> BODY=8BITMIME');
  await talk.say('RCPT TO:<b@dst.test>');
  assert.equal((await talk.say('DATA')).code, 354);
  const wire = stuff(content);
  for (let at = 0; at < wire.length; at += step) talk.send(wire.subarray(at, at + step));
  return (await talk.hear()).code;
}

async function byBdat(talk: SmtpTalk, content: Buffer, chunks: number): Promise<number> {
  await talk.say('MAIL FROM:<a@src.test> BODY=8BITMIME');
  await talk.say('RCPT TO:<b@dst.test>');
  const size = Math.ceil(content.length / chunks);
  for (let i = 0; i < chunks; i++) {
    const chunk = content.subarray(i * size, (i + 1) * size);
    const last = i === chunks - 1;
    talk.send(Buffer.concat([latin1(`BDAT ${chunk.length}${last ? ' LAST' : ''}\r\n`), chunk]));
    const { code } = await talk.hear();
    if (last || code !== 250) return code;
  }
  return 0;
}
