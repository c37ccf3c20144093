import assert from 'node:assert/strict';
import { test } from 'vitest';
import { LISTENER } from '../../../test/support/mail-rig.ts';
import { clientIdentity, makeSessionView, type SessionOrigin, UNKNOWN_ADDRESS } from './session-view.ts';

const ORIGIN: SessionOrigin = {
  id: 's',
  listener: LISTENER,
  clientAddress: '192.0.2.7',
  verb: 'EHLO',
  helo: 'client.test',
  tls: false,
};

test('who has no address is shown with the word for it, and services and rules are told none', () => {
  const known = makeSessionView('mx.test', ORIGIN);
  assert.deepEqual(known.parts, [
    ['IP', '[192.0.2.7]'],
    ['EHLO', 'client.test'],
  ]);
  assert.equal(known.facts.client.ip, '192.0.2.7');
  for (const clientAddress of ['unix', UNKNOWN_ADDRESS]) {
    const view = makeSessionView('mx.test', { ...ORIGIN, clientAddress });
    assert.deepEqual(view.parts, [['EHLO', 'client.test']], clientAddress);
    assert.deepEqual([view.facts.client.ip, view.clientAddress], ['', clientAddress]);
    assert.equal(clientIdentity(view).address, clientAddress);
  }
});

test('on a Unix socket a mail whose client is told by XFORWARD has that client, and the permissions of the peer', () => {
  const listener = { ...LISTENER, isOnLoopback: false, relayFrom: ['unix'] };
  const far = { to: '*', nextHop: { host: 'hop', port: 25 } };
  const through = makeSessionView('mx.test', { ...ORIGIN, listener, peerAddress: 'unix' });
  assert.deepEqual([through.facts.client.ip, through.mayRelay(far)], ['192.0.2.7', true]);
  const named = makeSessionView('mx.test', { ...ORIGIN, listener });
  assert.equal(named.mayRelay(far), false, 'by XCLIENT it is the client who is judged');
});
