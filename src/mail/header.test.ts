import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import {
  fieldBody,
  fieldName,
  findField,
  findFields,
  HeaderScanner,
  type KeptHeader,
  mailLimits,
  scanHeader,
  unfold,
} from './index.ts';

const octets = (text: string) => Buffer.from(text, 'latin1');

test('a field is found by its name in any case, with its body as it was sent', () => {
  const mail = octets('Subject: a\r\n b\r\nTO:x\r\nsubject :c\r\n\r\nSubject: no');
  const { fields, end, whole, broken } = scanHeader(mail);
  assert.deepEqual([end, whole, broken], [mail.indexOf('\r\n\r\n') + 4, true, undefined]);
  assert.deepEqual(
    fields.map((field) => [fieldName(mail, field), fieldBody(mail, field)]),
    [
      ['Subject', ' a\r\n b'],
      ['TO', 'x'],
      ['subject', 'c'],
    ],
  );
  assert.equal(findFields(mail, fields, 'SUBJECT').length, 2);
  assert.equal(findField(mail, fields, 'to'), fields[1]);
  assert.equal(findField(mail, fields, 'cc'), undefined);
});

test('a body without its folds keeps its white space but for the ends', () => {
  assert.equal(unfold(' a\r\n  b\n\tc \t'), 'a  b\tc');
  assert.equal(unfold('\r\n '), '');
  assert.equal(unfold(`x${' '.repeat(1_000_000)}y`).length, 1_000_002); // at once, or the test never ends
});

test('the ranges of fields tile the section, whatever it holds', () => {
  const line = fc.constantFrom(
    'A: b\r\n',
    ' fold\r\n',
    'junk\r\n',
    ':\r\n',
    'B\t: c\n',
    '\t\n',
    'C:\r',
    '\x80: x\r\n',
    'D : : :\r\n',
    '\0\r\n',
  );
  fc.assert(
    fc.property(fc.array(line), fc.constantFrom('', '\r\n', '\n'), (lines, empty) => {
      const mail = octets(`${lines.join('')}${empty}`);
      const { fields, end, whole } = scanHeader(mail);
      let at = 0;
      for (const field of fields) {
        assert.equal(field.start, at);
        assert.ok(field.start <= field.nameEnd && field.nameEnd <= field.valueStart && field.valueStart <= field.end);
        at = field.end;
      }
      if (whole) assert.ok(mail.subarray(at, end).equals(octets(mail[at] === 10 ? '\n' : '\r\n')));
      else assert.equal(at, end);
    }),
  );
});

test('fields beyond the cap are not listed, the end is right', () => {
  const mail = octets(`${'A: b\r\n'.repeat(10)}\r\nbody`);
  const { fields, end, whole, broken } = scanHeader(mail, { ...mailLimits, fields: 3 });
  assert.deepEqual([fields.length, end, whole, broken], [3, 62, true, 'field-count']);
});

function kept(chunks: readonly Buffer[], headerOctets = 1000): { header: KeptHeader; used: number } {
  const scanner = new HeaderScanner({ ...mailLimits, headerOctets });
  let used = 0;
  for (const chunk of chunks) if (scanner.isOpen) used += scanner.feed(chunk);
  scanner.end();
  return { header: scanner.header(), used };
}

test('a section that comes in chunks is the same at every cut', () => {
  const mails = [
    'Subject: a\r\n b\r\n\r\nbody',
    '\r\nbody',
    '\n',
    '',
    'A: b',
    'A: b\n\nbody',
    'A: b\r\n\r\r\n',
    'x'.repeat(40),
  ];
  for (const mail of mails.map(octets)) {
    for (const cap of [1000, 10]) {
      const whole = kept([mail], cap);
      assert.ok(whole.header.octets.equals(mail.subarray(0, whole.header.octets.length)));
      assert.equal(whole.used, whole.header.octets.length);
      assert.equal(whole.header.broken === 'header-size', whole.used === cap && cap < mail.length);
      for (let cut = 1; cut < mail.length; cut++) {
        assert.deepEqual(kept([mail.subarray(0, cut), mail.subarray(cut)], cap), whole);
      }
      assert.deepEqual(
        kept(
          Array.from(mail, (octet) => Buffer.of(octet)),
          cap,
        ),
        whole,
      );
    }
  }
});
