import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { parseMailArgument, parseRcptArgument, writeArgument } from './argument.ts';

function mail(text: string): string {
  const step = parseMailArgument(text);
  if (step.kind === 'got') return writeArgument(step.value.path, step.value.params);
  return step.kind === 'bad' ? step.rule : step.kind;
}

const vectors: readonly (readonly [string, string])[] = [
  ['<a@B>', '<a@b>'],
  ['<>', '<>'],
  ['<> ', '<>'],
  ['<a@b> size=1', '<a@b> SIZE=1'],
  ['<a@b>  Body=8BitMime   SMTPUTF8 ', '<a@b> BODY=8BitMime SMTPUTF8'],
  ['<a@b> AUTH=<>', '<a@b> AUTH=<>'],
  ['<a@b> X-1=\xc3\xa9', '<a@b> X-1=\xc3\xa9'],
  ['<a@b>SIZE=1', 'path-end'],
  ['<a@b>>', 'path-end'],
  ['<a@b> =1', 'parameter-syntax'],
  ['<a@b> SIZE=', 'parameter-syntax'],
  ['<a@b> SIZE=1=2', 'parameter-syntax'],
  ['<a@b> -X', 'parameter-syntax'],
  ['<a@b> X_Y', 'parameter-syntax'],
  ['<a@b> A\tB', 'parameter-syntax'],
  ['<a@b> A=\xc3', 'parameter-syntax'],
  ['<a@b> A=\x7f', 'parameter-syntax'],
  ['<a@b> SIZE=1 Size=1', 'parameter-twice'],
  [
    `<a@b>${Array.from({ length: 16 }, (_, i) => ` P${i}`).join('')}`,
    `<a@b>${Array.from({ length: 16 }, (_, i) => ` P${i}`).join('')}`,
  ],
  [`<a@b>${Array.from({ length: 17 }, (_, i) => ` P${i}`).join('')}`, 'parameter-count'],
];

for (const [given, expected] of vectors) {
  test(`${JSON.stringify(given)}: ${expected}`, () => assert.equal(mail(given), expected));
}

test('RCPT has no null path', () => {
  assert.equal(parseRcptArgument('<>').kind, 'bad');
  const step = parseRcptArgument('<d@e> NOTIFY=NEVER');
  assert.deepEqual(step.kind === 'got' && [step.value.path.text, [...step.value.params]], [
    'd@e',
    [['NOTIFY', 'NEVER']],
  ]);
});

test('whatever is understood is understood again when written', () => {
  const unit = fc.constantFrom('a', 'B', '=', ' ', '-', '<', '>', '@', '1', '\xc3\xa9', '"');
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 20 }), (rest) => {
      const step = parseMailArgument(`<a@b>${rest}`);
      if (step.kind !== 'got') return;
      const written = writeArgument(step.value.path, step.value.params);
      assert.deepEqual(parseMailArgument(written), { kind: 'got', value: step.value, used: written.length });
    }),
    { numRuns: 5000 },
  );
});
