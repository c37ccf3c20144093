import assert from 'node:assert/strict';
import { test } from 'vitest';
import { allParts, type MailLimits, type MimePart, MimeScanner, mailLimits, partRanges } from './index.ts';

function scanned(mail: string, limits: Partial<MailLimits> = {}): MimePart {
  const scanner = new MimeScanner({ ...mailLimits, ...limits });
  scanner.feed(Buffer.from(mail, 'latin1'));
  return scanner.end();
}

const head = 'Content-Type: multipart/mixed; boundary=b\r\n\r\n';
const faults = (root: MimePart) => [...allParts(root)].map((part) => `${part.path} ${part.faults.join()}`.trimEnd());

test('a header over its cap ends there, and the rest is body', () => {
  const root = scanned(`Subject: ${'x'.repeat(100)}\r\n\r\nbody`, { headerOctets: 50 });
  assert.deepEqual([root.bodyStart, root.bodyEnd, root.broken], [50, 117, 'header-size']);
});

test('headers of all parts together have a cap', () => {
  const part = `--b\r\nX: ${'y'.repeat(30)}\r\n\r\ntext\r\n`;
  const root = scanned(`${head}${part.repeat(5)}--b--`, { totalHeaderOctets: 110 });
  assert.deepEqual(faults(root), [
    '1',
    '1.1',
    '1.2 header-size',
    '1.3 header-size',
    '1.4 header-size',
    '1.5 header-size',
  ]);
  assert.ok([...allParts(root)].reduce((sum, { header }) => sum + header.length, 0) <= 110);
});

test('a message is divided into so many parts, and the rest belongs to the last', () => {
  const root = scanned(`${head}${'--b\r\n\r\ntext\r\n'.repeat(10)}--b--`, { parts: 4 });
  assert.deepEqual(faults(root), ['1 part-count', '1.1', '1.2', '1.3']);
  assert.equal(root.children[2]?.bodyEnd, root.bodyEnd);
});

test('so many false delimiters, and the message is not divided any more', () => {
  const root = scanned(`${head}--b\r\n\r\n${'--bx\r\n'.repeat(10)}--b--`, { falseDelimiters: 5 });
  assert.deepEqual(faults(root), ['1 boundary-tail,delimiter-count', '1.1']);
  assert.equal(root.children[0]?.bodyEnd, root.bodyEnd);
});

test('a boundary over its cap divides nothing', () => {
  const root = scanned(`Content-Type: multipart/mixed; boundary=${'b'.repeat(300)}\r\n\r\n--${'b'.repeat(300)}\r\n`);
  assert.deepEqual(faults(root), ['1 boundary-size']);
});

test('ten thousand parts and nested boundaries leave a bounded tree that tiles the mail', () => {
  let mail = '';
  for (let i = 0; i < 10_000; i++) mail += `Content-Type: multipart/mixed; boundary=b${i}\r\n\r\n--b${i}\r\n`;
  const root = scanned(mail);
  const parts = [...allParts(root)];
  assert.ok(parts.length <= mailLimits.depth + 1);
  assert.equal(partRanges(root).at(-1)?.end, mail.length);
});

test('the scanner keeps nothing of a body that streams by', () => {
  const scanner = new MimeScanner();
  scanner.feed(Buffer.from(`${head}--b\r\n\r\n`));
  const chunk = Buffer.from(`${'x'.repeat(74)}\r\n`.repeat(800));
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 2000; i++) scanner.feed(chunk);
  assert.ok(process.memoryUsage().arrayBuffers - before < 10e6);
  assert.equal(scanner.end().bodyEnd, head.length + 7 + 2000 * chunk.length);
});

test('the start of a text is kept, not that of an attachment', () => {
  const root = scanned(`${head}--b\r\n\r\n${'t'.repeat(500)}\r\n--b\r\nContent-Type: image/png\r\n\r\nxxx\r\n--b--`);
  assert.deepEqual(
    root.children.map(({ head: octets }) => octets.toString()),
    ['t'.repeat(128), ''],
  );
});
