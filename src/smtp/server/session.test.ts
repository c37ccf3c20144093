import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { type Question, SessionRig } from '../../../test/support/server-session.ts';
import { replies, reply, type ServerOptions, serverLimits } from '../index.ts';

const MAIL = 'MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\n';

/** Whole commands, with the octets that belong to them; none of them must be waited for. */
const command = fc.constantFrom(
  'EHLO a\r\n',
  'HELO b\r\n',
  'MAIL FROM:<a@b.c>\r\n',
  'MAIL FROM:<a@b.c> SIZE=5\r\n',
  'MAIL FROM:<banned@b.c>\r\n',
  'MAIL FROM:<>\r\n',
  'RCPT TO:<d@e.f>\r\n',
  'RCPT TO:<unknown@e.f>\r\n',
  'RCPT TO:<later@e.f>\r\n',
  'BDAT 3\r\nabc',
  'BDAT 5\r\na\r\n.\r',
  'BDAT 4 LAST\r\n\nxy\n',
  'BDAT 4 LAST\r\nxy\r\n',
  'BDAT 0 LAST\r\n',
  'RSET\r\n',
  'NOOP\r\n',
  'VRFY x\r\n',
  'BOGUS\r\n',
  'MAIL FROM:<a@b.c> BAD=1\r\n',
);
const commands = fc.array(command, { maxLength: 25 });
const loose: Partial<ServerOptions> = { limits: { ...serverLimits, errors: 12 } };

function outcome(rig: SessionRig): unknown {
  return [rig.said, rig.mails, rig.resets, rig.isClosed];
}

test('pipelined is as one by one, and as octet by octet', () => {
  fc.assert(
    fc.property(commands, (sent) => {
      const oneByOne = SessionRig.greeted(loose);
      for (const one of sent) oneByOne.send(one);
      const atOnce = SessionRig.greeted(loose).send(sent.join(''));
      assert.deepEqual(outcome(atOnce), outcome(oneByOne));
      const octets = SessionRig.greeted(loose);
      for (const octet of sent.join('')) octets.send(octet);
      assert.deepEqual(outcome(octets), outcome(oneByOne));
    }),
    { numRuns: 500 },
  );
});

test('answers that come late and out of order change nothing but the time', () => {
  const questions: readonly Question[] = ['hello', 'mail', 'rcpt', 'data', 'end', 'verify'];
  fc.assert(
    fc.property(commands, fc.infiniteStream(fc.nat(1000)), (sent, choices) => {
      const atOnce = SessionRig.greeted(loose).send(sent.join(''));
      const late = SessionRig.greeted(loose);
      for (const question of questions) late.holding.add(question);
      late.send(sent.join(''));
      while (late.held.length > 0) {
        const one = late.held[choices.next().value % late.held.length];
        if (one !== undefined) late.answer(one.question);
      }
      assert.equal(late.said, atOnce.said);
      assert.equal(late.isClosed, atOnce.isClosed);
      assert.deepEqual(
        late.mails.map(({ content }) => content),
        atOnce.mails.map(({ content }) => content),
      );
    }),
    { numRuns: 500 },
  );
});

test('content is handed on in few pieces, none of them memory of the input', () => {
  const line = `${'x'.repeat(70)}\r\n`;
  const chunk = Buffer.from(`${line.repeat(100)}..${line}${line.repeat(100)}.\r\n`);
  const seen: Buffer[] = [];
  const rig = SessionRig.greeted();
  rig.onContent = (octets) => seen.push(octets);
  rig.send(MAIL).send('DATA\r\n').send(chunk);
  assert.equal(seen.length, 2);
  assert.equal(Buffer.concat(seen).toString(), `${line.repeat(100)}.${line}${line.repeat(100)}`);
});

test('lines of dots, or octets that come alone, make no crowd of pieces', () => {
  const rig = SessionRig.greeted();
  rig
    .send(MAIL)
    .send('DATA\r\n')
    .send(Buffer.from('..\r\n'.repeat(20_000)));
  for (let i = 0; i < 20_000; i++) rig.send('x');
  rig.send('\r\n.\r\n');
  assert.ok(rig.pieces.length < 50, `${rig.pieces.length}`);
  assert.equal(rig.mails[0]?.content.length, 20_000 * 3 + 20_000 + 2);
});

test('input is held back while an answer is owed, beyond a cap, and read on when it came', () => {
  const rig = SessionRig.greeted();
  rig.holding.add('mail');
  rig.send('MAIL FROM:<a@b.c>\r\nRSET\r\n');
  rig.send('NOOP\r\n'.repeat(10));
  assert.equal(rig.isPaused, false);
  rig.send(Buffer.from(`NOOP ${'x'.repeat(100)}\r\n`.repeat(80)));
  assert.equal(rig.isPaused, true);
  assert.equal(rig.said, '');
  rig.answer('mail');
  assert.equal(rig.isPaused, false);
  assert.equal(rig.said.split('\r\n').length, 1 + 1 + 10 + 80 + 1);
});

test('not more commands are asked at once than the cap, and none is lost', () => {
  const rig = SessionRig.greeted({ limits: { ...serverLimits, pending: 3 } });
  rig.holding.add('rcpt');
  rig.send(`MAIL FROM:<a@b.c>\r\n${'RCPT TO:<d@e.f>\r\n'.repeat(10)}`);
  for (let i = 0; i < 10; i++) {
    assert.equal(rig.held.length, Math.min(3, 10 - i));
    rig.answer('rcpt');
  }
  assert.equal(rig.said, `250 2.1.0 OK\r\n${'250 2.1.5 OK\r\n'.repeat(10)}`);
});

test('the session says whom it waits for', () => {
  const rig = new SessionRig({ tls: 'offered' });
  const seen: string[] = [];
  const note = () => seen.push(rig.session.waitsFor);
  note();
  rig.session.greet();
  note();
  rig.holding.add('hello');
  rig.send('HELO a\r\n');
  note();
  rig.answer('hello');
  rig.send('STARTTLS\r\n');
  note();
  rig.session.secured();
  rig.holding.clear();
  rig.send(`HELO a\r\n${MAIL}DATA\r\n`);
  note();
  assert.equal(rig.session.isReceiving, true);
  rig.send('a\nb\r\n');
  assert.equal(rig.session.isReceiving, false);
  rig.send('.\r\nQUIT\r\n');
  note();
  assert.deepEqual(seen, ['greeting', 'command', 'handler', 'tls', 'content', 'nothing']);
});

test('octets that change nothing are no progress', () => {
  const rig = SessionRig.greeted();
  const { steps } = rig.session;
  rig.send('NO').send('OP');
  assert.equal(rig.session.steps, steps);
  rig.send('\r\n');
  assert.ok(rig.session.steps > steps);
});

test('answers nobody waits for are ignored', () => {
  const rig = SessionRig.greeted();
  for (const ticket of [-1, 0, 1, 2, 99]) {
    rig.session.answer(ticket, replies.ok);
    rig.session.answerHello(ticket);
    rig.session.go(ticket);
  }
  rig.holding.add('mail').add('end');
  rig.send('MAIL FROM:<a@b.c>\r\n');
  const { ticket } = rig.held[0] ?? { ticket: 0 };
  rig.session.go(ticket);
  rig.session.answerHello(ticket);
  assert.equal(rig.heard(), '');
  rig.answer('mail');
  rig.session.answer(ticket, replies.badSequence);
  assert.equal(rig.heard(), '250 2.1.0 OK\r\n');
  rig.send('RCPT TO:<d@e.f>\r\nBDAT 3\r\n');
  rig.session.ended();
  for (let i = 0; i < 10; i++) rig.session.answer(i, replies.ok);
  rig.send('NOOP\r\n');
  assert.equal(rig.heard(), '250 2.1.5 OK\r\n');
  assert.deepEqual([rig.resets, rig.closedCalls], [['LOST'], 1]);
});

test('a refused BDAT cannot be answered again while its octets come', () => {
  const rig = SessionRig.greeted();
  rig.holding.add('data');
  rig.send(`${MAIL}BDAT 4 LAST\r\n`).heard();
  const { ticket } = rig.held[0] ?? { ticket: 0 };
  rig.answer('data', reply(451, undefined, 'No'));
  rig.session.answer(ticket, replies.accepted);
  rig.session.go(ticket);
  assert.equal(rig.heard(), '');
  assert.equal(rig.send('QUIT').heard(), '451 4.0.0 No\r\n');
});

test('a greeting may be a refusal, and is said once', () => {
  const rig = new SessionRig();
  rig.session.greet(reply(554, '5.7.1', 'Not you'));
  rig.session.greet();
  assert.deepEqual([rig.said, rig.isClosed], ['554 5.7.1 Not you\r\n', true]);
});
