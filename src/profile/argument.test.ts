import assert from 'node:assert/strict';
import { test } from 'vitest';
import { readArgument, rewriteArgument } from './index.ts';

const read = (part: 'MAIL' | 'RCPT', text: string) => readArgument(part, Buffer.from(text));

test('arguments are read by the grammar of the commands', () => {
  const mail = read('MAIL', '<steve@Example.org> SIZE=256 BODY=8BITMIME');
  assert.ok(!('error' in mail));
  assert.equal(mail.path?.text, 'steve@example.org');
  assert.deepEqual(
    [...mail.params],
    [
      ['SIZE', '256'],
      ['BODY', '8BITMIME'],
    ],
  );
  const empty = read('MAIL', '<>');
  assert.ok(!('error' in empty) && empty.path === null);
  assert.deepEqual(read('RCPT', '<>'), { error: 'path-empty' });
  assert.deepEqual(read('RCPT', 'paul@example.com'), { error: 'path-bracket' });
  assert.ok('error' in read('RCPT', '<a@b>\r\nDATA'));
});

test('a rewritten argument keeps its parameters, and its path must be one', () => {
  const rcpt = read('RCPT', '<a@b.example> NOTIFY=NEVER');
  assert.ok(!('error' in rcpt));
  assert.equal(rewriteArgument('RCPT', rcpt, '<new@c.example>')?.toString(), '<new@c.example> NOTIFY=NEVER');
  assert.equal(rewriteArgument('RCPT', rcpt, '<jürgen@c.example>')?.toString(), '<jürgen@c.example> NOTIFY=NEVER');
  assert.equal(rewriteArgument('MAIL', rcpt, '<>')?.toString(), '<> NOTIFY=NEVER');
  for (const path of ['<>', 'new@c.example', '<a@b> ORCPT=x', '<a b@c>', '<a@b>\r\nX', '']) {
    assert.equal(rewriteArgument('RCPT', rcpt, path), undefined, path);
  }
});
