import assert from 'node:assert/strict';
import { test } from 'vitest';
import { belowDomain, isLoopback, isThisMachine, readAddress, readDomain, readLiteral } from './names.ts';

test('names of hosts are taken in their one form, anything else is no name', () => {
  const vectors: readonly (readonly [string, string | undefined])[] = [
    ['Example.COM', 'example.com'],
    ['example.com.', 'example.com'],
    ['_mta-sts.example.com', '_mta-sts.example.com'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['BÜCHER。example', 'xn--bcher-kva.example'],
    ['localhost', 'localhost'],
    [`${'a'.repeat(63)}.example`, `${'a'.repeat(63)}.example`],
    [`${'a'.repeat(64)}.example`, undefined],
    [`${'a.'.repeat(126)}aa`, undefined],
    ['', undefined],
    ['.', undefined],
    ['a..b', undefined],
    ['.example.com', undefined],
    ['example.com..', undefined],
    ['192.0.2.1', undefined],
    ['1.2', undefined],
    // Digits of other scripts become ASCII ones: that must make no address of a name.
    ['１９２.0.2.１', undefined],
    ['a b.example', undefined],
    ['a\r\nb.example', undefined],
    ['a\0.example', undefined],
    ['a@b.example', undefined],
    ['ex\u{ad}ample.com', 'example.com'],
    ['\u{ffff}.example', undefined],
  ];
  for (const [text, want] of vectors) assert.equal(readDomain(text), want, JSON.stringify(text));
});

test('a prefix that makes the name too long makes none', () => {
  assert.equal(belowDomain('_25._tcp', 'mx.example'), '_25._tcp.mx.example');
  assert.equal(belowDomain('_25._tcp', `${'a.'.repeat(124)}aa`), undefined);
});

test('addresses have one form', () => {
  const vectors: readonly (readonly [string, string | undefined])[] = [
    ['192.0.2.1', '192.0.2.1'],
    ['0.0.0.0', '0.0.0.0'],
    ['192.0.2.01', undefined],
    ['192.0.2', undefined],
    ['192.0.2.256', undefined],
    ['0x7f.0.0.1', undefined],
    ['2001:DB8:0:0::1', '2001:db8::1'],
    ['::', '::'],
    ['::ffff:192.0.2.1', '::ffff:c000:201'],
    ['fe80::1%eth0', undefined],
    ['1::2::3', undefined],
    [':', undefined],
    ['mx.example', undefined],
    ['2001:db8::1]/', undefined],
  ];
  for (const [text, want] of vectors) assert.equal(readAddress(text), want, JSON.stringify(text));
});

test('literals carry an address of the family they say', () => {
  assert.equal(readLiteral('[192.0.2.1]'), '192.0.2.1');
  assert.equal(readLiteral('[IPv6:2001:db8::1]'), '2001:db8::1');
  assert.equal(readLiteral('[ipv6:2001:DB8::1]'), '2001:db8::1');
  for (const wrong of ['[2001:db8::1]', '[IPv6:192.0.2.1]', '[]', '[x]', '[192.0.2.1', '192.0.2.1', '[192.0.2.1]x'])
    assert.equal(readLiteral(wrong), undefined, wrong);
});

test('loopback, in each of its forms', () => {
  for (const yes of ['127.0.0.1', '127.9.9.9', '::1', readAddress('::ffff:127.0.0.1') ?? ''])
    assert.equal(isLoopback(yes), true, yes);
  for (const no of ['128.0.0.1', '1.127.0.0', '::2', '::ffff:c000:201', '', '10.0.0.1'])
    assert.equal(isLoopback(no), false, no);
});

test('what leads to this machine', () => {
  for (const yes of ['127.0.0.1', '::1', '0.0.0.0', '::', readAddress('::ffff:0.0.0.0') ?? ''])
    assert.equal(isThisMachine(yes), true, yes);
  for (const no of ['0.0.0.1', '10.0.0.0', '::2', '::ffff:0:1', '2001:db8::', ''])
    assert.equal(isThisMachine(no), false, no);
});
