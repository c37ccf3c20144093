/**
 * The corrected samples of the profile notes (section 8) and its flows A and B (section 10), octet by octet: what we
 * build is written as they say, and what they say is read as what we built.
 */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import {
  DEFAULT_CODEC_LIMITS,
  type Message,
  MessageParser,
  type MessageSink,
  Outbox,
  type Structure,
  writeAme,
  writeAms,
  writeDum,
  writeDuy,
  writeMessage,
  writeSgc,
  writeTe,
  writeTs,
} from '../ocp/index.ts';
import { reply } from '../smtp/index.ts';
import {
  ALLOW_NOTHING,
  type Allow,
  answerBlock,
  dataBlock,
  makeOffer,
  makeService,
  type Offered,
  type Part,
  readAnswer,
  readData,
  readSelection,
  selectParts,
} from './index.ts';

/** Lines as they stand in the notes: CRLF behind each, indents not sent. */
const lines = (...all: readonly string[]): string => all.map((line) => `${line}\r\n`).join('');

const written = (write: (out: Outbox) => void): string => {
  const out = new Outbox();
  write(out);
  return Buffer.concat(out.take()).toString('latin1');
};

const no = (feature: Structure, sg?: number): string =>
  written((out) => writeMessage(out, 'NO', [[feature]], sg === undefined ? undefined : new Map([['SG', sg]])));
const nr = (feature: Structure | undefined, sg?: number): string =>
  written((out) =>
    writeMessage(
      out,
      'NR',
      feature === undefined ? [] : [feature],
      sg === undefined ? undefined : new Map([['SG', sg]]),
    ),
  );

/** The one message in `wire`, and its payload. */
function read(wire: string): { message: Message; payload: string } {
  const found: Message[] = [];
  let payload = '';
  const sink: MessageSink = {
    onMessage: (message) => found.push(message),
    onPayloadStart() {},
    onPayload: (octets) => {
      payload += octets.toString('latin1');
    },
    onPayloadEnd: (message) => found.push(message),
    onBad: (rule) => assert.fail(rule),
  };
  new MessageParser(sink, { limits: DEFAULT_CODEC_LIMITS, kept: 'structure' }).feed(Buffer.from(wire, 'latin1'));
  assert.equal(found.length, 1, wire);
  const [message] = found;
  assert.ok(message !== undefined && message.broken === undefined);
  return { message, payload };
}

function dum(xid: number, offset: number, kept: string, block: string, payload: string): string {
  const octets = Buffer.from(payload, 'latin1');
  return written((out) =>
    writeDum(out, xid, offset, (kept === '' ? '' : `Kept: {${kept}}\r\n`) + block, [octets], octets.length),
  );
}

const REFUSE: Allow = { smtpError: true, addHeader: false, advice: false };
const ALL: Allow = { smtpError: true, addHeader: true, advice: false };

const RECEIVER = '"38:http://iana.org/opes/ocp/SMTP/receiver"';

const negotiation1: Offered = { adaptive: ['RCPT', 'RAWDATA'], informative: ['IP', 'HELO', 'MAIL'] };

test('negotiation 1: offer and answer', () => {
  const offer = makeOffer(negotiation1);
  assert.equal(
    no(offer, 25),
    lines(
      `NO ({${RECEIVER}`,
      'Adaptive-Parts: (RCPT,RAWDATA)',
      'Informative-Parts: (IP,HELO,MAIL)',
      '})',
      'SG: 25',
      ';',
    ),
  );
  const answer = selectParts([offer], { adaptive: ['RAWDATA'], informative: ['MAIL', 'RCPT'] });
  const wire = lines(
    `NR {${RECEIVER}`,
    'Adaptive-Parts: (RAWDATA)',
    'Informative-Parts: (MAIL,RCPT)',
    '}',
    'SG: 25',
    ';',
  );
  assert.equal(nr(answer, 25), wire);
  const judged = readSelection(read(wire).message.anonymous[0] as Structure, negotiation1);
  assert.ok('selection' in judged);
  assert.deepEqual([...judged.selection.adaptive], ['RAWDATA']);
  assert.deepEqual([...judged.selection.informative], ['MAIL', 'RCPT']);
  assert.deepEqual(judged.warnings, []);
  assert.ok(judged.selection.sees('RCPT') && !judged.selection.sees('IP'));
});

test('negotiation 2: parts we do not carry, and a header list', () => {
  const offered = { adaptive: ['MAIL', 'RCPT'], informative: ['IP', 'EHLO', 'SINGLEHEADERS'] } as const;
  assert.equal(
    no(makeOffer(offered), 25),
    lines(
      `NO ({${RECEIVER}`,
      'Adaptive-Parts: (MAIL,RCPT)',
      'Informative-Parts: (IP,EHLO,SINGLEHEADERS)',
      '})',
      'SG: 25',
      ';',
    ),
  );
  const answer = read(
    lines(
      `NR {${RECEIVER}`,
      'Adaptive-Parts: (MAIL,RCPT)',
      'Informative-Parts: (IP,EHLO,SINGLEHEADERS)',
      'Header-List: (From,To,Reply-To,Received)',
      '}',
      'SG: 25',
      ';',
    ),
  ).message;
  const judged = readSelection(answer.anonymous[0] as Structure, offered);
  assert.ok('selection' in judged);
  assert.deepEqual(judged.selection.headerList, ['From', 'To', 'Reply-To', 'Received']);
});

test('the answer to an offer with extensions', () => {
  const offered = { adaptive: ['RCPT', 'RAWDATA'], informative: ['IP', 'HELO', 'MAIL', 'VIPNAME'] } as const;
  const answer = read(
    lines(
      `NR {${RECEIVER}`,
      'Adaptive-Parts: (RAWDATA)',
      'Informative-Parts: (MAIL,RCPT,VIPNAME)',
      'Extensions: (AUTH,SIZE,VIPEXT)',
      '}',
      'SG: 25',
      ';',
    ),
  ).message;
  const judged = readSelection(answer.anonymous[0] as Structure, offered);
  assert.ok('selection' in judged);
  assert.deepEqual([...judged.selection.extensions], ['AUTH', 'SIZE', 'VIPEXT']);
  const ours = selectParts([makeOffer(offered)], {
    adaptive: ['RAWDATA'],
    informative: ['MAIL', 'RCPT'],
    extensions: ['AUTH', 'SIZE'],
  });
  assert.equal(
    nr(ours, 25),
    lines(
      `NR {${RECEIVER}`,
      'Adaptive-Parts: (RAWDATA)',
      'Informative-Parts: (MAIL,RCPT)',
      'Extensions: (AUTH,SIZE)',
      '}',
      'SG: 25',
      ';',
    ),
  );
});

test('the message flow, original side', () => {
  const wire =
    written((out) => {
      writeTs(out, 72, 25);
      writeAms(out, 72);
    }) +
    dum(72, 0, '0 19', dataBlock('MAIL', ALLOW_NOTHING), '<steve@example.org>') +
    dum(72, 19, '0 37', dataBlock('RCPT', ALLOW_NOTHING), '<paul@example.com>') +
    dum(72, 37, '0 86', dataBlock('RAWDATA', ALLOW_NOTHING), 'From: steve@example.org\r\nTo: sandra@example.com\r\n') +
    dum(72, 86, '0 124', dataBlock('RAWDATA', ALLOW_NOTHING), 'Subject: Test\r\n\r\nHi, this is a test!\r\n') +
    written((out) => writeAme(out, 72));
  assert.equal(
    wire,
    lines(
      'TS 72 25;',
      'AMS 72;',
      'DUM 72 0',
      'Kept: {0 19}',
      'AM-Part: MAIL',
      '',
      '19:<steve@example.org>',
      ';',
      'DUM 72 19',
      'Kept: {0 37}',
      'AM-Part: RCPT',
      '',
      '18:<paul@example.com>',
      ';',
      'DUM 72 37',
      'Kept: {0 86}',
      'AM-Part: RAWDATA',
      '',
      '49:From: steve@example.org',
      'To: sandra@example.com',
      '',
      ';',
      'DUM 72 86',
      'Kept: {0 124}',
      'AM-Part: RAWDATA',
      '',
      '38:Subject: Test',
      '',
      'Hi, this is a test!',
      '',
      ';',
      'AME 72;',
    ),
  );
});

test('a refused recipient, and one rewritten with a field to add', () => {
  const refused = lines('DUM 72 0', 'AM-Part: RCPT', 'SMTP-Error: "21:550 No such user here"', '', '0:', ';');
  assert.equal(dum(72, 0, '', answerBlock('RCPT', { smtpError: '550 No such user here' }), ''), refused);
  assert.deepEqual(readAnswer(read(refused).message.named, 'DUM'), {
    part: 'RCPT',
    smtpError: '550 No such user here',
    refusal: reply(550, undefined, 'No such user here'),
    advice: undefined,
    addHeaders: [],
    flaw: undefined,
  });
  assert.equal(
    dum(72, 0, '0 18', dataBlock('RCPT', ALL), '<paul@example.com>'),
    lines(
      'DUM 72 0',
      'Kept: {0 18}',
      'AM-Part: RCPT',
      'Allow: (SMTP-Error,Add-Header)',
      '',
      '18:<paul@example.com>',
      ';',
    ),
  );
  const rewritten = lines(
    'DUM 72 0',
    'AM-Part: RCPT',
    'Add-Header: "33:X-Original-User: paul@example.com"',
    '',
    '21:<newuser@example.com>',
    ';',
  );
  assert.equal(
    dum(72, 0, '', answerBlock('RCPT', { addHeaders: ['X-Original-User: paul@example.com'] }), '<newuser@example.com>'),
    rewritten,
  );
  assert.deepEqual(readAnswer(read(rewritten).message.named, 'DUM'), {
    part: 'RCPT',
    smtpError: undefined,
    refusal: undefined,
    advice: undefined,
    addHeaders: ['X-Original-User: paul@example.com'],
    flaw: undefined,
  });
});

test('the SIZE sample and the AM-OPT sample, whose metadata is ignored', () => {
  const size = lines('DUM 72 0', 'AM-Part: MAIL', 'Allow: (SMTP-Error)', '', '28:<steve@example.org> SIZE=256', ';');
  assert.equal(dum(72, 0, '', dataBlock('MAIL', REFUSE), '<steve@example.org> SIZE=256'), size);
  const opt = lines(
    'DUM 33 27',
    'AM-Part: MAIL',
    'AM-OPT: ({authtype cram-md5},{authen true})',
    '',
    '55:<sender@example.org> SIZE=33423 AUTH=sender@example.org',
    ';',
  );
  assert.deepEqual(readData(read(opt).message.named), { part: 'MAIL', allow: ALLOW_NOTHING, replayed: false });
});

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

test('flow A: the negotiation', () => {
  const offered: Offered = { adaptive: ['RCPT', 'RAWDATA'], informative: ['IP', 'EHLO', 'HELO', 'MAIL'] };
  const offer = makeOffer(offered);
  assert.equal(
    no(offer),
    lines(`NO ({${RECEIVER}`, 'Adaptive-Parts: (RCPT,RAWDATA)', 'Informative-Parts: (IP,EHLO,HELO,MAIL)', '});'),
  );
  assert.equal(
    nr(selectParts([offer], { adaptive: ['RCPT', 'RAWDATA'], informative: ['IP', 'HELO', 'MAIL'] })),
    lines(`NR {${RECEIVER}`, 'Adaptive-Parts: (RCPT,RAWDATA)', 'Informative-Parts: (IP,HELO,MAIL)', '};'),
  );
  assert.equal(
    written((out) => writeSgc(out, 25, [makeService('http://callout.example.net/opes/spam')])),
    lines('SGC 25 ({"36:http://callout.example.net/opes/spam"});'),
  );
});

test('flow A: the parts and their answers', () => {
  const part = (offset: number, kept: string, name: Part, allow: Allow, payload: string) =>
    dum(72, offset, kept, dataBlock(name, allow), payload);
  assert.equal(
    part(0, '', 'IP', ALLOW_NOTHING, '[192.0.2.138]'),
    lines('DUM 72 0', 'AM-Part: IP', '', '13:[192.0.2.138]', ';'),
  );
  assert.equal(
    part(13, '', 'HELO', ALLOW_NOTHING, '[192.0.2.138]'),
    lines('DUM 72 13', 'AM-Part: HELO', '', '13:[192.0.2.138]', ';'),
  );
  assert.equal(
    part(26, '', 'MAIL', ALLOW_NOTHING, '<steve@example.org>'),
    lines('DUM 72 26', 'AM-Part: MAIL', '', '19:<steve@example.org>', ';'),
  );
  assert.equal(
    part(45, '45 20', 'RCPT', REFUSE, '<nobody@example.com>'),
    lines('DUM 72 45', 'Kept: {45 20}', 'AM-Part: RCPT', 'Allow: (SMTP-Error)', '', '20:<nobody@example.com>', ';'),
  );
  assert.equal(
    dum(72, 0, '', answerBlock('RCPT', { smtpError: '550 5.1.1 No such user here' }), ''),
    lines('DUM 72 0', 'AM-Part: RCPT', 'SMTP-Error: "27:550 5.1.1 No such user here"', '', '0:', ';'),
  );
  assert.equal(
    part(65, '45 38', 'RCPT', REFUSE, '<paul@example.com>'),
    lines('DUM 72 65', 'Kept: {45 38}', 'AM-Part: RCPT', 'Allow: (SMTP-Error)', '', '18:<paul@example.com>', ';'),
  );
  assert.equal(
    written((out) => writeDuy(out, 72, 65, 18, answerBlock(undefined, {}))),
    lines('DUY 72 65 18;'),
  );
  assert.equal(MESSAGE.length, 249);
  assert.equal(
    part(83, '45 287', 'RAWDATA', ALL, MESSAGE),
    `${lines('DUM 72 83', 'Kept: {45 287}', 'AM-Part: RAWDATA', 'Allow: (SMTP-Error,Add-Header)', '')}249:${MESSAGE}\r\n;\r\n`,
  );
  const answered = lines('DUY 72 83 249', 'Add-Header: "17:X-Spam-Score: 1.2"', ';');
  assert.equal(
    written((out) => writeDuy(out, 72, 83, 249, answerBlock(undefined, { addHeaders: ['X-Spam-Score: 1.2'] }))),
    answered,
  );
  assert.deepEqual(readAnswer(read(answered).message.named, 'DUY'), {
    part: undefined,
    smtpError: undefined,
    refusal: undefined,
    advice: undefined,
    addHeaders: ['X-Spam-Score: 1.2'],
    flaw: undefined,
  });
  assert.equal(
    written((out) => {
      writeAme(out, 72);
      writeTe(out, 72);
    }),
    lines('AME 72;', 'TE 72;'),
  );
});

test('flow B: a refusal of the content in two lines', () => {
  const wire = lines(
    'DUM 73 18',
    'AM-Part: RAWDATA',
    'SMTP-Error: "48:550-5.7.1 Content refused',
    '550 5.7.1 Policy P-12"',
    '',
    '0:',
    ';',
  );
  const smtpError = '550-5.7.1 Content refused\r\n550 5.7.1 Policy P-12';
  assert.equal(dum(73, 18, '', answerBlock('RAWDATA', { smtpError }), ''), wire);
  assert.deepEqual(readAnswer(read(wire).message.named, 'DUM'), {
    part: 'RAWDATA',
    smtpError,
    refusal: reply(550, '5.7.1', 'Content refused', 'Policy P-12'),
    advice: undefined,
    addHeaders: [],
    flaw: undefined,
  });
  assert.equal(
    dum(73, 37, '19 267', dataBlock('RAWDATA', ALL), MESSAGE),
    `${lines('DUM 73 37', 'Kept: {19 267}', 'AM-Part: RAWDATA', 'Allow: (SMTP-Error,Add-Header)', '')}249:${MESSAGE}\r\n;\r\n`,
  );
});
