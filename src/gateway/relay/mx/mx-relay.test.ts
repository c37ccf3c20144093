/** The whole way: a DNS server, our resolver, connections to several mail hosts. */
import assert from 'node:assert/strict';
import { onTestFinished, test } from 'vitest';
import { DnsTestServer, type Zone } from '../../../../test/support/dns-server.ts';
import { type Opens, sendMail } from '../../../../test/support/outbound.ts';
import { Sink, type SinkOptions } from '../../../../test/support/sink.ts';
import type { LogFields } from '../../../base/index.ts';
import { openDns } from '../../../dns/index.ts';
import { NextHop } from '../../../smtp/index.ts';
import { MxRelay } from './mx-relay.ts';
import type { RouteTls } from './plan.ts';

interface Rig {
  readonly sinks: readonly Sink[];
  readonly log: readonly string[];
  readonly to: (domain: string, tls?: RouteTls) => Opens;
}

/** Mail hosts by address; an address without one refuses connections. */
async function rig(zone: Zone, hosts: Readonly<Record<string, SinkOptions>>, isAuthentic = false): Promise<Rig> {
  const server = await DnsTestServer.listen({ zone, isAuthentic: () => isAuthentic });
  const dns = openDns({ servers: [server.server], limits: { attemptMs: 10_000 } });
  const sinks = new Map<string, Sink>();
  for (const [address, script] of Object.entries(hosts)) sinks.set(address, await Sink.listen(script));
  const gone = await Sink.listen({});
  const closedPort = gone.port;
  await gone.close();
  const hops: NextHop[] = [];
  const log: string[] = [];
  const note = (event: string, fields: LogFields = {}): void => {
    const values = Object.values(fields).filter((value) => value !== undefined);
    log.push([event, ...values.map(String)].join(' '));
  };
  const relay = new MxRelay({
    dns,
    self: { names: new Set(['us.example']), isOwnAddress: () => false },
    openHost({ address }, envelope, events) {
      const port = sinks.get(address)?.port ?? closedPort;
      const hop = new NextHop({
        address: { kind: 'smtp', host: '127.0.0.1', port },
        tls: { policy: 'none' },
        helo: 'us.example',
      });
      hops.push(hop);
      return hop.open(envelope, events);
    },
    clock: () => performance.now(),
    log: { debug: note, info: note, warn: note, error: note },
  });
  onTestFinished(async () => {
    dns.close();
    await Promise.all(hops.map((hop) => hop.close(0)));
    await Promise.all([server, ...sinks.values()].map((one) => one.close()));
  });
  return {
    sinks: [...sinks.values()],
    log,
    to: (domain, tls = 'may') => ({ open: (envelope, events) => relay.open(domain, tls, envelope, events) }),
  };
}

const ZONE: Zone = {
  'd.example': ['MX 10 a.example', 'MX 20 b.example'],
  'a.example': ['A 192.0.2.1'],
  'b.example': ['A 192.0.2.2'],
};

test('a mail is delivered to the best host that takes it', async () => {
  const { sinks, log, to } = await rig(ZONE, { '192.0.2.1': {}, '192.0.2.2': {} });
  const sent = await sendMail(to('d.example'), { rcpts: ['<1@d.example>', '<2@d.example>'] });
  assert.equal(sent.finalReply?.code, 250);
  assert.deepEqual(
    sinks.map(({ mails }) => mails.map(({ rcpts }) => rcpts)),
    [[['<1@d.example>', '<2@d.example>']], []],
  );
  assert.deepEqual(log, []);
});

/** What the best host does; the second takes the mail. */
const BAD: Readonly<Record<string, readonly [SinkOptions | undefined, string]>> = {
  'is not there': [undefined, 'mx.next-host d.example a.example 192.0.2.1 connect: unreachable ECONNREFUSED'],
  'greets with 554': [
    { answer: ({ verb }) => (verb === 'CONNECT' ? { say: '554 5.7.1 No\r\n', next: 'close' } : undefined) },
    'mx.next-host d.example a.example 192.0.2.1 hello: refused',
  ],
  'says 421 to EHLO': [
    { answer: ({ verb }) => (verb === 'EHLO' ? { say: '421 4.3.2 No\r\n', next: 'close' } : undefined) },
    'mx.next-host d.example a.example 192.0.2.1 hello: closing',
  ],
  'says 451 to MAIL': [
    { answer: ({ verb }) => (verb === 'MAIL' ? '451 4.3.0 Later\r\n' : undefined) },
    'mx.next-host d.example a.example 192.0.2.1 MAIL 451',
  ],
  'dies behind MAIL': [
    { answer: ({ verb }) => (verb === 'MAIL' ? { next: 'reset' } : undefined) },
    'mx.next-host d.example a.example 192.0.2.1 envelope: lost',
  ],
};

for (const [why, [script, line]] of Object.entries(BAD)) {
  test(`the next host takes the mail where the best one ${why}`, async () => {
    const { sinks, log, to } = await rig(ZONE, {
      ...(script === undefined ? {} : { '192.0.2.1': script }),
      '192.0.2.2': {},
    });
    const sent = await sendMail(to('d.example'), { rcpts: ['<1@d.example>', '<2@d.example>'] });
    assert.equal(sent.finalReply?.code, 250);
    assert.deepEqual(sinks.at(-1)?.mails[0]?.rcpts, ['<1@d.example>', '<2@d.example>']);
    assert.deepEqual(sinks.at(-1)?.complaints, []);
    assert.equal(log.length, 1);
    assert.ok(log[0]?.startsWith(line), log[0]);
  });
}

test('a host that refuses a recipient has spoken: the other is not asked', async () => {
  for (const said of ['450 4.2.1 Later\r\n', '550 5.1.1 No\r\n']) {
    const answer: SinkOptions['answer'] = ({ verb }) => (verb === 'RCPT' ? said : undefined);
    const { sinks, to } = await rig(ZONE, { '192.0.2.1': { answer }, '192.0.2.2': {} });
    const sent = await sendMail(to('d.example'));
    assert.equal(sent.rcptReplies[0]?.code, Number(said.slice(0, 3)));
    assert.equal(sinks[1]?.connections.length, 0);
  }
});

test('no way: the reply says which, and the log why', async () => {
  const zone: Zone = {
    'null.example': ['MX 0 .'],
    'bare.example': ['TXT x'],
    'ours.example': ['MX 10 us.example'],
  };
  const { log, to } = await rig(zone, {});
  for (const [domain, code, why] of [
    ['null.example', 556, 'null-mx'],
    ['gone.example', 550, 'no-domain'],
    ['bare.example', 550, 'no-host'],
    ['ours.example', 554, 'loop'],
  ] as const) {
    const sent = await sendMail(to(domain), { rcpts: ['<1@x>', '<2@x>'] });
    assert.deepEqual(
      sent.rcptReplies.map((answer) => answer?.code),
      [code, code],
    );
    assert.equal(log.at(-1), `mx.no-host ${domain} ${why} ${code}`);
  }
});

test('a domain in Unicode comes as its octets', async () => {
  const { sinks, to } = await rig({ 'xn--bcher-kva.example': ['A 192.0.2.1'] }, { '192.0.2.1': {} });
  const sent = await sendMail(to(Buffer.from('bücher.example').toString('latin1')));
  assert.equal(sent.finalReply?.code, 250);
  assert.equal(sinks[0]?.mails.length, 1);
});

test('DANE: a host whose records cannot be looked up is passed over', async () => {
  const zone: Zone = { ...ZONE, '_25._tcp.a.example': ['CNAME _25._tcp.a.example'] };
  const { sinks, log, to } = await rig(zone, { '192.0.2.1': {}, '192.0.2.2': {} }, true);
  const sent = await sendMail(to('d.example', 'dane'));
  assert.equal(sent.finalReply?.code, 250);
  assert.deepEqual(
    sinks.map(({ connections }) => connections.length),
    [0, 1],
  );
  assert.match(log.join(), /^mx\.host-skipped d\.example a\.example tlsa-failed CNAME loop/);
});
