import assert from 'node:assert/strict';
import { test } from 'vitest';
import { saslprep } from './saslprep.ts';

// RFC 4013, 3, and what its tables say of others.
const vectors: readonly (readonly [name: string, text: string, prepared: string | undefined])[] = [
  ['a soft hyphen is mapped to nothing', 'I\u00adX', 'IX'],
  ['ASCII stays', 'user', 'user'],
  ['case stays', 'USER', 'USER'],
  ['NFKC: a feminine ordinal', '\u00aa', 'a'],
  ['NFKC: a Roman numeral', '\u2168', 'IX'],
  ['a control character is prohibited', '\u0007', undefined],
  ['right to left with a digit behind it', '\u0627\u0031', undefined],
  ['right to left between letters of its kind', '\u0627\u0031\u0628', '\u0627\u0031\u0628'],
  ['right to left and left to right', '\u0627a\u0628', undefined],
  ['a no-break space is a space, each time', 'a\u00a0b\u00a0\u00a0c', 'a b  c'],
  ['several soft hyphens', '\u00adI\u00ad\u00adX\u00ad', 'IX'],
  ['a private use character is prohibited', 'a\ue000', undefined],
  ['a lone surrogate is prohibited', 'a\ud800', undefined],
  ['a letter newer than Unicode 3.2 passes', '\u{1f600}', '\u{1f600}'],
  ['composed and decomposed are one', 'e\u0301', '\u00e9'],
];

for (const [name, text, prepared] of vectors) test(name, () => assert.equal(saslprep(text), prepared));

test('what is prepared stays so', () => {
  for (const [, , prepared] of vectors) if (prepared !== undefined) assert.equal(saslprep(prepared), prepared);
});
