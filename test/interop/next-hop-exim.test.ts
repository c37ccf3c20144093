/** A real Exim (GnuTLS at the other end) as next hop: every TLS policy on both of its ports, a login, DATA and BDAT. */
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, test } from 'vitest';
import { type HopTls, NextHop, type NextHopOptions } from '../../src/smtp/index.ts';
import { Exim } from '../support/exim.ts';
import { SentMail, sendMail, type TestMail } from '../support/outbound.ts';
import { TestCa } from '../support/test-ca.ts';

const ca = new TestCa();
const root = ca.make('root', { isIssuer: true });
const own = ca.make('exim.test', { names: 'DNS:exim.test' }, root);
const TO: TestMail = { rcpts: ['<b@dst.test>'] };
const KINDS = ['smtp', 'smtps'] as const;

let exim: Exim;
const hops: NextHop[] = [];
beforeAll(async () => {
  exim = await Exim.start(own);
});
afterAll(async () => {
  for (const hop of hops) await hop.close(1000);
  await exim.stop();
  ca[Symbol.dispose]();
});

function hopTo(kind: 'smtp' | 'smtps', tls: HopTls, rest: Partial<NextHopOptions> = {}): NextHop {
  const address = { kind, host: '127.0.0.1', port: kind === 'smtp' ? exim.port : exim.tlsPort };
  const hop = new NextHop({ address, tls, helo: 'us.example', ...rest });
  hops.push(hop);
  return hop;
}

const byName: HopTls = { policy: 'verify', ca: Buffer.from(root.cert), serverName: 'exim.test' };
const data = createHash('sha256').update(new X509Certificate(own.cert).raw).digest();
const byTlsa = (octets: Buffer): HopTls => ({
  policy: 'verify',
  verify: { kind: 'tlsa', records: [{ usage: 3, selector: 0, matching: 1, data: octets }], names: [] },
});

test('what may be trusted is, and the rest is not', async () => {
  for (const kind of KINDS) {
    for (const tls of [{ policy: 'require' } as const, byName, byTlsa(data)]) {
      const hop = hopTo(kind, tls);
      for (let i = 0; i < 3; i++) assert.equal((await sendMail(hop, TO)).result, 250, exim.log());
      assert.equal(hop.stats.opened, 1);
    }
    for (const tls of [
      { policy: 'verify' } as const,
      { ...byName, serverName: 'other.test' },
      byTlsa(Buffer.alloc(32)),
    ]) {
      assert.equal((await sendMail(hopTo(kind, tls), TO)).result, 'untrusted');
    }
  }
  assert.match(exim.log(), /X=TLS1\.3/);
});

test('a session is taken up again', async () => {
  const hop = hopTo('smtp', byName, { limits: { transactions: 1 } });
  for (let i = 0; i < 3; i++) assert.equal((await sendMail(hop, TO)).result, 250, exim.log());
  assert.equal(hop.stats.opened, 3);
});

test('a login opens what is closed to others', async () => {
  const anywhere: TestMail = { rcpts: ['<x@elsewhere.example>', '<b@dst.test>'] };
  for (const kind of KINDS) {
    const [stranger] = (await sendMail(hopTo(kind, byName), anywhere)).rcptReplies;
    assert.equal(stranger?.code, 550);
    const sent = await sendMail(hopTo(kind, byName, { auth: exim.login }), anywhere);
    assert.deepEqual(
      sent.rcptReplies.map((one) => one?.code),
      [250, 250],
      exim.log(),
    );
    assert.equal(sent.result, 250);
    const wrong = await sendMail(hopTo(kind, byName, { auth: { user: 'ann', password: 'no' } }), anywhere);
    assert.match(wrong.failure?.detail ?? '', /^PLAIN: 535 /);
  }
  assert.match(exim.log(), /A=plain:ann/);
  // Exim offers AUTH over TLS only, and we would not show the password otherwise (it is loopback, where we might).
  const clear = await sendMail(hopTo('smtp', { policy: 'none' }, { auth: exim.login }), anywhere);
  assert.match(clear.failure?.detail ?? '', /does not offer AUTH/);
});

test('content arrives as it was, by DATA and by BDAT; reports are asked for where DSN is offered', async () => {
  const hop = hopTo('smtp', byName);
  const content = [Buffer.from('Subject: whole\r\n\r\n.dot\r\n..two\r\n'), Buffer.alloc(300_000, 'a line\r\n')];
  for (const exact of [false, true]) {
    const sent = new SentMail(hop, { ...TO, content, exact, params: new Map([['RET', 'HDRS']]) });
    await sent.done;
    assert.equal(sent.result, 250, exim.log());
    assert.equal(sent.out.passesDsn, true);
  }
  const mails = (await exim.deliver()).filter((mail) => mail.includes('Subject: whole'));
  const expected = Buffer.concat(content).toString().replaceAll('\r\n', '\n');
  assert.equal(mails.length, 2, exim.log());
  for (const mail of mails) assert.ok(mail.endsWith(expected));
});
