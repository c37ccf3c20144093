/** The examples do what they say: each is what a newcomer copies first. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import addHeader from '../../examples/add-header.ts';
import greeting from '../../examples/greeting.ts';
import quarantineAndDelay, { closingTime } from '../../examples/quarantine-and-delay.ts';
import refuseRecipient from '../../examples/refuse-recipient.ts';
import rewriteSubject from '../../examples/rewrite-subject.ts';
import { ask, run } from './testing.ts';

test('add-header: a field is added, nothing is touched', async () => {
  const { message, sentBack } = await run(addHeader, {
    mail: 'Subject: Hi\n\nHello!\n',
    to: ['a@x.example', 'b@x.example'],
  });
  assert.equal(
    message.toString(),
    'X-Envelope: from steve@example.org to 2 recipient(s)\r\nSubject: Hi\r\n\r\nHello!\r\n',
  );
  assert.equal(sentBack, 0);
  assert.deepEqual((await run(addHeader, { from: '<>' })).added, ['X-Envelope: from a mail system to 1 recipient(s)']);
});

test('refuse-recipient: one is refused, the other gets the mail', async () => {
  const { recipients, outcome } = await run(refuseRecipient, { to: ['Ann@example.com', 'bob@example.com'] });
  assert.deepEqual(recipients, [
    {
      to: 'Ann@example.com',
      path: undefined,
      reply: '551-5.1.6 Has left the company\r\n551 5.1.6 Please write to bob@example.com',
    },
    { to: 'bob@example.com', path: '<bob@example.com>', reply: undefined },
  ]);
  assert.equal(outcome, 'kept');
});

test('greeting: who says that it is us is refused, and nobody is told who lives here', async () => {
  const said = async (command: 'EHLO' | 'VRFY' | 'EXPN', argument: string, ip = '192.0.2.138') => {
    const { reply, argument: goesOn } = await ask(greeting, { command, argument, ip });
    return reply ?? goesOn;
  };
  assert.equal(await said('EHLO', 'LocalHost'), '550 5.7.1 You are not localhost');
  assert.equal(await said('EHLO', 'localhost', '127.0.0.1'), 'localhost');
  assert.equal(await said('EHLO', 'Mail.Example.ORG'), 'mail.example.org');
  assert.equal(await said('VRFY', 'ann'), '550 5.7.1 Ask the postmaster');
  assert.equal(await said('EXPN', 'all'), '550 5.7.1 Ask the postmaster');
});

test('quarantine-and-delay: a person decides on one, the evening on the other', async () => {
  const suspect = await run(quarantineAndDelay, { mail: 'Reply-To: x@y.example\nSubject: Your invoice\n\nPay!\n' });
  assert.deepEqual(suspect.advice, { kind: 'quarantine', reason: 'a payment, and answers go elsewhere' });
  const list = await run(quarantineAndDelay, { mail: 'List-Id: <l.example>\nSubject: News\n\nHi!\n' });
  assert.ok(list.outcome === 'kept' || list.advice?.kind === 'delay');
  assert.equal((await run(quarantineAndDelay, { mail: 'Subject: Your invoice\n\nPay!\n' })).outcome, 'kept');
  const at = (hour: number) => closingTime(new Date(2026, 10, 22, hour, 30))?.getHours();
  assert.deepEqual([at(7), at(8), at(17), at(18)], [undefined, 18, 18, undefined]);
});

test('rewrite-subject: the subject alone is sent, and once', async () => {
  const mail = 'From: x@y.example\nSolicitation: net.example:ADV\nSubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\n\nBuy!\n';
  const { message, byReference } = await run(rewriteSubject, { mail });
  assert.match(
    message.toString(),
    /^From: .*\r\nSolicitation: .*\r\nSubject: \[ADV\] =\?utf-8\?B\?R3LDvMOfZQ==\?=\r\n\r\nBuy!/,
  );
  assert.equal(byReference, mail.replaceAll('\n', '\r\n').length - 'Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n'.length);
  assert.equal((await run(rewriteSubject, { mail: message })).outcome, 'kept');
  assert.equal((await run(rewriteSubject, { mail: 'Subject: x\n\n' })).outcome, 'kept');
});
