/** Sessions over a Unix socket: who the peer is, what is counted of it, and what is believed. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterEach, test } from 'vitest';
import { scratchFolder } from '../../../test/support/scratch.ts';
import { SINK_CERT, SINK_KEY } from '../../../test/support/sink.ts';
import { Deadlines, silentLog } from '../../base/index.ts';
import {
  type ServerHandler,
  ServerSocket,
  type SmtpConnection,
  SmtpListener,
  type SmtpListenerOptions,
} from '../index.ts';

const open: SmtpListener[] = [];
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const listener of open.splice(0)) await listener.close(0);
});

function handler(connection: SmtpConnection): ServerHandler {
  const never = () => assert.fail('no mail here');
  return {
    onHello: (_verb, _name, ticket) => connection.answerHello(ticket),
    onMail: never,
    onRcpt: never,
    onData: never,
    onContent: never,
    onContentEnd: never,
    onVerify: never,
    onReset: () => undefined,
    onClosed: () => undefined,
  };
}

async function setup(options: Partial<SmtpListenerOptions> = {}) {
  const path = join(scratchFolder('unix'), 's');
  const seen: string[] = [];
  const listener = SmtpListener.on(
    await ServerSocket.bind({ path, mode: 0o600 }),
    {
      hostname: 'mx.example.com',
      log: silentLog,
      tls: undefined,
      maxSizeOctets: 1e6,
      maxRecipients: 100,
      maxConnections: 3,
      maxConnectionsPerPeer: 1,
      idleMs: 300_000,
      deadlines: new Deadlines(),
      ...options,
    },
    (connection) => {
      seen.push(connection.remoteAddress);
      return handler(connection);
    },
  );
  open.push(listener);
  const dial = (): Socket => {
    const socket = connect(path).on('error', () => undefined);
    sockets.push(socket);
    return socket;
  };
  return { listener, seen, path, dial };
}

async function heard(socket: Socket, ending: RegExp): Promise<string> {
  let text = '';
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    text += String(chunk);
    if (ending.test(text)) break;
  }
  return text;
}

async function ehlo(socket: Socket, verb = 'EHLO'): Promise<string> {
  await heard(socket, /\r\n$/);
  socket.write(`${verb} client.test\r\n`);
  return await heard(socket, /^250 .*\r\n$/m);
}

test('its peer is `unix`; only the number of all is capped', async () => {
  const { listener, seen, path, dial } = await setup();
  for (let i = 0; i < 3; i++) assert.match(await ehlo(dial()), /^250-mx\.example\.com/);
  assert.deepEqual(seen, ['unix', 'unix', 'unix']);
  assert.match(await heard(dial(), /\r\n$/), /^421 /);
  assert.deepEqual([listener.connections, listener.refused], [3, 1]);
  assert.deepEqual([listener.place, listener.port], [{ path }, 0]);
});

test('a client may go before anything is said', async () => {
  const { seen, dial } = await setup();
  dial().destroy();
  assert.match(await ehlo(dial()), /^250-/);
  assert.equal(seen.at(-1), 'unix');
});

test('XCLIENT and XFORWARD are for who is named `unix`, and for no network', async () => {
  const named = await setup({ xclientFrom: ['unix'], xforwardFrom: ['unix', '10.0.0.0/8'] });
  assert.match(await ehlo(named.dial()), /XCLIENT NAME .*XFORWARD NAME /s);
  const others = await setup({ xclientFrom: ['127.0.0.0/8', '::1'], xforwardFrom: ['10.0.0.0/8'] });
  assert.doesNotMatch(await ehlo(others.dial()), /XCLIENT|XFORWARD/);
});

test('nobody says by PROXY or XCLIENT that he is `unix`', async () => {
  const { dial } = await setup({ xclientFrom: ['unix'] });
  const socket = dial();
  await ehlo(socket);
  socket.write('XCLIENT ADDR=unix\r\n');
  assert.match(await heard(socket, /\r\n$/), /^501 /);
});

test('a proxy on it is `unix`, its clients are themselves, and are counted', async () => {
  const { seen, dial } = await setup({ proxyFrom: ['unix'] });
  const from = async (header: string): Promise<string> => {
    const socket = dial();
    socket.write(header);
    return await heard(socket, /\r\n$/);
  };
  assert.match(await from('PROXY TCP4 192.0.2.1 198.51.100.1 56324 25\r\n'), /^220 /);
  assert.match(await from('PROXY TCP4 192.0.2.1 198.51.100.1 56325 25\r\n'), /^421 /);
  // No address: the proxy's own, and it has none either.
  assert.match(await from('PROXY UNKNOWN\r\n'), /^220 /);
  assert.deepEqual(seen, ['192.0.2.1', 'unix']);
  const stranger = await setup({ proxyFrom: ['127.0.0.1'] });
  const socket = stranger.dial();
  await once(socket.resume(), 'close');
  assert.deepEqual([socket.bytesRead, stranger.seen], [0, []]);
});

test('STARTTLS and LMTP are as elsewhere', async () => {
  const tls = { cert: Buffer.from(SINK_CERT), key: Buffer.from(SINK_KEY) };
  const { dial } = await setup({ tls, protocol: 'lmtp' });
  const plain = dial();
  assert.match(await ehlo(plain, 'LHLO'), /STARTTLS/);
  plain.write('STARTTLS\r\n');
  assert.match(await heard(plain, /\r\n$/), /^220 /);
  const secured = connectTls({ socket: plain, rejectUnauthorized: false });
  sockets.push(secured);
  secured.write('LHLO client.test\r\n');
  assert.match(await heard(secured, /^250 .*\r\n$/m), /^250-mx\.example\.com/);
});
