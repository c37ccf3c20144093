import assert from 'node:assert/strict';
import { test } from 'vitest';
import { isOpenRelay, isRelayPeer, mayRelay, type RelayListener } from './relay-permission.ts';

const OUTSIDE: RelayListener = { isOnLoopback: false, relayFrom: [], proxyFrom: undefined, xclientFrom: [] };
const LOCAL: RelayListener = { ...OUTSIDE, isOnLoopback: true };
const smtp = { host: 'hop', port: 25 };
const NAMED = { to: 'example.com', nextHop: smtp };
const STAR = { to: '*', nextHop: smtp };
const MX = { to: 'example.com', nextHop: { kind: 'mx' } };

function may(route: typeof NAMED | typeof MX, listener: RelayListener, peerAddress: string, isAuthenticated = false) {
  const peer = isRelayPeer(listener, peerAddress);
  return mayRelay(route, listener, { isAuthenticated, isRelayPeer: peer, peerAddress });
}

test('a route to a named domain serves everybody', () => {
  assert.ok(may(NAMED, OUTSIDE, '198.51.100.9'));
  assert.ok(may(NAMED, OUTSIDE, 'unknown'));
});

test('"*" and MX serve nobody from outside but who logged in', () => {
  for (const route of [STAR, MX]) {
    assert.ok(!may(route, OUTSIDE, '198.51.100.9'));
    assert.ok(!may(route, OUTSIDE, '127.0.0.1'), 'a loopback address proves nothing where the listener is not on it');
    assert.ok(may(route, OUTSIDE, '198.51.100.9', true));
  }
});

test('on loopback "*" serves this machine, and MX nobody without permission', () => {
  assert.ok(may(STAR, LOCAL, '127.0.0.1'));
  assert.ok(!may(MX, LOCAL, '127.0.0.1'));
  assert.ok(!may({ to: 'example.com', nextHop: 'mx' } as never, LOCAL, '127.0.0.1'));
  assert.ok(may(MX, { ...LOCAL, relayFrom: ['127.0.0.1'] }, '127.0.0.1'));
});

test('where a proxy on this machine speaks for others, it is they who are judged', () => {
  for (const listener of [
    { ...LOCAL, proxyFrom: ['127.0.0.1'] },
    { ...LOCAL, xclientFrom: ['127.0.0.1'] },
  ]) {
    assert.ok(!may(STAR, listener, '198.51.100.9'));
    assert.ok(!may(STAR, listener, 'unknown'));
    assert.ok(may(STAR, listener, '127.0.0.1'));
    assert.ok(may(STAR, listener, '::1'));
  }
});

test('networks: IPv4, IPv6, one address, IPv4 in IPv6 clothes', () => {
  const listener = { ...OUTSIDE, relayFrom: ['10.0.0.0/8', '2001:db8::/32', '192.0.2.7'] };
  for (const address of ['10.9.8.7', '2001:db8:1::1', '192.0.2.7', '::ffff:10.1.1.1'])
    assert.ok(may(STAR, listener, address), address);
  for (const address of ['11.0.0.1', '2001:db9::1', '192.0.2.8', 'unknown', ''])
    assert.ok(!may(STAR, listener, address), address);
});

test('a Unix socket is no loopback address: there only `unix` of relayFrom may send anywhere', () => {
  for (const route of [STAR, MX]) {
    assert.ok(!may(route, OUTSIDE, 'unix'));
    assert.ok(!may(route, { ...OUTSIDE, relayFrom: ['127.0.0.0/8', '0.0.0.0/0', '::/0'] }, 'unix'));
    assert.ok(may(route, { ...OUTSIDE, relayFrom: ['unix'] }, 'unix'));
    assert.ok(!isOpenRelay(route, { ...OUTSIDE, relayFrom: ['unix'] }));
    // It names no address, known or not.
    for (const address of ['127.0.0.1', '::1', 'unknown', '', '198.51.100.9'])
      assert.ok(!may(route, { ...OUTSIDE, relayFrom: ['unix'], xclientFrom: ['unix'] }, address), address);
  }
  assert.ok(may(NAMED, OUTSIDE, 'unix'));
});

test('an open relay is one for strangers from everywhere', () => {
  for (const relayFrom of [[], ['10.0.0.0/8'], ['192.0.2.0/24', '2001:db8::/32']])
    for (const route of [NAMED, STAR, MX]) assert.ok(!isOpenRelay(route, { ...OUTSIDE, relayFrom }));
  for (const relayFrom of [['0.0.0.0/0'], ['::/0'], ['192.0.0.0/4'], ['10.0.0.0/8', '2000::/3']])
    for (const route of [STAR, MX]) assert.ok(isOpenRelay(route, { ...OUTSIDE, relayFrom }), relayFrom.join());
  assert.ok(!isOpenRelay(NAMED, { ...OUTSIDE, relayFrom: ['0.0.0.0/0'] }));
  assert.ok(!isOpenRelay(STAR, { ...LOCAL, relayFrom: ['0.0.0.0/0'] }));
  assert.ok(isOpenRelay(STAR, { ...LOCAL, relayFrom: ['0.0.0.0/0'], proxyFrom: ['127.0.0.1'] }));
});
