/** Documents that state a fact about the house: links lead somewhere, named commands exist, each part has its page. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PLACES = ['docs', 'src', 'bench', 'examples', 'test'];

const pages = [
  join(ROOT, 'README.md'),
  ...PLACES.filter((place) => existsSync(join(ROOT, place))).flatMap((place) =>
    readdirSync(join(ROOT, place), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.md') && !path.includes('node_modules'))
      .map((path) => join(ROOT, place, path)),
  ),
];

const textOf = (page: string) => readFileSync(page, 'utf8');
const nameOf = (page: string) => relative(ROOT, page);

test('links between pages lead to files that are there', () => {
  const broken = pages.flatMap((page) =>
    [...textOf(page).matchAll(/\]\((?!https?:|mailto:|#)([^)#\s]+)(?:#[^)\s]*)?\)/g)]
      .map((match) => match[1] ?? '')
      .filter((target) => !existsSync(join(dirname(page), target)))
      .map((target) => `${nameOf(page)} -> ${target}`),
  );
  assert.deepEqual(broken, []);
});

test('the files and npm scripts that the README names exist', () => {
  const readme = textOf(join(ROOT, 'README.md'));
  const { scripts } = JSON.parse(textOf(join(ROOT, 'package.json'))) as { scripts: Record<string, string> };
  const named = [...readme.matchAll(/npm (?:run (\w+)|(start|test))/g)].map((match) => match[1] ?? match[2] ?? '');
  assert.deepEqual(
    named.filter((name) => !Object.hasOwn(scripts, name)),
    [],
  );
  const files = [...readme.matchAll(/\b(?:examples|bin)\/[\w./-]*\w/g)].map(([file]) => file);
  assert.ok(files.length > 2);
  assert.deepEqual(
    files.filter((file) => !existsSync(join(ROOT, file))),
    [],
  );
});

test('the files that the way of a mail names exist', () => {
  const flow = textOf(join(ROOT, 'docs/flow.md'));
  const named = [...flow.matchAll(/`([\w-]+(?:\/[\w.-]+)+|[\w-]+\.ts)`/g)].map(([, file = '']) => file);
  assert.ok(named.length > 50);
  // Within the gateway they are named from there.
  const missing = named.filter((file) => ![ROOT, join(ROOT, 'src/gateway')].some((at) => existsSync(join(at, file))));
  assert.deepEqual(missing, []);
});

test('each part has a page of its own, and a door', () => {
  const parts = readdirSync(join(ROOT, 'src'));
  const withoutPage = parts.filter((part) => !existsSync(join(ROOT, 'src', part, 'README.md')));
  assert.deepEqual(withoutPage, [], 'no README.md');
  // `cli` is the program, and `services` holds a folder for each service.
  const withoutDoor = parts.filter(
    (part) => part !== 'cli' && part !== 'services' && !existsSync(join(ROOT, 'src', part, 'index.ts')),
  );
  assert.deepEqual(withoutDoor, [], 'no index.ts');
});

test('a page of a part is one page', () => {
  const long = pages.filter(
    (page) => /^src\/\w+\/README\.md$/.test(nameOf(page)) && textOf(page).split('\n').length > 100,
  );
  assert.deepEqual(long.map(nameOf), []);
});
