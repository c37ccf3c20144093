/**
 * SMTP smuggling, both directions, each variant cut at every place. Towards us: whatever looks like an end of data to a careless
 * server is either our end of data or refused, and what stands behind it is never a command of ours or of the next hop's. From
 * the callout server: the same octets as content never end the next hop's data early.
 */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { Draft00 } from '../support/draft00.ts';
import { config, Gateway, withoutTrace } from '../support/gateway.ts';
import { NextHop } from '../support/next-hop.ts';
import { SmtpTalk } from '../support/smtp-talk.ts';

const EVIL = 'MAIL FROM:<evil@src.test>\r\nRCPT TO:<victim@dst.test>\r\nDATA\r\nSubject: smuggled\r\n\r\nevil\r\n';
/** What somebody, somewhere, takes for the end of data. None of it is CRLF . CRLF. */
const ENDS: Readonly<Record<string, string>> = {
  'LF . LF': '\n.\n',
  'LF . CRLF': '\n.\r\n',
  'CRLF . LF': '\r\n.\n',
  'CR . CR': '\r.\r',
  'CR . CRLF': '\r.\r\n',
  'CR . LF': '\r.\n',
  'CRLF . CR': '\r\n.\r',
  'LF . CR': '\n.\r',
  'CR CRLF . LF': '\r\r\n.\n',
  'CRLF . CR CRLF': '\r\n.\r\r\n',
  'CRLF . CR LF with NUL': '\r\n.\r\0\n',
  'LF LF . LF LF': '\n\n.\n\n',
};
/** And what only looks like it: legal content that must arrive as it is. */
const CONTENT_ONLY: Readonly<Record<string, string>> = {
  'a dot and a blank': '\r\n. \r\n',
  'a dot and NUL': '\r\n.\0\r\n',
  'two dots': '\r\n..\r\n',
  'NUL before the dot': '\r\n\0.\r\n',
  'a UTF-8 line separator': '\r\n\xe2\x80\xa8.\xe2\x80\xa8\r\n',
  'next line (0x85)': '\r\n\x85.\x85\r\n',
};

let hop: NextHop;
let callout: Draft00;
let gateway: Gateway;
beforeAll(async () => {
  hop = await NextHop.listen();
  callout = await Draft00.start();
  const service = { connect: callout.endpoint, requires: ['RAWDATA'], when: "listener.name == 'filtered'" };
  const listeners = ['plain', 'filtered'].map((name) => ({ name, address: '127.0.0.1:0', side: 'recipient' }));
  gateway = await Gateway.start(config(hop.url, { filter: service }, { listeners }));
});
afterAll(async () => {
  await gateway.stop();
  await callout.stop();
  await hop.close();
});

const innocent = (): void => {
  assert.ok(
    !hop.commands.some((c) => c.includes('evil') || c.includes('victim')),
    'a smuggled command reached the next hop',
  );
  assert.ok(!hop.mails.some((m) => m.mail.includes('evil')), 'a smuggled mail arrived');
};

async function envelope(talk: SmtpTalk): Promise<void> {
  talk.send('MAIL FROM:<a@src.test>\r\nRCPT TO:<b@dst.test>\r\nDATA\r\n');
  assert.deepEqual([(await talk.hear()).code, (await talk.hear()).code, (await talk.hear()).code], [250, 250, 354]);
}

/** Sends in two writes with a turn of the event loop between, so that the cut is one for the reader too. */
async function cut(talk: SmtpTalk, wire: string, at: number): Promise<void> {
  talk.send(wire.slice(0, at));
  await new Promise((resolve) => setImmediate(resolve));
  talk.send(wire.slice(at));
}

describe('towards us', () => {
  for (const [name, end] of Object.entries(ENDS)) {
    test(`${name}: refused, once, at every cut`, async () => {
      hop.reset();
      const before = 'Subject: x\r\n\r\ntext';
      for (let at = before.length - 1; at <= before.length + end.length + 3; at++) {
        const talk = await SmtpTalk.hello(gateway.port('plain'));
        await envelope(talk);
        await cut(talk, `${before}${end}${EVIL}\r\n.\r\n`, at);
        const reply = await talk.hear();
        assert.ok(reply.code >= 500, `${JSON.stringify(end)} cut at ${at}: ${JSON.stringify(reply)}`);
        if (!talk.isClosed) {
          // One content, one reply: the next one heard answers our own command.
          const noop = await talk.say('NOOP').catch(() => undefined);
          assert.ok(noop === undefined || noop.code === 250, JSON.stringify(noop));
        }
        talk.destroy();
        innocent();
        assert.equal(hop.mails.length, 0);
      }
    });
  }

  for (const [name, part] of Object.entries(CONTENT_ONLY)) {
    test(`${name}: content like any other, at every cut`, async () => {
      const before = 'Subject: x\r\n\r\ntext';
      const wire = `${before}${part}${EVIL}.\r\n`;
      const content = `${before}${part.replace('\r\n.', '\r\n')}${EVIL}`;
      const talk = await SmtpTalk.hello(gateway.port('plain'));
      for (let at = before.length - 1; at <= before.length + part.length + 3; at++) {
        hop.reset();
        await envelope(talk);
        await cut(talk, wire, at);
        assert.equal((await talk.hear()).code, 250);
        assert.equal(withoutTrace(hop.mails[0]?.content ?? Buffer.alloc(0)).rest.toString('latin1'), content);
        innocent();
      }
      await talk.quit();
    });
  }

  test('the true end, cut at every place; commands behind it are ours to serve', async () => {
    const talk = await SmtpTalk.hello(gateway.port('plain'));
    const wire = 'Subject: x\r\n\r\ntext\r\n.\r\nNOOP\r\n';
    for (let at = 0; at <= wire.length; at++) {
      hop.reset();
      await envelope(talk);
      await cut(talk, wire, at);
      assert.deepEqual([(await talk.hear()).code, (await talk.hear()).code], [250, 250]);
      assert.equal(hop.mails.length, 1);
    }
    await talk.quit();
  });

  test('bare line ends by BDAT are refused as well, whatever chunks they fall into', async () => {
    hop.reset();
    for (const end of Object.values(ENDS)) {
      const content = `Subject: x\r\n\r\ntext${end}evil\r\n`;
      for (let at = 18; at <= 18 + end.length; at++) {
        const talk = await SmtpTalk.hello(gateway.port('plain'));
        talk.send('MAIL FROM:<a@src.test>\r\nRCPT TO:<b@dst.test>\r\n');
        assert.deepEqual([(await talk.hear()).code, (await talk.hear()).code], [250, 250]);
        const last = content.slice(at);
        talk.send(`BDAT ${at}\r\n${content.slice(0, at)}BDAT ${last.length} LAST\r\n${last}`);
        const codes = [(await talk.hear()).code];
        if (codes[0] === 250) codes.push((await talk.hear()).code);
        assert.ok((codes.at(-1) ?? 0) >= 500, `${JSON.stringify(end)} cut at ${at}: ${codes.join(' ')}`);
        talk.destroy();
      }
    }
    innocent();
    assert.equal(hop.mails.length, 0);
  });

  test('CRLF and dots by BDAT, cut into chunks at every place, arrive as they are', async () => {
    const content = 'Subject: x\r\n\r\n.\r\n..\r\n.MAIL\r\n';
    const talk = await SmtpTalk.hello(gateway.port('plain'));
    for (let at = 0; at <= content.length; at++) {
      hop.reset();
      talk.send('MAIL FROM:<a@src.test>\r\nRCPT TO:<b@dst.test>\r\n');
      talk.send(`BDAT ${at}\r\n${content.slice(0, at)}BDAT ${content.length - at} LAST\r\n${content.slice(at)}`);
      for (let i = 0; i < 4; i++) assert.equal((await talk.hear()).code, 250);
      assert.equal(withoutTrace(hop.mails[0]?.content ?? Buffer.alloc(0)).rest.toString('latin1'), content);
    }
    await talk.quit();
  });

  test('content sent behind DATA before our 354 is refused, and the session is over', async () => {
    hop.reset();
    const talk = await SmtpTalk.hello(gateway.port('plain'));
    talk.send(
      `MAIL FROM:<a@src.test>\r\nRCPT TO:<b@dst.test>\r\nDATA\r\nSubject: early\r\n\r\nx\r\n.\r\n${EVIL}\r\n.\r\n`,
    );
    const heard = await talk.rest();
    assert.ok(!/^354/m.test(heard), heard);
    assert.match(heard, /^[45]\d\d /m);
    innocent();
    assert.equal(hop.mails.length, 0);
  });

  test('bare line ends in commands are no line ends', async () => {
    for (const end of ['\n', '\r']) {
      hop.reset();
      const talk = await SmtpTalk.hello(gateway.port('plain'));
      talk.send(`MAIL FROM:<a@src.test>${end}RCPT TO:<victim@dst.test>${end}\r\nRCPT TO:<b@dst.test>\r\n`);
      const first = await talk.hear();
      assert.ok(first.code >= 500, JSON.stringify(first));
      talk.destroy();
      innocent();
    }
  });
});

describe('from the callout server to the next hop', () => {
  const head = 'Subject: x\r\n\r\n';
  /** Sizes of the messages new content comes in: each variant is cut at each of its places by one of them. */
  const CHUNKS = [65536, 1, 2, 3, 4, 5, 7];
  test('a true end of data inside new content arrives as content', async () => {
    hop.reset();
    const content = `${head}text\r\n.\r\n${EVIL}`;
    const talk = await SmtpTalk.hello(gateway.port('filtered'));
    for (const chunk of CHUNKS) {
      hop.reset();
      await callout.script({ chunk, rules: [{ part: 'RAWDATA', content }] });
      await envelope(talk);
      talk.send('Subject: x\r\n\r\nharmless\r\n.\r\n');
      assert.equal((await talk.hear()).code, 250);
      assert.equal(withoutTrace(hop.mails[0]?.content ?? Buffer.alloc(0)).rest.toString('latin1'), content);
      innocent();
    }
    await talk.quit();
  });

  for (const [name, end] of Object.entries(ENDS)) {
    test(`${name} in new content: the service has failed`, async () => {
      hop.reset();
      const talk = await SmtpTalk.hello(gateway.port('filtered'));
      for (const chunk of CHUNKS) {
        await callout.script({ chunk, rules: [{ part: 'RAWDATA', content: `${head}text${end}${EVIL}` }] });
        await envelope(talk);
        talk.send('Subject: x\r\n\r\nharmless\r\n.\r\n');
        assert.equal((await talk.hear()).code, 451, `in messages of ${chunk} octets`);
        innocent();
        assert.equal(hop.mails.length, 0);
      }
      await talk.quit();
    });
  }

  test('a recipient rewritten into two commands is refused', async () => {
    hop.reset();
    for (const rewrite of [
      '<b@dst.test>\r\nRCPT TO:<victim@dst.test>',
      '<b@dst.test>\n',
      '<b@dst.test>> <victim@dst.test',
      'b@dst.test',
    ]) {
      await callout.script({ rules: [{ part: 'RCPT', rewrite }] });
      const talk = await SmtpTalk.hello(gateway.port('filtered'));
      const outcome = await talk.mail({ from: 'a@src.test', to: ['b@dst.test'], content: Buffer.from(`${head}x\r\n`) });
      assert.equal(outcome.rcpts[0]?.code, 451, `${rewrite}: ${JSON.stringify(outcome)}`);
      innocent();
      await talk.quit();
    }
  });
});
