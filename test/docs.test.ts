import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'vitest';

const root = path.join(import.meta.dirname, '..');
const read = (file: string) => fs.readFileSync(path.join(root, file), 'utf8');

test('docs/flow.md names only files that exist', () => {
  // Names without `src/` are below the gateway, which the page is about.
  const named = [...read('docs/flow.md').matchAll(/`((?:src|test|callouts|content|dialog|dispatch|relay|trace|record)\/[\w./-]+)`/g)];
  assert.ok(named.length > 25, 'the page was not read');
  for (const [, file = ''] of named) {
    const full = file.startsWith('src/') || file.startsWith('test/') ? file : `src/gateway/${file}`;
    assert.ok(fs.existsSync(path.join(root, full)), `${file} does not exist`);
  }
});

test('every decision record says what was asked, decided, why, and what proves it', () => {
  const records = fs.readdirSync(path.join(root, 'docs/decisions'));
  assert.ok(records.length > 0);
  for (const file of records) {
    assert.match(file, /^\d{4}-[a-z0-9-]+\.md$/);
    const text = read(`docs/decisions/${file}`);
    for (const heading of ['Question', 'Decided', 'Because', 'Proved by']) {
      assert.ok(text.includes(`**${heading}`), `${file} lacks ${heading}`);
    }
  }
});

test('the proofs that decision records name exist', () => {
  for (const file of fs.readdirSync(path.join(root, 'docs/decisions'))) {
    const proof = read(`docs/decisions/${file}`).split('**Proved by')[1] ?? '';
    for (const [, named = ''] of proof.matchAll(/`((?:src|test|bench|docs)\/[\w./-]+)`/g)) {
      assert.ok(fs.existsSync(path.join(root, named)), `${file}: ${named} does not exist`);
    }
  }
});

test('every part has its page and its door', () => {
  for (const part of fs.readdirSync(path.join(root, 'src'))) {
    if (!fs.statSync(path.join(root, 'src', part)).isDirectory()) continue;
    assert.ok(fs.existsSync(path.join(root, 'src', part, 'README.md')), `src/${part} has no README.md`);
    if (part === 'services' || part === 'cli') continue; // a folder of services, and the program itself
    assert.ok(fs.existsSync(path.join(root, 'src', part, 'index.ts')), `src/${part} has no index.ts`);
  }
});
