/** The figures: what the code counts, what the table defines and what docs/metrics.md explains are the same. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'vitest';
import { METRICS } from '../src/gateway/index.ts';

const ROOT = join(import.meta.dirname, '..');
const PAGE = readFileSync(join(ROOT, 'docs/metrics.md'), 'utf8');

/** `name kind labels`, a line each. */
const defined = Object.entries(METRICS).map(([name, { kind, labels }]) => `${name} ${kind} ${labels.join(' ')}`);

test('docs/metrics.md explains every figure there is, and none there is not', () => {
  const rows = [...PAGE.matchAll(/^\| `(opes_\w+)` \| (\w+) \| ([^|]*)\| [^|]+ \|$/gm)];
  const explained = rows.map(([, name, kind, labels = '']) => `${name} ${kind} ${labels.replaceAll('`', '').trim()}`);
  assert.deepEqual(explained, defined);
});

test('every figure the page reckons with is one', () => {
  const named = [...PAGE.matchAll(/\bopes_\w+/g)].map(([name]) => name.replace(/_(?:bucket|sum|count)$/, ''));
  assert.ok(named.length > defined.length);
  assert.deepEqual(
    named.filter((name) => !Object.hasOwn(METRICS, name)),
    [],
  );
});

test('every figure that is defined is counted somewhere, and none other is', () => {
  const files = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts') && !path.endsWith('metrics/names.ts'))
    .map((path) => readFileSync(join(ROOT, 'src', path), 'utf8'));
  const counted = new Set(files.flatMap((text) => [...text.matchAll(/'(opes_\w+)'/g)].map(([, name]) => name)));
  assert.deepEqual(counted, new Set(Object.keys(METRICS)));
});

test('names say what they are: counters end with _total, times with _seconds', () => {
  for (const [name, { kind, help }] of Object.entries(METRICS)) {
    assert.equal(name.endsWith('_total'), kind === 'counter', name);
    if (kind === 'histogram') assert.match(name, /_seconds$/);
    assert.ok(help.length > 10, name);
  }
});
