import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { shownLines, shownReply, shownSize, shownText, shownTime, subjectOf, visible } from './text.ts';

const octets = (text: string) => Buffer.from(text, 'latin1');

test('octets as text: UTF-8 where it is, else one character an octet', () => {
  assert.equal(shownText(Buffer.from('Grüße')), 'Grüße');
  assert.equal(shownText(octets('Gr\xfc\xdfe')), 'Grüße');
  assert.deepEqual(shownLines(octets('a\r\n.b\r\n\r\nc')), ['a', '.b', '', 'c']);
});

test('nothing hides: controls, zero width and turned writing are seen', () => {
  assert.equal(visible('a\x00\x1b[31m\x7f'), 'a␀␛[31m␡');
  assert.equal(visible('exe.\u202egnp'), 'exe.⟨U+202E⟩gnp');
  assert.equal(visible('a\u200bb\tc'), 'a⟨U+200B⟩b\tc');
});

test('subjects, folded and encoded', () => {
  assert.equal(subjectOf(octets('To: x\r\nSubject: lunch\r\n today\r\n\r\nSubject: no\r\n')), 'lunch today');
  assert.equal(subjectOf(octets('Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe_?= =?ISO-8859-1?B?9g==?=\r\n\r\n')), 'Grüße ö');
  assert.equal(subjectOf(octets('Subject: =?no-such?Q?a?=\r\n\r\n')), '=?no-such?Q?a?=');
  assert.equal(subjectOf(octets('\r\nSubject: in the body\r\n')), '');
  assert.equal(subjectOf(octets('')), '');
});

test('figures', () => {
  assert.deepEqual([shownSize(999), shownSize(4096), shownSize(2.5e6)], ['999 octets', '4.1 kB', '2.5 MB']);
  assert.deepEqual([shownTime(0.44), shownTime(23.4), shownTime(1234)], ['0.4 ms', '23 ms', '1.2 s']);
  assert.deepEqual(shownReply({ code: 550, enhanced: '5.7.1', text: ['a', 'b'] }), ['550-5.7.1 a', '550 5.7.1 b']);
});

test('whatever a mail holds, it can be shown', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (mail) => {
      const shown = shownLines(mail).join('') + subjectOf(mail);
      assert.doesNotMatch(shown, /[\x00-\x08\x0a-\x1f\x7f\u202a-\u202e]/);
    }),
  );
});
