import assert from 'node:assert/strict';
import { test } from 'vitest';
import { contentOf } from '../../../test/support/spool-rig.ts';
import { noMetrics, silentLog } from '../../base/index.ts';
import { reply } from '../../smtp/index.ts';
import { ReportDecider } from '../dsn/index.ts';
import type { ReportEvent } from './port.ts';
import { Reporter } from './reporter.ts';
import type { QueuedDelivery } from './rows.ts';

const REPORTS = { languages: ['en'], returnContent: 'headers', postmaster: undefined, perSenderPerHour: 10 } as const;
const NOW = Date.UTC(2026, 10, 22);
const CONTENT = contentOf('From: a@src.example\r\nSubject: x\r\n\r\nHello\r\n');

const reporter = new Reporter(new ReportDecider(REPORTS, silentLog, noMetrics), {
  hostname: 'mx.example.com',
  system: { uri: 'https://mail.example.com/opes', contact: undefined },
  reports: REPORTS,
  headerOctets: 10_000,
  lifetimeMs: 1000,
  serviceOf: (name) => ({ uri: `https://mail.example.com/opes/${name}`, isBypassable: false }),
  wallClock: () => NOW,
  nonce: () => '0123456789abcdef',
});

function delivery(more: Partial<QueuedDelivery> = {}): QueuedDelivery {
  return {
    mail: 's.1.v2',
    n: 3,
    content: 's.1.v2/0',
    forwardPath: 'b@dst.example',
    params: {},
    destination: 'dst.example',
    lane: 'relay',
    hold: undefined,
    attempts: 2,
    nextMs: 0,
    expiresMs: NOW,
    lastReply: undefined,
    isWarned: false,
    notes: {},
    ...more,
  };
}

function event(user: string, more: Partial<ReportEvent>): ReportEvent {
  const session = {
    id: 's',
    listener: 'mx',
    clientAddress: '192.0.2.1',
    verb: 'EHLO',
    helo: 'client.example',
    tls: false,
    user,
  } as const;
  const facts = { mail: 's.1', session };
  const mail = { id: 's.1.v2', acceptedMs: NOW - 1000, reversePath: 'a@src.example', params: {}, facts };
  return { mail, delivered: [], failed: [], delayed: [], content: CONTENT, nextHop: 'hop.example:25', ...more };
}

async function textOf(told: ReportEvent): Promise<{ readonly id: string; readonly text: string }> {
  const { mails } = await reporter.make(told);
  const [mail] = mails;
  assert.equal(mails.length, 1);
  const octets = mail?.contents[0]?.octets;
  assert.ok(octets !== undefined && octets !== 'written');
  return { id: mail?.id ?? '', text: Buffer.concat(octets).toString('latin1') };
}

test('a report on a variant names the mail as its trace, reply and log do', async () => {
  const failed = [
    { delivery: delivery(), reply: reply(550, '5.1.1', 'no such user'), speaksDsn: false, by: undefined },
  ];
  const { id, text } = await textOf(event('', { failed }));
  assert.match(id, /^s\.1\.v2\.r\d+$/);
  assert.match(text, /https:\/\/mail\.example\.com\/opes\?id=s\.1\b(?!\.)/);
  assert.ok(!text.includes('id=s.1.v2'));
  assert.match(text, /Final-Recipient: rfc822; ?b@dst\.example[\s\S]*Diagnostic-Code: smtp; ?550 5\.1\.1 no such user/);
});

test('what waited for its services has the System in the header that comes back, though no block of ours was on it yet', async () => {
  const by = { service: 'av', because: 'failure', isOnContent: false } as const;
  const waited = delivery({ lane: 'adapt', notes: { service: 'av' } });
  const failed = [{ delivery: waited, reply: reply(451, '4.7.1', 'not now'), speaksDsn: false, by }];
  const { text } = await textOf(event('', { failed, nextHop: undefined }));
  assert.match(text, /OPES-System: https:\/\/mail\.example\.com\/opes\?id=s\.1\r\nFrom: a@src\.example\r\n/);
  assert.match(text, /https:\/\/mail\.example\.com\/opes\/av/);
});

test('a verdict on content is told to who logged in, and held for anybody else; also one for now that lasted to the end', async () => {
  const by = { service: 'av', because: 'verdict', isOnContent: true } as const;
  for (const answer of [reply(550, '5.7.1', 'virus'), reply(451, '4.7.1', 'virus, perhaps')]) {
    const failed = [{ delivery: delivery(), reply: answer, speaksDsn: false, by }];
    const { text } = await textOf(event('ann', { failed }));
    assert.match(text, /virus/);
    assert.match(text, /^OPES-Cause: refused; https:\/\/mail\.example\.com\/opes\/av\r$/m);
    const { mails, held } = await reporter.make(event('', { failed }));
    assert.deepEqual([mails.length, [...held]], [0, [3]]);
  }
});

test('the server of a report is one that has a name or an address: neither the word for MX nor the path of a socket', async () => {
  const remote = async (nextHop: string): Promise<string | undefined> => {
    const failed = [{ delivery: delivery(), reply: reply(550, '5.1.1', 'no'), speaksDsn: false, by: undefined }];
    const { text } = await textOf(event('', { failed, nextHop }));
    assert.equal(text.includes('The mail server dst.example refused it'), !text.includes('Remote-MTA'));
    return /^Remote-MTA: (.*)\r$/m.exec(text)?.[1];
  };
  assert.equal(await remote('hop.example:25'), 'dns; hop.example');
  assert.equal(await remote('lmtp://hop.example:24'), 'dns; hop.example');
  assert.equal(await remote('mx'), undefined);
  assert.equal(await remote('lmtp+unix:/run/lmtp:24'), undefined);
  // An address is a literal.
  assert.equal(await remote('192.0.2.1:25'), 'dns; [192.0.2.1]');
  assert.equal(await remote('[2001:db8::1]:25'), 'dns; [IPv6:2001:db8::1]');
});

test('a report to a domain beyond ASCII goes to its octets, with ASCII alone in small letters', async () => {
  const failed = [{ delivery: delivery(), reply: reply(550, '5.1.1', 'no'), speaksDsn: false, by: undefined }];
  const told = event('', { failed });
  const reversePath = Buffer.from('ann@BÜcher.EXAMPLE').toString('latin1');
  const { mails } = await reporter.make({ ...told, mail: { ...told.mail, reversePath, params: { SMTPUTF8: true } } });
  assert.equal(mails[0]?.deliveries[0]?.destination, Buffer.from('bÜcher.example').toString('latin1'));
});
