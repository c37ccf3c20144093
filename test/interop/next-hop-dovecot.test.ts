/** A real Dovecot behind LMTP: an answer for each recipient. */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, test } from 'vitest';
import { NextHop } from '../../src/smtp/index.ts';
import { Dovecot } from '../support/dovecot.ts';
import { sendMail } from '../support/outbound.ts';

let dovecot: Dovecot;
let hop: NextHop;

beforeAll(async () => {
  dovecot = await Dovecot.start();
  const address = { kind: 'lmtp-unix', path: dovecot.lmtp } as const;
  hop = new NextHop({ address, tls: { policy: 'none' }, helo: 'mx.example.com' });
});
afterAll(async () => {
  await hop.close(1000);
  await dovecot.stop();
});

test('two users, one unknown, and one whose mailbox cannot be written', async () => {
  const rcpts = ['ann', 'nobody', 'broken', 'bob'].map((name) => `<${name}@example.com>`);
  const content = [Buffer.from('Subject: to each\r\n\r\n.dot\r\nend\r\n')];
  const sent = await sendMail(hop, { rcpts, content });
  assert.deepEqual(
    sent.rcptReplies.map((one) => one?.code),
    [250, 550, 250, 250],
    dovecot.log(),
  );
  assert.equal(sent.events.at(-1), 'final 451 250,-,451,250', dovecot.log());
  for (const name of ['ann', 'bob']) {
    const [mail = '', ...more] = dovecot.mails(name);
    assert.deepEqual(more, []);
    assert.match(mail, /Subject: to each\r?\n\r?\n\.dot\r?\nend\r?\n$/);
  }
});

test('many mails over a few connections, some of them exact', async () => {
  const before = dovecot.mails('ann').length;
  const mails = Array.from({ length: 20 }, (_, i) =>
    sendMail(hop, { rcpts: ['<ann@example.com>'], content: [Buffer.alloc(50_000, 'a line\r\n')], exact: i % 2 === 0 }),
  );
  const results = (await Promise.all(mails)).map((one) => one.events.at(-1));
  assert.deepEqual(new Set(results), new Set(['final 250 250']), dovecot.log());
  assert.equal(dovecot.mails('ann').length, before + 20);
});
