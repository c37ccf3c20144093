import assert from 'node:assert/strict';
import { test } from 'vitest';
import type { TraceReport } from '../admin/protocol.ts';
import { showTrace } from './show-trace.ts';

const NOW = Date.UTC(2026, 10, 22, 12);

const record: NonNullable<TraceReport['record']> = {
  id: 's.1',
  atMs: NOW - 60_000,
  tookMs: 22.64,
  listener: 'mx',
  side: 'recipient',
  client: { address: '192.0.2.1', helo: 'client.example.org', tls: true },
  sender: 'ann@example.org',
  relayedSender: undefined,
  recipients: [
    {
      address: 'bob@example.com',
      relayedAs: 'robert@example.com',
      reply: { code: 250, enhanced: '2.1.5', text: ['OK'] },
    },
    {
      address: 'carl@example.com',
      relayedAs: undefined,
      reply: {
        code: 451,
        enhanced: '4.7.1',
        text: ['try again later', 'OPES-System: https://mail.example.com/opes?id=s.1'],
      },
    },
  ],
  sizeBefore: 288,
  sizeAfter: 2048,
  calls: [
    {
      service: 'av',
      uri: 'https://mail.example.com/opes/av',
      verdict: 'changed',
      detail: '',
      endpoint: 'ocp://192.0.2.9:4037',
      parts: ['RAWDATA'],
      tookMs: 3,
      octetsSent: 288,
      octetsReceived: 12,
    },
  ],
  edits: [{ service: 'av', part: 'HEADER', what: 'added header fields' }],
  trace: ['OPES-System: https://mail.example.com/opes?id=s.1'],
  nextHop: {
    address: '192.0.2.25:25',
    reply: { code: 250, enhanced: '2.0.0', text: ['queued'] },
    wasSent: true,
    tookMs: 5,
  },
  reply: { code: 250, enhanced: '2.0.0', text: ['queued'] },
  outcome: 'relayed',
  deliveries: [],
};

test('what was done to a mail that has left', () => {
  assert.equal(
    showTrace({ id: 's.1', record, entries: [], remembered: 1 }, NOW),
    `mail s.1
  at       2026-11-22T11:59:00.000Z, took 22.6ms
  client   192.0.2.1 (client.example.org) with TLS, listener mx
  from     <ann@example.org>
  size     288 octets before, 2 kB after
  outcome  relayed: the next hop took it

recipients
  bob@example.com   as robert@example.com  250 2.1.5 OK
  carl@example.com                         451-4.7.1 try again later
                                           451 4.7.1 OPES-System: https://mail.example.com/opes?id=s.1

services
  av  changed  3ms

edits
  av  HEADER  added header fields

trace
  OPES-System: https://mail.example.com/opes?id=s.1

next hop
  192.0.2.25:25  250 2.0.0 queued

answer to the client
  250 2.0.0 queued
`,
  );
});

const stored = { ...record, outcome: 'stored', nextHop: undefined } as const;
const shown = (more: Partial<NonNullable<TraceReport['record']>>): string =>
  showTrace({ id: 's.1', record: { ...stored, ...more }, entries: [], remembered: 1 }, NOW);

test('a mail that was stored and has ended elsewhere says where to look', () => {
  assert.match(shown({}), /\nnothing else of it is in the queue any more: the log says how it ended\n$/);
});

test('a mail that was stored says how each delivery ended', () => {
  const common = { nextHop: '192.0.2.25:25', atMs: NOW - 5000, nextMs: undefined };
  const text = shown({
    deliveries: [
      { ...common, id: 's.1#0', to: 'bob@example.com', state: 'delivered', said: '250 2.0.0 queued' },
      { ...common, id: 's.1#1', to: 'eve@example.com', state: 'reported', said: '550 5.1.1 no' },
    ],
  });
  assert.match(text, /^ {2}outcome {2}stored: this gateway answers for it; not delivered to all$/m);
  assert.match(
    text,
    /\ndeliveries\n {2}bob@example.com {2}delivered {19}5s ago {2}192.0.2.25:25 {2}250 2.0.0 queued\n {2}eve@example.com {2}failed, its sender is told {2}5s ago {2}192.0.2.25:25 {2}550 5.1.1 no\n$/,
  );
});

test('a hop that was only asked about recipients owed no answer', () => {
  const nextHop = { address: '192.0.2.25:25', wasSent: false, reply: undefined, tookMs: 0 };
  const text = shown({ nextHop });
  assert.doesNotMatch(text, /no answer/);
  assert.match(text, /\n {2}192.0.2.25:25 {2}asked about recipients, not sent the content\n/);
  assert.match(shown({ outcome: 'aborted', nextHop: { ...nextHop, wasSent: true } }), / {2}no answer\n/);
});
