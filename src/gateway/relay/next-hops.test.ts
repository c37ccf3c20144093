import assert from 'node:assert/strict';
import { onTestFinished, test } from 'vitest';
import { plainRoute } from '../../../test/support/routes.ts';
import { Sink } from '../../../test/support/sink.ts';
import { noMetrics, silentLog } from '../../base/index.ts';
import type { OutboundEvents } from '../../smtp/index.ts';
import { Dispatcher } from '../dispatch/dispatcher.ts';
import type { RouteOptions } from '../options.ts';
import { destinationOf } from './destination.ts';
import { NextHops } from './next-hops.ts';

const ENVELOPE = { mail: '<a@example.org>', params: new Map<string, string>() };

/** One mail by `route`, to its end. */
async function send(hops: NextHops, route: RouteOptions, domain = 'example.com'): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const events: OutboundEvents = {
    onRcptReply: (_index, { code }) => (code === 250 ? out.data() : resolve(`${code}`)),
    onDataReply: () => void out.content([Buffer.from('Hi\r\n')], true),
    onDrain: () => {},
    onFinalReply: (reply) => resolve(`${reply.code}`),
    onFailed: (failure) => resolve(failure.reason),
  };
  const out = hops.open(route, { ...ENVELOPE, domain }, events);
  out.rcpt('<b@example.com>');
  return promise;
}

const NO_DNS = { servers: undefined, trustAd: false };

test('routes share connections where everything but the domain is the same, and nowhere else', async () => {
  const sink = await Sink.listen({ tls: true });
  onTestFinished(() => sink.close());
  const hops = new NextHops({ helo: 'us.example', connections: 4, dns: NO_DNS, log: silentLog, metrics: noMetrics });
  const one = plainRoute('a.example', '127.0.0.1', sink.port);
  const routes: readonly (readonly [RouteOptions, number])[] = [
    [one, 1],
    [{ ...one, to: 'b.example' }, 1],
    [{ ...one, tls: 'require' }, 2],
    [{ ...one, identity: 'xforward' }, 3],
    [{ ...one, auth: { user: 'u', password: 'p' } }, 4],
    [{ ...one, tls: 'require', tlsName: 'sink.test' }, 5],
    [one, 5],
  ];
  for (const [route, connections] of routes) {
    assert.equal(await send(hops, route), route.auth === undefined ? '250' : 'auth');
    assert.equal(sink.connections.length, connections);
  }
  await hops.close(1000);
});

test('mail by MX for an address that leads to this machine is a loop', async () => {
  const hops = new NextHops({ helo: 'us.example', connections: 4, dns: NO_DNS, log: silentLog, metrics: noMetrics });
  onTestFinished(() => hops.close(0));
  const route = { ...plainRoute('*', '', 0), nextHop: { kind: 'mx' } } as const;
  for (const literal of ['[127.0.0.1]', '[0.0.0.0]', '[IPv6:::]', '[IPv6:::ffff:0.0.0.0]'])
    assert.equal(await send(hops, route, literal), '554', literal);
});

test('a TLS policy that only routes by MX have is a mistake of ours here', async () => {
  const hops = new NextHops({ helo: 'us.example', connections: 4, dns: NO_DNS, log: silentLog, metrics: noMetrics });
  const one = plainRoute('*', '127.0.0.1', 25);
  await assert.rejects(send(hops, { ...one, tls: 'dane' }), /for routes by MX/);
  await hops.close(0);
});

test('what does not share connections does not share a transaction', () => {
  const one = plainRoute('a.example', '127.0.0.1', 25);
  const others: readonly Partial<RouteOptions>[] = [
    { auth: { user: 'u', password: 'p' } },
    { auth: { user: 'v', password: 'p' } },
    { identity: 'xforward' },
    { tlsName: 'sink.test' },
    { tls: 'require' },
    { tls: 'verify', tlsCa: Buffer.from('one authority') },
    { tls: 'verify', tlsCa: Buffer.from('another') },
  ];
  const routes = [
    one,
    ...others.map((other, i) => ({ ...one, ...other, to: `${i}.example` })),
    { ...one, to: 'b.example' },
  ];
  const dispatcher = new Dispatcher(routes, [], silentLog);
  const keys = routes.map(({ to }) => destinationOf(dispatcher, to));
  assert.equal(new Set(keys).size, others.length + 1);
  assert.equal(keys.at(-1), keys[0]);
});
