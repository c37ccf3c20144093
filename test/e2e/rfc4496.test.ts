/**
 * The minimum dialog of RFC 4496 section 3.1.1 against a running gateway with a callout server and a next hop: whole, octet by octet,
 * and with a pause at each place. Nothing may depend on how the octets come; the service is given the envelope's recipient, who is
 * not the one in `To`.
 */
import assert from 'node:assert/strict';
import net from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, test } from 'vitest';
import { Draft00 } from '../support/draft00.ts';
import { config, Gateway, withoutTrace } from '../support/gateway.ts';
import { NextHop } from '../support/next-hop.ts';

const CONTENT = 'From: steve@example.org\r\nTo: sandra@example.com\r\nSubject: Test\r\n\r\nHi, this is a test!\r\n';

/** What the client says, and the code it then waits for: those of the RFC. */
const DIALOG = [
  ['', '220'],
  ['HELO [192.0.2.138]\r\n', '250'],
  ['MAIL FROM:<steve@example.org>\r\n', '250'],
  ['RCPT TO:<paul@example.com>\r\n', '250'],
  ['DATA\r\n', '354'],
  [`${CONTENT}.\r\n`, '250'],
  ['QUIT\r\n', '221'],
] as const;
const OCTETS = DIALOG.reduce((sum, [words]) => sum + words.length, 0);

let hop: NextHop;
let service: Draft00;
let gateway: Gateway;
beforeAll(async () => {
  hop = await NextHop.listen();
  // It shows by its answer that it was given the visible recipient, too.
  service = await Draft00.start({
    rules: [{ part: 'RAWDATA', match: 'To: sandra@example.com', addHeader: ['X-Visible: sandra'] }],
  });
  gateway = await Gateway.start(
    config(hop.url, { seer: { connect: service.endpoint, requires: ['RCPT', 'RAWDATA'] } }),
  );
});
afterAll(async () => {
  await gateway.stop();
  await service.stop();
  await hop.close();
});

/** Says the dialog, `pieces` of it at a time, with the wire empty in between. Returns the codes it heard. */
async function replay(pieces: (words: string, at: number) => readonly string[]): Promise<string[]> {
  const socket = net.connect(gateway.port(), '127.0.0.1').setNoDelay(true);
  let heard = '';
  let wake = (): void => undefined;
  socket.on('data', (chunk) => {
    heard += chunk.toString('latin1');
    wake();
  });
  socket.on('close', () => wake());
  const codes: string[] = [];
  let at = 0;
  for (const [words] of DIALOG) {
    for (const [n, piece] of pieces(words, at).entries()) {
      // What was written is read before the rest comes: TCP would join the two.
      if (n > 0) await delay(1);
      socket.write(piece, 'latin1');
    }
    at += words.length;
    // A line of each reply: HELO asks for none longer.
    while (!heard.includes('\r\n') && !socket.destroyed)
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    codes.push(heard.slice(0, 3));
    heard = heard.slice(heard.indexOf('\r\n') + 2);
  }
  socket.destroy();
  assert.equal(heard, '');
  return codes;
}

async function isAsTold(pieces: (words: string, at: number) => readonly string[]): Promise<void> {
  const [mails, seen] = [hop.mails.length, service.transactions().length];
  assert.deepEqual(
    await replay(pieces),
    DIALOG.map(([, code]) => code),
  );
  const [mail, ...more] = (await hop.waitForMails(mails + 1)).slice(mails);
  assert.deepEqual(more, []);
  assert.deepEqual([mail?.mail, mail?.rcpts], ['<steve@example.org>', ['<paul@example.com>']]);
  assert.equal(
    withoutTrace(mail?.content ?? Buffer.alloc(0)).rest.toString('latin1'),
    `X-Visible: sandra\r\n${CONTENT}`,
  );
  const transaction = await service.child.until(() => service.transactions()[seen], 'the transaction');
  const parts = new Map(transaction.parts.map(({ part, text }) => [part, text]));
  assert.equal(parts.get('HELO'), '[192.0.2.138]');
  assert.equal(parts.get('RCPT'), '<paul@example.com>');
}

test('the dialog of the RFC, as it stands there', async () => {
  await isAsTold((words) => [words]);
});

test('octet by octet', async () => {
  await isAsTold((words) => words.split(''));
});

test('with a pause at each place', async () => {
  for (let cut = 1; cut < OCTETS; cut++)
    await isAsTold((words, at) =>
      cut <= at || cut >= at + words.length ? [words] : [words.slice(0, cut - at), words.slice(cut - at)],
    );
});
