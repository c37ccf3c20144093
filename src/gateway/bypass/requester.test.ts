import assert from 'node:assert/strict';
import { test } from 'vitest';
import { requesterOf } from './requester.ts';

const NETWORKS = ['10.0.0.0/8'];

test('authority covers the services of its own side: a login that of senders, a named peer that of its listener (REQ-074)', () => {
  for (const [user, side, peerAddress, isVouchedFor, isAuthorised] of [
    ['alice', 'sender', '192.0.2.1', false, true],
    ['alice', 'recipient', '192.0.2.1', false, false],
    ['', 'sender', '192.0.2.1', true, false],
    ['', 'sender', '10.1.2.3', true, true],
    ['', 'recipient', '10.1.2.3', true, true],
    ['', 'recipient', '10.1.2.3', false, false],
    ['', 'recipient', 'unknown', true, false],
    ['alice', 'recipient', '10.1.2.3', true, true],
  ] as const) {
    const session = { user, peerAddress, listener: { side, bypassFrom: NETWORKS } };
    assert.equal(
      requesterOf(session, isVouchedFor).isAuthorised,
      isAuthorised,
      JSON.stringify([user, side, peerAddress]),
    );
  }
});

test('nobody is named by default', () => {
  const session = { user: '', peerAddress: '127.0.0.1', listener: { side: 'sender', bypassFrom: [] } } as const;
  assert.deepEqual(requesterOf(session, true), { isAuthorised: false, who: 'peer 127.0.0.1' });
});
