import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished, test } from 'vitest';
import { type EffectiveConfig, loadFile, loadText, showProblem } from './index.ts';

const ports = { checkRule: () => undefined, checkUri: () => undefined, builtins: new Set(['banner']) };

function loaded(yaml: string): EffectiveConfig {
  const result = loadText('opes.yaml', yaml, '/etc/opes', ports);
  if (result.kind === 'broken') assert.fail(result.problems.map(showProblem).join('\n'));
  return result.config;
}

function scratch(): string {
  const dir = mkdtempSync(join(tmpdir(), 'opes-config-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  return dir;
}

const SMALL = `version: 1
system: { uri: "https://mail.example.com/opes" }
hostname: mx1.example.com
listeners: [{ name: mx, address: "127.0.0.1:0" }]
routes: [{ to: Example.COM, nextHop: "smtp://10.0.0.5" }]
`;

test('the smallest file gets every default', () => {
  const config = loaded(SMALL);
  assert.deepEqual(config.listeners, [
    {
      name: 'mx',
      host: '127.0.0.1',
      port: 0,
      side: 'recipient',
      tls: undefined,
      maxSizeOctets: 50e6,
      maxRecipients: 100,
      maxConnections: 1000,
      maxConnectionsPerPeer: 50,
      idleMs: 300_000,
      bareNewline: 'reject',
    },
  ]);
  assert.deepEqual(config.routes, [{ to: 'example.com', nextHop: { host: '10.0.0.5', port: 25 }, tls: 'may' }]);
  assert.equal(config.dataDir, '/etc/opes/opes-data');
  assert.equal(config.spillDir, '/etc/opes/opes-data/spill');
  assert.equal(config.deadlineMs, 240_000);
  assert.deepEqual([config.recentMails, config.recentOctets, config.console], [0, 0, undefined]);
  assert.deepEqual(config.reports, {
    languages: ['en'],
    returnContent: 'headers',
    postmaster: undefined,
    perSenderPerHour: 20,
  });
});

test('reports in several languages, each once', () => {
  const config = loaded(
    `${SMALL}reports: { languages: [de, en, de], returnContent: full, postmaster: postmaster@example.com, perSenderPerHour: 5 }\n`,
  );
  assert.deepEqual(config.reports, {
    languages: ['de', 'en'],
    returnContent: 'full',
    postmaster: 'postmaster@example.com',
    perSenderPerHour: 5,
  });
});

test('services, pipeline and console of the contract', () => {
  const config = loaded(`${SMALL}
services:
  av:     { uri: "https://mail.example.com/opes/av", connect: ["ocp+tls://10.0.0.9:4037", "ocp+unix:/run/av.sock"], may: [refuse, quarantine] }
  banner: { uri: "https://mail.example.com/opes/banner", run: builtin:banner, may: [edit-content, add-header], consent: operator }
pipeline:
  - { service: av, requires: [RAWDATA], onFailure: { timeout: reject, "*": tempfail }, timeout: 20s }
  - { service: banner, when: "listener.side == 'recipient'", onFailure: skip }
console: { address: "127.0.0.1:8025", showMail: true, keep: 7 }
`);
  const [av, banner] = config.services;
  assert.deepEqual(av?.from, {
    kind: 'connect',
    endpoints: [
      { kind: 'tls', host: '10.0.0.9', port: 4037, tls: {} },
      { kind: 'unix', path: '/run/av.sock' },
    ],
  });
  assert.equal(av?.bypassable, 'never');
  assert.equal(banner?.bypassable, 'allowed');
  assert.deepEqual(banner?.from, { kind: 'builtin', name: 'banner' });
  assert.deepEqual(config.pipeline[0]?.onFailure, {
    timeout: 'reject',
    unreachable: 'tempfail',
    crash: 'tempfail',
    invalid: 'tempfail',
    overload: 'tempfail',
  });
  assert.equal(config.pipeline[0]?.timeoutMs, 20_000);
  assert.equal(config.pipeline[1]?.onFailure.crash, 'skip');
  assert.deepEqual([config.recentMails, config.recentOctets], [7, 65_536]);
});

test('what may surprise is told, and does not stop the start', () => {
  const yaml = `${SMALL}services:\n  a: { uri: "urn:x:a", connect: "ocp://localhost", bypassable: allowed }\n`;
  const result = loadText('opes.yaml', yaml, '/etc/opes', ports);
  assert.equal(result.kind, 'loaded');
  assert.deepEqual(result.kind === 'loaded' ? result.notices.map(showProblem) : [], [
    'opes.yaml:7:3: services.a is not in the pipeline, so no mail goes through it',
    'opes.yaml:7:64: services.a.bypassable: this version honours no bypass requests yet; the service is always called',
  ]);
});

test('certificates are read at load, and a pair that does not belong together is refused', () => {
  const dir = scratch();
  for (const name of ['a', 'b']) {
    const out = ['-keyout', join(dir, `${name}.key`), '-out', join(dir, `${name}.pem`)];
    const args = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=mx'];
    execFileSync('openssl', [...args, ...out], { stdio: 'ignore' });
  }
  const file = join(dir, 'opes.yaml');
  const write = (key: string) =>
    writeFileSync(file, SMALL.replace('"127.0.0.1:0"', `"127.0.0.1:0", tls: { cert: a.pem, key: ${key} }`));
  write('a.key');
  const good = loadFile(file, ports);
  assert.ok(good.kind === 'loaded' && good.config.listeners[0]?.tls !== undefined);
  write('b.key');
  const bad = loadFile(file, ports);
  assert.ok(bad.kind === 'broken');
  assert.match(
    bad.problems.map(showProblem).join('\n'),
    /listeners\[0\]\.tls: key belongs to another certificate than the one in cert/,
  );
});

test('a file that cannot be read is a problem like any other', () => {
  const dir = scratch();
  const say = (file: string) => {
    const result = loadFile(file, ports);
    return result.kind === 'broken' ? result.problems.map(showProblem).join('\n') : 'nothing';
  };
  assert.match(say(join(dir, 'none.yaml')), /none\.yaml:1:1: there is no such file\n/);
  assert.match(say(dir), /:1:1: this is a directory\n/);
  writeFileSync(join(dir, 'latin.yaml'), Buffer.from([0x61, 0xe9]));
  assert.match(say(join(dir, 'latin.yaml')), /this is not UTF-8 text\n/);
  writeFileSync(join(dir, 'long.yaml'), 'x'.repeat(1_000_001));
  assert.match(say(join(dir, 'long.yaml')), /far too long/);
});
