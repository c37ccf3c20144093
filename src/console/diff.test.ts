import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { diffLines, type Marked, type Row } from './diff.ts';

const text = (marked: Marked) => marked.start + marked.differs + marked.end;

function show(row: Row): string {
  switch (row.kind) {
    case 'same':
      return `  ${row.text}`;
    case 'removed':
      return `- ${text(row.before)}`;
    case 'added':
      return `+ ${text(row.after)}`;
    case 'changed':
      return `~ ${row.before.start}[${row.before.differs}]${row.before.end} -> ${row.after.start}[${row.after.differs}]${row.after.end}`;
  }
}

const diff = (before: string, after: string) => diffLines(before.split('|'), after.split('|')).map(show);

test('lines put in, taken out and changed', () => {
  assert.deepEqual(diff('a|b|c', 'a|x|b|c'), ['  a', '+ x', '  b', '  c']);
  assert.deepEqual(diff('a|b|c', 'a|c'), ['  a', '- b', '  c']);
  assert.deepEqual(diff('Subject: lunch today|x', 'Subject: [EXTERNAL] lunch today|x'), [
    '~ Subject: []lunch today -> Subject: [[EXTERNAL] ]lunch today',
    '  x',
  ]);
  assert.deepEqual(diff('Subject: lunch today', 'Received: x|Subject: no lunch today|y'), [
    '+ Received: x',
    '~ Subject: []lunch today -> Subject: [no ]lunch today',
    '+ y',
  ]);
  assert.deepEqual(diff('a|k|b', 'x|k|y'), ['~ [a] -> [x]', '  k', '~ [b] -> [y]']);
});

test('both sides read back from the rows, numbered without a gap', () => {
  const line = fc.constantFrom('a', 'b', 'c d', '');
  const side = fc.array(line, { maxLength: 25 });
  fc.assert(
    fc.property(side, side, (before, after) => {
      const rows = diffLines(before, after);
      const left = rows.flatMap((r) => (r.kind === 'same' ? [r.text] : r.kind === 'added' ? [] : [text(r.before)]));
      const right = rows.flatMap((r) => (r.kind === 'same' ? [r.text] : r.kind === 'removed' ? [] : [text(r.after)]));
      assert.deepEqual([left, right], [before, after]);
      assert.deepEqual(
        rows.flatMap((r) => ('left' in r ? [r.left] : [])),
        before.map((_, i) => i + 1),
      );
      assert.deepEqual(
        rows.flatMap((r) => ('right' in r ? [r.right] : [])),
        after.map((_, i) => i + 1),
      );
    }),
  );
});

test('texts that have nothing in common take bounded time', () => {
  const many = (mark: string) => Array.from({ length: 20_000 }, (_, i) => `${mark}${i}`);
  assert.equal(diffLines(many('a'), many('b')).length, 20_000);
});
