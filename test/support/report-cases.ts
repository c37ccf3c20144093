/** Inputs of reports: one a kind of story, each with a golden report in `test/vectors/reports`. */
import type { ReportedRecipient, ReportInput } from '../../src/mail/index.ts';

const ACCEPTED = Date.UTC(2026, 10, 22, 7, 0, 0);
const NOW = Date.UTC(2026, 10, 22, 7, 40, 32);

export const ORIGINAL_HEADER = Buffer.from(
  [
    'Received: from client.example.org ([192.0.2.7]) by mx1.example.com with ESMTP id Xk3.1; Sun, 22 Nov 2026 07:00:00 +0000',
    'OPES-System: https://mail.example.com/opes?id=Xk3.1',
    'OPES-Via: https://mail.example.com/opes?id=Xk3.1,',
    '\thttps://mail.example.com/opes/av;outcome=unchanged',
    'From: Ann <ann@example.org>',
    'To: Joe <joe@example.com>',
    'Subject: Lunch',
    'Message-ID: <lunch.1@example.org>',
    '',
    '',
  ].join('\r\n'),
);

export const refused: ReportedRecipient = {
  original: { type: 'rfc822', address: 'Joe@example.com' },
  final: 'joe@example.com',
  action: 'failed',
  status: '5.1.1',
  why: 'refused',
  remote: 'mail.example.com',
  reply: { code: 550, enhanced: '5.1.1', text: ['No such user here', 'See https://example.com/help'] },
  lastAttemptMs: NOW - 1000,
  retryUntilMs: undefined,
  cause: undefined,
};

export const plainInput: ReportInput = {
  kind: 'failed',
  hostname: 'mx1.example.com',
  id: 'Xk3.1.r1',
  nonce: 'AbCdEfGhIjKl',
  nowMs: NOW,
  to: 'ann@example.org',
  languages: ['en'],
  contact: 'postmaster@example.com',
  mail: {
    id: 'Xk3.1',
    systemEntry: 'https://mail.example.com/opes?id=Xk3.1',
    via: 'https://mail.example.com/opes?id=Xk3.1, https://mail.example.com/opes/av;outcome=unchanged',
    envelopeId: 'QQ+314=159',
    arrivalMs: ACCEPTED,
    receivedFrom: { name: 'client.example.org', address: '192.0.2.7' },
    messageId: '<lunch.1@example.org>',
    isUtf8: false,
    isEightBit: false,
  },
  recipients: [refused],
  returned: { header: ORIGINAL_HEADER },
};

const body = Buffer.from('Shall we?\r\n');
const utf8Header = Buffer.from('From: Zoë <zoë@example.org>\r\nTo: <dädalus@example.com>\r\nSubject: Grüße\r\n\r\n');

/** By the name of the golden report. */
export const reportCases: ReadonlyMap<string, ReportInput> = new Map<string, ReportInput>([
  ['failed', plainInput],
  [
    'failed-by-service',
    {
      ...plainInput,
      recipients: [
        {
          ...refused,
          original: undefined,
          status: '5.7.1',
          why: 'service',
          remote: undefined,
          reply: { code: 550, enhanced: '5.7.1', text: ['Content refused'] },
          lastAttemptMs: undefined,
          cause: {
            service: 'https://mail.example.com/opes/policy',
            kind: 'refused',
            reason: undefined,
            isBypassable: true,
          },
        },
      ],
    },
  ],
  [
    'failed-in-service',
    {
      ...plainInput,
      languages: ['de', 'en'],
      mail: { ...plainInput.mail, envelopeId: undefined },
      recipients: [
        {
          ...refused,
          original: undefined,
          status: '4.3.0',
          why: 'service-failed',
          remote: undefined,
          reply: undefined,
          cause: {
            service: 'https://mail.example.com/opes/av',
            kind: 'failed',
            reason: 'timeout',
            isBypassable: false,
          },
        },
      ],
    },
  ],
  [
    'failed-full',
    { ...plainInput, returned: { header: ORIGINAL_HEADER, full: [ORIGINAL_HEADER, body] }, languages: ['fr'] },
  ],
  [
    'delayed',
    {
      ...plainInput,
      kind: 'delayed',
      languages: ['es'],
      recipients: [
        {
          ...refused,
          action: 'delayed',
          status: '4.2.1',
          why: 'delayed',
          reply: { code: 450, enhanced: '4.2.1', text: ['Mailbox is locked'] },
          retryUntilMs: NOW + 5 * 86_400_000,
        },
      ],
    },
  ],
  [
    'success',
    {
      ...plainInput,
      kind: 'success',
      languages: ['nl'],
      recipients: [
        { ...refused, action: 'delivered', status: '2.1.5', why: 'delivered', remote: undefined, reply: undefined },
        {
          ...refused,
          original: undefined,
          final: 'tom@example.net',
          action: 'relayed',
          status: '2.0.0',
          why: 'relayed',
          remote: 'mx.example.net',
          reply: { code: 250, enhanced: undefined, text: ['ok'] },
        },
        { ...refused, action: 'expanded', status: '2.0.0', why: 'expanded', remote: undefined, reply: undefined },
      ],
    },
  ],
  [
    'failed-utf8',
    {
      ...plainInput,
      to: 'zoë@example.org',
      mail: { ...plainInput.mail, isUtf8: true, isEightBit: true },
      recipients: [
        { ...refused, original: { type: 'utf-8', address: 'dädalus+a@example.com' }, final: 'dädalus@example.com' },
      ],
      returned: { header: utf8Header },
    },
  ],
  [
    'failed-utf8-full',
    {
      ...plainInput,
      mail: { ...plainInput.mail, isUtf8: true, isEightBit: true },
      returned: { header: utf8Header, full: [utf8Header, body] },
    },
  ],
  // A header with eight bits in a mail without SMTPUTF8 comes back encoded: nothing promises that its sender takes them.
  ['failed-eight-bit-header', { ...plainInput, returned: { header: utf8Header } }],
]);

/** A report as one piece of octets. */
export function octetsOf(report: { readonly chunks: readonly Uint8Array[] }): Buffer {
  return Buffer.concat(report.chunks);
}
