import assert from 'node:assert/strict';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer, type Server } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server as TcpServer } from 'node:net';
import { onTestFinished, test } from 'vitest';
import { DnsTestServer, type Zone } from '../../../test/support/dns-server.ts';
import { STRANGER } from '../../../test/support/ocp-certificates.ts';
import { AUTHORITY, WEB_SERVER } from '../../../test/support/web-certificates.ts';
import type { Fetched } from '../mta-sts/policies.ts';
import { type Domain, readDomain } from '../names.ts';
import { httpsPolicies } from './https-policy.ts';
import { openDns } from './open-dns.ts';

const POLICY = 'version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 604800\n';
const PLAIN = { 'content-type': 'text/plain; charset=us-ascii' };

async function listen(server: Server | TcpServer): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    if ('closeAllConnections' in server) server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

async function rig(port: number, zone: Zone = { 'mta-sts.example.com': ['A 127.0.0.1'] }) {
  const server = await DnsTestServer.listen({
    zone: { '_mta-sts.example.com': ['TXT v=STSv1; id=1'], ...zone },
  });
  const dns = openDns({ servers: [server.server], https: { ca: AUTHORITY, port } });
  onTestFinished(async () => {
    dns.close();
    await server.close();
  });
  return dns;
}

async function fetchFrom(
  answer: RequestListener,
  options: { timeoutMs?: number; domain?: string } = {},
): Promise<Fetched> {
  const port = await listen(createTlsServer(WEB_SERVER, answer));
  const { domain = 'example.com', timeoutMs } = options;
  const { resolver } = await rig(port, { [`mta-sts.${domain}`]: ['A 127.0.0.1'] });
  const more = timeoutMs === undefined ? {} : { timeoutMs };
  return await httpsPolicies({ resolver, ca: AUTHORITY, port, ...more })(readDomain(domain) as Domain);
}

test('a policy is fetched from where the RFC says, and looked up as a whole', async () => {
  const asked: string[] = [];
  const web = createTlsServer(WEB_SERVER, (request, response) => {
    asked.push(`${request.method} ${request.headers.host?.replace(/:\d+$/, '')} ${request.url}`);
    response.writeHead(200, PLAIN).end(POLICY);
  });
  const dns = await rig(await listen(web));
  const found = await dns.lookupSts(readDomain('example.com') as Domain);
  assert.deepEqual(found, {
    kind: 'policy',
    policy: { mode: 'enforce', maxAgeS: 604_800, mx: ['mx.example.com'] },
  });
  assert.deepEqual(asked, ['GET mta-sts.example.com /.well-known/mta-sts.txt']);
});

/** What a web server may say that is no policy. */
const ROWS: readonly (readonly [string, RequestListener, string | RegExp])[] = [
  [
    'a redirect',
    (_, r) => r.writeHead(302, { location: 'https://mta-sts.example.com/', ...PLAIN }).end(),
    'status 302',
  ],
  ['not found', (_, r) => r.writeHead(404, PLAIN).end(POLICY), 'status 404'],
  ['no content', (_, r) => r.writeHead(204).end(), 'status 204'],
  ['another media type', (_, r) => r.writeHead(200, { 'content-type': 'text/html' }).end(POLICY), 'not text/plain'],
  [
    'one that only begins so',
    (_, r) => r.writeHead(200, { 'content-type': 'text/plainer' }).end(POLICY),
    'not text/plain',
  ],
  ['no media type', (_, r) => r.writeHead(200).end(POLICY), 'not text/plain'],
  ['too much', (_, r) => r.writeHead(200, PLAIN).end(Buffer.alloc(65_537, 0x20)), 'more than 65536 octets'],
  ['without end', (_, r) => pour(r.writeHead(200, PLAIN)), 'more than 65536 octets'],
  [
    'cut short',
    (_, r) => void r.writeHead(200, { ...PLAIN, 'content-length': '999' }).write('version', () => r.destroy()),
    /cut short|ECONNRESET/,
  ],
  ['gone', (request) => request.destroy(), /ECONNRESET/],
];

function pour(response: Parameters<RequestListener>[1]): void {
  const chunk = Buffer.alloc(8192, 0x20);
  response.on('error', () => {});
  const more = (): void => {
    if (!response.destroyed) response.write(chunk, more);
  };
  more();
}

for (const [why, answer, detail] of ROWS) {
  test(`no policy: ${why}`, async () => {
    const fetched = await fetchFrom(answer);
    assert.ok(fetched.kind === 'failed', why);
    if (typeof detail === 'string') assert.equal(fetched.detail, detail);
    else assert.match(fetched.detail, detail);
  });
}

test('one deadline, for a server that says nothing and for one that drips', async () => {
  assert.deepEqual(await fetchFrom(() => {}, { timeoutMs: 50 }), { kind: 'failed', detail: 'no answer in time' });
  const drip: RequestListener = (_, response) => {
    const timer = setInterval(() => response.write('x'), 5);
    response.on('close', () => clearInterval(timer));
    response.writeHead(200, PLAIN);
  };
  assert.deepEqual(await fetchFrom(drip, { timeoutMs: 80 }), { kind: 'failed', detail: 'no answer in time' });
});

test('the certificate must be for that very name, and of an authority we know', async () => {
  const answer: RequestListener = (_, response) => response.writeHead(200, PLAIN).end(POLICY);
  assert.deepEqual(await fetchFrom(answer, { domain: 'example.org' }), {
    kind: 'failed',
    detail: 'ERR_TLS_CERT_ALTNAME_INVALID',
  });
  const stranger = await rig(await listen(createTlsServer(STRANGER, answer)));
  const found = await stranger.lookupSts(readDomain('example.com') as Domain);
  assert.deepEqual(found, { kind: 'none', detail: 'policy of example.com: DEPTH_ZERO_SELF_SIGNED_CERT' });
});

test('no TLS, no address, nobody there', async () => {
  const plain = await rig(await listen(createServer((_, response) => response.end(POLICY))));
  const clear = await plain.lookupSts(readDomain('example.com') as Domain);
  assert.ok(clear.kind === 'none' && clear.detail !== undefined);
  const nowhere = await rig(1, { 'mta-sts.example.com': [] });
  assert.deepEqual(await nowhere.lookupSts(readDomain('example.com') as Domain), {
    kind: 'none',
    detail: 'policy of example.com: ENOTFOUND',
  });
});

test('close ends a fetch that is under way', async () => {
  const { promise: connected, resolve } = Promise.withResolvers<void>();
  const mute = createTcpServer((socket) => {
    socket.on('error', () => {});
    socket.on('close', () => mute.close());
    resolve();
  });
  const dns = await rig(await listen(mute));
  const found = dns.lookupSts(readDomain('example.com') as Domain);
  await connected;
  dns.close();
  assert.equal((await found).kind, 'none');
});
