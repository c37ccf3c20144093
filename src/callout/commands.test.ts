/** Greetings and look-ups: what services say to them, and what travels. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { Deadlines } from '../base/index.ts';
import { CalloutAgent } from '../ocp/index.ts';
import { change, defineService, keep, refuse, rewrite, type Service, tempfail } from './index.ts';
import { ServiceSet } from './server.ts';
import { ask, run } from './testing.ts';

const URI = 'https://opes.example/greets';
const BY_NAME = defineService({
  uri: URI,
  greeting(name, { ip }) {
    if (ip === '203.0.113.9') return tempfail(450, '4.7.1', 'Come again');
    if (name === 'bad.example') return refuse(550, '5.7.1', 'Not you', 'and not from there');
    return name === 'CLIENT' ? change('client.example') : keep();
  },
  verify: (text, { helo }) => (text === 'boss' ? refuse(550, '5.1.1', `No such user, ${helo}`) : keep()),
});

test('a greeting is kept, refused or changed', async () => {
  const said = async (argument: string, ip?: string, command: 'EHLO' | 'HELO' = 'EHLO') => {
    const { outcome, reply, argument: goesOn } = await ask(BY_NAME, { command, argument, ...(ip && { ip }) });
    return [outcome, reply ?? goesOn];
  };
  assert.deepEqual(await said('good.example'), ['kept', 'good.example']);
  assert.deepEqual(await said('CLIENT', undefined, 'HELO'), ['changed', 'client.example']);
  assert.deepEqual(await said('bad.example'), ['refused', '550-5.7.1 Not you\r\n550 5.7.1 and not from there']);
  assert.deepEqual(await said('good.example', '203.0.113.9'), ['refused', '450 4.7.1 Come again']);
});

test('a look-up is asked of who wants it, with the greeting that counts', async () => {
  const options = { command: 'VRFY', argument: 'boss', helo: 'client.example' } as const;
  const { outcome, reply } = await ask(BY_NAME, options);
  assert.deepEqual([outcome, reply], ['refused', '550 5.1.1 No such user, client.example']);
  assert.equal((await ask(BY_NAME, { ...options, argument: 'ann' })).outcome, 'kept');
  const expands = defineService({ uri: URI, expand: async (text) => change(`${text}@example.com`) });
  const expanded = await ask(expands, { command: 'EXPN', argument: 'list' });
  assert.deepEqual([expanded.outcome, expanded.argument], ['changed', 'list@example.com']);
});

test('in a group each sees what the one before made of it, and the first refusal ends it', async () => {
  const seen: string[] = [];
  const adds = (mark: string): Service =>
    defineService({
      uri: `${URI}/${mark}`,
      greeting(name) {
        seen.push(name);
        return mark === 'no' ? refuse(550, '5.7.1', 'no') : change(`${name}.${mark}`);
      },
    });
  const { argument } = await ask([adds('a'), adds('b')], { command: 'EHLO', argument: 'x' });
  assert.equal(argument, 'x.a.b');
  assert.equal((await ask([adds('a'), adds('no'), adds('b')], { command: 'EHLO', argument: 'x' })).outcome, 'refused');
  assert.deepEqual(seen, ['x', 'x.a', 'x', 'x.a']);
});

test('in a mail the greeting was answered before: the handler is not asked again, and the mail knows the name', async () => {
  let asked = 0;
  const service = defineService({
    uri: URI,
    greeting() {
      asked++;
      return refuse(550, '5.7.1', 'no');
    },
    recipient: (_, { helo, ip }) => refuse(550, '5.7.1', `${helo} ${ip}`),
  });
  const { recipients } = await run(service, { helo: 'client.example' });
  assert.equal(recipients[0]?.reply, '550 5.7.1 client.example 192.0.2.138');
  assert.equal(asked, 0);
});

test('what cannot be carried out fails the command, and nothing passes against the word of the service', async () => {
  const saying = (verdict: unknown): Service => defineService({ uri: URI, greeting: () => verdict as never });
  const failed: readonly unknown[] = [undefined, rewrite('<a@b>'), { kind: 'edit' }, change('two words')];
  for (const verdict of failed) {
    const { outcome, log } = await ask(saying(verdict), { command: 'EHLO', argument: 'x' });
    assert.equal(outcome, 'failed', JSON.stringify(verdict));
    assert.deepEqual([log[0]?.event, log[0]?.fields['xid']], ['service-failed', 1]);
  }
  // An operator who does not take refusals, or no answer at all.
  const no = saying(refuse(550, '5.7.1', 'no'));
  const unwanted = await ask(no, { command: 'EHLO', argument: 'x', allow: { smtpError: false } });
  assert.deepEqual([unwanted.outcome, unwanted.failure], ['failed', 'refusal-not-allowed']);
  assert.match(String(unwanted.log[0]?.fields['error']), /^EHLO: .* takes no refusal here \(opes: may: \[refuse\]/);
  const offered = { adaptive: [], informative: ['IP', 'EHLO', 'HELO'] } as const;
  const unheard = await ask(no, { command: 'EHLO', argument: 'x', offered });
  assert.deepEqual([unheard.outcome, unheard.failure], ['failed', 'part-not-adaptive']);
  assert.throws(() => change('x\r\nMAIL FROM:<a@b>'), TypeError);
  assert.throws(() => change(''), TypeError);
});

test('a handler that throws or is too slow fails its own command', async () => {
  const throws = defineService({
    uri: URI,
    greeting() {
      throw new Error('on purpose');
    },
  });
  assert.equal((await ask(throws, { command: 'EHLO', argument: 'x' })).failure, 'service-failed');
  const slow = defineService({ uri: URI, timeoutMs: 1, greeting: () => new Promise(() => undefined) });
  assert.equal((await ask(slow, { command: 'EHLO', argument: 'x' })).failure, 'time-limit');
});

test('names beyond ASCII are octets on the wire and characters for handlers', async () => {
  let seen = '';
  const service = defineService({
    uri: URI,
    verify(text) {
      seen = text;
      return change('Jürgen');
    },
  });
  const { argument } = await ask(service, { command: 'VRFY', argument: 'Jörg' });
  assert.deepEqual([seen, argument], ['Jörg', 'Jürgen']);
});

// On the wire.

const lines = (...all: readonly string[]): string => all.map((line) => `${line}\r\n`).join('');
const RECEIVER = '"38:http://iana.org/opes/ocp/SMTP/receiver"';

const GREETING =
  lines(
    'CS;',
    `NO ({${RECEIVER}`,
    'Adaptive-Parts: (EHLO,HELO,VRFY,MAIL,RCPT,RAWDATA)',
    'Informative-Parts: (IP)',
    '});',
    `SGC 1 ({"${URI.length}:${URI}"});`,
  ) +
  lines('TS 1 1;', 'AMS 1;') +
  lines('DUM 1 0', 'AM-Part: IP', '', '11:[192.0.2.1]', ';') +
  lines('DUM 1 11', 'Kept: {11 6}', 'AM-Part: EHLO', 'Allow: (SMTP-Error)', '', '6:CLIENT', ';') +
  lines('AME 1;', 'TE 1;') +
  lines('TS 2 1;', 'AMS 2;') +
  lines('DUM 2 0', 'AM-Part: IP', '', '11:[192.0.2.1]', ';') +
  lines('DUM 2 11', 'AM-Part: EHLO', 'Replayed: true', '', '14:client.example', ';') +
  lines('DUM 2 25', 'Kept: {25 4}', 'AM-Part: VRFY', 'Allow: (SMTP-Error)', '', '4:boss', ';') +
  lines('AME 2;', 'TE 2;');

test('a greeting and a look-up on the wire, however the octets are cut', () => {
  const expected =
    lines('CS;', `NR {${RECEIVER}`, 'Adaptive-Parts: (EHLO,HELO,VRFY)', 'Informative-Parts: (IP)', '};') +
    lines('AMS 1;', 'DUM 1 0', 'AM-Part: EHLO', '', '14:client.example', ';', 'AME 1;', 'TE 1;') +
    lines(
      'AMS 2;',
      'DUM 2 0',
      'AM-Part: VRFY',
      'SMTP-Error: "38:550 5.1.1 No such user, client.example"',
      '',
      '0:',
      ';',
    ) +
    lines('AME 2;', 'TE 2;');
  for (let size = 1; size <= GREETING.length; size = size < 40 ? size + 1 : size * 2) {
    const set = new ServiceSet([BY_NAME], { deadlines: new Deadlines() });
    const agent = new CalloutAgent({}, set.connect({ onOutput() {}, onEnd() {} }));
    let said = '';
    for (let at = 0; at < GREETING.length; at += size) {
      agent.recv(Buffer.from(GREETING.slice(at, at + size), 'latin1'));
      for (const buffer of agent.outbox.take()) said += buffer.toString('latin1');
      agent.drained();
    }
    assert.equal(said, expected, `in pieces of ${size}`);
  }
});
