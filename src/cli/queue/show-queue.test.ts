import assert from 'node:assert/strict';
import { test } from 'vitest';
import type { QueuedMail, QueueEntry } from '../../gateway/index.ts';
import { age, showCounters, showMail, showQuarantine, showQueue, showReport } from './show-queue.ts';

const NOW = Date.UTC(2026, 10, 22, 12);
const HOUR = 3_600_000;

const entry: QueueEntry = {
  id: 'q3Zk81aBcD7x.1#0',
  trace: 'q3Zk81aBcD7x.1',
  state: 'queued',
  acceptedMs: NOW - 3 * HOUR,
  from: 'ann@example.org',
  to: 'bob@example.com',
  destination: 'example.com',
  lane: 'relay',
  attempts: 3,
  nextMs: NOW + 27 * 60_000,
  expiresMs: NOW + 117 * HOUR,
  lastReply: '450 4.2.0 try later\r\n\x1b[2J',
  held: undefined,
};
const held: QueueEntry = {
  ...entry,
  id: 'q3Zk81aBcD7x.1#1',
  state: 'held',
  from: '',
  to: `${'x'.repeat(80)}@example.net`,
  attempts: 0,
  lastReply: undefined,
  held: { service: 'av', reason: 'timeout', sinceMs: NOW - HOUR / 2 },
};

test('the queue: a line a recipient, with what was said last below it, and nothing that steers a terminal', () => {
  const under = { ...entry, id: 'r.1#0', state: 'active', lastReply: undefined } as const;
  assert.equal(
    showQueue([entry, held, under], NOW, true),
    `ID                AGE  NEXT TRY   TRIES  FROM             TO
q3Zk81aBcD7x.1#0  3h   in 27m     3      ann@example.org  bob@example.com
    450 4.2.0 try later???[2J
q3Zk81aBcD7x.1#1  3h   held       0      <>               ${'x'.repeat(60)}...
    held by av (timeout)
r.1#0             3h   under way  3      ann@example.org  bob@example.com
`,
  );
  assert.equal(
    showQueue([{ ...under, state: 'queued', nextMs: NOW - 1 }], NOW, false),
    'r.1#0  3h  now  3  ann@example.org  bob@example.com\n',
  );
});

test('the quarantine', () => {
  const byHand = { ...held, to: 'b@example.net', held: { service: 'operator', reason: 'operator', sinceMs: NOW } };
  assert.equal(
    showQuarantine([byHand], NOW, true),
    `ID                HELD  KEPT     BY        FROM  TO
q3Zk81aBcD7x.1#1  0s    5d more  operator  <>    b@example.net
`,
  );
});

test('a mail: its envelope, its recipients, its header', () => {
  const mail: QueuedMail = {
    mail: 'q3Zk81aBcD7x.1.v2',
    trace: 'q3Zk81aBcD7x.1',
    acceptedMs: NOW - 3 * HOUR,
    from: 'ann@example.org',
    params: { BODY: '8BITMIME', SMTPUTF8: true },
    facts: { session: { listener: 'mx', clientAddress: '192.0.2.1', verb: 'EHLO', helo: 'client.example.org' } },
    deliveries: [
      { ...entry, params: { NOTIFY: 'FAILURE' }, content: 'x', notes: {} },
      {
        ...held,
        to: 'c@example.net',
        lane: 'adapt',
        params: {},
        content: 'x',
        notes: { service: 'av', isReleased: true },
      },
    ],
    hasMore: true,
    header: 'Subject: =?x\r\n folded\x07\r\n',
    octets: 2048,
    sha256: 'ab12',
  };
  assert.equal(
    showMail(mail, NOW),
    `mail              q3Zk81aBcD7x.1.v2
in trace and log  q3Zk81aBcD7x.1
accepted          2026-11-22T09:00:00.000Z, 3h ago
came in by        mx from 192.0.2.1 (EHLO client.example.org)
from              ann@example.org BODY=8BITMIME SMTPUTF8
size              2 kB
sha256            ab12

q3Zk81aBcD7x.1#0
  to            bob@example.com NOTIFY=FAILURE
  next try      in 27m
  tries         3
  given up      in 5d
  still to run  nothing: services are done
  said last     450 4.2.0 try later???[2J

q3Zk81aBcD7x.1#1
  to            c@example.net
  held          for 30m, by av (timeout)
  kept          for 5d more
  still to run  services from av on, without those that may be bypassed

... and more recipients

header
  Subject: =?x
   folded?
`,
  );
});

test('what an order came to', () => {
  const one = { id: 'a.1#0', to: 'b@example.com' };
  const report = {
    done: 1,
    refused: 4,
    entries: [
      { ...one, refused: undefined },
      { ...one, id: 'a.1#1', refused: 'active' },
      { ...one, id: 'a.1#2', refused: 'not-held' },
      { ...one, id: 'a.1#3', refused: 'held' },
    ],
  } as const;
  assert.equal(
    showReport(report, 'released'),
    `a.1#0  b@example.com  released
a.1#1  b@example.com  not released: it is being delivered now; try again
a.1#2  b@example.com  not released: it is not held aside
a.1#3  b@example.com  not released: it is held aside: release or remove it
... and 1 more
`,
  );
});

test('the counters', () => {
  const counters = { accepted: 12_345, delivered: 12_000, reported: 300, excepted: 1, removed: 4, queued: 38, held: 2 };
  const lines = showCounters(counters).split('\n');
  assert.equal(lines[0], 'accepted          12345  recipients of mail this gateway answered for');
  assert.equal(lines[6], 'held                  2  kept aside for an operator');
});

test('ages', () => {
  const shown = [0, 119_499, 120_000, 7_199_000, 7_200_000, 172_799_000, 172_800_000, -5].map(age);
  assert.deepEqual(shown, ['0s', '119s', '2m', '120m', '2h', '48h', '2d', '0s']);
});

test('an address beyond ASCII is shown as it is read, and one that is no UTF-8 steers nothing', () => {
  const to = Buffer.from('zoë@bücher.example').toString('latin1');
  assert.match(showQueue([{ ...entry, to, lastReply: undefined }], NOW, false), / {2}zoë@bücher\.example\n$/);
  const bare = '\xc3\x9b2J\x9b2J@x.example';
  assert.match(showQueue([{ ...entry, to: bare, lastReply: undefined }], NOW, false), / {2}Û2J\ufffd2J@x\.example\n$/);
});
