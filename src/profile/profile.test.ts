import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { NO_NAMED, type Structure, type Value } from '../ocp/index.ts';
import {
  answerBlock,
  BROKEN_REFUSAL,
  canFollow,
  checkAddedField,
  dataBlock,
  MAX_ADDED_FIELDS,
  makeOffer,
  makeService,
  type Offered,
  PARTS,
  partByName,
  RECEIVER_URI,
  readAnswer,
  readData,
  readSelection,
  SENDER_URI,
  selectionOf,
  selectParts,
  serviceUris,
} from './index.ts';

const named = (...pairs: readonly (readonly [string, Value])[]): ReadonlyMap<string, Value> => new Map(pairs);
const feature = (...pairs: readonly (readonly [string, Value])[]): Structure => ({
  anonymous: [RECEIVER_URI],
  named: named(...pairs),
});
const OFFERED: Offered = { adaptive: ['RCPT', 'RAWDATA'], informative: ['IP', 'EHLO', 'MAIL'] };

const refusedSelections: readonly (readonly [why: string, answer: Structure, error: string])[] = [
  ['another feature', { anonymous: [SENDER_URI], named: NO_NAMED }, 'feature-not-offered'],
  ['no URI', { anonymous: [], named: NO_NAMED }, 'feature-not-offered'],
  ['an unoffered part', feature(['Informative-Parts', ['HELO']]), 'part-not-offered'],
  ['the forbidden part DATA', feature(['Adaptive-Parts', ['DATA']]), 'part-not-offered'],
  ['a read-only part as adaptive', feature(['Adaptive-Parts', ['MAIL']]), 'part-not-offered'],
  ['names are case-sensitive', feature(['Adaptive-Parts', ['rcpt']]), 'part-not-offered'],
  ['a number for a part', feature(['Adaptive-Parts', [5]]), 'part-not-offered'],
  ['in both lists', feature(['Adaptive-Parts', ['RCPT']], ['Informative-Parts', ['RCPT']]), 'part-twice'],
  ['twice in a list', feature(['Informative-Parts', ['IP', 'IP']]), 'part-twice'],
  ['an atom for a list', feature(['Adaptive-Parts', 'RCPT']), 'part-list-type'],
  ['a list in a list', feature(['Adaptive-Parts', [['RCPT']]]), 'part-list-type'],
  [
    'both spellings differ',
    feature(['Adaptive-Parts', ['RCPT']], ['Adaptive-Commands', []]),
    'parts-and-commands-differ',
  ],
  ['a header list for nothing', feature(['Header-List', ['From']]), 'header-list'],
  ['extensions that are no list', feature(['Extensions', 'AUTH']), 'list-type'],
];
for (const [why, answer, error] of refusedSelections) {
  test(`an answer is refused: ${why}`, () => assert.deepEqual(readSelection(answer, OFFERED), { error }));
}

test('exclusive parts are refused over both lists together, and single headers need their list', () => {
  const wide = { adaptive: ['RAWDATA', 'BODY'], informative: ['SINGLEHEADERS', 'SECTIONS', 'ALLHEADERS'] } as const;
  const judge = (...pairs: readonly (readonly [string, Value])[]) => readSelection(feature(...pairs), wide);
  for (const [a, b] of [
    ['RAWDATA', 'ALLHEADERS'],
    ['RAWDATA', 'SECTIONS'],
    ['BODY', 'SECTIONS'],
  ] as const) {
    assert.deepEqual(judge(['Adaptive-Parts', [a]], ['Informative-Parts', [b]]), { error: 'exclusive-parts' });
  }
  assert.deepEqual(judge(['Informative-Parts', ['ALLHEADERS', 'SINGLEHEADERS']]), { error: 'exclusive-parts' });
  assert.deepEqual(judge(['Informative-Parts', ['SINGLEHEADERS']]), { error: 'header-list' });
  assert.ok('selection' in judge(['Adaptive-Parts', ['BODY']], ['Informative-Parts', ['ALLHEADERS']]));
});

test('an answer in the words of the draft-00 samples is taken with a warning; both spellings only if they agree', () => {
  const bare = readSelection(feature(['Adaptive-Commands', ['RCPT']], ['Informative-Commands', ['IP']]), OFFERED);
  assert.ok('selection' in bare);
  assert.deepEqual([...bare.selection.adaptive, ...bare.selection.informative], ['RCPT', 'IP']);
  assert.deepEqual(bare.warnings, ['commands-alias']);
  const both = readSelection(feature(['Adaptive-Parts', ['RCPT']], ['Adaptive-Commands', ['RCPT']]), OFFERED);
  assert.ok('selection' in both);
  assert.deepEqual(both.warnings, ['commands-alias']);
});

test('absent lists are empty, and an adaptive part may be chosen for reading', () => {
  const none = readSelection(feature(), OFFERED);
  assert.ok('selection' in none);
  assert.equal(none.selection.adaptive.size + none.selection.informative.size, 0);
  const read = readSelection(feature(['Informative-Parts', ['RCPT']], ['Extensions', ['auth']]), OFFERED);
  assert.ok('selection' in read);
  assert.ok(read.selection.informative.has('RCPT') && read.selection.extensions.has('AUTH'));
});

test('a server takes what it wishes and is offered, and no more', () => {
  const offer = makeOffer(OFFERED);
  const choose = (wishes: Parameters<typeof selectParts>[1]) => selectParts([makeService('urn:x'), offer], wishes);
  const chosen = choose({ adaptive: ['MAIL', 'RCPT'], informative: ['HELO', 'EHLO', 'RCPT'] });
  assert.ok(chosen !== undefined);
  const selection = selectionOf(chosen);
  assert.deepEqual([...selection.adaptive], ['RCPT']);
  assert.deepEqual([...selection.informative], ['MAIL', 'EHLO'], 'an adaptive wish that may only be read is read');
  assert.equal(choose({ adaptive: ['MAIL'], informative: [], needed: ['MAIL'] }), undefined);
  assert.equal(choose({ adaptive: [], informative: ['HELO'], needed: ['HELO'] }), undefined);
  assert.ok(choose({ adaptive: ['RAWDATA'], informative: [], needed: ['RAWDATA'] }) !== undefined);
  assert.equal(selectParts([makeService('urn:x')], { adaptive: [], informative: [] }), undefined);
});

test('an offer in the words of the draft-00 samples is answered in both', () => {
  const offer = feature(['Adaptive-Commands', ['RCPT', 'DATA']], ['Informative-Commands', ['IP', 'VIPNAME']]);
  const answer = selectParts([offer], { adaptive: ['RCPT', 'RAWDATA'], informative: ['IP'] });
  assert.deepEqual(
    answer,
    feature(
      ['Adaptive-Parts', ['RCPT']],
      ['Informative-Parts', ['IP']],
      ['Adaptive-Commands', ['RCPT']],
      ['Informative-Commands', ['IP']],
    ),
  );
});

test('whatever is offered and wished, the answer passes the judgement of the one who offered', () => {
  const part = fc.subarray([...PARTS]);
  fc.assert(
    fc.property(part, part, part, part, (adaptive, informative, wishA, wishI) => {
      const offered: Offered = { adaptive, informative: informative.filter((one) => !adaptive.includes(one)) };
      const answer = selectParts([makeOffer(offered)], { adaptive: wishA, informative: wishI });
      assert.ok(answer !== undefined);
      const judged = readSelection(answer, offered);
      assert.ok('selection' in judged, JSON.stringify(judged));
      for (const one of wishA) assert.equal(judged.selection.adaptive.has(one), adaptive.includes(one));
    }),
  );
});

test('every block reads back as what it was made of, and both are made once', () => {
  for (const part of PARTS) {
    for (let bits = 0; bits < 16; bits++) {
      const allow = { smtpError: (bits & 1) > 0, addHeader: (bits & 2) > 0, advice: (bits & 8) > 0 };
      const replayed = (bits & 4) > 0;
      const block = dataBlock(part, allow, { replayed });
      const parameters = block
        .split('\r\n')
        .filter((line) => line !== '')
        .map((line): [string, Value] => {
          const [name = '', value = ''] = line.split(': ');
          return [name, value.startsWith('(') ? value.slice(1, -1).split(',') : value];
        });
      const data = readData(named(...parameters));
      assert.deepEqual(data, { part, allow, replayed });
      assert.equal(readData(named(...parameters)), data);
    }
  }
});

test('data of unknown parts and with unknown permissions is no error', () => {
  const data = readData(named(['AM-Part', 'VIPNAME'], ['Allow', ['X-Other', 'SMTP-Error']], ['Kept', feature()]));
  assert.deepEqual(data, {
    part: undefined,
    allow: { smtpError: true, addHeader: false, advice: false },
    replayed: false,
  });
});

test('data parameters of the wrong kind or from the wrong side make the message invalid', () => {
  const cases: readonly (readonly [ReadonlyMap<string, Value>, string])[] = [
    [NO_NAMED, 'am-part-missing'],
    [named(['AM-Part', ['RCPT']]), 'am-part-type'],
    [named(['AM-Part', 'RCPT'], ['Allow', 'SMTP-Error']), 'allow-type'],
    [named(['AM-Part', 'RCPT'], ['Replayed', ['true']]), 'replayed-type'],
    [named(['AM-Part', 'RCPT'], ['SMTP-Error', '550 no']), 'reply-from-processor'],
    [named(['AM-Part', 'RCPT'], ['Add-Header', 'X: y']), 'reply-from-processor'],
    [named(['AM-Part', 'RAWDATA'], ['Advice', 'quarantine']), 'reply-from-processor'],
  ];
  for (const [parameters, error] of cases) assert.deepEqual(readData(parameters), { error });
});

test('a refusal that is none becomes one of ours, and says so', () => {
  const good = ['550 no', '450 4.7.1 later', '550', '550-a\r\n550 b', '559 x', '421 4.3.2 bye', '550 caf\xc3\xa9'];
  for (const smtpError of good) {
    const answer = readAnswer(named(['AM-Part', 'RCPT'], ['SMTP-Error', smtpError]), 'DUM');
    assert.ok(!('error' in answer));
    assert.deepEqual([answer.smtpError, answer.flaw], [smtpError, undefined]);
  }
  const bad: readonly (readonly [string, string])[] = [
    ['250 fine', 'reply-code'],
    ['354 go', 'reply-code'],
    ['', 'reply-form'],
    ['no', 'reply-form'],
    ['660 x', 'reply-form'],
    ['599 x', 'reply-form'],
    ['560 x', 'reply-form'],
    ['550-a', 'reply-form'],
    ['550 a\r\n550 b', 'reply-form'],
    ['550-a\r\n450 b', 'reply-form'],
    ['550 a\r\n', 'reply-form'],
    ['550 a\nb', 'reply-form'],
    ['550 a\rb', 'reply-form'],
    ['550 a\0b', 'reply-form'],
    ['550x', 'reply-form'],
    ['550-a\r\nRCPT TO:<b>', 'reply-form'],
  ];
  for (const [smtpError, flaw] of bad) {
    const answer = readAnswer(named(['AM-Part', 'RCPT'], ['SMTP-Error', smtpError]), 'DUM');
    assert.ok(!('error' in answer));
    assert.deepEqual([answer.smtpError, answer.flaw], [BROKEN_REFUSAL, flaw], JSON.stringify(smtpError));
  }
  const digits = readAnswer(named(['AM-Part', 'RCPT'], ['SMTP-Error', 550]));
  assert.ok(!('error' in digits) && digits.smtpError === '550');
});

test('answers of the wrong kind make the message invalid', () => {
  const cases: readonly (readonly [ReadonlyMap<string, Value>, 'DUM' | 'DUY', string])[] = [
    [NO_NAMED, 'DUM', 'am-part-missing'],
    [named(['SMTP-Error', '550 no']), 'DUM', 'am-part-missing'],
    [named(['AM-Part', ['RCPT']]), 'DUM', 'am-part-type'],
    [named(['AM-Part', 'RCPT'], ['Allow', []]), 'DUM', 'allow-from-server'],
    [named(['SMTP-Error', '550 no']), 'DUY', 'smtp-error-on-duy'],
    [named(['AM-Part', 'RCPT'], ['SMTP-Error', ['550 no']]), 'DUM', 'smtp-error-type'],
    [named(['Add-Header', feature()]), 'DUY', 'add-header-type'],
    [named(['Add-Header', [['X: y']]]), 'DUY', 'add-header-type'],
    [named(['Add-Header', 'Received: by us']), 'DUY', 'add-header-forbidden'],
    [named(['Add-Header', Array.from({ length: MAX_ADDED_FIELDS + 1 }, () => 'X: y')]), 'DUY', 'add-header-count'],
  ];
  for (const [parameters, on, error] of cases) assert.deepEqual(readAnswer(parameters, on), { error });
  assert.deepEqual(readAnswer(NO_NAMED, 'DUY'), {
    part: undefined,
    smtpError: undefined,
    refusal: undefined,
    advice: undefined,
    addHeaders: [],
    flaw: undefined,
  });
});

test('several fields are a list, one is an atom; a bad one is never written', () => {
  assert.equal(answerBlock(undefined, { addHeaders: ['X: 1', 'Y: 2'] }), 'Add-Header: ("4:X: 1","4:Y: 2")\r\n');
  const both = readAnswer(named(['Add-Header', ['X: 1', 'Y: 2']]), 'DUY');
  assert.ok(!('error' in both));
  assert.deepEqual(both.addHeaders, ['X: 1', 'Y: 2']);
  assert.throws(() => answerBlock(undefined, { addHeaders: ['Bcc: a@b'] }), /add-header-forbidden/);
});

test('fields that may be added', () => {
  for (const field of [
    'X-A: b',
    'X-A:b',
    'X:',
    'Subject: a\r\n b\r\n\tc',
    'Authentication-Results: x; dkim=pass',
    `X: ${'y'.repeat(900)}`,
  ]) {
    assert.equal(checkAddedField(field), undefined, JSON.stringify(field));
  }
});

test('fields that may not', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['', 'add-header-name'],
    [': a', 'add-header-name'],
    ['no colon', 'add-header-name'],
    ['X A: b', 'add-header-name'],
    ['X : b', 'add-header-name'],
    ['\r\nX: b', 'add-header-name'],
    ['X\xe9: b', 'add-header-name'],
    ['received: x', 'add-header-forbidden'],
    ['Return-Path: <a@b>', 'add-header-forbidden'],
    ['OPES-Via: http://x', 'add-header-forbidden'],
    ['opes-anything: x', 'add-header-forbidden'],
    ['BCC: a@b', 'add-header-forbidden'],
    ['DKIM-Signature: v=1', 'add-header-forbidden'],
    ['DKIM2-Signature: v=1', 'add-header-forbidden'],
    ['ARC-Seal: i=1', 'add-header-forbidden'],
    ['DomainKey-Signature: a', 'add-header-forbidden'],
    ['X: a\0', 'add-header-octets'],
    ['X: \xe9', 'add-header-octets'],
    ['X: \u{20ac}', 'add-header-octets'],
    ['X: a\r', 'add-header-folding'],
    ['X: a\nb', 'add-header-folding'],
    ['X: a\n b', 'add-header-folding'],
    ['X: a\r b', 'add-header-folding'],
    ['X: a\r\n', 'add-header-folding'],
    ['X: a\r\nY: b', 'add-header-folding'],
    ['X: a\r\n \r\n b', 'add-header-folding'],
    ['X: a\r\n\r\nbody', 'add-header-folding'],
    [`X: ${'y'.repeat(1000)}`, 'add-header-size'],
    [`X: a${`\r\n ${'y'.repeat(900)}`.repeat(10)}`, 'add-header-size'],
  ];
  for (const [field, rule] of cases) assert.equal(checkAddedField(field), rule, JSON.stringify(field));
});

test('the order of parts', () => {
  const order = (...names: readonly string[]) =>
    names.every((name, i) => {
      const part = partByName(name);
      const last = partByName(names[i - 1] ?? '');
      return part !== undefined && canFollow(last, part);
    });
  assert.ok(order('IP', 'EHLO', 'MAIL', 'RCPT', 'RCPT', 'RAWDATA', 'RAWDATA'));
  assert.ok(order('HELO', 'VRFY'));
  assert.ok(order('RAWDATA'));
  for (const wrong of ['MAIL MAIL', 'RCPT MAIL', 'RAWDATA RCPT', 'EHLO IP', 'EHLO HELO', 'MAIL VRFY']) {
    assert.ok(!order(...wrong.split(' ')), wrong);
  }
});

test('services by URI', () => {
  const uris = ['http://callout.example.net/opes/spam', 'urn:x'];
  assert.deepEqual(serviceUris(uris.map((uri) => makeService(uri))), uris);
  assert.deepEqual(serviceUris([{ anonymous: [], named: NO_NAMED }]), ['']);
});
