/** A real Postfix as next hop: told whose mail it is, by all three ways, and logged in to, by a certificate that is its own. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, test } from 'vitest';
import { type ClientIdentity, NextHop, type NextHopOptions } from '../../src/smtp/index.ts';
import { Dovecot } from '../support/dovecot.ts';
import { sendMail, type TestMail } from '../support/outbound.ts';
import { Postfix } from '../support/postfix.ts';
import { scratchFolder } from '../support/scratch.ts';
import { TestCa } from '../support/test-ca.ts';

const client = (n: number): ClientIdentity => ({
  address: n % 2 === 0 ? `2001:db8::${n}` : `192.0.2.${n}`,
  port: 4000 + n,
  name: `c${n}.example.org`,
  helo: `h${n}.example.org`,
  protocol: 'ESMTP',
});
const from = (n: number): TestMail => ({ ...TO, client: client(n), ident: `ours.${n}` });
/** With IPv6 off it takes no such address for a client's, either. */
const IPV6 = 'inet_protocols = all';
const TO = { rcpts: ['<b@dst.test>'], content: [Buffer.from('Subject: x\r\n\r\nHello\r\n')] };

const started: (() => Promise<unknown>)[] = [];
afterAll(async () => {
  for (const stop of started.toReversed()) await stop();
});

async function startPostfix(...settings: string[]): Promise<Postfix> {
  const postfix = await Postfix.start({ settings });
  started.push(() => postfix.stop());
  return postfix;
}

function hopTo(postfix: Postfix, options: Partial<NextHopOptions>): NextHop {
  const address = { kind: 'smtp', host: '127.0.0.1', port: postfix.port } as const;
  const hop = new NextHop({ address, tls: { policy: 'none' }, helo: 'us.example', ...options });
  started.push(() => hop.close(1000));
  return hop;
}

/** What Postfix says of who handed the mails in. */
async function received(postfix: Postfix, count: number): Promise<string[]> {
  const mails = await postfix.waitForMails(count);
  return mails.map((mail) => /^Received: from (.*?\)) by /.exec(mail.received)?.[1] ?? mail.received).toSorted();
}

test("XCLIENT: Postfix takes each mail for its client's", async () => {
  const postfix = await startPostfix('smtpd_authorized_xclient_hosts = 127.0.0.1', IPV6);
  const hop = hopTo(postfix, { identity: 'xclient' });
  for (const n of [1, 2, 1]) assert.equal((await sendMail(hop, from(n))).result, 250, postfix.log());
  assert.equal(hop.stats.opened, 2, 'Postfix offers XCLIENT once a connection');
  assert.equal((await sendMail(hop, TO)).result, 250);
  assert.deepEqual(await received(postfix, 4), [
    'h1.example.org (c1.example.org [192.0.2.1])',
    'h1.example.org (c1.example.org [192.0.2.1])',
    'h2.example.org (c2.example.org [IPv6:2001:db8::2])',
    'us.example (unknown [127.0.0.1])',
  ]);
});

test('XCLIENT: Postfix judges the client, and not us', async () => {
  const postfix = await startPostfix(
    'smtpd_authorized_xclient_hosts = 127.0.0.1',
    'smtpd_client_restrictions = check_client_access inline:{192.0.2.3=REJECT}',
    'smtpd_helo_required = yes',
    'smtpd_helo_restrictions = check_helo_access inline:{h5.example.org=REJECT}',
  );
  const hop = hopTo(postfix, { identity: 'xclient' });
  for (const [n, code] of [
    [1, 250],
    [3, 554],
    [5, 554],
    [1, 250],
  ] as const) {
    const sent = await sendMail(hop, from(n));
    assert.equal(sent.rcptReplies[0]?.code, code, JSON.stringify(sent.failure) + postfix.log());
  }
});

test('XCLIENT that Postfix does not allow us: the mail waits, and we know why', async () => {
  const postfix = await startPostfix();
  const hop = hopTo(postfix, { identity: 'xclient' });
  assert.equal((await sendMail(hop, from(1))).failure?.reason, 'identity');
});

test('XFORWARD: Postfix logs the client of each mail', async () => {
  const postfix = await startPostfix('smtpd_authorized_xforward_hosts = 127.0.0.1', IPV6);
  const hop = hopTo(postfix, { identity: 'xforward' });
  for (const n of [1, 2]) assert.equal((await sendMail(hop, from(n))).result, 250, postfix.log());
  const long = { ...client(1), helo: `${'h'.repeat(240)}.example`, name: `${'n'.repeat(60)}.example` };
  assert.equal((await sendMail(hop, { ...TO, client: long })).result, 250, postfix.log());
  assert.equal(hop.stats.opened, 1);
  await postfix.waitForMails(3);
  assert.match(
    postfix.log(),
    /client=unknown\[127\.0\.0\.1\], orig_queue_id=ours\.1, orig_client=c1\.example\.org\[192\.0\.2\.1\]/,
  );
  assert.match(postfix.log(), /orig_queue_id=ours\.2, orig_client=c2\.example\.org\[2001:db8::2\]/);
});

test('PROXY: Postfix sees the client as its peer', async () => {
  const postfix = await startPostfix('smtpd_upstream_proxy_protocol = haproxy', 'mynetworks = 0.0.0.0/0, [::]/0', IPV6);
  const hop = hopTo(postfix, { identity: 'proxy' });
  for (const n of [1, 1, 2]) assert.equal((await sendMail(hop, from(n))).result, 250, postfix.log());
  assert.equal(hop.stats.opened, 2);
  assert.equal((await sendMail(hop, TO)).result, 250, postfix.log());
  const names = (await received(postfix, 4)).map((one) => /\[.*\]/.exec(one)?.[0] ?? one);
  assert.deepEqual(new Set(names), new Set(['[127.0.0.1]', '[192.0.2.1]', '[IPv6:2001:db8::2]']));
});

let dovecot: Dovecot;
beforeAll(async () => {
  dovecot = await Dovecot.start();
  started.push(() => dovecot.stop());
});

test('AUTH: Postfix relays only for who has logged in, over verified TLS', async () => {
  using ca = new TestCa();
  const root = ca.make('root', { isIssuer: true });
  const own = ca.make('pf.test', { names: 'DNS:pf.test' }, root);
  const folder = scratchFolder('tls');
  writeFileSync(join(folder, 'own.pem'), own.key + own.cert);
  const offering = (mechanisms: string) => `smtpd_sasl_mechanism_filter = ${mechanisms}`;
  const settings = [
    'smtpd_tls_security_level = may',
    `smtpd_tls_chain_files = ${folder}/own.pem`,
    'smtpd_tls_auth_only = yes',
    'smtpd_sasl_auth_enable = yes',
    'smtpd_sasl_type = dovecot',
    `smtpd_sasl_path = ${dovecot.auth}`,
    'smtpd_recipient_restrictions = permit_sasl_authenticated, reject',
    'smtpd_relay_restrictions = permit_sasl_authenticated, reject',
    'smtpd_sasl_authenticated_header = yes',
  ];
  const tls = { policy: 'verify', ca: Buffer.from(root.cert), serverName: 'pf.test' } as const;
  for (const [mechanisms, method] of [
    ['plain login scram-sha-256', 'SCRAM-SHA-256'],
    ['plain, login', 'PLAIN'],
    ['login', 'LOGIN'],
  ] as const) {
    const postfix = await startPostfix(...settings, offering(mechanisms));
    const hop = hopTo(postfix, { tls, auth: dovecot.login });
    for (let i = 0; i < 2; i++) assert.equal((await sendMail(hop, TO)).result, 250, postfix.log() + dovecot.log());
    assert.match(postfix.log(), new RegExp(`sasl_method=${method}, sasl_username=ann`));
    const wrong = hopTo(postfix, { tls, auth: { user: 'ann', password: 'wrong' } });
    const { failure } = await sendMail(wrong, TO);
    assert.equal(failure?.reason, 'auth');
    assert.match(failure.detail ?? '', new RegExp(`^${method}: 535 `));
    const unnamed = hopTo(postfix, { tls: { ...tls, serverName: undefined }, auth: dovecot.login });
    assert.equal((await sendMail(unnamed, TO)).failure?.reason, 'untrusted');
  }
});
