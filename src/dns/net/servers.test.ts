import assert from 'node:assert/strict';
import { test } from 'vitest';
import { isOnLoopback, parseResolvConf, systemServers } from './servers.ts';

test('resolv.conf: its first three servers', () => {
  const text = [
    '# nameserver 192.0.2.9',
    'search example.com',
    'nameserver 192.0.2.1',
    'nameserver\t2001:db8::1  # ours',
    'nameserver not-an-address',
    'nameserver fe80::1%eth0',
    'nameserver 192.0.2.4',
    'options edns0 trust-ad',
  ].join('\n');
  assert.deepEqual(
    parseResolvConf(text).map(({ host, port }) => `${host} ${port}`),
    ['192.0.2.1 53', '2001:db8::1 53', 'fe80::1%eth0 53'],
  );
});

test('without the file the resolver of this machine is asked', () => {
  assert.deepEqual(systemServers('/nonexistent/resolv.conf'), [{ host: '127.0.0.1', port: 53 }]);
});

test('which servers are this machine', () => {
  for (const host of ['127.0.0.53', '::1', '0:0::1']) assert.equal(isOnLoopback({ host, port: 53 }), true, host);
  for (const host of ['192.0.2.1', 'fe80::1%lo', '::', 'localhost'])
    assert.equal(isOnLoopback({ host, port: 53 }), false, host);
});
