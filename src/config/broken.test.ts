import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'vitest';
import { isOpenRelay } from '../gateway/index.ts';
import { loadText, showProblem } from './index.ts';

const BASE = `version: 1
system: { uri: "https://mail.example.com/opes" }
listeners: [{ name: mx, address: "127.0.0.1:2525" }]
routes: [{ to: "*", nextHop: "smtp://10.0.0.5:25" }]`;

const ports = {
  checkUri: (uri: string) => (uri.includes('#') ? 'has a fragment' : undefined),
  builtins: new Set(['banner', 'attachments']),
  isOpenRelay,
  findGroup: (name: string) => (name === 'mail' ? 8 : undefined),
  checkRule(rule: string) {
    const at = rule.indexOf('syde');
    return at < 0 ? undefined : { at, what: 'listener has no field syde', fix: 'did you mean side?' };
  },
};

/** What is said about a file, as `opes check` prints it; the directory of this machine is taken out. */
function said(yaml: string): string {
  const baseDir = `${tmpdir()}/no-such-directory`;
  const loaded = loadText('opes.yaml', yaml.replace('$BASE', BASE), baseDir, ports);
  if (loaded.kind === 'loaded') return 'nothing';
  return loaded.problems.map(showProblem).join('\n').replaceAll(baseDir, '/etc/opes');
}

const vectors = readFileSync(new URL('./vectors/broken.txt', import.meta.url), 'utf8')
  .split(/^=== /m)
  .slice(1)
  .map((part) => {
    const [head = '', says = ''] = part.split(/^--- says\n/m);
    const end = head.indexOf('\n');
    return { name: head.slice(0, end), yaml: head.slice(end + 1), says: says.trimEnd() };
  });

test('the set of broken files is whole', () => assert.ok(vectors.length >= 30, `${vectors.length}`));

for (const { name, yaml, says } of vectors) test(`broken: ${name}`, () => assert.equal(said(yaml), says));
