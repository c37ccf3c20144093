import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { needsSmtpUtf8, parseAddress, parsePath, writePath } from './address.ts';

/** The path as understood, or the rule it breaks. */
function path(text: string): string {
  const step = parsePath(text, 0, { empty: true });
  if (step.kind === 'got') return `${writePath(step.value)}${text.slice(step.used)}`;
  return step.kind === 'bad' ? step.rule : step.kind;
}

const literal = (inner: string): string => `<a@[${inner}]>`;
const long = (n: number): string => 'x'.repeat(n);
const domainOf = (n: number): string => `${`${long(49)}.`.repeat(5)}${long(n - 250)}`;

const vectors: readonly (readonly [given: string, expected: string, why: string])[] = [
  ['<>', '<>', 'the null reverse-path'],
  ['<a@b>', '<a@b>', 'a domain of one label: local networks'],
  ['<A.b+c@EXAMPLE.Com>', '<A.b+c@example.com>', 'only the domain is without case'],
  ['<a@b> SIZE=1', '<a@b> SIZE=1', 'what follows is left'],
  ['<postmaster>', '<postmaster>', 'RFC 5321, 4.5.1'],
  ['<POSTmaster>', '<POSTmaster>', 'any case'],
  ['<@a.b:c@d>', '<c@d>', 'a source route is dropped (appendix C)'],
  ['<@a.b,@[192.0.2.1]:c@d>', '<c@d>', 'and a longer one'],
  ['<"a b"@c>', '<"a b"@c>', 'quoted'],
  ['<"a\\"b\\\\"@c>', '<"a\\"b\\\\"@c>', 'quoted pairs'],
  ['<""@c>', '<""@c>', 'empty but quoted'],
  ['<"<>@,;:"@c>', '<"<>@,;:"@c>', 'specials in quotes'],
  ["<!#$%&'*+-/=?^_`{|}~@c>", "<!#$%&'*+-/=?^_`{|}~@c>", 'all of atext'],
  ['<a@_dmarc.x-y.z>', '<a@_dmarc.x-y.z>', 'underscores happen'],
  ['<a@xn--bcher-kva.example>', '<a@xn--bcher-kva.example>', 'A-labels'],
  ['<\xc3\xa9@b\xc3\x89>', '<\xc3\xa9@b\xc3\x89>', 'UTF-8, whose octets are no letters of latin1'],
  [literal('192.0.2.1'), literal('192.0.2.1'), 'an address literal'],
  [literal('IPv6:2001:DB8::1'), literal('IPv6:2001:DB8::1'), 'as sent'],
  [literal('x-tag:abc'), literal('x-tag:abc'), 'a general one'],
  [`<${long(255)}@b>`, `<${long(255)}@b>`, 'the longest local part'],
  [`<a@${domainOf(255)}>`, `<a@${domainOf(255)}>`, 'the longest domain'],
  [`<${long(256)}@b>`, 'local-part-length', ''],
  [`<a@${domainOf(256)}>`, 'domain-length', ''],
  [`<@${domainOf(255)},@${domainOf(255)}:a@b>`, 'path-length', 'a route has no other cap'],
  ['', 'path-bracket', ''],
  ['a@b', 'path-bracket', 'no brackets: a guess where it ends'],
  ['<a@b', 'path-bracket', ''],
  ['<a@b >', 'path-bracket', ''],
  ['< a@b>', 'local-part', ''],
  ['<a>', 'domain', 'no domain'],
  ['<a@>', 'domain', ''],
  ['<postmaster@>', 'domain', ''],
  ['<@b>', 'local-part', ''],
  ['<@a.b:>', 'local-part', 'a route to nobody'],
  ['<a@b@c>', 'path-bracket', 'two readers would see two addresses'],
  ['<a..b@c>', 'domain', 'an empty atom'],
  ['<.a@b>', 'local-part', ''],
  ['<a.@b>', 'domain', ''],
  ['<a b@c>', 'domain', ''],
  ['<"a@b>', 'local-part', 'a quote that is not closed'],
  ['<"a"b@c>', 'domain', 'words beside quotes'],
  ['<a@b..c>', 'path-bracket', 'an empty label'],
  ['<a@-b>', 'domain', ''],
  ['<a@b->', 'path-bracket', ''],
  ['<a@b.>', 'path-bracket', 'a dot at the end'],
  [`<a@${long(64)}.b>`, 'path-bracket', 'a label over 63'],
  [literal('192.0.2.256'), 'address-literal', ''],
  [literal('192.0.2'), 'address-literal', ''],
  [literal('tag:'), 'address-literal', ''],
  [literal('a b'), 'domain', ''],
  ['<a\0@b>', 'domain', 'controls'],
  ['<a\r\n@b>', 'domain', ''],
  ['<"a\0"@b>', 'local-part', ''],
  ['<\xc3@b>', 'utf8', 'half a character'],
  ['<\xed\xa0\x80@b>', 'utf8', 'a surrogate'],
  ['<a@\xc0\xaf>', 'utf8', 'too long a form'],
];

for (const [given, expected, why] of vectors) {
  test(`${JSON.stringify(given.slice(0, 60))}: ${expected.slice(0, 60)} ${why}`, () =>
    assert.equal(path(given), expected));
}

test('the null path only where it may be', () => {
  assert.equal(parsePath('<>', 0, { empty: false }).kind, 'bad');
});

test('an address alone', () => {
  assert.deepEqual(parseAddress('a@B.c'), { local: 'a', domain: 'b.c', text: 'a@b.c' });
  assert.equal(parseAddress('a@b.c>'), undefined);
  assert.equal(parseAddress(''), undefined);
});

test('UTF-8 is told from ASCII', () => {
  const address = (text: string) => parseAddress(text) ?? null;
  assert.deepEqual([address('a@b'), address('\xc3\xa9@b'), address('a@\xc3\xa9'), null].map(needsSmtpUtf8), [
    false,
    true,
    true,
    false,
  ]);
});

test('whatever is understood is understood again when written', () => {
  const part = fc.string({
    unit: fc.constantFrom('a', 'Z', '.', '-', '@', '"', '\\', ' ', '<', '>', '[', ']', ':', ',', '\xc3\xa9', '1'),
    maxLength: 12,
  });
  fc.assert(
    fc.property(part, part, (local, domain) => {
      const step = parsePath(`<${local}@${domain}>`, 0, { empty: true });
      if (step.kind !== 'got') return;
      const written = writePath(step.value);
      const again = parsePath(written, 0, { empty: true });
      assert.deepEqual(again, { kind: 'got', value: step.value, used: written.length });
    }),
    { numRuns: 5000 },
  );
});

test('a long line of nothing is judged quickly', () => {
  const started = performance.now();
  for (const text of [
    `<${'a.'.repeat(30_000)}`,
    `<@${'a.'.repeat(30_000)}`,
    `<"${'\\a'.repeat(30_000)}`,
    `<a@${'a-'.repeat(30_000)}`,
  ]) {
    assert.equal(parsePath(text, 0, { empty: true }).kind, 'bad');
  }
  assert.ok(performance.now() - started < 1000);
});
