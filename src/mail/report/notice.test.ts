import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { REPORT_LANGUAGES } from './languages.ts';
import { makeNotice, type NoticeInput } from './notice.ts';
import { noticeTexts } from './notice-texts.ts';

const INPUT: NoticeInput = {
  hostname: 'mx.example.com',
  contact: 'postmaster@example.com',
  languages: ['en'],
  id: 's.1.q0',
  mailId: 's.1',
  to: 'b@example.com',
  from: 'a@example.org',
  subject: 'Invoice',
  arrivalMs: Date.UTC(2026, 10, 22),
  untilMs: Date.UTC(2026, 11, 22),
  nowMs: Date.UTC(2026, 10, 22, 1),
};

test('a notice says what was kept, until when, and whom to ask', () => {
  const text = makeNotice(INPUT).octets.toString();
  for (const words of ['From: <a@example.org>', 'Subject: Invoice', '22 Dec 2026', 'postmaster@example.com', 's.1\r\n'])
    assert.ok(text.includes(words), words);
  assert.match(text, /^From: Mail Quarantine <MAILER-DAEMON@mx\.example\.com>\r\nTo: <b@example\.com>\r\n/);
  assert.match(text, /\r\nAuto-Submitted: auto-generated\r\n/);
});

test('every language has every placeholder of the others', () => {
  const placeholders = (text: string): string => (text.match(/\{\w+\}/g) ?? []).toSorted().join();
  for (const language of REPORT_LANGUAGES)
    for (const [name, text] of Object.entries(noticeTexts[language]))
      assert.equal(
        placeholders(text),
        placeholders(noticeTexts.en[name as keyof typeof noticeTexts.en]),
        `${language} ${name}`,
      );
});

test('nothing a stranger wrote adds a field, a line of more than 998 octets, or octets beyond ASCII', () => {
  const hostile = fc.string({ unit: 'binary', maxLength: 2000 });
  fc.assert(
    fc.property(hostile, hostile, fc.constantFrom(...REPORT_LANGUAGES), (from, subject, language) => {
      const text = makeNotice({ ...INPUT, from, subject, languages: [language] }).octets.toString('latin1');
      const [header = '', ...body] = text.split('\r\n\r\n');
      assert.equal(header.split(/\r\n(?![ \t])/).length, 10);
      assert.ok(body.length > 0);
      for (const line of text.split('\r\n')) assert.ok(line.length <= 998 && !/[\r\n\x80-\xff]/.test(line));
    }),
  );
});
