import assert from 'node:assert/strict';
import { test } from 'vitest';
import { type ReadReport, readReport } from '../../../test/support/report-grammar.ts';
import { type BuiltReport, buildReport, type OriginalMail } from './build.ts';
import type { ReportPlan } from './decide.ts';
import type { DeliveryOfReport, Fate, MailOfReport } from './fate.ts';

const mail: MailOfReport = {
  id: 'Xk3.1',
  acceptedMs: Date.UTC(2026, 10, 22, 7),
  reversePath: 'ann@example.org',
  params: { RET: 'FULL', ENVID: 'a+2Bb' },
  isSenderTrusted: true,
  client: { name: 'client.example.org', address: '192.0.2.7' },
};
const SYSTEM = 'https://mail.example.com/opes';
const settings = {
  hostname: 'mx1.example.com',
  system: { uri: SYSTEM, contact: undefined },
  reports: { languages: ['en'], returnContent: 'headers', postmaster: undefined, perSenderPerHour: 9 },
} as const;
const header = Buffer.from(
  `OPES-System: ${SYSTEM}?id=Xk3.1\r\nOPES-Via: ${SYSTEM}?id=Xk3.1,\r\n\turn:x:av;outcome=unchanged\r\nMessage-ID: <m@example.org>\r\nAccept-Language: de\r\n\r\n`,
);

function delivery(fate: Fate, of: Partial<DeliveryOfReport> = {}): DeliveryOfReport {
  return { n: 0, params: {}, recipient: 'joe@example.com', fate, lastAttemptMs: mail.acceptedMs, ...of };
}

async function build(
  plan: Partial<ReportPlan>,
  original: OriginalMail = { header },
): Promise<BuiltReport & { readonly read: ReadReport }> {
  const whole: ReportPlan = {
    kind: 'failed',
    mail,
    to: mail.reversePath,
    deliveries: [delivery({ kind: 'loop' })],
    returns: 'headers',
    ...plan,
  };
  const made = { id: 'Xk3.1.r1', nonce: 'AbCdEfGhIjKl', nowMs: mail.acceptedMs + 1000 };
  const built = await buildReport(whole, original, made, settings);
  const octets = Buffer.concat(built.chunks);
  assert.equal(octets.length, built.size);
  return { ...built, read: readReport(octets) };
}

test('a report goes to the reverse-path from the null path, and wants no report itself (REQ-055)', async () => {
  const { reversePath, forwardPath, params, rcptParams, id, read } = await build({});
  assert.deepEqual(
    [reversePath, forwardPath, params, rcptParams, id],
    ['', 'ann@example.org', {}, { NOTIFY: 'NEVER' }, 'Xk3.1.r1'],
  );
  assert.equal(read.header.get('To'), '<ann@example.org>');
  assert.equal(read.header.get('In-Reply-To'), '<m@example.org>');
  assert.equal(read.parts[0]?.header.get('Content-Language'), 'de');
  assert.equal(read.mailFields.get('Original-Envelope-Id'), 'a+b');
  assert.equal(read.mailFields.get('OPES-System'), `${SYSTEM}?id=Xk3.1`);
  assert.match(read.mailFields.get('OPES-Via') ?? '', /urn:x:av;outcome=unchanged$/);
  assert.equal(read.mailFields.get('Received-From-MTA'), 'dns; client.example.org ([192.0.2.7])');
  assert.match(read.parts[0]?.body.toString() ?? '', /postmaster@mx1\.example\.com/);
});

test('a Via of somebody else is not shown as ours', async () => {
  const { read } = await build({}, { header: Buffer.from('OPES-Via: https://other.example/opes?id=1\r\n\r\n') });
  assert.equal(read.mailFields.get('OPES-Via'), undefined);
});

const reply = { code: 550, enhanced: '5.1.1', text: ['No'] };
const bare = { code: 450, enhanced: undefined, text: ['Later'] };
const uri = 'https://mail.example.com/opes/av';
const service = { uri, isBypassable: true };

const fates: readonly (readonly [Fate, string])[] = [
  [
    { kind: 'relayed', hop: 'mx.example.com', speaksDsn: false, reply: { ...reply, code: 250, enhanced: '2.1.5' } },
    'relayed 2.1.5',
  ],
  [{ kind: 'delivered', hop: undefined, reply: undefined }, 'delivered 2.0.0'],
  [{ kind: 'expanded' }, 'expanded 2.0.0'],
  [{ kind: 'delayed', hop: 'mx.example.com', reply: bare, untilMs: mail.acceptedMs }, 'delayed 4.4.1'],
  [{ kind: 'refused', hop: 'mx.example.com', reply }, 'failed 5.1.1'],
  [{ kind: 'refused', hop: 'mx.example.com', reply: { ...reply, enhanced: undefined } }, 'failed 5.0.0'],
  [{ kind: 'cannot-carry', hop: 'mx.example.com', reply: undefined }, 'failed 5.6.3'],
  [{ kind: 'no-route', reply: undefined }, 'failed 5.1.2'],
  [{ kind: 'loop' }, 'failed 5.4.6'],
  [{ kind: 'expired', hop: 'mx.example.com', reply: bare }, 'failed 4.4.7'],
  [
    { kind: 'blocked', by: 'verdict', service, reason: undefined, reply: undefined, isOnContent: false },
    `failed 5.7.1 refused; ${uri}`,
  ],
  [
    { kind: 'blocked', by: 'failure', service, reason: 'timeout', reply: undefined, isOnContent: false },
    `failed 4.3.0 failed; ${uri};reason=timeout`,
  ],
  [
    { kind: 'blocked', by: 'delay', service, reason: undefined, reply: bare, isOnContent: false },
    `failed 4.4.7 delayed; ${uri}`,
  ],
];

test('each fate has its action, its status and its cause', async () => {
  const { read } = await build({ deliveries: fates.map(([fate]) => delivery(fate)) });
  const told = read.recipientFields.map((fields) =>
    ['Action', 'Status', 'OPES-Cause']
      .map((name) => fields.get(name) ?? '')
      .join(' ')
      .trim(),
  );
  assert.deepEqual(
    told,
    fates.map(([, expected]) => expected),
  );
  assert.equal(read.recipientFields[9]?.get('Diagnostic-Code'), 'smtp; 450 Later');
  assert.equal(read.recipientFields[3]?.get('Will-Retry-Until'), 'Sun, 22 Nov 2026 07:00:00 +0000');
});

test('a mail of SMTPUTF8 is reported in UTF-8, and the report asks for what it needs', async () => {
  const { params, read, forwardPath } = await build({
    mail: { ...mail, params: { SMTPUTF8: true } },
    to: 'zo\xc3\xab@example.org',
    deliveries: [
      delivery(
        { kind: 'loop' },
        { recipient: 'd\xc3\xa4@example.com', params: { ORCPT: 'utf-8;\\x{E4}@example.com' } },
      ),
    ],
  });
  assert.deepEqual([params, forwardPath], [{ BODY: '8BITMIME', SMTPUTF8: true }, 'zo\xc3\xab@example.org']);
  assert.equal(read.header.get('To'), '<zoë@example.org>');
  assert.equal(read.recipientFields[0]?.get('Final-Recipient'), 'utf-8; dä@example.com');
  assert.equal(read.recipientFields[0]?.get('Original-Recipient'), 'utf-8; ä@example.com');
});

test('a whole mail is read as far as it may be returned, and no further', async () => {
  const type = async (returns: 'headers' | 'full', octets: number): Promise<readonly [string | undefined, number]> => {
    let read = 0;
    // One buffer for all chunks: whoever keeps one keeps a copy.
    const chunk = Buffer.alloc(1000);
    async function* full(): AsyncGenerator<Uint8Array> {
      yield header;
      for (; read < octets; read += chunk.length) {
        chunk.fill(`${'x'.repeat(98)}\r\n`);
        await Promise.resolve();
        yield chunk;
        chunk.fill(0);
      }
    }
    const report = await build({ returns }, { header, full: full() });
    return [report.read.parts[2]?.header.get('Content-Type'), read];
  };
  assert.deepEqual(await type('full', 100_000), ['message/rfc822', 100_000]);
  assert.deepEqual(await type('headers', 100_000), ['text/rfc822-headers', 0]);
  const [big, read] = await type('full', 10_000_000);
  assert.equal(big, 'text/rfc822-headers');
  assert.ok(read < 300_000, `${read} octets were read`);
});

test('eight bits come back only to whoever sent them as such', async () => {
  const content = Buffer.concat([header, Buffer.from('caf\xe9\r\n', 'latin1')]);
  async function* full(): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(content);
  }
  const with7 = await build({ returns: 'full' }, { header, full: full() });
  assert.deepEqual([with7.read.parts[2]?.header.get('Content-Type'), with7.params], ['text/rfc822-headers', {}]);
  const eight = { ...mail, params: { BODY: '8BITMIME' } };
  const with8 = await build({ returns: 'full', mail: eight }, { header, full: full() });
  assert.deepEqual(
    [with8.read.parts[2]?.header.get('Content-Type'), with8.params],
    ['message/rfc822', { BODY: '8BITMIME' }],
  );
});
