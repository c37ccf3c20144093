import assert from 'node:assert/strict';
import { test } from 'vitest';
import { makeRuleEngine, type RuleProblem } from './index.ts';

/** Expression, message, `line:column`, suggestion. */
const wrong: readonly (readonly [string, string, string?, string?])[] = [
  ['', 'the expression is empty'],
  ["client.ipp == '1'", "client has no field 'ipp', only ip, name, tls", '1:8', 'ip'],
  ["client . naem == ''", "client has no field 'naem', only ip, name, tls", '1:10', 'name'],
  ["message['sizee'] > 5", "message has no field 'sizee', only size, headers, encrypted, signed", '1:1', 'size'],
  ["clinet.ip == '1'", "there is no variable 'clinet'", '1:1', 'client'],
  ['client.tls\n  && sesion.authenticated', "there is no variable 'sesion'", '2:6', 'session'],
  ['xyzzy', "there is no variable 'xyzzy'", '1:1'],
  ["listener.side = 'sender'", "'=' is not expected here", '1:15', '=='],
  ["sender.domain =~ 'x'", "'=' is not expected here", '1:15', 'matches()'],
  ['client.tls and session.authenticated', "'and' is not expected here", '1:12', '&&'],
  ['client.tls | session.authenticated', "'|' is not expected here", '1:12', '||'],
  ['not client.tls', "'client' is not expected here", '1:5', '!'],
  ['client.tls && ', 'the expression ends too early', '1:15'],
  ['(client.tls', "')' is expected here, not the end", '1:12'],
  ['client.tls)', "')' is not expected here", '1:11'],
  ['message.size > 10MB', "'MB' is not expected here", '1:18'],
  ["sender.domain == 'x", 'unterminated string', '1:18'],
  ['if', 'reserved identifier: if', '1:1'],
  ['client.ip', 'the result must be true or false, this one is of type string'],
  ['dyn(true)', 'the result must be true or false, this one is not sure to be one'],
  ["client.tls ? 'a' : 'b'", 'the result must be true or false, this one is of type string'],
  ["message.size > '5'", "'>' is not possible between int and string", '1:1'],
  ["client.tls == 'yes'", "'==' is not possible between bool and string", '1:1'],
  ["message.headers['x'] > 5", "'>' is not possible between string and int", '1:1'],
  ["sender.domain in 'example.com'", "'in' is not possible between string and string", '1:1'],
  ['client.tls || 5', "logical operator requires bool operands, got 'int'", '1:1'],
  ['!sender.domain', 'no such overload: !string', '1:1'],
  ['client.name.size', 'string has no fields; a function needs ()', '1:13'],
  ["sender.domain.endswith('x')", "there is no function 'endswith'", '1:1', 'endsWith'],
  ["inNetwrok(client.ip, '10.0.0.0/8')", "there is no function 'inNetwrok'", '1:1', 'inNetwork'],
  ['inNetwork(client.ip)', 'inNetwork() does not take (string)', '1:1'],
  ['size(client) > 1', 'size() does not take (Client)', '1:1'],
  ["sender.domain.matches('(')", 'not a pattern in RE2 syntax: error parsing regexp: missing closing ): `(`', '1:23'],
  ['sender.domain.matches(sender.local)', 'a pattern must be a text in quotes, so that it can be checked now', '1:23'],
  ["inNetwork(client.ip, ['10.0.0.0/8', '10/8'])", "'10/8' is not a network like 10.0.0.0/8 or 2001:db8::/32", '1:37'],
  ['inNetwork(client.ip, client.name)', 'a network must be a text in quotes, so that it can be checked now', '1:22'],
  ["listener.side == 'recipent'", "listener.side is 'sender' or 'recipient', never 'recipent'", '1:18', "'recipient'"],
  ["!(listener.side in ['sender', 'mx'])", "listener.side is 'sender' or 'recipient', never 'mx'", '1:31'],
  [
    'has(message.headers.subject)',
    "has() is not needed: all fields are there, and a missing header reads as ''",
    '1:1',
    "'name' in message.headers",
  ],
  [
    "message.headers.exists(client, client == 'x')",
    "'client' is a variable of rules and cannot be used for the elements",
    '1:24',
    'x',
  ],
  [
    "[message.headers].exists(h, 'subject' in h)",
    'message.headers is no value of its own; read one of its names',
    '1:2',
    "message.headers['name']",
  ],
  [`${'('.repeat(100)}true${')'.repeat(100)}`, 'exceeded maxDepth (60)', '1:61'],
  ['a'.repeat(20_001), 'over 20000 characters'],
];

test('a wrong expression is told with its place and, where one is near, what was meant', () => {
  const engine = makeRuleEngine();
  for (const [text, message, place, suggestion] of wrong) {
    const compiled = engine.compile(text);
    assert.ok('error' in compiled, text);
    const [line = 0, column = 0] = (place ?? '').split(':').map(Number);
    const expected: Partial<RuleProblem> = place === undefined ? { message } : { message, line, column };
    assert.deepEqual(compiled.error, suggestion === undefined ? expected : { ...expected, suggestion }, text);
  }
});
