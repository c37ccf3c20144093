import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished, test } from 'vitest';
import { isOpenRelay } from '../gateway/index.ts';
import { type EffectiveConfig, loadFile, loadText, showProblem } from './index.ts';

const ports = {
  checkRule: () => undefined,
  checkUri: () => undefined,
  builtins: new Set(['banner']),
  isOpenRelay,
  findGroup: (name: string) => (name === 'mail' ? 8 : undefined),
};

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

test('a Unix socket: its path, its mode, its group by number; no loopback address', () => {
  const file = (rest: string) =>
    loaded(
      SMALL.replace(
        /address: "[^"]*"/,
        `address: "unix:/run/opes//lmtp.sock", protocol: lmtp, requireTls: false${rest}`,
      ),
    );
  const [plain] = file('').listeners;
  assert.deepEqual(plain?.address, { kind: 'unix', path: '/run/opes/lmtp.sock', mode: 0o660, gid: undefined });
  assert.equal(plain?.isOnLoopback, false);
  const [open] = file(', mode: "0666", group: mail, relayFrom: [unix], xforwardFrom: [unix]').listeners;
  assert.deepEqual(open?.address, { kind: 'unix', path: '/run/opes/lmtp.sock', mode: 0o666, gid: 8 });
  assert.deepEqual([open?.relayFrom, open?.xforwardFrom], [['unix'], ['unix']]);
});

test('the smallest file gets every default', () => {
  const config = loaded(SMALL);
  assert.deepEqual(config.listeners, [
    {
      name: 'mx',
      address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
      side: 'recipient',
      tls: undefined,
      requireTls: false,
      auth: undefined,
      isOnLoopback: true,
      relayFrom: [],
      proxyFrom: undefined,
      xclientFrom: [],
      xforwardFrom: [],
      bypassFrom: [],
      maxSizeOctets: 50e6,
      maxRecipients: 100,
      maxConnections: 1000,
      maxConnectionsPerPeer: 50,
      idleMs: 300_000,
      protocol: 'smtp',
      bareNewline: 'reject',
    },
  ]);
  assert.deepEqual(config.routes, [
    {
      to: 'example.com',
      nextHop: { kind: 'smtp', host: '10.0.0.5', port: 25 },
      tls: 'may',
      tlsCa: undefined,
      tlsName: undefined,
      identity: 'none',
      auth: undefined,
    },
  ]);
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
  const yaml = `${SMALL}services:\n  a: { uri: "urn:x:a", connect: "ocp://localhost", bypassable: allowed, may: [refuse, route] }\n`;
  const result = loadText('opes.yaml', yaml, '/etc/opes', ports);
  assert.equal(result.kind, 'loaded');
  assert.deepEqual(result.kind === 'loaded' ? result.notices.map(showProblem) : [], [
    'opes.yaml:7:3: services.a is not in the pipeline, so no mail goes through it',
    'opes.yaml:7:64: services.a.bypassable: the service may refuse, and whoever may ask for it sends mail without it',
    "opes.yaml:7:87: services.a.may: this version does not carry out 'route' yet, whatever the service asks",
  ]);
});

test('each service that is never bypassed has its reason, and one that has none of its own is told of (REQ-071)', () => {
  const service = (name: string, rest: string) =>
    `  ${name}: { uri: "urn:x:${name}", connect: "ocp://localhost", ${rest} }\n`;
  const services = [
    service('a', 'may: [add-header], bypassable: { never: "law 7, section 3" }'),
    service('b', 'may: [refuse], bypassable: { never: "no unscanned mail is available" }'),
    service('c', 'may: [refuse]'),
    service('d', 'bypassable: never'),
    service('e', 'may: [add-header], bypassable: never'),
    service('f', 'may: [add-header]'),
    service('g', 'may: [refuse], bypassable: allowed'),
  ];
  const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
  const pipeline = `pipeline: [${names.map((name) => `{ service: ${name} }`).join(', ')}]\n`;
  const result = loadText('opes.yaml', `${SMALL}services:\n${services.join('')}${pipeline}`, '/etc/opes', ports);
  assert.equal(result.kind, 'loaded');
  const { config, notices } = result as Extract<typeof result, { kind: 'loaded' }>;
  assert.deepEqual(
    config.services.map(({ bypassable, neverBecause }) => [bypassable, neverBecause]),
    [
      ['never', 'law 7, section 3'],
      ['never', 'no unscanned mail is available'],
      ['never', 'it may refuse'],
      ['never', 'it only reads'],
      ['never', 'the operator lets no mail go without it'],
      ['allowed', undefined],
      ['allowed', undefined],
    ],
  );
  assert.deepEqual(
    notices.map(showProblem).filter((one) => one.includes('without a reason')),
    [
      'opes.yaml:11:83: services.e.bypassable: \'never\' stands here without a reason why no mail goes without the service\n    write bypassable: { never: "the reason" }',
    ],
  );
});

test('a service that mail may do without, and one that builds on it and mail may not do without: that is told', () => {
  const service = (name: string) =>
    `  ${name}: { uri: "urn:x:${name}", connect: "ocp://localhost", may: [edit-content] }\n`;
  const yaml = (onFailure: string) =>
    `${SMALL}services:\n${service('a')}${service('b')}pipeline:\n  - { service: a, onFailure: { timeout: skip, crash: skip } }\n  - { service: b, buildsOn: [a], onFailure: ${onFailure} }\n`;
  const told = (onFailure: string) => {
    const result = loadText('opes.yaml', yaml(onFailure), '/etc/opes', ports);
    return result.kind === 'loaded' ? result.notices.map(showProblem) : result.problems.map(showProblem);
  };
  const said = (actions: string) => [
    `opes.yaml:11:30: pipeline[1].buildsOn[0]: where "a" fails and is skipped, "b" has failed, too: then its own onFailure holds (${actions})`,
  ];
  assert.deepEqual(told('tempfail'), said('tempfail'));
  assert.deepEqual(told('{ timeout: reject, crash: skip, "*": spool }'), said('reject'));
  assert.deepEqual(told('skip'), []);
  assert.deepEqual(told('{ timeout: skip, crash: skip, "*": reject }'), []);
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

test('what a route says of TLS, identity and login, and what follows where it says nothing', () => {
  const dir = scratch();
  const file = join(dir, 'opes.yaml');
  writeFileSync(join(dir, 'relay.password'), 'sesame, open\n', { mode: 0o600 });
  const auth = 'auth: { user: opes, passwordFile: relay.password }';
  writeFileSync(
    file,
    `${SMALL}  - { to: a.example, nextHop: "smtps://mail.example.com", identity: xforward, tlsName: MX.example.com }
  - { to: b.example, nextHop: "lmtp+unix:/run/lmtp" }
  - { to: c.example, nextHop: "smtp://mail.example.com:587", ${auth} }
  - { to: d.example, nextHop: "smtp://127.0.0.1:587", ${auth} }
  - { to: e.example, nextHop: "smtp://mail.example.com:587", tls: require, ${auth} }
`.replace('routes: [{ to: Example.COM, nextHop: "smtp://10.0.0.5" }]', 'routes:'),
  );
  const result = loadFile(file, ports);
  if (result.kind === 'broken') assert.fail(result.problems.map(showProblem).join('\n'));
  const { routes } = result.config;
  assert.deepEqual(
    routes.map((route) => route.tls),
    ['verify', 'none', 'verify', 'may', 'require'],
  );
  assert.deepEqual([routes[0]?.tlsName, routes[0]?.identity], ['mx.example.com', 'xforward']);
  assert.deepEqual(routes[2]?.auth, { user: 'opes', password: 'sesame, open' });
  const [notice, ...more] = result.notices.map(showProblem);
  assert.match(notice ?? '', /routes\[4\]\.auth: with tls: require any certificate will do/);
  assert.deepEqual(more, []);
});

test('a password that others can read, that is empty, or that is a whole file, is refused', () => {
  const dir = scratch();
  const file = join(dir, 'opes.yaml');
  const secret = join(dir, 'relay.password');
  const auth = 'auth: { user: opes, passwordFile: relay.password }';
  writeFileSync(file, SMALL.replace('"smtp://10.0.0.5"', `"smtps://mail.example.com", ${auth}`));
  const said = (text: string, mode: number) => {
    writeFileSync(secret, text);
    chmodSync(secret, mode);
    const result = loadFile(file, ports);
    return result.kind === 'broken' ? result.problems.map(showProblem).join('\n') : 'nothing';
  };
  assert.match(said('sesame', 0o644), /everybody on this machine can read .*\n {4}run: chmod 600 /);
  assert.match(said('\n', 0o600), /holds no password, or more than one line\n/);
  assert.match(said('user\nsesame\n', 0o600), /holds no password, or more than one line\n/);
  assert.equal(said('sesame', 0o640), 'nothing');
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
