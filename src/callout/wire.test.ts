/**
 * The server's side of the profile octet by octet: the worked flows A and B of the profile notes (section 10) at every
 * way to cut them, bare peers of the draft, and processors that break the rules.
 */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { Deadlines, type Log, silentLog } from '../base/index.ts';
import { CalloutAgent } from '../ocp/index.ts';
import { defineService, edit, keep, type MessageVerdict, refuse, type Service } from './index.ts';
import { ServiceSet } from './server.ts';

const lines = (...all: readonly string[]): string => all.map((line) => `${line}\r\n`).join('');

const URI = 'http://callout.example.net/opes/spam';
const RECEIVER = '"38:http://iana.org/opes/ocp/SMTP/receiver"';

/** What the server says to `input`, which comes in pieces of `size` octets. */
function talk(services: readonly Service[], input: string, size = input.length, log: Log = silentLog): string {
  const set = new ServiceSet(services, { deadlines: new Deadlines(), log });
  const agent = new CalloutAgent({ kept: 'pair' }, set.connect({ onOutput() {}, onEnd() {} }));
  const octets = Buffer.from(input, 'latin1');
  let said = '';
  const take = (): void => {
    for (const buffer of agent.outbox.take()) said += buffer.toString('latin1');
    agent.drained();
  };
  for (let at = 0; at < octets.length; at += size) {
    agent.recv(Buffer.from(octets.subarray(at, at + size)));
    take();
  }
  take();
  return said;
}

const MESSAGE = lines(
  'Received: from [192.0.2.138] by mail.example.com with SMTP',
  ' id 33W9WIMC; Thu, 20 Jan 2005 11:24:41 +0100',
  'OPES-System: http://mail.example.com/opes?id=33W9WIMC',
  'From: steve@example.org',
  'To: sandra@example.com',
  'Subject: Test',
  '',
  'Hi, this is a test!',
);

const OPEN =
  lines('CS;', `NO ({${RECEIVER}`, 'Adaptive-Parts: (RCPT,RAWDATA)', 'Informative-Parts: (IP,EHLO,HELO,MAIL)', '});') +
  lines(`SGC 25 ({"36:${URI}"});`);

const FLOW_A =
  OPEN +
  lines('TS 72 25;', 'AMS 72;') +
  lines('DUM 72 0', 'AM-Part: IP', '', '13:[192.0.2.138]', ';') +
  lines('DUM 72 13', 'AM-Part: HELO', '', '13:[192.0.2.138]', ';') +
  lines('DUM 72 26', 'AM-Part: MAIL', '', '19:<steve@example.org>', ';') +
  lines('DUM 72 45', 'Kept: {45 20}', 'AM-Part: RCPT', 'Allow: (SMTP-Error)', '', '20:<nobody@example.com>', ';') +
  lines('DUM 72 65', 'Kept: {45 38}', 'AM-Part: RCPT', 'Allow: (SMTP-Error)', '', '18:<paul@example.com>', ';') +
  lines('DUM 72 83', 'Kept: {45 287}', 'AM-Part: RAWDATA', 'Allow: (SMTP-Error,Add-Header)', '') +
  `249:${MESSAGE}\r\n;\r\n` +
  lines('AME 72;');

const start = OPEN + lines('TS 1 25;', 'AMS 1;');
const dum = (offset: number, part: string, payload: string, ...more: readonly string[]): string =>
  `${lines(`DUM 1 ${offset}`, `AM-Part: ${part}`, ...more, '')}${payload.length}:${payload}\r\n;\r\n`;

const score = defineService({
  uri: URI,
  wants: { envelope: true },
  recipient: ({ local }) => (local === 'nobody' ? refuse(550, '5.1.1', 'No such user here') : keep()),
  message: () => edit({ headers: { add: [['X-Spam-Score', '1.2']] } }),
});

test('flow A: a recipient refused, a message marked, nothing of it sent back', () => {
  const expected =
    lines('CS;', `NR {${RECEIVER}`, 'Adaptive-Parts: (RCPT,RAWDATA)', 'Informative-Parts: (IP,EHLO,HELO,MAIL)', '};') +
    lines('AMS 72;') +
    lines('DUM 72 0', 'AM-Part: RCPT', 'SMTP-Error: "27:550 5.1.1 No such user here"', '', '0:', ';') +
    lines('DUY 72 65 18;') +
    lines('DUY 72 83 249', 'Add-Header: "17:X-Spam-Score: 1.2"', ';') +
    lines('AME 72;', 'TE 72;');
  for (let size = 1; size <= FLOW_A.length; size = size < 40 ? size + 1 : size * 2) {
    assert.equal(talk([score], FLOW_A, size), expected, `in pieces of ${size}`);
  }
});

test('flow B: a refusal at the end of data, in two lines', () => {
  const service = defineService({
    uri: URI,
    wants: { whole: { maxOctets: 1000 } },
    recipient: () => keep(),
    message: () => refuse(550, '5.7.1', 'Content refused', 'Policy P-12'),
  });
  const input =
    OPEN +
    lines('TS 73 25;', 'AMS 73;') +
    lines('DUM 73 0', 'AM-Part: MAIL', '', '19:<steve@example.org>', ';') +
    lines('DUM 73 19', 'Kept: {19 18}', 'AM-Part: RCPT', 'Allow: (SMTP-Error)', '', '18:<paul@example.com>', ';') +
    lines('DUM 73 37', 'Kept: {19 267}', 'AM-Part: RAWDATA', 'Allow: (SMTP-Error,Add-Header)', '') +
    `249:${MESSAGE}\r\n;\r\n` +
    lines('AME 73;');
  const said = talk([service], input, 7);
  // The enhanced code stands on every line: RFC 2034 asks for it, and the notes’ own sample does so.
  assert.equal(
    said.slice(said.indexOf('AMS 73')),
    lines('AMS 73;', 'DUY 73 19 18;') +
      lines(
        'DUM 73 18',
        'AM-Part: RAWDATA',
        'SMTP-Error: "48:550-5.7.1 Content refused',
        '550 5.7.1 Policy P-12"',
        '',
        '0:',
        ';',
      ) +
      lines('AME 73;', 'TE 73;'),
  );
});

test('a bare peer of the draft: its spelling of the lists, no Kept, no Allow', () => {
  const service = defineService({
    uri: URI,
    wants: { headers: true },
    message: () => edit({ headers: { add: [['X-A', 'b']] } }),
  });
  const said = talk(
    [service],
    lines('CS;', `NO ({${RECEIVER}`, 'Adaptive-Commands: (RCPT,RAWDATA)', 'Informative-Commands: (IP,MAIL)', '});') +
      lines(`SGC 1 ({"36:${URI}"});`, 'TS 1 1;', 'AMS 1;') +
      dum(0, 'RAWDATA', 'Subject: x\r\n\r\nHi\r\n') +
      lines('AME 1;'),
  );
  assert.equal(
    said,
    lines('CS;', `NR {${RECEIVER}`, 'Adaptive-Parts: (RAWDATA)', 'Adaptive-Commands: (RAWDATA)', '};') +
      lines('AMS 1;', 'DUM 1 0', 'AM-Part: RAWDATA', '', '26:X-A: b', 'Subject: x', '', 'Hi', '', ';') +
      lines('AME 1;', 'TE 1;'),
  );
});

test('recipients that are replayed are known and not judged again', () => {
  const service = defineService({
    uri: URI,
    wants: { recipients: true },
    recipient: () => refuse(550, '5.1.1', 'asked twice'),
    message: ({ recipients }) =>
      edit({ headers: { add: [['X-To', recipients.map(({ address }) => address).join()]] } }),
  });
  const said = talk(
    [service],
    OPEN +
      lines('TS 1 25;', 'AMS 1;', 'DUM 1 0', 'AM-Part: RCPT', 'Replayed: true', '', '7:<a@b.c>', ';') +
      dum(7, 'RAWDATA', 'Hi\r\n', 'Kept: {7 4}', 'Allow: (Add-Header)') +
      lines('AME 1;'),
  );
  const answer = lines('DUY 1 7 4', 'Add-Header: "11:X-To: a@b.c"', ';');
  assert.equal(said.slice(said.indexOf('AMS 1')), lines('AMS 1;') + answer + lines('AME 1;', 'TE 1;'));
});

test('a transaction of commands only ends by itself', () => {
  const said = talk(
    [score],
    OPEN + lines('TS 1 25;', 'AMS 1;', 'DUM 1 0', 'AM-Part: IP', '', '7:[1.2.3]', ';', 'AME 1;'),
  );
  assert.equal(said.slice(said.indexOf('AMS 1')), lines('AMS 1;', 'AME 1;', 'TE 1;'));
});

const hostile: readonly (readonly [why: string, input: string, reason: string])[] = [
  ['a part that was not selected', start + dum(0, 'VRFY', 'x'), 'part-not-selected'],
  ['parts out of order', start + dum(0, 'RCPT', '<a@b.c>') + dum(7, 'MAIL', '<a@b.c>'), 'part-order'],
  ['a command behind the message', start + dum(0, 'RAWDATA', 'x\r\n') + dum(3, 'RCPT', '<a@b.c>'), 'part-order'],
  ['a part that is not named', start + lines('DUM 1 0', '1:x', ';'), 'am-part-missing'],
  ['answers from the wrong side', start + dum(0, 'RCPT', '<a@b.c>', 'SMTP-Error: "6:550 no"'), 'reply-from-processor'],
  ['an argument that is none', start + dum(0, 'RCPT', 'a@b.c'), 'argument'],
  ['an argument with a line end', start + dum(0, 'RCPT', '<a@b.c>\r\nDATA'), 'argument'],
  ['an endless argument', start + dum(0, 'RCPT', `<${'a'.repeat(9000)}@b.c>`), 'argument-size'],
  ['a message cut short', start + dum(0, 'RAWDATA', 'x\r\n') + lines('AME 1 {206};'), 'original-incomplete'],
  ['a message that failed', start + dum(0, 'RAWDATA', 'x\r\n') + lines('AME 1 {400};'), 'original-incomplete'],
  ['a refusal where none is taken', start + dum(0, 'RCPT', '<nobody@b.c>'), 'refusal-not-allowed'],
  [
    'another service',
    `${lines('CS;', `NO ({${RECEIVER}`, 'Adaptive-Parts: (RCPT)', '});', 'SGC 1 ({"5:urn:x"});', 'TS 1 1;')}`,
    'service not here',
  ],
  [
    'no service',
    `${lines('CS;', `NO ({${RECEIVER}`, 'Adaptive-Parts: (RCPT)', '});', 'SGC 1 ();', 'TS 1 1;')}`,
    'no service',
  ],
  ['no profile', lines('CS;', 'NO ();', `SGC 1 ({"36:${URI}"});`, 'TS 1 1;'), 'no-profile'],
];
for (const [why, input, reason] of hostile) {
  test(`ends that mail: ${why}`, () => {
    for (const size of [input.length, 1]) {
      const said = talk([score], input, size);
      const ends = said.match(/TE 1[^;]*;/g);
      const written = /^[A-Za-z0-9_-]+$/.test(reason) ? reason : `"${reason.length}:${reason}"`;
      const cause = reason === 'service not here' ? '\r\nCause: service-unknown\r\n' : '';
      assert.deepEqual(ends, [`TE 1 {400 ${written}${cause}};`]);
    }
  });
}

test('asked by AQ for a service: the truth, without a word to a service', () => {
  const told: unknown[] = [];
  const log = { ...silentLog, warn: (event: string, fields = {}) => told.push([event, fields]) };
  const asked = { service: 0 };
  const service = defineService({
    uri: URI,
    recipient: () => {
      asked.service++;
      return keep();
    },
  });
  const opened = `${lines('CS;', `NO ({${RECEIVER}`, 'Adaptive-Parts: (RCPT)', '});')}`;
  const query = (services: string): string => lines(`AQ {${RECEIVER}}`, `Services: ${services}`, ';');
  const no = lines('AA false', 'Cause: service-unknown', ';');
  const x = '{"5:urn:x"}';
  for (const [input, answer] of [
    [query(`({"36:${URI}"})`), 'AA true;\r\n'],
    [query(`(${x})`), no],
    [query(`({"36:${URI}"},${x})`), no],
    [query('()'), 'AA true;\r\n'],
    // Of another form: about the profile alone.
    [query('"5:urn:x"'), 'AA true;\r\n'],
    [query('("5:urn:x")'), 'AA true;\r\n'],
    [lines(`AQ {${RECEIVER}};`), 'AA true;\r\n'],
    [lines(`AQ {"5:urn:y"}`, `Services: (${x})`, ';'), 'AA false;\r\n'],
  ] as const) {
    const said = talk([service], opened + input);
    assert.equal(said.slice(said.indexOf('AA ')), answer, input);
  }
  assert.equal(asked.service, 0);

  // In the negotiation phase too; and the log has it once for a connection, with the mail that comes nevertheless.
  const early =
    lines('CS;', `NO ({${RECEIVER}`, 'Adaptive-Parts: (RCPT)', '})', 'Offer-Pending: true', ';') + query(`(${x})`);
  const said = talk(
    [service],
    `${early}${lines('NO ();', `SGC 1 (${x});`)}${query(`(${x})`)}TS 1 1;\r\n`,
    undefined,
    log,
  );
  assert.match(said, /^CS;.*AA false.*NR;.*AA false.*TE 1 \{400 /s);
  assert.deepEqual(told, [['service-unknown', { asked: 'urn:x', here: URI }]]);
});

test('unknown parts are passed over', () => {
  const input = start + dum(0, 'VIPNAME', 'x') + dum(1, 'RCPT', '<a@b.c>') + dum(8, 'VIPNAME', 'y') + lines('AME 1;');
  const said = talk([score], input);
  assert.match(said, /AM-Part: RCPT\r\n\r\n7:<a@b\.c>/);
  assert.match(said, /TE 1;/);
});

test('what a processor keeps in part is referred to, the rest is sent back', () => {
  const verdicts: readonly (readonly [MessageVerdict, string])[] = [
    [
      keep(),
      lines('DUM 1 0', 'AM-Part: RAWDATA', '', '4:aaaa', ';') +
        lines('DUY 1 4 4;') +
        lines('DUM 1 8', 'AM-Part: RAWDATA', '', '4:cc', '', ';'),
    ],
    [edit({ ranges: [{ start: 2, end: 9, data: '-' }] }), lines('DUM 1 0', 'AM-Part: RAWDATA', '', '6:aa-c', '', ';')],
  ];
  for (const [verdict, answer] of verdicts) {
    const service = defineService({ uri: URI, wants: { whole: { maxOctets: 100 } }, message: () => verdict });
    const said = talk(
      [service],
      start +
        dum(0, 'RAWDATA', 'aaaa') +
        dum(4, 'RAWDATA', 'bbbb', 'Kept: {4 4}') +
        dum(8, 'RAWDATA', 'cc\r\n') +
        lines('AME 1;'),
    );
    assert.equal(said.slice(said.indexOf('AMS 1')), lines('AMS 1;') + answer + lines('AME 1;', 'TE 1;'));
  }
});

test('a copy that is taken back fails the mail instead of losing octets', () => {
  const service = defineService({ uri: URI, wants: { whole: { maxOctets: 100 } }, message: () => keep() });
  const said = talk(
    [service],
    start + dum(0, 'RAWDATA', 'aaaa', 'Kept: {0 4}') + dum(4, 'RAWDATA', 'bb\r\n', 'Kept: {4 4}') + lines('AME 1;'),
  );
  assert.match(said, /TE 1 \{400 octets-not-kept\};/);
});

test('a message that is not adaptive is read, and cannot be changed', () => {
  const informative = lines(
    'CS;',
    `NO ({${RECEIVER}`,
    'Informative-Parts: (RAWDATA)',
    '});',
    `SGC 25 ({"36:${URI}"});`,
  );
  const input = `${informative + lines('TS 1 25;', 'AMS 1;') + dum(0, 'RAWDATA', 'Hi\r\n')}${lines('AME 1;')}`;
  const said = (verdict: MessageVerdict): string => {
    const all = talk([defineService({ uri: URI, message: () => verdict })], input);
    return all.slice(all.indexOf('};\r\n') + 4);
  };
  assert.equal(said(keep()), lines('AMS 1;', 'AME 1;', 'TE 1;'));
  assert.equal(said(refuse(550, '5.7.1', 'no')), lines('TE 1 {400 part-not-adaptive};'));
  assert.equal(said(edit({ ranges: [{ start: 0, end: 1, data: 'h' }] })), lines('TE 1 {400 part-not-adaptive};'));
});
