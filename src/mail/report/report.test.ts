/** Golden reports, read by a strict reader; and what strangers write never breaks their structure. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'vitest';
import { ORIGINAL_HEADER, octetsOf, plainInput, refused, reportCases } from '../../../test/support/report-cases.ts';
import { checkHostileReports } from '../../../test/support/report-fuzz.ts';
import { type ReadReport, readReport } from '../../../test/support/report-grammar.ts';
import type { ReportedRecipient, ReportInput } from './input.ts';
import { MAX_RETURNED_FULL } from './limits.ts';
import { makeReport } from './report.ts';

const folder = new URL('../../../test/vectors/reports/', import.meta.url);

function read(input: Partial<ReportInput>): ReadReport {
  return readReport(octetsOf(makeReport({ ...plainInput, ...input })));
}

const withMail = (mail: Partial<ReportInput['mail']>): Partial<ReportInput> => ({
  mail: { ...plainInput.mail, ...mail },
});
const withRecipient = (recipient: Partial<ReportedRecipient>): Partial<ReportInput> => ({
  recipients: [{ ...refused, ...recipient }],
});

for (const [name, input] of reportCases) {
  test(`golden report ${name}`, () => {
    const report = makeReport(input);
    const octets = octetsOf(report);
    assert.equal(octets.toString(), readFileSync(new URL(`${name}.eml`, folder), 'utf8'));
    assert.equal(report.size, octets.length);
    assert.equal(report.isEightBit, /[\x80-\xff]/.test(octets.toString('latin1')));
    const { parts, recipientFields } = readReport(octets);
    assert.equal(recipientFields.length, input.recipients.length);
    const isAscii = !/[^\x00-\x7f]/.test(parts[1]?.body.toString() ?? '');
    assert.equal(parts[1]?.header.get('Content-Type'), `message/${isAscii ? '' : 'global-'}delivery-status`);
  });
}

test('each golden report has its input', () => {
  const names = readdirSync(folder).filter((name) => name.endsWith('.eml'));
  assert.deepEqual(names.toSorted(), [...reportCases.keys()].map((name) => `${name}.eml`).toSorted());
});

test('the System stands in all three parts, and the trace comes back with the header (REQ-043)', () => {
  for (const name of ['failed', 'failed-by-service', 'failed-full']) {
    const { parts, mailFields } = readReport(octetsOf(makeReport(reportCases.get(name) as ReportInput)));
    const entry = 'https://mail.example.com/opes?id=Xk3.1';
    assert.equal(mailFields.get('OPES-System'), entry);
    const plain = parts.map(({ body }) => body.toString().replaceAll('=\r\n', '').replaceAll('=3D', '='));
    assert.ok(plain[0]?.includes(entry));
    assert.ok(plain[2]?.includes(`OPES-System: ${entry}\r\nOPES-Via: ${entry},`));
  }
});

test('OPES processing as the cause is told to people and programs (REQ-054), with what a bypass needs (REQ-057)', () => {
  const { parts, recipientFields } = read(reportCases.get('failed-by-service') as ReportInput);
  assert.equal(recipientFields[0]?.get('OPES-Cause'), 'refused; https://mail.example.com/opes/policy');
  const text = parts[0]?.body.toString() ?? '';
  assert.match(text, /OPES\s+processing/);
  assert.match(
    text,
    /bypass.*https:\/\/mail\.example\.com\/opes\?id=Xk3\.1\r\n {4}https:\/\/mail\.example\.com\/opes\/policy\r\n/s,
  );
  assert.match(text, /postmaster@example\.com/);
  const never = read(reportCases.get('failed-in-service') as ReportInput);
  assert.ok(!/bypass/i.test(never.parts[0]?.body.toString() ?? ''), 'no hint where it could not be honoured');
  const uri = 'https://mail.example.com/a;b c';
  const cause = { service: uri, kind: 'failed', reason: 'crash', isBypassable: false } as const;
  assert.equal(
    read(withRecipient({ cause })).recipientFields[0]?.get('OPES-Cause'),
    'failed; https://mail.example.com/a%3Bb%20c;reason=crash',
  );
});

test('a status of another class than the action, or none, becomes the general one', () => {
  const status = (action: ReportedRecipient['action'], given: string) =>
    read(withRecipient({ action, status: given })).recipientFields[0]?.get('Status');
  assert.deepEqual(
    [status('failed', '2.0.0'), status('delayed', '5.1.1'), status('delivered', ''), status('failed', '4.4.7')],
    ['5.0.0', '4.0.0', '2.0.0', '4.4.7'],
  );
  assert.equal(status('failed', '5.1.1\r\nX: y'), '5.0.0');
});

test('an address beyond ASCII is written in ASCII to whoever did not ask for SMTPUTF8', () => {
  const { recipientFields, parts } = read(withRecipient({ final: 'dä+b@example.com', original: undefined }));
  assert.equal(recipientFields[0]?.get('Final-Recipient'), 'utf-8; d\\x{E4}\\x{2B}b@example.com');
  assert.equal(parts[1]?.header.get('Content-Type'), 'message/delivery-status');
});

test('an envelope id comes back as it was, folds and spaces undone', () => {
  const envelopeId = `a  b ${'c'.repeat(60)}  ${'d'.repeat(30)}`;
  assert.equal(read(withMail({ envelopeId })).mailFields.get('Original-Envelope-Id'), envelopeId);
  assert.equal(read(withMail({ envelopeId: ' ' })).mailFields.has('Original-Envelope-Id'), false);
});

test('a client that gives a name that is none is known by its address', () => {
  const from = (name: string, address: string) =>
    read(withMail({ receivedFrom: { name, address } })).mailFields.get('Received-From-MTA');
  assert.equal(from('a (b', '192.0.2.1'), 'dns; [192.0.2.1]');
  assert.equal(from('[192.0.2.9]', '2001:db8::1'), 'dns; [192.0.2.9] ([2001:db8::1])');
  assert.equal(from('x;y', ''), undefined);
});

test('whole mails come back only where they can travel, else their header', () => {
  const type = (full: Buffer, isEightBit = false) =>
    read({ ...withMail({ isEightBit }), returned: { header: ORIGINAL_HEADER, full: [full] } }).parts[2]?.header.get(
      'Content-Type',
    );
  const mail = (body: string) => Buffer.from(`Subject: x\r\n\r\n${body}\r\n`, 'latin1');
  assert.equal(type(mail('short')), 'message/rfc822');
  assert.equal(type(mail('caf\xe9')), 'text/rfc822-headers');
  assert.equal(type(mail('caf\xe9'), true), 'message/rfc822');
  assert.equal(type(mail('x'.repeat(999))), 'text/rfc822-headers');
  assert.equal(type(mail('a\nb')), 'text/rfc822-headers');
  assert.equal(type(mail('a\0b')), 'text/rfc822-headers');
  assert.equal(type(mail(`${'x'.repeat(98)}\r\n`.repeat(MAX_RETURNED_FULL / 100 + 1))), 'text/rfc822-headers');
});

test('a long header is cut between fields, and says so', () => {
  const header = Buffer.concat([ORIGINAL_HEADER.subarray(0, -2), Buffer.from(`X: ${'y'.repeat(90)}\r\n`.repeat(1000))]);
  const part = read({ returned: { header } }).parts[2];
  assert.match(part?.header.get('Content-Description') ?? '', /left out/);
  assert.ok((part?.body.length ?? 0) <= 64 * 1024);
  assert.ok(part?.body.toString().startsWith(ORIGINAL_HEADER.toString().slice(0, -2)));
  assert.match(part?.body.toString() ?? '', /\r\nX: y{90}\r\n$/);
});

test('people are shown twenty recipients, programs all', () => {
  const recipients = Array.from({ length: 300 }, (_, i) => ({ ...refused, final: `u${i}@example.com` }));
  const { parts, recipientFields } = read({ recipients });
  assert.equal(recipientFields.length, 300);
  assert.match(parts[0]?.body.toString() ?? '', /u19@example\.com.*and 280 more/s);
  assert.ok(!parts[0]?.body.includes('u20@'));
});

test('a boundary that somebody knew is not used', () => {
  const full = Buffer.from('Subject: x\r\n\r\n--=_AbCdEfGhIjKl.0\r\n\r\nforged\r\n--=_AbCdEfGhIjKl.0--\r\n');
  assert.match(read({ returned: { header: ORIGINAL_HEADER, full: [full] } }).header.get('Content-Type') ?? '', /\.1"$/);
});

test('whatever strangers write, a report keeps its structure', () => checkHostileReports(250));
