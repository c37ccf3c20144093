import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'vitest';
import { jsonSchemaText, referencePage } from './index.ts';

const root = new URL('../../', import.meta.url);
const kept = (path: string) => readFileSync(new URL(path, root), 'utf8');
const how = 'is not what the schema gives; run: bin/with-node dev node -C opes-source tools/reference.ts';

test('the published JSON Schema is current', () => {
  assert.equal(kept('schema/opes.schema.json'), jsonSchemaText(), `schema/opes.schema.json ${how}`);
});

test('the reference page is current, and no key is without meaning', () => {
  const page = referencePage();
  assert.equal(kept('docs/configuration.md'), page, `docs/configuration.md ${how}`);
  const silent = page.split('\n').filter((line) => line.startsWith('| `') && line.endsWith('|  |'));
  assert.deepEqual(silent, []);
});
