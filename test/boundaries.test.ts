/**
 * The import table of the house, proved. A part is entered by its door (`index.ts`) only; who may enter whom stands in
 * `TABLE`; sockets, timers, clocks and files live where `MAY_TOUCH_THE_WORLD` says; engines use no packages.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'vitest';

const SRC = fileURLToPath(new URL('../src', import.meta.url));

/** Whom each part may import; itself always. */
const TABLE: Readonly<Record<string, readonly string[]>> = {
  base: [],
  mail: ['base'],
  ocp: ['base'],
  smtp: ['base'],
  profile: ['base', 'mail', 'ocp', 'smtp'],
  callout: ['base', 'mail', 'ocp', 'profile'],
  services: ['base', 'mail', 'callout'],
  dns: ['base'],
  store: ['base'],
  gateway: ['base', 'dns', 'mail', 'ocp', 'smtp', 'profile', 'store'],
  milter: ['base', 'mail', 'ocp', 'profile', 'gateway'],
  config: ['base', 'gateway:options', 'store'],
  console: ['base', 'config', 'gateway:options', 'store'],
  cli: [
    'base',
    'mail',
    'ocp',
    'smtp',
    'profile',
    'callout',
    'services',
    'dns',
    'store',
    'gateway',
    'milter',
    'config',
    'console',
  ],
};

/** Doors beside `index.ts`: the socket shells of the engines, the test kit of the SDK, and the gateway's plain data. */
const DOORS: Readonly<Record<string, readonly string[]>> = {
  base: ['net/index.ts'],
  ocp: ['net/index.ts'],
  smtp: ['net/index.ts'],
  callout: ['testing.ts'],
  gateway: ['options.ts'],
  services: ['banner/index.ts', 'attachments/index.ts'],
};

/** Octets and events in, octets and events out. */
const ENGINES = ['base', 'mail', 'ocp', 'smtp', 'profile'];

/** Parts that are shells as a whole; of the others only their `net/` and `fs/` folders are. */
const SHELLS = ['store', 'config', 'console', 'cli'];

const WORLD = [
  'net',
  'tls',
  'dns',
  'dgram',
  'http',
  'https',
  'http2',
  'fs',
  'child_process',
  'cluster',
  'worker_threads',
  'timers',
  'readline',
  'repl',
];

/** Globals that are time or the world under another name. */
const TIMERS = /\b(?:setTimeout|setInterval|setImmediate|fetch)\s*\(/;
const CLOCKS =
  /\b(?:Date\.now|performance\.now|process\.(?:hrtime|nextTick|env|argv|stdout|stderr|on))\b|\bnew Date\(\)|\bMath\.random\b/;

interface File {
  /** Below `src`, with slashes. */
  readonly path: string;
  readonly part: string;
  /** Without comments, strings kept. */
  readonly code: string;
}

interface Import {
  readonly file: File;
  readonly specifier: string;
}

const files: readonly File[] = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts') && !path.split(sep).includes('web'))
  .map((path) => path.split(sep).join('/'))
  .map((path) => ({
    path,
    part: path.split('/')[0] ?? '',
    code: withoutComments(readFileSync(join(SRC, path), 'utf8')),
  }));

const imports: readonly Import[] = files.flatMap((file) =>
  [...file.code.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)'([^'\s]+)'/g)].map((match) => ({
    file,
    specifier: match[1] ?? '',
  })),
);

/** Good enough for code that the formatter keeps: no comment mark stands in a string that also holds an import. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/(^|[\s;{}(),])\/\/[^\n]*/g, '$1');
}

function isShell(file: File): boolean {
  return SHELLS.includes(file.part) || /\/(?:net|fs)\//.test(file.path);
}

function assertNone(found: readonly string[], rule: string): void {
  assert.deepEqual(found, [], rule);
}

test('there is something to look at', () => assert.ok(files.length > 20 && imports.length > 50));

test('every part is in the table', () => {
  const unknown = files.filter((file) => !Object.hasOwn(TABLE, file.part)).map((file) => file.path);
  assertNone(unknown, 'a new part gets a row in the table of the field guide, and here');
});

test('a part imports only those its row names, and only by their door', () => {
  const wrong = imports.flatMap(({ file, specifier }) => {
    if (!specifier.startsWith('.')) return [];
    const target = relative(SRC, resolve(SRC, dirname(file.path), specifier))
      .split(sep)
      .join('/');
    const part = target.split('/')[0] ?? '';
    if (part === file.part) return [];
    const inside = target.slice(part.length + 1);
    const isDoor = inside === 'index.ts' || (DOORS[part] ?? []).includes(inside);
    const row = TABLE[file.part] ?? [];
    const isAllowed = row.includes(part) || row.includes(`${part}:${inside.replace(/\.ts$/, '')}`);
    return isDoor && isAllowed ? [] : [`${file.path} -> ${target}`];
  });
  assertNone(wrong, 'not in the import table, or not by the door');
});

test('imports of our own files say which file', () => {
  const wrong = imports.filter(({ specifier }) => specifier.startsWith('.') && !specifier.endsWith('.ts'));
  assertNone(
    wrong.map(({ file, specifier }) => `${file.path} -> ${specifier}`),
    'relative imports end with .ts',
  );
});

test('engines use no packages, and nothing of Node that is not pure', () => {
  const wrong = imports.filter(({ file, specifier }) => {
    if (!ENGINES.includes(file.part) || specifier.startsWith('.')) return false;
    return !isBuiltin(specifier) || (!isShell(file) && specifier !== 'node:buffer');
  });
  assertNone(
    wrong.map(({ file, specifier }) => `${file.path} -> ${specifier}`),
    'engines are pure',
  );
});

test('sockets, files and processes are touched only in net/, fs/ and the shells', () => {
  const wrong = imports.filter(({ file, specifier }) => {
    if (isShell(file) || !isBuiltin(specifier)) return false;
    return WORLD.includes(specifier.replace(/^node:/, '').split('/')[0] ?? '');
  });
  assertNone(
    wrong.map(({ file, specifier }) => `${file.path} -> ${specifier}`),
    'move it to a net/ or fs/ folder',
  );
});

test('timers run only in net/, fs/ and the shells', () => {
  assertNone(
    files.filter((file) => !isShell(file) && TIMERS.test(file.code)).map((file) => file.path),
    'time is an input: let the shell tell it',
  );
});

test('engines know no clock, no chance and no process', () => {
  assertNone(
    files
      .filter((file) => ENGINES.includes(file.part) && !isShell(file) && CLOCKS.test(file.code))
      .map((file) => file.path),
    'time and randomness are inputs',
  );
});

test('packages are imported only by the parts that own them', () => {
  const owners: Readonly<Record<string, readonly string[]>> = {
    yaml: ['config'],
    zod: ['config'],
    commander: ['cli'],
    'prom-client': ['cli'],
    hono: ['console'],
    '@hono/node-server': ['console'],
    '@marcbachmann/cel-js': ['gateway'],
    re2js: ['gateway'],
    'dns-packet': ['dns'],
    'ipaddr.js': ['gateway'],
    'file-type': ['services'],
    'iconv-lite': ['services'],
    'better-sqlite3': ['store'],
    kysely: ['store'],
    pg: ['store'],
  };
  const wrong = imports.flatMap(({ file, specifier }) => {
    if (specifier.startsWith('.') || isBuiltin(specifier)) return [];
    const name = specifier
      .split('/')
      .slice(0, specifier.startsWith('@') ? 2 : 1)
      .join('/');
    return owners[name]?.includes(file.part) === true ? [] : [`${file.path} -> ${specifier}`];
  });
  assertNone(wrong, 'a package has one owner, which hides it behind its door');
});

test('no lint, type or format suppression, and nothing left to do', () => {
  const marks =
    /\bTO[D]O\b|\bFIXM[E]\b|\bXX[X]\b|@ts-(?:ignore|expect-error|nocheck)|biome-ignor[e]|oxlint-disabl[e]|eslint-disabl[e]|\bas any\b/;
  const all = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith('.ts'));
  assertNone(
    all.filter((path) => marks.test(readFileSync(join(SRC, path), 'utf8'))),
    'do it now',
  );
});
