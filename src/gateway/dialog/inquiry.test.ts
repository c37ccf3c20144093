/** Commands outside of mails, as services that are asked about them have them answered (decision 0051). */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { askedSession, says, turns } from '../../../test/support/asked-services.ts';
import { LISTENER } from '../../../test/support/mail-rig.ts';
import type { Script } from '../../../test/support/memory-callout.ts';
import { RecordingSpool } from '../../../test/support/recording-spool.ts';
import { MAIL } from '../../../test/support/scripted-services.ts';
import { answerBlock } from '../../profile/index.ts';
import type { StoredMail } from '../../store/index.ts';
import { checkMail } from '../check/check-mail.ts';
import { isReadable } from '../spool/damage.ts';
import type { SpooledSession } from '../spool/port.ts';
import { type QueuedDelivery, spooledIdentity } from '../spool/rows.ts';
import { makeSessionView } from './session-view.ts';

const TRACE = 'OPES-System: https://mail.example.com/opes?id=session.';

test('nobody who did not ask for it is asked: EHLO is taken at once, VRFY and EXPN have our own answers', async () => {
  const { client, callouts } = askedSession([says(() => '550 5.7.1 no')], { commands: [] });
  client.send('EHLO client.example\r\nVRFY ann\r\nEXPN list\r\n');
  const heard = client.heard();
  assert.match(heard, /^250-mx\.example\.com\r\n/);
  assert.match(heard, /\r\n252 2\.5\.0 [^\r]+\r\n502 5\.5\.1 [^\r]+\r\n$/);
  await turns();
  assert.deepEqual(callouts.seen, []);
});

for (const chunk of [1 << 20, 1])
  test(`a refused greeting: the service's reply with our trace, and no mail (octets in pieces of ${chunk})`, async () => {
    const refuses = says((part, text) =>
      text === 'bad.example' ? `554 5.7.1 ${part} ${text} is not welcome` : undefined,
    );
    const { client, parts, lines, rig } = askedSession([refuses], { chunk });
    assert.equal(await client.say('EHLO bad.example'), `554-5.7.1 EHLO bad.example is not welcome|554 5.7.1 ${TRACE}1`);
    assert.deepEqual(parts(), [['IP [192.0.2.1]', 'EHLO bad.example']]);
    assert.equal(await client.say('MAIL FROM:<a@src.example>'), '503 5.5.1 Send EHLO first');
    const [line] = lines('command');
    assert.equal(line?.['mail'], 'session.1');
    assert.equal(line?.['command'], 'EHLO');
    assert.equal(line?.['argument'], 'bad.example');
    assert.equal(line?.['outcome'], 'refused');
    assert.match(String(line?.['services']), /^s1 refused [\d.]+ms$/);
    // The session goes on: with another name it is welcome.
    assert.equal(await client.say('HELO good.example'), '250 mx.example.com');
    assert.match(await client.mail(), /^250 /);
    assert.match(rig.delivered[0]?.content.toString() ?? '', /^Received: from good\.example /);
  });

test('a greeting that is refused leaves an accepted one, and the mail under way, as they were', async () => {
  const { client, delivered } = askedSession([says((_, text) => (text === 'bad' ? '550 5.7.1 no' : undefined))]);
  await client.say('EHLO good.example');
  await client.say('MAIL FROM:<a@src.example>');
  assert.match(await client.say('EHLO bad'), /^550/);
  await client.say('RCPT TO:<b@dst.example>');
  await client.say('DATA');
  assert.match(await client.say('Subject: x\r\n\r\nx\r\n.'), /^250/);
  assert.match(delivered(), /^Received: from good\.example /);
});

test('the connection itself is refused by its address, in the answer to EHLO', async () => {
  const script = says(() => undefined);
  const byAddress: Script = {
    ...script,
    onPart(tx, part, all) {
      if (part.part === 'EHLO' && all[0]?.octets.toString() === '[192.0.2.1]') {
        tx.sendData(answerBlock('EHLO', { smtpError: '554 5.7.1 Listed' }), [], 0);
      } else script.onPart?.(tx, part, all);
    },
  };
  const { client } = askedSession([byAddress]);
  assert.match(await client.say('EHLO client.example'), /^554-5\.7\.1 Listed\|/);
});

test('a changed greeting: the next service, rules, mails and next hops have it; Received and log keep the first', async () => {
  const normalises = says((part, text) => (part === 'EHLO' && text === 'CLIENT' ? 'client.example' : undefined));
  const { client, parts, delivered, lines, rig } = askedSession([normalises, says(() => undefined)], {
    each: [{}, { when: "session.helo == 'client.example'" }],
  });
  assert.match(await client.say('EHLO CLIENT'), /^250-/);
  // The second is left out where rules are judged by what was presented: nobody had changed it yet.
  assert.deepEqual(parts(), [['IP [192.0.2.1]', 'EHLO CLIENT']]);
  assert.match(await client.mail(), /^250 /);
  assert.deepEqual(
    parts()
      .slice(1)
      .map((all) => all.slice(0, 3)),
    [1, 2].map(() => ['IP [192.0.2.1]', 'EHLO client.example (replayed)', 'MAIL <a@src.example>']),
  );
  const content = delivered();
  assert.match(content, /^Received: from CLIENT \(/);
  const trace = /OPES-Via: [^\r]+(?:\r\n\t[^\r]+)*/.exec(content)?.[0].replaceAll('\r\n\t', ' ');
  const via = ['s1;outcome=greeting-edited', 's1;outcome=unchanged', 's2;outcome=unchanged'];
  assert.equal(
    trace,
    `OPES-Via: https://mail.example.com/opes?id=session.2, ${via.map((one) => `http://svc.example/${one}`).join(', ')}`,
  );
  assert.equal(lines('command')[0]?.['changedTo'], 'client.example');
  assert.equal(lines('mail')[0]?.['helo'], 'CLIENT');
  assert.equal(lines('mail')[0]?.['heloAs'], 'client.example');
  assert.equal(rig.records[0]?.client.helo, 'CLIENT');
  // Another greeting is another question.
  assert.match(await client.say('HELO other.example'), /^250/);
  assert.deepEqual(parts().at(-1), ['IP [192.0.2.1]', 'HELO other.example']);
});

test('the services are asked in their order, each about what the one before made of it, and the first refusal ends it', async () => {
  const adds = (mark: string) => says((_, text) => (text.endsWith(mark) ? undefined : `${text}.${mark}`));
  const { client, parts } = askedSession([adds('one'), adds('two'), says(() => '550 5.7.1 no'), says(() => undefined)]);
  assert.match(await client.say('HELO a'), /^550-/);
  assert.deepEqual(
    parts().map((all) => all.at(-1)),
    ['HELO a', 'HELO a.one', 'HELO a.one.two'],
  );
});

test('what stands behind a greeting in a pipeline waits for its answer, in order', async () => {
  const { client, callouts } = askedSession([says(() => undefined)]);
  client.send('EHLO a\r\nNOOP\r\nMAIL FROM:<a@src.example>\r\n');
  assert.equal(client.heard(), '');
  const [hello, noop, mail] = await client.replies(3);
  assert.match(hello ?? '', /^250-/);
  assert.match(noop ?? '', /^250 2\.0\.0/);
  assert.match(mail ?? '', /^250 2\.1\.0/);
  assert.equal(callouts.seen.length, 1);
});

test('with LMTP it is LHLO that is asked about, as EHLO', async () => {
  const { client, parts } = askedSession([says(() => '550 5.7.1 no')], {}, { protocol: 'lmtp' }, { protocol: 'lmtp' });
  assert.match(await client.say('LHLO a'), /^550-/);
  assert.deepEqual(parts(), [['IP [192.0.2.1]', 'EHLO a']]);
});

test('by XCLIENT it is the client behind the proxy that is asked about', async () => {
  const { client, parts } = askedSession([says(() => undefined)], {}, {}, { xclient: true });
  await client.say('EHLO proxy.example');
  assert.match(await client.say('XCLIENT ADDR=198.51.100.7 HELO=far.example PROTO=SMTP'), /^220/);
  await client.say('VRFY ann');
  await client.say('EHLO proxy.example');
  assert.deepEqual(parts(), [
    ['IP [192.0.2.1]', 'EHLO proxy.example'],
    ['IP [198.51.100.7]', 'HELO far.example (replayed)', 'VRFY ann'],
    ['IP [198.51.100.7]', 'HELO far.example'],
  ]);
});

test('a client that has not greeted again has no greeting: behind STARTTLS (RFC 3207, 4.2), and behind XCLIENT', async () => {
  const { client, parts, rig } = askedSession(
    [says(() => undefined)],
    { when: 'client.tls' },
    {},
    { tls: 'offered', xclient: true },
  );
  await client.say('EHLO plain.example');
  await client.say('VRFY ann');
  assert.deepEqual(parts(), [], 'the rule says that nobody is asked in the clear');
  await client.say('STARTTLS');
  client.session.secured();
  await client.say('VRFY ann');
  assert.deepEqual(parts(), [['IP [192.0.2.1]', 'VRFY ann']]);
  assert.equal(rig.logged.at(-1)?.fields['helo'], '');
  await client.say('EHLO secure.example');
  await client.say('VRFY ann');
  assert.deepEqual(parts().at(-1), ['IP [192.0.2.1]', 'EHLO secure.example (replayed)', 'VRFY ann']);
  await client.say('XCLIENT ADDR=198.51.100.7');
  await client.say('VRFY ann');
  assert.deepEqual(parts().at(-1), ['IP [198.51.100.7]', 'VRFY ann']);
});

test('VRFY and EXPN: refused, changed, and otherwise answered by us as if the client had said so', async () => {
  const script = says((part, text) => {
    if (part === 'EHLO') return undefined;
    if (text === 'boss') return '550-5.1.1 Nobody\r\n550 5.1.1 of that name';
    return text === 'ann' ? '<ann@dst.example>' : undefined;
  });
  const { client, parts, lines } = askedSession([script, script]);
  await client.say('EHLO client.example');
  assert.equal(await client.say('VRFY boss'), `550-5.1.1 Nobody|550-5.1.1 ${TRACE}2|550 5.1.1 of that name`);
  assert.match(await client.say('VRFY ann'), /^252 2\.5\.0 /);
  assert.match(await client.say('EXPN boss'), /^550-/);
  assert.equal(await client.say('EXPN list'), '502 5.5.1 Command not implemented');
  assert.deepEqual(parts().slice(2, 5), [
    ['IP [192.0.2.1]', 'EHLO client.example (replayed)', 'VRFY boss'],
    ['IP [192.0.2.1]', 'EHLO client.example (replayed)', 'VRFY ann'],
    ['IP [192.0.2.1]', 'EHLO client.example (replayed)', 'VRFY <ann@dst.example>'],
  ]);
  assert.deepEqual(
    lines('command').map((line) =>
      [line['command'], line['argument'], line['outcome'], line['changedTo']].join(' ').trim(),
    ),
    [
      'EHLO client.example passed',
      'VRFY boss refused',
      'VRFY ann changed <ann@dst.example>',
      'EXPN boss refused',
      'EXPN list passed',
    ],
  );
});

test('look-ups are counted as guesses are, and there is a last one', async () => {
  const { client, callouts } = askedSession([says((part) => (part === 'VRFY' ? '550 5.1.1 no' : undefined))]);
  await client.say('EHLO client.example');
  let said = '';
  for (let i = 0; i < 500 && !said.startsWith('421'); i++) said = await client.say(`VRFY guess${i}`);
  assert.match(said, /^421 4\.7\.0 Too many/);
  assert.ok(client.isClosed);
  assert.ok(callouts.seen.length < 200, `${callouts.seen.length}`);
});

test('who has to log in asks about nobody before', async () => {
  const auth = { users: [], isClearAllowed: true };
  const { client, parts } = askedSession([says(() => undefined)], {}, { side: 'sender', auth }, { auth: 'always' });
  await client.say('EHLO client.example');
  assert.equal(await client.say('VRFY ann'), '530 5.7.0 Authentication required');
  assert.equal(parts().length, 1);
});

test('a rule decides who is asked', async () => {
  const { client, parts } = askedSession([says(() => '550 5.7.1 no')], { when: "client.ip == '203.0.113.9'" });
  assert.match(await client.say('EHLO client.example'), /^250-/);
  assert.deepEqual(parts(), []);
});

test('a service that only listens is told, and nobody waits for it', async () => {
  const { client, parts } = askedSession([says(() => undefined, ['RAWDATA'])], {
    commands: ['EHLO'],
    may: ['add-header'],
  });
  assert.match(await client.say('EHLO client.example'), /^250-/);
  await turns();
  assert.deepEqual(parts(), [['IP [192.0.2.1]', 'EHLO client.example']]);
});

test('each transaction is short: nothing of it is left when the command is answered', async () => {
  const { client, agents } = askedSession([says(() => undefined), says(() => undefined)]);
  await client.say('EHLO client.example');
  await client.say('VRFY ann');
  assert.deepEqual(
    agents.map(({ liveTransactions }) => liveTransactions),
    [0, 0],
  );
});

test('what is stored of a session brings the greeting in force, and its trace, back', async () => {
  const spool = new RecordingSpool('spool');
  const sessions: SpooledSession[] = [];
  const accept = spool.accept.bind(spool);
  spool.accept = (acceptance, done) => {
    sessions.push(JSON.parse(JSON.stringify(acceptance.session)) as SpooledSession);
    accept(acceptance, done);
  };
  const changes = says((part, text) => (part === 'EHLO' && text === 'CLIENT' ? 'client.example' : undefined));
  const { client } = askedSession([changes], { spool });
  await client.say('EHLO CLIENT');
  assert.match(await client.mail(), /^250 /);
  const [stored] = sessions;
  assert.ok(stored !== undefined);
  assert.equal(spooledIdentity(stored).helo, 'client.example');
  const view = makeSessionView('mx.example.com', { ...stored, listener: LISTENER });
  assert.deepEqual(view.parts, [
    ['IP', '[192.0.2.1]'],
    ['EHLO', 'client.example'],
  ]);
  assert.deepEqual(view.via, [{ uri: 'http://svc.example/s1', outcome: 'greeting-edited' }]);
  assert.equal(view.helo, 'CLIENT');
  assert.match(spool.taken[0]?.octets.toString() ?? '', /s1;outcome=greeting-edited/);
  // A row that was damaged is not worked on.
  const isReadableWith = (greeting: unknown) => {
    const mail = { facts: { mail: 'session.2', session: { ...stored, greeting } } } as unknown as StoredMail;
    return isReadable(mail, { notes: {} } as unknown as QueuedDelivery);
  };
  assert.deepEqual([stored.greeting, undefined, 'x', { helo: 1, via: [] }, { helo: 'x', via: 1 }].map(isReadableWith), [
    true,
    true,
    false,
    false,
    false,
  ]);
});

test('opes check asks about the greeting first', async () => {
  const script = says((part, text) =>
    part !== 'EHLO' ? undefined : text === 'bad' ? '550 5.7.1 Not you' : text.toLowerCase(),
  );
  const { rig } = askedSession([script]);
  const queue = {
    mode: 'inline',
    retryMs: [1],
    lifetimeMs: 1,
    warnAfterMs: undefined,
    perDestination: 1,
    keepMs: 1,
    notice: true,
  } as const;
  const check = (helo: string) =>
    checkMail(
      rig.world,
      { listeners: [LISTENER], queue },
      {
        listener: undefined,
        client: '192.0.2.1',
        user: undefined,
        helo,
        from: 'a@src.example',
        to: ['b@dst.example'],
        content: Buffer.from(MAIL),
      },
    );
  const { decision, mail } = await check('CLIENT');
  assert.deepEqual(
    decision.map(({ stage, service, called }) => `${stage} ${service} ${called}`),
    ['greeting s1 true', 'recipient s1 true'],
  );
  assert.deepEqual(
    mail.calls.map(({ verdict, parts }) => `${verdict} ${parts.join(' ')}`),
    ['changed IP EHLO', 'unchanged IP EHLO MAIL RCPT RAWDATA'],
  );
  assert.deepEqual(mail.edits, [{ service: 's1', part: 'EHLO', what: 'rewrote CLIENT to client' }]);
  await assert.rejects(check('bad'), /EHLO bad from this client is refused: 550 5\.7\.1 Not you/);
});
