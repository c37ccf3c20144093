import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { parseMailArgument, parseRcptArgument } from './argument.ts';
import {
  type DsnRcptParameters,
  decodeXtext,
  encodeXtext,
  parseDsnMail,
  parseDsnRcpt,
  parseEnvid,
  parseNotify,
  parseOrcpt,
  parseRet,
  writeDsnMail,
  writeDsnRcpt,
} from './dsn.ts';

const orcpt = (value: string): string | undefined => {
  const found = parseOrcpt(value);
  return found === undefined ? undefined : `${found.type} ${found.address}`;
};

const vectors: readonly (readonly [read: (value: string) => unknown, value: string, expected: unknown])[] = [
  [parseRet, 'full', 'FULL'],
  [parseRet, 'HDRS', 'HDRS'],
  [parseRet, 'HDR', undefined],
  [parseEnvid, 'QQ314159', 'QQ314159'],
  [parseEnvid, 'a+20b+2B+3D', 'a b+='],
  [parseEnvid, 'a+2', undefined],
  [parseEnvid, 'a+7F', undefined],
  [parseEnvid, '+80', undefined],
  [parseEnvid, '', undefined],
  [parseEnvid, 'x'.repeat(100), 'x'.repeat(100)],
  [parseEnvid, 'x'.repeat(101), undefined],
  [parseNotify, 'never', []],
  [parseNotify, 'FAILURE,SUCCESS,FAILURE', ['FAILURE', 'SUCCESS']],
  [parseNotify, 'SUCCESS,NEVER', undefined],
  [parseNotify, ',DELAY', undefined],
  [parseNotify, '__proto__', undefined],
  [orcpt, 'RFC822;Bob@Example.com', 'rfc822 Bob@Example.com'],
  [orcpt, 'rfc822;+22a+20b+22@example.com', 'rfc822 "a b"@example.com'],
  [orcpt, 'x400;/C=us/', undefined],
  [orcpt, 'x400;/C+3Dus/', 'x400 /C=us/'],
  [orcpt, 'rfc822', undefined],
  [orcpt, 'rfc 822;a', undefined],
  [orcpt, `rfc822;${'a'.repeat(493)}`, `rfc822 ${'a'.repeat(493)}`],
  [orcpt, `rfc822;${'a'.repeat(494)}`, undefined],
  [orcpt, 'utf-8;\xc3\xa9@example.com', 'utf-8 \xc3\xa9@example.com'],
  [orcpt, 'utf-8;\\x{e9}@example.com', 'utf-8 \xc3\xa9@example.com'],
  [orcpt, 'utf-8;a\\x{2B}b\\x{3D}@example.com', 'utf-8 a+b=@example.com'],
  [orcpt, 'utf-8;"a\\x{20}\\x{5C}"b"@example.com', 'utf-8 "a \\"b"@example.com'],
  [orcpt, 'utf-8;\\x{10FFFF}@example.com', 'utf-8 \xf4\x8f\xbf\xbf@example.com'],
  [orcpt, 'utf-8;\\x{110000}@example.com', undefined],
  [orcpt, 'utf-8;\\x{D800}@example.com', undefined],
  [orcpt, 'utf-8;\\x{00E9}@example.com', undefined],
  [orcpt, 'utf-8;\\x{61}@example.com', undefined],
  [orcpt, 'utf-8;\\x61@example.com', undefined],
  [orcpt, 'utf-8;\\x{0D}@example.com', undefined],
  [orcpt, 'utf-8;a+2Bb@example.com', undefined],
  [orcpt, 'utf-8;\xc3@example.com', undefined],
  [orcpt, 'utf-8;not a mailbox', undefined],
];

for (const [read, value, expected] of vectors) {
  test(`${read.name} ${JSON.stringify(value.slice(0, 40))}`, () => assert.deepEqual(read(value), expected));
}

test('what a command carries is read, and written as it is understood', () => {
  const mail = parseMailArgument('<a@b> SIZE=3 RET=full ENVID=a+2Bb');
  const rcpt = parseRcptArgument('<a@b> NOTIFY=delay ORCPT=RFC822;a@b');
  assert.ok(mail.kind === 'got' && rcpt.kind === 'got');
  const dsnMail = parseDsnMail(mail.value.params);
  const dsnRcpt = parseDsnRcpt(rcpt.value.params);
  assert.deepEqual(dsnMail, { ret: 'FULL', envid: 'a+b' });
  assert.deepEqual(dsnRcpt, { notify: ['DELAY'], orcpt: { type: 'rfc822', address: 'a@b' } });
  assert.deepEqual(
    [...writeDsnMail(dsnMail)],
    [
      ['RET', 'FULL'],
      ['ENVID', 'a+2Bb'],
    ],
  );
  assert.deepEqual(
    [...writeDsnRcpt(dsnRcpt, false)],
    [
      ['NOTIFY', 'DELAY'],
      ['ORCPT', 'rfc822;a@b'],
    ],
  );
  assert.deepEqual(
    [parseDsnMail(new Map()), parseDsnRcpt(new Map())],
    [
      { ret: undefined, envid: undefined },
      { notify: undefined, orcpt: undefined },
    ],
  );
  assert.equal(parseDsnMail(new Map([['RET', true]])), undefined);
  assert.equal(parseDsnRcpt(new Map([['NOTIFY', 'x']])), undefined);
});

test('xtext of any octets is decoded to them', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 60 }), (octets) => {
      const text = Buffer.from(octets).toString('latin1');
      const encoded = encodeXtext(text);
      assert.match(encoded, /^[\x21-\x7e]+$/);
      assert.ok(!encoded.includes('='));
      assert.equal(decodeXtext(encoded), text);
    }),
  );
});

test('what is read of any ORCPT and NOTIFY is read again when written, with SMTPUTF8 and without', () => {
  const unit = fc.constantFrom('a', 'B', '+', '=', '\\', '\\x{E9}', '\\x{5C}', '\\x{20}', '+2B', '"', '\xc3\xa9', '.');
  const any = fc.record({
    type: fc.constantFrom('rfc822', 'UTF-8', 'x'),
    local: fc.string({ unit, minLength: 1, maxLength: 6 }),
    notify: fc.constantFrom(undefined, 'NEVER', 'DELAY,success'),
    utf8: fc.boolean(),
  });
  let read = 0;
  fc.assert(
    fc.property(any, ({ type, local, notify, utf8 }) => {
      const value = `${type};${local}@example.com`;
      const params = new Map([['ORCPT', value]]);
      if (notify !== undefined) params.set('NOTIFY', notify);
      const got: DsnRcptParameters | undefined = parseDsnRcpt(params);
      if (got === undefined) return;
      read++;
      const written = writeDsnRcpt(got, utf8);
      if (!utf8) assert.match(String(written.get('ORCPT')), /^[\x21-\x7e]+$/);
      assert.deepEqual(parseDsnRcpt(written), got);
    }),
    { numRuns: 2000 },
  );
  assert.ok(read > 100, `${read} were read`);
});
