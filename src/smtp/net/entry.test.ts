/** How connections come in beside the plain way: PROXY headers, TLS first, peers that may speak for others. Time is the test's. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { afterEach, test } from 'vitest';
import { SINK_CERT, SINK_KEY } from '../../../test/support/sink.ts';
import { Deadlines, type Log, silentLog } from '../../base/index.ts';
import { type ServerHandler, type SmtpConnection, SmtpListener, type SmtpListenerOptions } from '../index.ts';
import { connectionLimits } from '../limits.ts';
import { makeNetworks } from './networks.ts';

const KEYS = { cert: Buffer.from(SINK_CERT), key: Buffer.from(SINK_KEY) };
const PROXY = 'PROXY TCP4 192.0.2.1 198.51.100.1 56324 25\r\n';
const FROM_HERE = { proxyFrom: ['127.0.0.1'] };

/** Greets, and nothing more is asked of it here. */
function handler(connection: SmtpConnection): ServerHandler {
  return {
    onHello: (_verb, _name, ticket) => connection.answerHello(ticket),
    onMail: () => assert.fail('no mail here'),
    onRcpt: () => assert.fail('no mail here'),
    onData: () => assert.fail('no mail here'),
    onContent: () => assert.fail('no mail here'),
    onContentEnd: () => assert.fail('no mail here'),
    onVerify: () => assert.fail('no mail here'),
    onReset: () => undefined,
    onClosed: () => undefined,
  };
}

const open: SmtpListener[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const listener of open.splice(0)) await listener.close(0);
});

async function setup(options: Partial<SmtpListenerOptions> = {}) {
  const deadlines = new Deadlines();
  const logged: string[] = [];
  const seen: string[] = [];
  const log: Log = {
    ...silentLog,
    warn: (event, fields) => logged.push(`${event} ${String(fields?.['rule'] ?? fields?.['why'])}`),
    error: (event, fields) => logged.push(`${event} ${String(fields?.['error'])}`),
  };
  const listener = await SmtpListener.listen(
    {
      hostname: 'mx.example.com',
      host: '127.0.0.1',
      port: 0,
      log,
      tls: undefined,
      maxSizeOctets: 1e6,
      maxRecipients: 100,
      maxConnections: 4,
      maxConnectionsPerPeer: 2,
      idleMs: 300_000,
      deadlines,
      ...options,
    },
    (connection) => {
      seen.push(connection.remoteAddress);
      return handler(connection);
    },
  );
  open.push(listener);
  return { listener, deadlines, logged, seen };
}

function dial(listener: SmtpListener): Socket {
  const socket = connect(listener.port, '127.0.0.1');
  socket.on('error', () => undefined);
  sockets.push(socket);
  return socket;
}

/** What is said until it ends with `ending`, or all until the end. */
async function heard(socket: Socket, ending?: RegExp): Promise<string> {
  let text = '';
  try {
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      text += String(chunk);
      if (ending?.test(text)) return text;
    }
  } catch (error) {
    // Who is not served may be let go by a reset.
    assert.equal((error as NodeJS.ErrnoException).code, 'ECONNRESET');
  }
  return text;
}

test('behind the header the session is the client’s, wherever the header is cut', async () => {
  for (const cut of [PROXY.length, 1, PROXY.length - 1]) {
    const { listener, seen } = await setup(FROM_HERE);
    const socket = dial(listener);
    socket.setNoDelay(true);
    await once(socket, 'connect');
    socket.write(PROXY.slice(0, cut));
    if (cut < PROXY.length) setImmediate(() => socket.write(PROXY.slice(cut)));
    assert.match(await heard(socket, /\r\n$/), /^220 /);
    socket.write('EHLO a\r\n');
    assert.match(await heard(socket, /^250 .*\r\n$/m), /250 CHUNKING/);
    assert.deepEqual(seen, ['192.0.2.1']);
  }
});

test('an IPv4 client of a proxy with a dual-stack socket is an IPv4 client', async () => {
  const { listener, seen } = await setup(FROM_HERE);
  const mapped = (last: number): Buffer => Buffer.from([...Array<number>(10).fill(0), 0xff, 0xff, 192, 0, 2, last]);
  const head = Buffer.from('0d0a0d0a000d0a515549540a21210024', 'hex');
  const ports = Buffer.from('dc040019', 'hex');
  // More of them than one peer may have.
  for (const last of [1, 2, 3]) {
    const socket = dial(listener);
    socket.write(Buffer.concat([head, mapped(last), mapped(99), ports]));
    assert.match(await heard(socket, /\r\n$/), /^220 /);
  }
  assert.deepEqual(seen, ['192.0.2.1', '192.0.2.2', '192.0.2.3']);
});

test('a client that speaks before its greeting is one also in the packet of the header', async () => {
  const { listener } = await setup(FROM_HERE);
  const socket = dial(listener);
  socket.write(`${PROXY}EHLO a\r\n`);
  assert.match(await heard(socket), /^554 5\.5\.0 Protocol error: wait for the greeting/);
});

test('a proxy that speaks for itself, or knows nobody, is judged by its own address', async () => {
  const { listener, seen } = await setup(FROM_HERE);
  const socket = dial(listener);
  socket.write('PROXY UNKNOWN\r\n');
  assert.match(await heard(socket, /\r\n$/), /^220 /);
  assert.deepEqual(seen, ['127.0.0.1']);
});

test('whoever sends no header, or half of one, gets not a word', async () => {
  const { listener, logged, deadlines, seen } = await setup(FROM_HERE);
  const plain = dial(listener);
  plain.write('EHLO a\r\n');
  assert.equal(await heard(plain), '');
  const slow = dial(listener);
  slow.write(PROXY.slice(0, 10));
  const silence = heard(slow);
  while (logged.length < 2) {
    await new Promise(setImmediate);
    deadlines.tick(deadlines.nowMs + connectionLimits.proxyMs + 1);
  }
  assert.equal(await silence, '');
  const gone = dial(listener);
  await once(gone, 'connect');
  gone.destroy();
  while (logged.length < 3) await new Promise(setImmediate);
  assert.deepEqual(logged, [
    'smtp.proxy-failed no-proxy-header',
    'smtp.proxy-failed timeout',
    'smtp.proxy-failed gone',
  ]);
  assert.deepEqual(seen, []);
});

test('only proxies may bring a header; where none is expected it is no command', async () => {
  const stranger = await setup({ proxyFrom: ['192.0.2.0/24'] });
  const refused = dial(stranger.listener);
  refused.write(PROXY);
  assert.equal(await heard(refused), '');
  assert.deepEqual(stranger.logged, ['smtp.proxy-refused not in proxyFrom']);
  const { listener, seen } = await setup();
  const socket = dial(listener);
  assert.match(await heard(socket, /\r\n$/), /^220 /);
  socket.write(PROXY);
  assert.match(await heard(socket, /\r\n$/), /^500 5\.5\.1 /);
  assert.deepEqual(seen, ['127.0.0.1']);
});

test('connections are counted for the client, and waiting ones for all', async () => {
  const { listener, logged } = await setup(FROM_HERE);
  const from = async (address: string) => {
    const socket = dial(listener);
    socket.write(PROXY.replace('192.0.2.1', address));
    return await heard(socket, /\r\n$/);
  };
  assert.match(await from('192.0.2.1'), /^220 /);
  assert.match(await from('192.0.2.1'), /^220 /);
  assert.match(await from('192.0.2.1'), /^421 /);
  assert.match(await from('192.0.2.2'), /^220 /);
  const waiting = dial(listener);
  await once(waiting, 'connect');
  const last = dial(listener);
  assert.equal(await heard(last), '');
  assert.deepEqual(logged, ['smtp.proxy-refused too many connections']);
});

test('close does not wait for headers', async () => {
  const { listener } = await setup(FROM_HERE);
  const socket = dial(listener);
  await once(socket, 'connect');
  socket.write('PROXY');
  await listener.close(60_000);
  assert.equal(await heard(socket), '');
});

async function overTls(socket: Socket): Promise<Socket> {
  const secure = connectTls({ socket, ca: SINK_CERT, servername: 'sink.test' });
  secure.on('error', () => undefined);
  await once(secure, 'secureConnect');
  return secure;
}

test('TLS first: the greeting comes inside of it, and no STARTTLS is offered', async () => {
  const { listener } = await setup({ tls: { ...KEYS, implicit: true }, auth: 'over-tls' });
  const secure = await overTls(dial(listener));
  assert.match(await heard(secure, /\r\n$/), /^220 /);
  secure.write('EHLO a\r\n');
  const hello = await heard(secure, /^250 .*\r\n$/m);
  assert.match(hello, /AUTH SCRAM-SHA-256 PLAIN LOGIN/);
  assert.doesNotMatch(hello, /STARTTLS/);
});

test('TLS first, behind a PROXY header in one packet with it', async () => {
  const { listener, seen } = await setup({ tls: { ...KEYS, implicit: true }, ...FROM_HERE });
  const socket = dial(listener);
  await once(socket, 'connect');
  // Held back until the ClientHello is there, too.
  socket.cork();
  socket.write(PROXY);
  setImmediate(() => setImmediate(() => socket.uncork()));
  const secure = await overTls(socket);
  assert.match(await heard(secure, /\r\n$/), /^220 /);
  assert.deepEqual(seen, ['192.0.2.1']);
});

test('who starts no TLS where it comes first is let go in time, and hears nothing in the clear', async () => {
  const { listener, deadlines } = await setup({ tls: { ...KEYS, implicit: true } });
  const silent = dial(listener);
  await once(silent, 'connect');
  while (listener.connections < 1) await new Promise(setImmediate);
  deadlines.tick(connectionLimits.tlsMs + 1);
  assert.equal(await heard(silent), '');
  const clear = dial(listener);
  clear.write('EHLO a\r\n');
  assert.doesNotMatch(await heard(clear), /220|250/);
  while (listener.connections > 0) await new Promise(setImmediate);
});

test('XCLIENT and XFORWARD are announced to peers of theirs, and judged by the proxied address', async () => {
  for (const [options, header, announced] of [
    [{ xclientFrom: ['127.0.0.1'] }, '', 'XCLIENT'],
    [{ xforwardFrom: ['127.0.0.0/8'] }, '', 'XFORWARD'],
    [{ xforwardFrom: ['192.0.2.1'], xclientFrom: ['127.0.0.1'], ...FROM_HERE }, PROXY, 'XFORWARD'],
    [{ xclientFrom: ['10.0.0.0/8'] }, '', undefined],
  ] as const) {
    const { listener } = await setup(options);
    const socket = dial(listener);
    if (header !== '') socket.write(header);
    await heard(socket, /\r\n$/);
    socket.write('EHLO a\r\n');
    const hello = await heard(socket, /^250 .*\r\n$/m);
    for (const name of ['XCLIENT', 'XFORWARD'])
      assert.equal(hello.includes(name), name === announced, `${name}: ${hello}`);
  }
});

test('networks', () => {
  const isIn = makeNetworks(['10.0.0.0/8', '2001:db8::/32', '192.0.2.7', '::1']);
  for (const address of ['10.1.2.3', '2001:db8::9', '192.0.2.7', '::1']) assert.ok(isIn(address), address);
  for (const address of ['11.1.2.3', '2001:db9::9', '192.0.2.8', '::2', '', 'unknown'])
    assert.ok(!isIn(address), address);
});
