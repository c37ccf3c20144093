/** Reports made of what hostile clients, servers and services could say: the strict reader must understand every one. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { makeReport, REPORT_LANGUAGES, type ReportedRecipient, type ReportInput } from '../../src/mail/index.ts';
import { octetsOf, plainInput, refused } from './report-cases.ts';
import { readReport } from './report-grammar.ts';

const NASTY = [
  '\r\n',
  '\n',
  '\r',
  '\0',
  '\t',
  ' ',
  '  ',
  '\r\n\r\n',
  '--=_',
  '\r\n--=_.0\r\n',
  '.',
  ';',
  ',',
  ':',
  '(',
  ')',
  '"',
  '<',
  '>',
  '@',
  '\\',
  'Bcc: x@y',
  '\r\n.\r\n',
  '=?utf-8?B?',
  '\x7f',
  '\x85',
  '\u2028',
  '\u202e',
  'é',
  '漢',
  '\ud800',
  '😀',
  'x'.repeat(1100),
  'é'.repeat(700),
  '{host}',
  '$&',
  '%0d%0a',
  'a@b.example',
] as const;

const text = fc
  .array(fc.oneof(fc.constantFrom(...NASTY), fc.string({ unit: 'binary', maxLength: 8 })), { maxLength: 6 })
  .map((pieces) => pieces.join(''));
const octets = fc
  .array(fc.oneof(fc.constantFrom(...NASTY, 'Subject: x\r\n', 'OPES-System: y\r\n'), fc.string({ maxLength: 20 })), {
    maxLength: 12,
  })
  .map((pieces) => Buffer.from(pieces.join('')));
const maybe = <T>(of: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(of, { nil: undefined });

const recipient: fc.Arbitrary<ReportedRecipient> = fc.record({
  original: maybe(fc.record({ type: fc.oneof(text, fc.constantFrom('rfc822', 'utf-8')), address: text.map(some) })),
  final: text.map(some),
  action: fc.constantFrom('failed', 'delayed', 'delivered', 'relayed', 'expanded'),
  status: fc.oneof(text, fc.constant('5.1.1')),
  why: fc.constantFrom(
    'refused',
    'expired',
    'service',
    'service-failed',
    'cannot-carry',
    'no-route',
    'loop',
    'delayed',
    'delivered',
    'relayed',
    'expanded',
  ),
  remote: maybe(text),
  reply: maybe(
    fc.record({
      code: fc.integer({ min: 200, max: 559 }),
      enhanced: maybe(text),
      text: fc.array(text, { maxLength: 4 }),
    }),
  ),
  lastAttemptMs: maybe(fc.constant(refused.lastAttemptMs ?? 0)),
  retryUntilMs: maybe(fc.constant(refused.lastAttemptMs ?? 0)),
  cause: maybe(
    fc.record({
      // A service's URI is the operator's, and checked at load; whatever stands behind its scheme is not trusted all the same.
      service: text.map((rest) => `urn:x${rest.replaceAll(',', '')}`),
      kind: fc.constantFrom('refused', 'failed'),
      reason: maybe(text),
      isBypassable: fc.boolean(),
    }),
  ),
});

/** Addresses are never empty: the grammar of paths sees to that. */
function some(value: string): string {
  return `a${value}`;
}

const input: fc.Arbitrary<ReportInput> = fc.record({
  kind: fc.constantFrom('failed', 'delayed', 'success'),
  hostname: fc.constant(plainInput.hostname),
  id: fc.constant(plainInput.id),
  nonce: fc.oneof(fc.constant(''), text),
  nowMs: fc.constant(plainInput.nowMs),
  // The grammar of paths has a cap; what is in them is free here.
  to: text.map((value) => some(value.slice(0, 250))),
  languages: fc.subarray([...REPORT_LANGUAGES], { minLength: 1 }),
  contact: text,
  mail: fc.record({
    id: fc.constant(plainInput.mail.id),
    systemEntry: fc.constant(plainInput.mail.systemEntry),
    via: maybe(text),
    envelopeId: maybe(text),
    arrivalMs: fc.constant(plainInput.mail.arrivalMs),
    receivedFrom: maybe(fc.record({ name: text, address: text })),
    messageId: maybe(
      fc.oneof(
        text,
        text.map((id) => `<${id}@x>`),
      ),
    ),
    isUtf8: fc.boolean(),
    isEightBit: fc.boolean(),
  }),
  recipients: fc.array(recipient, { minLength: 1, maxLength: 4 }),
  returned: fc.record({ header: octets, full: maybe(fc.array(octets, { maxLength: 3 })) }),
});

export function checkHostileReports(numRuns: number): void {
  fc.assert(
    fc.property(input, (given) => {
      const report = makeReport(given);
      const read = readReport(octetsOf(report));
      assert.equal(read.recipientFields.length, given.recipients.length);
      const all = octetsOf(report).toString('latin1');
      assert.equal(/[\x80-\xff]/.test(all), report.isEightBit);
      assert.equal(/[\x80-\xff]/.test(all.slice(0, all.indexOf('\r\n\r\n'))), report.isUtf8);
      if (!given.mail.isUtf8) assert.ok(!/[\x80-\xff]/.test(read.parts[1]?.body.toString('latin1') ?? ''));
    }),
    { numRuns },
  );
}
