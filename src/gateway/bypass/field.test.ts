import assert from 'node:assert/strict';
import { test } from 'vitest';
import { readBypassFields, writeBypassField } from './field.ts';

const read = (...fields: string[]) => readBypassFields(fields.map((field) => Buffer.from(field, 'latin1')));
const LONG = Array.from({ length: 20 }, (_, i) => `https://mail.example.com/opes/service/${i}`);

test('a list or `*`, folded, in any case; several fields are one request (REQ-063, REQ-083)', () => {
  for (const [fields, asked] of [
    [['OPES-Bypass: *\r\n'], '*'],
    [['opes-bypass :\r\n\t*  \r\n'], '*'],
    [['OPES-BYPASS: urn:x:a, ,\r\n urn:x:b\r\n\t,urn:x:a\r\n'], ['urn:x:a', 'urn:x:b']],
    [['OPES-Bypass: urn:x:a, *\r\n'], '*'],
    [
      ['OPES-Bypass: urn:x:a\r\n', 'OPES-Bypass: urn:x:b\r\n'],
      ['urn:x:a', 'urn:x:b'],
    ],
    [['OPES-Bypass: urn:x:a\r\n', 'OPES-Bypass: *\r\n'], '*'],
    [[`OPES-Bypass: ${LONG.join(',\r\n ')}\r\n`], LONG],
  ] as const) {
    assert.deepEqual(read(...fields), { asked, unreadable: 0 }, fields.join(''));
  }
});

test('a field that is none is counted and asks for nothing; the others still do', () => {
  for (const field of [
    'OPES-Bypass:\r\n',
    'OPES-Bypass: , ,\r\n',
    'OPES-Bypass: please\r\n',
    'OPES-Bypass: urn:x:a b\r\n',
    'OPES-Bypass: urn:x:\xe9\r\n',
    'OPES-Bypass: <https://a.example/>\r\n',
    `OPES-Bypass: urn:x:${'a'.repeat(4096)}\r\n`,
    `OPES-Bypass: ${Array.from({ length: 51 }, (_, i) => `a:${i}`).join(',')}\r\n`,
  ]) {
    assert.deepEqual(read(field), { asked: undefined, unreadable: 1 }, field);
    assert.deepEqual(read(field, 'OPES-Bypass: urn:x:b\r\n'), { asked: ['urn:x:b'], unreadable: 1 });
  }
});

test('beyond the caps of a message, fields are counted and ask for nothing', () => {
  const fields = Array.from({ length: 30 }, (_, i) => `OPES-Bypass: a:${i}\r\n`);
  const { asked, unreadable } = read(...fields);
  assert.equal(asked?.length, 20);
  assert.equal(unreadable, 10);
  const large = (from: number) => `OPES-Bypass: ${Array.from({ length: 40 }, (_, i) => `a:${from + i}`).join(',')}\r\n`;
  const two = read(large(0), large(40));
  assert.deepEqual([two.asked?.length, two.unreadable], [40, 1]);
});

test('what is written is read as it was, but for commas, which are encoded', () => {
  assert.deepEqual(read(writeBypassField(LONG)), { asked: LONG, unreadable: 0 });
  assert.deepEqual(read(writeBypassField('*')), { asked: '*', unreadable: 0 });
  assert.equal(writeBypassField(['urn:x:a,b', 'urn:x:c']), 'OPES-Bypass: urn:x:a%2Cb,\r\n\turn:x:c\r\n');
});

test('a field costs what its length costs, whatever stands in it', () => {
  // Done in no time, or not before the test is given up: each of these once took 30 ms, of all mails' time.
  const costly = [' ', '\t', '\r\n '].map((space) => `OPES-Bypass: a:b${space.repeat(4000 / space.length)}c\r\n`);
  for (let i = 0; i < 500; i++) assert.equal(read(...costly).unreadable, 3);
});
