import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { skipDomain, skipLocalPart, skipRoute } from './path-grammar.ts';

// The grammar again, as RFC 5321, 4.1.2 and 4.1.3 can be written down in one go.
const ATEXT = "[A-Za-z0-9!#$%&'*+\\-/=?^_`{|}~\\x80-\\xff]";
const DOT_STRING = `${ATEXT}+(?:\\.${ATEXT}+)*`;
const QUOTED_STRING = '"(?:[\\x20\\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\x20-\\x7e])*"';
const LABEL = '[A-Za-z0-9_\\x80-\\xff](?:[A-Za-z0-9_\\-\\x80-\\xff]{0,61}[A-Za-z0-9_\\x80-\\xff])?';
const DOMAIN = `${LABEL}(?:\\.${LABEL})*`;
const LITERAL = '\\[[\\x21-\\x5a\\x5e-\\x7e]{1,64}\\]';
const grammar = {
  route: new RegExp(`@(?:${DOMAIN}|${LITERAL})(?:,@(?:${DOMAIN}|${LITERAL}))*:`, 'y'),
  local: new RegExp(`${DOT_STRING}|${QUOTED_STRING}`, 'y'),
  domain: new RegExp(`${DOMAIN}|${LITERAL}`, 'y'),
};

function reference(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : at;
}

const piece = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...'ab0_-.@,:[]"\\\\<> !{é\xff\x80\x7f\x00'.split('')) },
  { weight: 1, arbitrary: fc.integer({ min: 55, max: 70 }).map((n) => 'x'.repeat(n)) },
  { weight: 1, arbitrary: fc.constantFrom('-'.repeat(62), 'a.b', '@a:', '@a,@b:', '[1.2.3.4]', '"a b"', '"\\\\""') },
  { weight: 1, arbitrary: fc.integer({ min: 0, max: 300 }).map((n) => String.fromCharCode(n)) },
);

test('routes, local parts and domains: what the grammar says, wherever they begin', () => {
  const text = fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join(''));
  fc.assert(
    fc.property(text, fc.nat(6), (all, skip) => {
      const at = Math.min(skip, all.length);
      assert.equal(skipRoute(all, at), reference(grammar.route, all, at), 'route');
      assert.equal(skipLocalPart(all, at), reference(grammar.local, all, at), 'local part');
      assert.equal(skipDomain(all, at), reference(grammar.domain, all, at), 'domain');
    }),
    { numRuns: 20_000 },
  );
});
