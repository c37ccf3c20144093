import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { suggest } from './index.ts';
import {
  isLoopback,
  type Read,
  readDuration,
  readEndpoint,
  readHostPort,
  readListenAddress,
  readMode,
  readNextHop,
  readSize,
  showHostPort,
} from './units.ts';

const value = <T>(read: Read<T>): T | string => ('value' in read ? read.value : read.wrong);

test('sizes and durations', () => {
  assert.equal(value(readSize('50MB')), 50_000_000);
  assert.equal(value(readSize('1.5 KiB')), 1536);
  assert.equal(value(readSize('10gb')), 10e9);
  assert.equal(value(readSize('-1MB')), '"-1MB" is not a size');
  assert.equal(value(readSize('5')), '"5" is not a size');
  assert.equal(value(readDuration('4m')), 240_000);
  assert.equal(value(readDuration('0s')), '"0s" is no time at all');
  assert.equal(value(readDuration('30d')), '"30d" is longer than 7 days');
});

test('places', () => {
  assert.deepEqual(value(readHostPort('[::1]:25')), { host: '::1', port: 25 });
  assert.equal(value(readHostPort('::1:25')), '"::1:25" is not HOST:PORT');
  assert.deepEqual(value(readNextHop('smtp://MX.example.com')), { kind: 'smtp', host: 'mx.example.com', port: 25 });
  assert.deepEqual(value(readNextHop('smtp://[2001:db8::5]')), { kind: 'smtp', host: '2001:db8::5', port: 25 });
  assert.deepEqual(value(readNextHop('smtps://h')), { kind: 'smtps', host: 'h', port: 465 });
  assert.deepEqual(value(readNextHop('lmtp://[::1]:24')), { kind: 'lmtp', host: '::1', port: 24 });
  assert.deepEqual(value(readNextHop('lmtp+unix:/run/lmtp')), { kind: 'lmtp-unix', path: '/run/lmtp' });
  assert.equal(value(readNextHop('lmtp://[::1]')), '"lmtp://[::1]" has no port');
  assert.equal(value(readNextHop(`lmtp+unix:/${'x'.repeat(104)}`)), 'the path of a Unix socket has at most 103 octets');
  assert.equal(value(readNextHop('smtp://h:0')), '"smtp://h:0" has port 0, which nobody listens on');
  assert.deepEqual(value(readEndpoint('ocp://h')), { kind: 'tcp', host: 'h', port: 4037 });
  assert.deepEqual(value(readEndpoint('ocp+tls://[::1]:1')), { kind: 'tls', host: '::1', port: 1 });
  assert.deepEqual(value(readEndpoint('ocp+unix:/run/a.sock')), { kind: 'unix', path: '/run/a.sock' });
  assert.equal(value(readEndpoint(`ocp+unix:/${'x'.repeat(104)}`)), 'the path of a Unix socket has at most 103 octets');
  assert.ok(
    isLoopback('127.9.9.9') && isLoopback('::1') && !isLoopback('127.0.0.1.example.com') && !isLoopback('10.0.0.1'),
  );
});

test('where to listen: a port, or a Unix socket by its absolute path', () => {
  assert.deepEqual(value(readListenAddress('[::1]:25')), { kind: 'tcp', host: '::1', port: 25 });
  for (const text of ['unix:/run/opes/lmtp.sock', 'unix:///run/opes/lmtp.sock', 'unix:/run//opes/./lmtp.sock'])
    assert.deepEqual(value(readListenAddress(text)), { kind: 'unix', path: '/run/opes/lmtp.sock' }, text);
  for (const text of ['unix:lmtp.sock', 'unix:./lmtp.sock', 'unix:'])
    assert.equal(value(readListenAddress(text)), `"${text}" has a relative path`);
  for (const text of ['unix:/', 'unix://', 'unix:/run/'])
    assert.equal(value(readListenAddress(text)), `"${text}" names no file`);
  assert.equal(value(readListenAddress('unix:/a\0b')), '"unix:/a\\u0000b" names no file');
  assert.deepEqual(value(readListenAddress(`unix:/${'x'.repeat(102)}`)), { kind: 'unix', path: `/${'x'.repeat(102)}` });
  assert.equal(value(readListenAddress(`unix:/${'é'.repeat(52)}`)), 'the path of a Unix socket has at most 103 octets');
  assert.equal(value(readListenAddress('/run/opes.sock')), '"/run/opes.sock" is not HOST:PORT');
});

test('modes', () => {
  assert.deepEqual([value(readMode('0660')), value(readMode('666'))], [0o660, 0o666]);
  for (const text of ['', '0', '0888', '1777', '0o660', '-rw', 'u=rw'])
    assert.equal(value(readMode(text)), `"${text}" is not a mode`);
});

test('a place reads back as itself', () => {
  const host = fc.oneof(
    fc.ipV4(),
    fc.domain(),
    fc.ipV6().filter((ip) => !ip.includes('.')),
  );
  fc.assert(
    fc.property(host, fc.nat(65535), (h, port) => {
      assert.deepEqual(value(readHostPort(showHostPort({ host: h, port }))), { host: h.toLowerCase(), port });
    }),
  );
});

test('whatever is written, a reader answers', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      for (const read of [readSize, readDuration, readHostPort, readNextHop, readEndpoint]) value<unknown>(read(text));
      suggest(text, ['listeners', 'routes']);
    }),
  );
});

test('suggestions come near or not at all', () => {
  assert.equal(suggest('listners', ['routes', 'listeners']), 'listeners');
  assert.equal(suggest('uir', ['may', 'uri']), 'uri');
  assert.equal(suggest('colour', ['routes', 'listeners']), undefined);
});
