import assert from 'node:assert/strict';
import { test } from 'vitest';
import { isHttp, splitLine, takeLine } from './command-line.ts';

/** A line, the rule it breaks, or 'more'. */
function take(text: string, max = 12): string {
  const step = takeLine(Buffer.from(text, 'latin1'), 0, max);
  if (step.kind === 'got') return `${step.value}|${text.slice(step.used)}`;
  return step.kind === 'bad' ? `!${step.rule}` : step.kind;
}

const vectors: readonly (readonly [string, string])[] = [
  ['', 'more'],
  ['NOOP', 'more'],
  ['NOOP\r', 'more'],
  ['NOOP\r\n', 'NOOP|'],
  ['\r\n', '|'],
  ['NOOP\r\nQUIT\r\n', 'NOOP|QUIT\r\n'],
  ['0123456789\r\n', '0123456789|'],
  ['0123456789', 'more'],
  ['01234567890', '!line-too-long'],
  ['01234567890\r\n', '!line-too-long'],
  ['01234567890\n', '!line-too-long'],
  ['NOOP\n', '!bare-newline'],
  ['\n', '!bare-newline'],
  ['NOOP\rQUIT\r\n', '!bare-newline'],
  ['NOOP\r\r\n', '!bare-newline'],
  ['NOOP\nQUIT\r\n', '!bare-newline'],
  ['NOOP\n01234567890\r\n', '!bare-newline'],
  ['\x16\x03\x01', '!not-smtp'],
  ['\0', '!not-smtp'],
  ['\xe9\r\n', '\xe9|'],
];

for (const [text, expected] of vectors) {
  test(`${JSON.stringify(text)}: ${JSON.stringify(expected)}, whatever came before`, () => {
    assert.equal(take(text), expected);
    // A shorter start either waits or says the same already.
    for (let i = 0; i < text.length; i++) {
      const found = take(text.slice(0, i));
      if (found === 'more') continue;
      if (expected.startsWith('!')) assert.equal(found, expected);
      else assert.ok(expected.startsWith(found), `${i}: ${found}`);
    }
  });
}

test('a line is a verb and an argument; only spaces are spaces', () => {
  assert.deepEqual(splitLine('noop'), { verb: 'NOOP', argument: '' });
  assert.deepEqual(splitLine('Mail   FROM:<a>  '), { verb: 'MAIL', argument: 'FROM:<a>' });
  assert.deepEqual(splitLine('VRFY \xc3\xa0'), { verb: 'VRFY', argument: '\xc3\xa0' });
  assert.deepEqual(splitLine('  '), { verb: '', argument: '' });
});

test('HTTP is known by its verbs', () => {
  assert.ok(isHttp('GET') && isHttp('CONNECT'));
  assert.ok(!isHttp('DATA') && !isHttp(''));
});
