import assert from 'node:assert/strict';
import { test } from 'vitest';
import { mailRecord } from '../../../test/support/records.ts';
import { type DeliveryRecord, fateOf } from './deliveries.ts';
import { RecentMailRing } from './recent-mails.ts';

const END = { to: 'b@dst.example', nextHop: 'one:25', said: '250 ok', atMs: 1, nextMs: undefined } as const;
const end = (n: number, state: DeliveryRecord['state']): DeliveryRecord => ({ ...END, id: `s.1#${n}`, state });
const accepted = { address: 'b@dst.example', relayedAs: undefined, reply: { code: 250, enhanced: '', text: ['ok'] } };

test('the last mails are kept, and what is told of a delivery replaces what was told of it before', () => {
  const ring = new RecentMailRing(2);
  for (const id of ['s.0', 's.1', 's.2']) ring.keep(mailRecord(id));
  assert.deepEqual([ring.knows('s.0'), ring.knows('s.1')], [false, true]);
  ring.tell('s.0', [end(0, 'delivered')]);
  ring.tell('s.1', [end(0, 'queued'), end(1, 'queued')]);
  ring.tell('s.1', [end(0, 'delivered')]);
  assert.deepEqual(
    ring.find('s.1')?.deliveries.map(({ id, state }) => [id, state]),
    [
      ['s.1#1', 'queued'],
      ['s.1#0', 'delivered'],
    ],
  );
  assert.deepEqual(
    ring.list().map(({ id }) => id),
    ['s.2', 's.1'],
    'a mail that is told of is no newer than it was',
  );
});

test('the fate of a mail is that of all its recipients', () => {
  const fate = (...deliveries: DeliveryRecord[]): string =>
    fateOf({ recipients: [accepted, accepted, { ...accepted, reply: undefined }], deliveries });
  assert.equal(fate(), 'stored');
  assert.equal(fate(end(0, 'delivered')), 'stored', 'nothing is known of the other');
  assert.equal(fate(end(0, 'delivered'), end(1, 'queued')), 'stored');
  assert.equal(fate(end(0, 'delivered'), end(1, 'delivered')), 'delivered');
  assert.equal(fate(end(0, 'delivered'), end(1, 'held')), 'held');
  assert.equal(fate(end(0, 'held'), end(1, 'excepted')), 'failed');
  assert.equal(fate(end(0, 'delivered'), end(1, 'removed')), 'removed');
});
