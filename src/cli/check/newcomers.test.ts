/**
 * Files as people write them who have just begun, and what `opes check` says: with the real rules, the real certificates and
 * the real words. Each message says where, what, and what to do.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, test } from 'vitest';
import { showProblem } from '../../config/index.ts';
import { readConfig } from '../load.ts';

const BASE = `version: 1
system: { uri: "https://mail.example.com/opes" }
listeners: [{ name: mx, address: "127.0.0.1:2525" }]
routes: [{ to: "*", nextHop: "smtp://10.0.0.5:25" }]`;

const dir = mkdtempSync(join(tmpdir(), 'opes-newcomers-'));
afterAll(() => rmSync(dir, { recursive: true }));

const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'ignore' });

beforeAll(() => {
  const subject = ['-subj', '/CN=mx1.example.com', '-keyout', 'mx.key', '-out', 'mx.pem'];
  openssl(
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '2',
    ...subject,
  );
  openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', 'other.key');
  openssl('ec', '-in', 'mx.key', '-aes128', '-passout', 'pass:secret', '-out', 'locked.key');
  openssl('x509', '-in', 'mx.pem', '-outform', 'der', '-out', 'mx.der');
});

/** What is said about a file; the directory of this machine is taken out. */
function said(octets: string | Uint8Array): string {
  const file = join(dir, 'opes.yaml');
  writeFileSync(file, octets);
  return shown(file);
}

function shown(file: string): string {
  const loaded = readConfig(file);
  const lines = loaded.kind === 'broken' ? loaded.problems.map(showProblem) : ['good'];
  return lines.join('\n').replaceAll(`${dir}/opes.yaml:`, 'opes.yaml:').replaceAll(dir, '/etc/opes');
}

const vectors = readFileSync(new URL('./newcomers.txt', import.meta.url), 'utf8')
  .split(/^=== /m)
  .slice(1)
  .map((part) => {
    const [head = '', says = ''] = part.split(/^--- says\n/m);
    const end = head.indexOf('\n');
    return { name: head.slice(0, end), yaml: head.slice(end + 1).replace('$BASE', BASE), says: says.trimEnd() };
  });

test('there are enough of them', () => assert.ok(vectors.length >= 25, `${vectors.length}`));

for (const { name, yaml, says } of vectors) {
  test(`a newcomer's file: ${name}`, () => {
    assert.equal(said(yaml), says);
    if (says === 'good') return;
    // Every problem: a place, a sentence, and below it what to do.
    assert.match(`${says}\n`, /^(?:opes\.yaml:\d+:\d+: \S.*\n(?: {4}\S.*\n)+)+$/, 'a problem without advice');
  });
}

test('files that are no text, no file, or not there', () => {
  assert.match(
    said(Buffer.from(`\ufeff${BASE}`, 'utf16le')),
    /opes\.yaml:1:1: this is not UTF-8 text\n {4}save it as UTF-8$/,
  );
  assert.equal(said(`\ufeff${BASE.replaceAll('\n', '\r\n')}\r\n`), 'good', 'a mark in front and CRLF are no fault');
  assert.match(shown(dir), /:1:1: this is a directory\n {4}name the file in it$/);
  assert.match(shown(join(dir, 'ops.yaml')), /:1:1: there is no such file\n {4}check the name after --config$/);
});

test('a certificate that ends soon is told; the file is good all the same', () => {
  const made = (name: string, ...validity: string[]) => {
    const names = ['-keyout', `${name}.key`, '-out', `${name}.pem`, ...validity];
    openssl(
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-subj',
      '/CN=x',
      ...names,
    );
    const tls = `tls: { cert: ${name}.pem, key: ${name}.key }`;
    writeFileSync(join(dir, 'tls.yaml'), BASE.replace('"127.0.0.1:2525"', `"127.0.0.1:2525", ${tls}`));
    const loaded = readConfig(join(dir, 'tls.yaml'));
    return loaded.kind === 'broken' ? assert.fail() : loaded.notices.map(({ what }) => what);
  };
  assert.deepEqual(made('long', '-days', '90'), []);
  assert.match(
    made('soon', '-days', '3')[0] ?? '',
    /^listeners\[0\]\.tls\.cert: the certificate ends on \d{4}-\d\d-\d\d$/,
  );
});
