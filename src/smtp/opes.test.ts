import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { writeOpesBypass } from '../../test/support/opes-parameters.ts';
import { hasOpesParameters, parseOpesBypass } from './opes.ts';

const LONG = Array.from({ length: 20 }, (_, i) => `https://mail.example.com/opes/service/${i}`);

test('one URI, two, twenty, or all there are (REQ-063, REQ-089)', () => {
  for (const [value, asked] of [
    ['*', '*'],
    ['https://a.example/opes?id+3Dx.1', ['https://a.example/opes?id=x.1']],
    ['urn:x:a,urn:x:b+2Cc,urn:x:a', ['urn:x:a', 'urn:x:b,c']],
    ['urn:x:a,*', '*'],
    [LONG.join(','), LONG],
  ] as const) {
    assert.deepEqual(parseOpesBypass(value), asked, value);
  }
});

test('what is no list of URIs in xtext, or beyond a cap, is none', () => {
  const many = Array.from({ length: 51 }, (_, i) => `a:${i}`).join(',');
  for (const value of [
    '',
    ',',
    'urn:x:a,',
    'service',
    '**',
    'urn:x:a+',
    'urn:x:a+2c',
    'urn:x:a+0D+0Ab',
    'urn:x:a+20b',
    'urn:x:a=b',
    'urn:x:\xe9',
    'http:',
    many,
    `urn:${'x'.repeat(960)}`,
  ]) {
    assert.equal(parseOpesBypass(value), undefined, value);
  }
});

test('what is written is an ESMTP value, and is read as it was', () => {
  const uri = fc.stringMatching(/^[A-Za-z][A-Za-z0-9+.-]{0,9}:[\x21-\x7e]{1,30}$/);
  fc.assert(
    fc.property(fc.uniqueArray(uri, { minLength: 1, maxLength: 5 }), (uris) => {
      const value = writeOpesBypass(uris);
      assert.match(value, /^[\x21-\x3c\x3e-\x7e]+$/);
      assert.deepEqual(parseOpesBypass(value), uris);
    }),
  );
  assert.equal(writeOpesBypass('*'), '*');
});

test('a command without them is told by look-ups alone', () => {
  assert.ok(!hasOpesParameters(new Map([['SIZE', '1']])));
  for (const keyword of ['OPESBYPASS', 'OPESTRACE', 'OPESAUTH'])
    assert.ok(hasOpesParameters(new Map([[keyword, true]])));
});
