import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { makeRuleEngine, type Rule, type RuleFacts } from './index.ts';

const engine = makeRuleEngine();

function rule(text: string): Rule {
  const compiled = engine.compile(text);
  assert.ok('ok' in compiled, JSON.stringify(compiled));
  return compiled.ok;
}

const facts: RuleFacts = {
  client: { ip: '::ffff:192.0.2.7', name: 'mail.example.org', tls: true },
  session: { helo: 'mail.example.org', authenticated: false, user: '' },
  listener: { name: 'mx', side: 'recipient' },
  sender: { address: 'a@news.example.org', local: 'a', domain: 'news.example.org' },
  recipient: {
    address: 'gr\xc3\xbc\xc3\x9fe@example.com',
    local: 'gr\xc3\xbc\xc3\x9fe',
    domain: 'example.com',
    prefs: new Map([['Footer', 'no']]),
  },
  message: {
    size: 5000,
    header: Buffer.from(
      'Received: one\r\n two\r\nReceived: three\r\nSubject: =?utf-8?Q?Gr=C3=BC?=\r\n =?utf-8?B?w59l?= (x)\r\nX-1: =?iso-8859-1?Q?=FC?=\r\n\r\nSubject: body',
    ),
    encrypted: false,
    signed: true,
  },
};

test('right expressions judge the facts', () => {
  const holds = [
    "listener.side == 'recipient' && !session.authenticated",
    "inNetwork(client.ip, '192.0.2.0/24')",
    "inNetwork(client.ip, ['10.0.0.0/8', '192.0.2.7'])",
    "inDomain(sender.domain, 'EXAMPLE.org') && !inDomain('notexample.org', 'example.org')",
    "inDomain(sender.domain, ['example.com', 'example.org'])",
    'message.size > 4000 && message.signed && !message.encrypted && client.tls',
    "message.headers['Subject'] == 'Grüße (x)'",
    "message.headers.subject.startsWith('Gr')",
    "message.headers['x-1'] == 'ü'",
    "message.headers['received'] == 'one two'",
    "message.values('Received') == ['one two', 'three']",
    "message.values('nope').size() == 0",
    "'SUBJECT' in message.headers && !('list-id' in message.headers)",
    "!message.headers['list-id'].contains('x') && message.headers['list-id'] == ''",
    "message.headers.exists(n, n.startsWith('x-')) && size(message.headers) == 3",
    "recipient.prefs['footer'] == 'no' && 'FOOTER' in recipient.prefs && recipient.prefs.other == ''",
    "recipient.local == 'grüße'",
    "sender.domain.matches('^news\\\\.') && sender.domain.matches(r'(?i)EXAMPLE') && !sender.local.matches('^$')",
    "[sender.domain, recipient.domain].exists(d, d.matches('com$'))",
    "(recipient.domain == 'x' ? 1 : 2) == 2",
    "session.user == '' || session.user.size() > 100",
    'true',
  ];
  for (const text of holds) assert.equal(rule(text).judge(facts), true, text);
  for (const text of ["sender.address == 'x'", "client.ip in ['x']"])
    assert.equal(rule(text).judge(facts), false, text);
});

test('a rule says what it reads, in macros and arguments too', () => {
  const reads: readonly (readonly [string, readonly string[]])[] = [
    ['true', []],
    ["client.ip == ''", ['client']],
    ["listener.side == 'sender' || recipient.domain == ''", ['listener', 'recipient']],
    ["['a'].exists(x, x == session.user && message.size > 1)", ['session', 'message']],
    ['inDomain(sender.domain, [recipient.domain])', ['sender', 'recipient']],
    ["(client.tls ? message.headers['x'] : 'y') == 'z'", ['client', 'message']],
    ["cel.bind(d, sender.domain, d == 'x')", ['sender']],
    ["'client.ip' == 'message'", []],
  ];
  for (const [text, names] of reads) assert.deepEqual([...rule(text).reads], names, text);
});

test('what cannot be judged is an answer, not an exception', () => {
  assert.deepEqual(rule('message.size > 1').judge({}), { error: 'message is not known at this stage' });
  assert.deepEqual(rule('message.size / 0 > 1').judge(facts), { error: 'division by zero' });
  assert.deepEqual(rule("message.values('nope')[0] == 'x'").judge(facts), {
    error: 'a list has no element of that index',
  });
});

test('an address that is none is in no network', () => {
  const inside = rule("inNetwork(client.ip, ['0.0.0.0/0', '::/0'])");
  for (const ip of ['', 'unix', '127.1', '0x7f000001', '1.2.3.4.5']) {
    assert.equal(inside.judge({ client: { ip, name: '', tls: false } }), false, ip);
  }
  assert.equal(inside.judge({ client: { ip: '2001:db8::1', name: '', tls: false } }), true);
});

test('a pattern takes time in proportion to the text, whatever it is', () => {
  const attack = rule(
    "message.headers['subject'].matches('^(a+)+$') || message.headers['subject'].matches('(a|a|aa)*b$')",
  );
  const header = Buffer.from(`Subject: ${'a'.repeat(20_000)}!\r\n\r\n`);
  const before = process.cpuUsage();
  assert.equal(attack.judge({ message: { size: 1, header, encrypted: false, signed: false } }), false);
  assert.ok(process.cpuUsage(before).user < 3_000_000);
});

test('a header map is made once for a message, however many rules and recipients ask', () => {
  const text = "message.headers['subject'] == 'x'";
  const message = { size: 1, header: Buffer.from('Subject: x\r\n\r\n'), encrypted: false, signed: false };
  assert.equal(rule(text).judge({ message }), true);
  message.header.write('Subject: y\r\n\r\n');
  assert.equal(rule(text).judge({ message }), true);
  assert.equal(rule(text).judge({ message: { ...message } }), false);
});

test('a verdict is remembered for the facts it was given on, and for no others', () => {
  const asks = rule("sender.address == '' && client.tls");
  const nobody = { address: '', local: '', domain: '' };
  const client = { ip: '192.0.2.7', name: '', tls: true };
  assert.equal(asks.judge({ sender: nobody, client }), true);
  assert.equal(asks.judge({ sender: nobody, client: { ...client, tls: false } }), false);
  assert.equal(asks.judge({ sender: nobody, client }), true);
  client.tls = false;
  assert.equal(asks.judge({ sender: nobody, client }), true, 'facts do not change');
  assert.deepEqual(asks.judge({ sender: nobody }), { error: 'client is not known at this stage' });
  assert.deepEqual(asks.judge({ client }), { error: 'sender is not known at this stage' });
  const inside = rule("inNetwork(client.ip, ['10.0.0.0/8', '192.0.2.0/24'])");
  for (const [ip, is] of [
    ['192.0.2.7', true],
    ['192.0.3.7', false],
    ['', false],
    ['192.0.2.7', true],
  ] as const)
    assert.equal(inside.judge({ client: { ip, name: '', tls: false } }), is, ip);
});

test('no text breaks the compiler, and no header breaks a rule', () => {
  const word = fc.constantFrom(
    ...'client . ip == && || ! ( ) [ ] { } , : ? \' " message headers size exists matches in 1 2.0 x "a" '.split(' '),
    'inNetwork',
    'has',
    '\n',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.array(word, { maxLength: 15 }).map((words) => words.join(' ')),
      ),
      (text) => {
        const compiled = engine.compile(text);
        if ('ok' in compiled) assert.notEqual(compiled.ok.judge(facts), undefined);
        else assert.ok(compiled.error.message.length > 0);
      },
    ),
    { numRuns: 3000 },
  );
  const asks = rule("message.headers['subject'].contains('x') || message.values('a').size() > 3");
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (octets) => {
      const header = Buffer.concat([Buffer.from('Subject: =?x?q?'), octets]);
      assert.equal(typeof asks.judge({ message: { size: 1, header, encrypted: false, signed: false } }), 'boolean');
    }),
  );
});
