import assert from 'node:assert/strict';
import { test } from 'vitest';
import { invalid, parseOne, samples, valid } from '../../../test/vectors/ocp/vectors.ts';
import { atomText, DECLARATIONS, readMessage, type TypedMessage, type TypedOf } from './index.ts';

const read = (wire: string, kept: 'structure' | 'pair' = 'structure') => readMessage(parseOne(wire, { kept }).message);

/** As `read`, without `named`: what a typed message says on top of that. */
function readFields(wire: string): unknown {
  const { named, ...fields } = { named: undefined, ...read(wire) };
  return named === undefined ? 'broken' : fields;
}

test('every valid vector, sample and session message passes its types', () => {
  for (const { id, wire } of [...valid, ...samples]) {
    const { kind } = read(wire);
    const isUnknown = ['V51', 'V52', 'V53', 'R05'].includes(id);
    assert.equal(kind, isUnknown ? 'unknown' : parseOne(wire).message.name, id);
  }
});

for (const v of invalid.filter(({ layer }) => layer === 'type')) {
  test(`${v.id} gives ${v.reaction}: ${v.wrong}`, () => {
    const broken = read(v.wire);
    assert.equal(broken.kind, 'broken');
    if (broken.kind !== 'broken') return;
    assert.equal(broken.scope === 'transaction' ? `TE ${broken.xid} 400` : 'CE 400', v.reaction);
    assert.notEqual(broken.rule, '');
  });
}

const OK = { code: 200, reason: '' };
const log = { anonymous: ['http://svc.example/log'], named: new Map() };

test('each message decodes to its fields', () => {
  const expected: Record<string, unknown> = {
    V01: { kind: 'CS' },
    V02: { kind: 'CE', result: OK },
    V03: { kind: 'CE', result: { code: 200, reason: 'OK' } },
    V04: { kind: 'CE', result: { code: 400, reason: 'idle for too long' } },
    V07: { kind: 'SGC', sgId: 7, services: [] },
    V08: { kind: 'SGD', sgId: 7 },
    V09: { kind: 'TS', xid: 10, sgId: 5 },
    V10: { kind: 'TS', xid: 10, sgId: 5 },
    V11: { kind: 'TE', xid: 10, result: OK },
    V12: { kind: 'TE', xid: 10, result: { code: 400, reason: 'caf\xc3\xa9 ferm\xc3\xa9' } },
    V13: { kind: 'AMS', xid: 10, services: undefined },
    V14: { kind: 'AMS', xid: 10, services: [log] },
    V15: { kind: 'AME', xid: 10, result: { code: 206, reason: 'partial' } },
    V16: { kind: 'AME', xid: 10, result: { code: 400, reason: '' } },
    V17: { kind: 'AME', xid: 10, result: { code: 503, reason: 'busy' } },
    V18: { kind: 'AME', xid: 10, result: { code: 200, reason: 'hello' } },
    V19: { kind: 'DUM', xid: 10, offset: 0, asIs: undefined, kept: undefined, modp: undefined, size: 5 },
    V20: { kind: 'DUM', xid: 10, offset: 5, asIs: undefined, kept: undefined, modp: undefined, size: 0 },
    V21: { kind: 'DUM', xid: 10, offset: 0, asIs: undefined, kept: { offset: 0, size: 5 }, modp: undefined, size: 5 },
    V22: { kind: 'DUM', xid: 10, offset: 0, asIs: 0, kept: undefined, modp: 0, size: 5 },
    V26: { kind: 'DUY', xid: 10, offset: 0, size: 5 },
    V27: { kind: 'DPI', xid: 10, offset: 0, size: 2147483647 },
    V29: { kind: 'DWSR', xid: 10, size: 1024 },
    V30: { kind: 'DWSS', xid: 10 },
    V31: { kind: 'DSS', xid: 10 },
    V32: { kind: 'DWP', xid: 10, offset: 65536 },
    V33: { kind: 'DPM', xid: 10 },
    V34: { kind: 'DWM', xid: 10, sizeRequest: undefined },
    V35: { kind: 'DWM', xid: 10, sizeRequest: 16384 },
    V37: { kind: 'NO', features: [], sg: undefined, offerPending: false },
    V40: { kind: 'NR', feature: undefined, sg: undefined, rejects: [], unknowns: [], offerPending: true },
    V44: { kind: 'AA', supported: false },
    V45: { kind: 'PQ', xid: undefined },
    V46: { kind: 'PQ', xid: 10 },
    V48: { kind: 'PA', xid: 10, orgData: 4096 },
    V49: { kind: 'PR', xid: 10, orgData: 0 },
    V50: { kind: 'PQ', xid: undefined },
  };
  for (const { id, wire } of valid) if (id in expected) assert.deepEqual(readFields(wire), expected[id], id);
});

test('negotiation messages keep features whole, with their attributes', () => {
  const offer = read(valid.find(({ id }) => id === 'V38')?.wire ?? '');
  assert.deepEqual(offer.kind === 'NO' && offer.features[1]?.named.get('Key-Bits'), [128, 256]);
  assert.equal(offer.kind === 'NO' && offer.sg, 5);
  assert.equal(offer.kind === 'NO' && offer.offerPending, true);
  const answer = read(valid.find(({ id }) => id === 'V42')?.wire ?? '');
  assert.equal(answer.kind === 'NR' && atomText(answer.rejects[0]?.anonymous[0]), 'ocp://example/encryption/strongA');
  assert.equal(answer.kind === 'NR' && atomText(answer.unknowns[0]?.anonymous[0]), 'ocp://feature/example/');
});

test('parameters of a profile stay where its readers find them', () => {
  const dum = read('DUM 1 0\r\nAM-Part: RCPT\r\nModp: 0\r\n\r\n1:x\r\n;\r\n');
  assert.equal(dum.kind === 'DUM' && dum.named.get('AM-Part'), 'RCPT');
  const unknown = read('X-New 1\r\nA: b\r\n;\r\n');
  assert.deepEqual(unknown, { kind: 'unknown', name: 'X-New', named: new Map([['A', 'b']]) });
});

test('the cause of a failure is an atom of any words; what else stands there is a member nobody knows', () => {
  const result = (members: string) => {
    const end = read(`TE 1 {${members}};\r\n`);
    return end.kind === 'TE' ? end.result : undefined;
  };
  assert.deepEqual(result('400 no\r\nCause: overload\r\n'), { code: 400, reason: 'no', cause: 'overload' });
  assert.deepEqual(result('400\r\nCause: "3:a b"\r\nMore: x\r\n'), { code: 400, reason: '', cause: 'a b' });
  for (const none of ['400 no', '400 no\r\ncause: overload\r\n', '400 no\r\nCause: (overload)\r\n'])
    assert.deepEqual(result(none), { code: 400, reason: 'no' });
});

test('an As-is of whatever wrong type counts as absent, and the message stays valid', () => {
  for (const asIs of ['a', '-1', '()', '(5)', '{}', '{5}', '2147483648', '00']) {
    const dum = read(`DUM 1 0\r\nAs-is: ${asIs}\r\n\r\n1:x\r\n;\r\n`);
    assert.equal(dum.kind, 'DUM', asIs);
    assert.equal(dum.kind === 'DUM' && dum.asIs, undefined);
  }
});

test('Kept takes a structure of two numbers, or the pair behind the switch; a lone number never', () => {
  const dum = (kept: string) => `DUM 1 0\r\nKept: ${kept}\r\n\r\n1:x\r\n;\r\n`;
  for (const wrong of ['0', '{0}', '{}', '{a 1}', '{0 (1)}', '(0,1)']) {
    assert.deepEqual(read(dum(wrong), 'pair'), { kind: 'broken', rule: 'kept-type', scope: 'transaction', xid: 1 });
  }
  // Open-ended and beyond what was sent is for the flow to judge.
  for (const [right, kept] of [
    ['{0 5}', 'structure'],
    ['0 5', 'pair'],
    ['{"1:0" 5 more\r\nx: 1\r\n}', 'pair'],
  ] as const) {
    const typed = read(dum(right), kept);
    assert.deepEqual(typed.kind === 'DUM' && typed.kept, { offset: 0, size: 5 });
  }
});

test('an empty list for an optional list is as none; a required one may be empty but not absent', () => {
  assert.deepEqual(readFields('AMS 1\r\nServices: ()\r\n;\r\n'), { kind: 'AMS', xid: 1, services: undefined });
  assert.deepEqual(readFields('NR\r\nRejects: ()\r\nUnknowns: ()\r\n;\r\n'), readFields('NR;\r\n'));
  assert.equal(read('SGC 1;\r\n').kind, 'broken');
  assert.equal(read('AMS 1\r\nServices: {}\r\n;\r\n').kind, 'broken');
  assert.equal(read('TE 1 ();\r\n').kind, 'broken');
});

test('a uri is a non-empty string of RFC 2396 with whole escapes, relative ones included', () => {
  for (const uri of ['"8:http://a"', 'x', '5', '"5:a/%4b"', '"6:a?b#c!"']) {
    assert.equal(read(`AQ {${uri}};\r\n`).kind, 'AQ', uri);
  }
  for (const uri of ['"0:"', '"3:a b"', '"3:a%4"', '"2:%g"', '"1:<"', '"2:a\xe9"', '()', '{x}']) {
    assert.equal(read(`AQ {${uri}};\r\n`).kind, 'broken', uri);
  }
});

test('a duplicate name ends the transaction if there is one, else the connection', () => {
  const two = 'a: 1\r\na: 2\r\n';
  const rule = 'duplicate-name';
  assert.deepEqual(read(`DUY 7 0 5\r\n${two};\r\n`), { kind: 'broken', rule, scope: 'transaction', xid: 7 });
  assert.deepEqual(read(`NR\r\n${two};\r\n`), { kind: 'broken', rule, scope: 'connection', xid: undefined });
  assert.deepEqual(read(`PQ\r\n${two};\r\n`), { kind: 'broken', rule, scope: 'connection', xid: undefined });
  assert.deepEqual(read(`PQ 7\r\n${two};\r\n`), { kind: 'broken', rule, scope: 'transaction', xid: 7 });
  assert.deepEqual(read(`X-New 7\r\n${two};\r\n`), { kind: 'broken', rule, scope: 'connection', xid: undefined });
});

test('no data may end beyond 2147483647; an open-ended DPI may', () => {
  assert.equal(read('DUY 1 2147483647 0;\r\n').kind, 'DUY');
  assert.equal(read('DUM 1 2147483647\r\n0:\r\n;\r\n').kind, 'DUM');
  assert.equal(read('DPI 1 129 2147483647;\r\n').kind, 'DPI');
  const over = { kind: 'broken', rule: 'end-limit', scope: 'transaction', xid: 1 };
  assert.deepEqual(read('DUY 1 2147483647 1;\r\n'), over);
  assert.deepEqual(read('DUM 1 2147483647\r\n1:x\r\n;\r\n'), over);
});

test('an xid of the wrong type leaves the scope unknown', () => {
  for (const wire of ['PQ abc;\r\n', 'PQ ();\r\n', 'TE {1};\r\n', 'DPM;\r\n', 'DPM 01;\r\n']) {
    const broken = read(wire);
    assert.deepEqual(broken.kind === 'broken' && broken.scope, 'connection', wire);
  }
});

test('the table says what RFC 4037, section 11 declares', () => {
  const declared = DECLARATIONS.map(({ kind, anonymous, named, payload }) => {
    const words = anonymous.map(({ type, required }) => (required ? type : `[${type}]`));
    const lines = named.map(({ name, type }) => `[${name}: ${type}]`);
    return [kind, ...words, ...lines, ...(payload ? ['and payload'] : [])].join(' ');
  });
  assert.deepEqual(declared, [
    'CS',
    'CE [result]',
    'SGC sg-id services',
    'SGD sg-id',
    'TS xid sg-id',
    'TE xid [result]',
    'AMS xid [Services: services]',
    'AME xid [result]',
    'DUM xid offset [As-is: offset] [Kept: kept] [Modp: modp] and payload',
    'DUY xid offset size',
    'DPI xid offset size',
    'DWSR xid size',
    'DWSS xid',
    'DSS xid',
    'DWP xid offset',
    'DPM xid',
    'DWM xid [Size-request: size]',
    'NO features [SG: sg-id] [Offer-Pending: boolean]',
    'NR [feature] [SG: sg-id] [Rejects: features] [Unknowns: features] [Offer-Pending: boolean]',
    'AQ feature',
    'AA boolean',
    'PQ [xid]',
    'PA [xid] [Org-Data: size]',
    'PR [xid] [Org-Data: size]',
  ]);
});

test('types follow the table', () => {
  // Checked by the compiler: a field that the table does not give, or of another type, does not compile here.
  const size = (dum: TypedOf<'DUM'>): number => dum.size + dum.offset + (dum.kept?.size ?? 0) + (dum.modp ?? 0);
  const code = (end: TypedOf<'AME' | 'TE'>): number => end.result.code;
  const xidOf = (message: TypedMessage): number | undefined => ('xid' in message ? message.xid : undefined);
  const dum = read('DUM 1 2\r\nKept: {0 4}\r\n\r\n3:abc\r\n;\r\n');
  assert.equal(dum.kind === 'DUM' && size(dum), 9);
  const end = read('AME 1 {206};\r\n');
  assert.equal(end.kind === 'AME' && code(end), 206);
  assert.equal(end.kind === 'AME' && xidOf(end), 1);
});
