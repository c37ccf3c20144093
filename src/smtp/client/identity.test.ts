import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { reply } from '../reply.ts';
import { Hop } from './hop.ts';
import { type ClientIdentity, heloOf, identityKey, xclientCommands, xforwardCommands, xtext } from './identity.ts';
import { proxyHeader, readAddress } from './proxy-header.ts';

const ALL = 'NAME ADDR PROTO HELO PORT LOGIN IDENT SOURCE';
const hop = (verb: string, attributes = ALL) =>
  Hop.fromHello('EHLO', reply(250, undefined, 'hop', `${verb} ${attributes}`));

const CLIENT: ClientIdentity = {
  address: '192.0.2.7',
  port: 4711,
  name: 'client.example.org',
  helo: 'helo.example.org',
  protocol: 'ESMTP',
  login: 'ann+x@example.com',
};

test('XCLIENT and XFORWARD say what is known, in xtext, and only what was announced', () => {
  assert.deepEqual(xclientCommands(hop('XCLIENT'), CLIENT, true), [
    'XCLIENT NAME=client.example.org ADDR=192.0.2.7 PORT=4711 PROTO=ESMTP HELO=helo.example.org LOGIN=ann+2Bx@example.com',
  ]);
  assert.deepEqual(xclientCommands(hop('XCLIENT', 'NAME ADDR'), CLIENT, true), [
    'XCLIENT NAME=client.example.org ADDR=192.0.2.7',
  ]);
  assert.deepEqual(xclientCommands(hop('XCLIENT', 'ADDR LOGIN'), CLIENT, false), ['XCLIENT ADDR=192.0.2.7']);
  assert.deepEqual(xforwardCommands(hop('XFORWARD'), CLIENT, 'abc.1'), [
    'XFORWARD NAME=client.example.org ADDR=192.0.2.7 PORT=4711 PROTO=ESMTP HELO=helo.example.org IDENT=abc.1 SOURCE=REMOTE',
  ]);
});

test('who has no address is said to have none, and is not us', () => {
  for (const address of ['unix', 'unknown', '']) {
    const client = { ...CLIENT, address };
    assert.deepEqual(xclientCommands(hop('XCLIENT', 'ADDR'), client, true), ['XCLIENT ADDR=[UNAVAILABLE]']);
    assert.deepEqual(xforwardCommands(hop('XFORWARD', 'ADDR'), client, undefined), ['XFORWARD ADDR=[UNAVAILABLE]']);
  }
});

test('what is not known is said to be so, and IPv6 has its prefix', () => {
  const bare = { address: '2001:db8::7', helo: '', protocol: 'SMTP' } as const;
  assert.deepEqual(xclientCommands(hop('XCLIENT'), bare, true), [
    'XCLIENT NAME=[UNAVAILABLE] ADDR=IPV6:2001:db8::7 PORT=[UNAVAILABLE] PROTO=SMTP HELO=[UNAVAILABLE] LOGIN=[UNAVAILABLE]',
  ]);
});

test('a hop that announces nothing, or no ADDR, cannot be told', () => {
  assert.deepEqual(xclientCommands(hop('XFORWARD'), CLIENT, true), []);
  assert.deepEqual(xclientCommands(hop('XCLIENT', 'NAME HELO'), CLIENT, true), []);
  assert.deepEqual(xforwardCommands(hop('XCLIENT'), CLIENT, undefined), []);
});

test('whatever a client calls itself, each command is one line of at most 510 printable characters', () => {
  const text = fc.string({ unit: 'binary', maxLength: 400 });
  fc.assert(
    fc.property(text, text, text, (name, helo, login) => {
      const client: ClientIdentity = { ...CLIENT, name, helo, login };
      const commands = [
        ...xclientCommands(hop('XCLIENT'), client, true),
        ...xforwardCommands(hop('XFORWARD'), client, helo),
      ];
      for (const command of commands) assert.match(command, /^X(CLIENT|FORWARD)( [A-Z]+=[\x21-\x7e]+)+$/);
      assert.ok(commands.every((command) => command.length <= 510));
      const names = commands.flatMap((command) =>
        command
          .split(' ')
          .slice(1)
          .map((word) => word.split('=', 1)[0]),
      );
      assert.deepEqual(names, [
        'NAME',
        'ADDR',
        'PORT',
        'PROTO',
        'HELO',
        'LOGIN',
        'NAME',
        'ADDR',
        'PORT',
        'PROTO',
        'HELO',
        'IDENT',
        'SOURCE',
      ]);
      assert.match(heloOf(client) ?? 'x', /^[\x21-\x7e]{1,255}$/);
    }),
  );
  assert.equal(xtext('a+b=c d\r\n\u00e9'), 'a+2Bb+3Dc+20d+0D+0A+C3+A9');
});

test('mails share a connection only where all that it carries is the same', () => {
  const other = { ...CLIENT, port: 4712 };
  assert.equal(identityKey('none', CLIENT), '');
  assert.equal(identityKey('xforward', CLIENT), '');
  assert.equal(identityKey('proxy', undefined), '');
  assert.notEqual(identityKey('proxy', CLIENT), identityKey('proxy', other));
  assert.equal(identityKey('proxy', CLIENT), identityKey('proxy', { ...CLIENT, helo: 'x' }));
  assert.notEqual(identityKey('xclient', CLIENT), identityKey('xclient', { ...CLIENT, helo: 'x' }));
  assert.notEqual(identityKey('xclient', CLIENT), identityKey('xclient', { ...CLIENT, login: undefined }));
});

test('PROXY headers, octet by octet (proxy-protocol.txt, 2.2)', () => {
  const signature = '0d0a0d0a000d0a515549540a';
  const to = { address: '198.51.100.9', port: 25 };
  const v4 = proxyHeader({ address: '192.0.2.7', port: 4711 }, to);
  assert.equal(v4.toString('hex'), `${signature}2111000cc0000207c633640912670019`);
  const v6 = proxyHeader({ address: '2001:db8::7', port: 4711 }, { address: '2001:db8::9', port: 25 });
  assert.equal(
    v6.toString('hex'),
    `${signature}2121002420010db800000000000000000000000720010db800000000000000000000000912670019`,
  );
  const mixed = proxyHeader({ address: '2001:db8::7' }, to);
  assert.equal(mixed.toString('hex'), `${signature}2121002420010db8000000000000000000000007${'0'.repeat(32)}00000000`);
  assert.equal(proxyHeader(undefined, to).toString('hex'), `${signature}20000000`);
  assert.equal(proxyHeader({ address: 'nonsense' }, to).toString('hex'), `${signature}20000000`);
});

test('addresses in text', () => {
  const hex = (text: string) => readAddress(text)?.toString('hex');
  assert.equal(hex('::'), '0'.repeat(32));
  assert.equal(hex('::1'), `${'0'.repeat(31)}1`);
  assert.equal(hex('1:2:3:4:5:6:7:8'), '00010002000300040005000600070008');
  assert.equal(hex('::ffff:192.0.2.1'), 'c0000201');
  assert.equal(hex('64:ff9b::192.0.2.1'), '0064ff9b0000000000000000c0000201');
  for (const none of [
    '',
    '1.2.3',
    '1.2.3.256',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    'g::',
    ':::',
    '::1%eth0',
  ])
    assert.equal(hex(none), undefined, none);
  fc.assert(fc.property(fc.ipV6(), (text) => assert.ok([4, 16].includes(readAddress(text)?.length ?? 0), text)));
  fc.assert(fc.property(fc.string(), (text) => assert.ok([0, 4, 16].includes(readAddress(text)?.length ?? 0))));
});
