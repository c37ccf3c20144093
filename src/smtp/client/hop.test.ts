import assert from 'node:assert/strict';
import { test } from 'vitest';
import { reply } from '../reply.ts';
import { Hop, mailArgument, rcptArgument } from './hop.ts';

const hop = (...offers: string[]) => Hop.fromHello('EHLO', reply(250, undefined, 'mx.example.com hello', ...offers));

test('the answer to EHLO is read, whatever its case, and odd lines are passed over', () => {
  const read = hop('pipelining', 'SIZE 1000', 'AUTH=LOGIN PLAIN', 'auth CRAM', '', '-', ' x', 'CHUNKING', '8bitmime');
  assert.equal(read.name, 'mx.example.com');
  assert.deepEqual(
    [...read.offers],
    [
      ['PIPELINING', ''],
      ['SIZE', '1000'],
      ['AUTH', 'CRAM'],
      ['CHUNKING', ''],
      ['8BITMIME', ''],
    ],
  );
  assert.equal(read.pipelining, true);
  assert.equal(read.chunking, true);
});

test('HELO offers nothing; CHUNKING counts only with PIPELINING', () => {
  assert.equal(Hop.fromHello('HELO', reply(250, undefined, 'mx', 'PIPELINING')).pipelining, false);
  assert.equal(hop('CHUNKING').chunking, false);
});

test('MAIL carries only what the hop offers', () => {
  const all = hop('SIZE', '8BITMIME', 'SMTPUTF8', 'DSN', 'OPES', 'PIPELINING', 'CHUNKING', 'BINARYMIME');
  const params = new Map<string, string | true>([
    ['SIZE', '12'],
    ['BODY', '8bitmime'],
    ['SMTPUTF8', true],
    ['RET', 'HDRS'],
    ['ENVID', 'x+41'],
    ['X-UNKNOWN', '1'],
    ['OPESTRACE', true],
  ]);
  assert.equal(
    mailArgument(all, '<a@b>', params),
    '<a@b> SIZE=12 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=x+41 OPESTRACE',
  );
  assert.equal(mailArgument(all, '<>', new Map()), '<>');
  assert.equal(mailArgument(all, '<>', new Map([['BODY', 'BINARYMIME']])), '<> BODY=BINARYMIME');
  const wishes = new Map<string, string | true>([
    ['SIZE', '12'],
    ['RET', 'FULL'],
    ['BODY', '7BIT'],
  ]);
  assert.equal(mailArgument(hop(), '<a@b>', wishes), '<a@b>');
});

test('what the mail needs and the hop lacks is a refusal, not a conversion', () => {
  const refusal = (params: [string, string | true][], ...offers: string[]) => {
    const said = mailArgument(hop(...offers), '<a@b>', new Map(params));
    assert.ok(typeof said !== 'string');
    return `${said.code} ${said.enhanced}`;
  };
  assert.equal(refusal([['BODY', '8BITMIME']], 'SMTPUTF8'), '554 5.6.3');
  assert.equal(refusal([['BODY', 'BINARYMIME']], '8BITMIME', 'BINARYMIME', 'CHUNKING'), '554 5.6.3');
  assert.equal(refusal([['SMTPUTF8', true]], '8BITMIME'), '550 5.6.7');
});

test('RCPT carries only what the hop offers, and a quoted local part is not mistaken for parameters', () => {
  const plain = hop('PIPELINING');
  const dsn = hop('DSN');
  const cases: readonly (readonly [string, string, string])[] = [
    ['<b@c>', '<b@c>', '<b@c>'],
    ['<b@c> NOTIFY=NEVER ORCPT=rfc822;b@c', '<b@c>', '<b@c> NOTIFY=NEVER ORCPT=rfc822;b@c'],
    ['<b@c> notify=NEVER X=1', '<b@c>', '<b@c> notify=NEVER'],
    ['<"a> NOTIFY=NEVER"@c>', '<"a> NOTIFY=NEVER"@c>', '<"a> NOTIFY=NEVER"@c>'],
    ['<"a\\"> x"@c> NOTIFY=NEVER', '<"a\\"> x"@c>', '<"a\\"> x"@c> NOTIFY=NEVER'],
    ['<b@c> ORCPT=rfc822;b@c>', '<b@c>', '<b@c> ORCPT=rfc822;b@c>'],
  ];
  for (const [argument, without, within] of cases) {
    assert.equal(rcptArgument(plain, argument), without);
    assert.equal(rcptArgument(dsn, argument), within);
  }
});

test('parameters given apart are left out by the same rule', () => {
  const params = new Map<string, string | true>([
    ['NOTIFY', 'FAILURE,DELAY'],
    ['ORCPT', 'rfc822;b@c'],
    ['OPESTRACE', true],
    ['X-UNKNOWN', '1'],
  ]);
  assert.equal(rcptArgument(hop(), '<b@c>', params), '<b@c>');
  assert.equal(rcptArgument(hop('DSN'), '<b@c>', params), '<b@c> NOTIFY=FAILURE,DELAY ORCPT=rfc822;b@c');
  assert.equal(rcptArgument(hop('DSN', 'OPES'), '<b@c> X=1', new Map([['OPESTRACE', true]])), '<b@c> OPESTRACE');
  assert.deepEqual([hop('DSN').dsn, hop().dsn], [true, false]);
});
