import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { isLoopback, isProtected, parseEndpoint, writeEndpoint } from './index.ts';

test('endpoints as they are written', () => {
  assert.deepEqual(parseEndpoint('ocp://10.0.0.9:4000'), { kind: 'tcp', host: '10.0.0.9', port: 4000 });
  assert.deepEqual(parseEndpoint('ocp://av.example/'), { kind: 'tcp', host: 'av.example', port: 4037 });
  assert.deepEqual(parseEndpoint('ocp://[::1]'), { kind: 'tcp', host: '::1', port: 4037 });
  assert.deepEqual(parseEndpoint('ocp+tls://h:1'), { kind: 'tls', host: 'h', port: 1, tls: {} });
  assert.deepEqual(parseEndpoint('ocp+unix:/run/a.sock'), { kind: 'unix', path: '/run/a.sock' });
  assert.deepEqual(parseEndpoint('ocp+unix:///run/a b'), { kind: 'unix', path: '/run/a b' });
});

test('what is none says why', () => {
  const wrong = [
    '',
    'http://h',
    'ocp:h',
    'ocp://',
    'ocp://h:',
    'ocp://h:x',
    'ocp://h:65536',
    'ocp://h:01',
    'ocp://u@h',
    'ocp://h/path',
    'ocp://::1',
    'ocp://[h]',
    'ocp+unix:relative',
    'ocp+unix:/a\0b',
    `ocp+unix:/${'x'.repeat(103)}`,
  ];
  for (const text of wrong) assert.ok('error' in parseEndpoint(text), text);
});

test('whatever is written is read, and what is read is written the same', () => {
  const host = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6());
  const endpoint = fc.oneof(
    fc.record({ kind: fc.constant('tcp' as const), host, port: fc.nat(65_535) }),
    fc.record({ kind: fc.constant('tls' as const), host, port: fc.nat(65_535), tls: fc.constant({}) }),
    fc.record({ kind: fc.constant('unix' as const), path: fc.constantFrom('/a', '/run/opes/a.sock') }),
  );
  fc.assert(fc.property(endpoint, (e) => assert.deepEqual(parseEndpoint(writeEndpoint(e)), { ...e })));
  fc.assert(fc.property(fc.string(), (text) => void parseEndpoint(`ocp://${text}`)));
});

test('plaintext is for this host only', () => {
  for (const host of ['127.0.0.1', '127.9.9.9', '::1', '::ffff:127.0.0.1', 'localhost', 'a.localhost', 'LOCALHOST.']) {
    assert.equal(isLoopback(host), true, host);
  }
  for (const host of ['0.0.0.0', '::', '10.0.0.1', '128.0.0.1', 'localhost.example', '127.0.0.1.example', '']) {
    assert.equal(isLoopback(host), false, host);
  }
  assert.equal(isProtected({ kind: 'tls', host: '10.0.0.1', port: 1, tls: {} }), true);
  assert.equal(isProtected({ kind: 'unix', path: '/a' }), true);
  assert.equal(isProtected({ kind: 'tcp', host: '10.0.0.1', port: 1 }), false);
});
