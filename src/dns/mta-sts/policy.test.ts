import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { isNamed, parseStsPolicy, readStsId } from './policy.ts';

test('the id of a policy, where exactly one record is a record of MTA-STS', () => {
  const rows: readonly (readonly [readonly string[], string | undefined])[] = [
    [['v=STSv1; id=20160831085700Z;'], '20160831085700Z'],
    [['v=STSv1;id=1'], '1'],
    [['v=STSv1 ; ext=x ; id = abc ;'], 'abc'],
    [['v=spf1 -all', 'v=STSv1; id=1'], '1'],
    [['v=STSv1; id=1', 'v=STSv1; id=2'], undefined],
    [['v=STSv1'], undefined],
    [['v=STSv1;'], undefined],
    [['v=STSv10; id=1'], undefined],
    [['id=1; v=STSv1'], undefined],
    [['v=STSv1; id='], undefined],
    [['v=STSv1; id=a-b'], undefined],
    [[`v=STSv1; id=${'a'.repeat(33)}`], undefined],
    [[], undefined],
  ];
  for (const [texts, want] of rows) assert.equal(readStsId(texts), want, texts.join(' | '));
});

const read = (text: string) => {
  const found = parseStsPolicy(Buffer.from(text));
  return found.kind === 'policy' ? found.policy : found.rule;
};

test('policies', () => {
  const rfc = 'version: STSv1\r\nmode: enforce\r\nmx: mail.example.com\r\nmx: *.example.net\r\nmax_age: 604800\r\n';
  assert.deepEqual(read(rfc), { mode: 'enforce', maxAgeS: 604_800, mx: ['mail.example.com', '*.example.net'] });
  assert.deepEqual(read(rfc.replaceAll('\r\n', '\n')), read(rfc));
  assert.deepEqual(read(`${rfc}x-more: a: b\n\n`), read(rfc));
  assert.deepEqual(read(`${rfc}mode: none\nmax_age: 1`), read(rfc), 'the first counts');
  assert.deepEqual(read('max_age:5\nmode:none\nversion:STSv1'), { mode: 'none', maxAgeS: 5, mx: [] });
  assert.deepEqual(read('version: STSv1\nmode: testing\nmx: Bücher.Example\nmax_age: 0'), {
    mode: 'testing',
    maxAgeS: 0,
    mx: ['xn--bcher-kva.example'],
  });
});

test('what is no policy, and the rule it breaks', () => {
  const lines = ['version: STSv1', 'mode: enforce', 'mx: a.example', 'max_age: 1'];
  const swap = (from: string, to: string) => lines.map((line) => (line.startsWith(from) ? to : line)).join('\n');
  const rows: readonly (readonly [string, string])[] = [
    ['', 'policy-version'],
    ['<html>', 'policy-line'],
    [swap('version', 'version: STSv2'), 'policy-version'],
    [swap('version', 'x: y'), 'policy-version'],
    [swap('mode', 'mode: Enforce'), 'policy-mode'],
    [swap('mode', ''), 'policy-mode'],
    [swap('mx', ''), 'policy-mx-missing'],
    [swap('mx', 'mx: *'), 'policy-mx'],
    [swap('mx', 'mx: *.*.example'), 'policy-mx'],
    [swap('mx', 'mx: 192.0.2.1'), 'policy-mx'],
    [swap('mx', 'mx: a b'), 'policy-mx'],
    [swap('mx', 'mx: a.example\n'.repeat(101)), 'policy-mx-count'],
    [swap('max_age', 'max_age: -1'), 'policy-max-age'],
    [swap('max_age', 'max_age: 31557601'), 'policy-max-age'],
    [swap('max_age', 'max_age: 00000000001'), 'policy-max-age'],
    [swap('max_age', ''), 'policy-max-age'],
    [`${lines.join('\n')}\n${'x: y\n'.repeat(20_000)}`, 'policy-octets'],
    [`${lines.join('\n')}\n${'k'.repeat(33)}: y`, 'policy-line'],
  ];
  for (const [text, rule] of rows) assert.equal(read(text), rule, JSON.stringify(text.slice(0, 60)));
});

test('`*.` stands for one label, and for one only', () => {
  const policy = { mode: 'enforce', maxAgeS: 1, mx: ['mail.example.com', '*.example.net'] } as const;
  for (const yes of ['mail.example.com', 'a.example.net']) assert.equal(isNamed(yes, policy), true, yes);
  for (const no of ['example.com', 'b.mail.example.com', 'example.net', 'a.b.example.net', 'aexample.net', 'net', ''])
    assert.equal(isNamed(no, policy), false, no);
  assert.equal(isNamed('net', { ...policy, mx: ['*.net'] }), false);
});

test('long runs of spaces cost no more than other octets', () => {
  const spaces = ' '.repeat(60_000);
  const began = process.cpuUsage();
  for (let i = 0; i < 20; i++) {
    assert.equal(read(`version: STSv1\nx:${spaces}y\n`), 'policy-mode');
    assert.equal(readStsId([`v=STSv1;${spaces}x${spaces}y; id=1`]), '1');
  }
  // A quadratic search takes minutes for this.
  assert.ok(process.cpuUsage(began).user < 5_000_000);
});

test('no octets throw, and what is read keeps the caps', () => {
  const words = fc.constantFrom(
    'version: STSv1\n',
    'mode: enforce\n',
    'mode: none\n',
    'mx: *.a.example\n',
    'mx: ',
    'max_age: 86400\n',
    '\r\n',
    ':',
    '*.',
    '\0',
  );
  const text = fc.array(fc.oneof(words, fc.string({ unit: 'binary', maxLength: 8 })), { maxLength: 40 });
  fc.assert(
    fc.property(
      fc.oneof(
        text.map((all) => Buffer.from(all.join(''))),
        fc.uint8Array().map((all) => Buffer.from(all)),
      ),
      (octets) => {
        const found = parseStsPolicy(octets);
        if (found.kind === 'bad') return;
        assert.ok(found.policy.maxAgeS <= 31_557_600 && found.policy.mx.length <= 100);
        for (const one of found.policy.mx) assert.match(one, /^(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/);
      },
    ),
  );
  fc.assert(fc.property(fc.array(fc.string({ unit: 'binary' })), (texts) => void readStsId(texts)));
});
