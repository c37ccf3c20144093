import assert from 'node:assert/strict';
import { test } from 'vitest';
import { encodeUri } from '../trace/index.ts';
import { Agents, type Named } from './agents.ts';

const SYSTEM = 'https://mail.example.com/opes';
const AV = `${SYSTEM}/av`;
const BANNER = `${SYSTEM}/banner;v=1,2`;
const agents = new Agents(SYSTEM, [AV, BANNER]);
const of = (found: Named, services: readonly string[]): readonly string[] =>
  services.filter((uri) => found === '*' || found.has(uri));
const named = (...asked: string[]) => of(agents.named(asked), [AV, BANNER]);

test('a service is named by its URI, whatever its query, host case, encoding or a slash behind it (REQ-066)', () => {
  for (const uri of [
    AV,
    'HTTPS://Mail.Example.COM/opes/av',
    `${AV}?id=x.1`,
    `${AV}#top`,
    `${AV}/`,
    'https://mail.example.com/%6Fpes/av',
    `${AV};outcome=edited`,
  ]) {
    assert.deepEqual(named(uri), [AV], uri);
  }
  assert.deepEqual(named(BANNER), [BANNER]);
  assert.deepEqual(named(encodeUri(BANNER)), [BANNER], 'as our trace writes it');
  assert.deepEqual(named(`${encodeUri(BANNER)};outcome=edited`), [BANNER]);
  assert.deepEqual(named(AV, BANNER), [AV, BANNER]);
});

test('the System, a mail of the System, and what nobody here knows name all (REQ-062, REQ-064, REQ-065)', () => {
  for (const uri of [
    SYSTEM,
    `${SYSTEM}?id=Xk3.1`,
    `${SYSTEM}/`,
    'https://elsewhere.example/opes',
    `${AV}x`,
    'a:b',
    '::',
    'http:%',
  ])
    assert.deepEqual(named(uri), [AV, BANNER], uri);
  assert.deepEqual(of(agents.named('*'), [AV, BANNER]), [AV, BANNER]);
  assert.deepEqual(named(AV, 'https://elsewhere.example/'), [AV, BANNER]);
});

test('where services differ by their query, or have the System before it, the query decides, and without it all are meant', () => {
  const byQuery = [`${SYSTEM}?service=av`, `${SYSTEM}?service=banner`];
  const all = new Agents(SYSTEM, byQuery);
  assert.deepEqual(of(all.named([`${SYSTEM}?service=av`]), byQuery), [byQuery[0]]);
  assert.deepEqual(of(all.named([SYSTEM]), byQuery), byQuery);
});

test('a URI costs what its length costs, whatever stands in it', () => {
  // Done in no time, or not before the test is given up.
  for (const tail of ['x', ';x', '?x', '#x', ':x'])
    assert.deepEqual(named(`a:${'/'.repeat(1_000_000)}${tail}`), [AV, BANNER]);
});
