import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, readdirSync, statSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterEach, test } from 'vitest';
import { CLIENT, EXPIRED, SERVER, STRANGER } from '../../../test/support/ocp-certificates.ts';
import { scratchFolder } from '../../../test/support/scratch.ts';
import { Deadlines, type Log, silentLog } from '../../base/index.ts';
import {
  type CalloutEvents,
  type CalloutTransaction,
  type CalloutTransactionEvents,
  type ConnectionEnd,
  type ProcessorTransactionEvents,
  structure,
  type TransactionEnd,
} from '../index.ts';
import {
  type CalloutChannel,
  type CalloutListener,
  type ChannelOptions,
  type Endpoint,
  type ListenOptions,
  listenCallout,
  ProcessorChannel,
} from './index.ts';

const LOCAL = { kind: 'tcp', host: '127.0.0.1', port: 0 } as const;

/** Whatever a test leaves open. */
const open: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close();
});

/** Answers each original in upper case, piece by piece, as turns come. */
class Upper implements CalloutTransactionEvents {
  readonly #tx: CalloutTransaction;
  readonly #pieces: Buffer[] = [];
  #isOver = false;

  constructor(tx: CalloutTransaction) {
    this.#tx = tx;
  }

  onOriginalStart(): void {
    this.#tx.startMessage();
  }

  onData(): void {}

  onDataOctets(octets: Buffer): void {
    this.#pieces.push(Buffer.from(octets.toString('latin1').toUpperCase(), 'latin1'));
    this.#tx.requestTurn();
  }

  onDataEnd(): void {}

  onOriginalEnd(): void {
    this.#isOver = true;
    this.#tx.requestTurn();
  }

  onTurn(): void {
    const piece = this.#pieces.shift();
    if (piece !== undefined) {
      this.#tx.sendData('', [piece], piece.length);
      this.#tx.requestTurn();
    } else if (this.#isOver) {
      this.#tx.endMessage();
      this.#tx.end();
    }
  }

  onEnd(): void {}
}

function upperEvents(): CalloutEvents {
  return {
    onOffer: () => undefined,
    onTransaction: (tx) => new Upper(tx),
    onOutput: () => undefined,
    onEnd: () => undefined,
  };
}

async function listen(
  endpoint: Endpoint,
  options: ListenOptions = {},
  makeEvents: (channel: CalloutChannel) => CalloutEvents = upperEvents,
): Promise<CalloutListener> {
  const listener = await listenCallout(endpoint, makeEvents, options);
  open.push(() => listener.close(0));
  return listener;
}

interface Opened {
  readonly channel: ProcessorChannel;
  readonly ready: Promise<void>;
  readonly end: Promise<ConnectionEnd>;
}

function openChannel(endpoint: Endpoint, options: Partial<ChannelOptions> = {}): Opened {
  const ready = Promise.withResolvers<void>();
  const end = Promise.withResolvers<ConnectionEnd>();
  const channel = ProcessorChannel.open(
    endpoint,
    { offer: [], services: [structure(['http://svc.example/upper'])], kept: 'structure', ...options },
    { onSelected: () => undefined, onReady: () => ready.resolve(), onEnd: (e) => end.resolve(e) },
  );
  open.push(() => channel.close());
  return { channel, ready: ready.promise, end: end.promise };
}

/** One transaction over the channel: sends `original`, resolves with what came back. */
function adapt(
  channel: ProcessorChannel,
  original: Buffer,
  progress = { sent: 0 },
): Promise<{ adapted: Buffer; end: TransactionEnd }> {
  return new Promise((resolve, reject) => {
    const adapted: Buffer[] = [];
    const events: ProcessorTransactionEvents = {
      onAdaptedStart: () => undefined,
      onData: () => undefined,
      onDataOctets: (octets) => adapted.push(octets),
      onDataEnd: () => undefined,
      onUseYours: () => undefined,
      onDisposable: () => undefined,
      onAdaptedEnd: () => undefined,
      onTurn: () => {
        const piece = original.subarray(progress.sent, progress.sent + 65_536);
        progress.sent += piece.length;
        tx?.sendData('', [piece], piece.length);
        if (progress.sent < original.length) tx?.requestTurn();
        else tx?.endMessage();
      },
      onEnd: (end) => resolve({ adapted: Buffer.concat(adapted), end }),
    };
    const tx = channel.agent.startTransaction(events);
    if (tx === undefined) {
      reject(new Error('not ready'));
      return;
    }
    tx.startMessage();
    tx.requestTurn();
  });
}

async function assertAdapts(endpoint: Endpoint, options?: Partial<ChannelOptions>): Promise<void> {
  const { channel, ready } = openChannel(endpoint, options);
  await ready;
  const { adapted, end } = await adapt(channel, Buffer.alloc(1_500_000, 'abc'));
  assert.deepEqual(end, { by: 'peer', result: { code: 200, reason: '' } });
  assert.ok(adapted.equals(Buffer.alloc(1_500_000, 'ABC')));
}

/** A bare socket server, for peers that do not play by the rules. */
async function rawServer(onSocket: (socket: Socket) => void): Promise<Endpoint & { kind: 'tcp' }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    onSocket(socket);
  });
  open.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { kind: 'tcp', host: '127.0.0.1', port: (server.address() as AddressInfo).port };
}

/** Reads until `text` has come, and gives all of it. */
class Reader {
  #text = '';
  #waiting: { readonly text: string; readonly resolve: (all: string) => void } | undefined;

  constructor(socket: Socket) {
    socket.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString('latin1');
      this.#tell();
    });
  }

  until(text: string): Promise<string> {
    return new Promise((resolve) => {
      this.#waiting = { text, resolve };
      this.#tell();
    });
  }

  #tell(): void {
    if (this.#waiting === undefined || !this.#text.includes(this.#waiting.text)) return;
    this.#waiting.resolve(this.#text);
    this.#waiting = undefined;
  }
}

const portOf = (endpoint: Endpoint): number => (endpoint.kind === 'unix' ? 0 : endpoint.port);

async function rawClient(endpoint: Endpoint): Promise<Socket> {
  const to = endpoint.kind === 'unix' ? { path: endpoint.path } : { port: endpoint.port, host: '127.0.0.1' };
  const socket = connect({ ...to, allowHalfOpen: true });
  open.push(() => socket.destroy());
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  return socket;
}

const GREETING = 'CS;\r\nNO ();\r\nSGC 1 ();\r\n';

test('large and small mails over TCP', async () => {
  const { endpoint } = await listen(LOCAL);
  assert.notEqual(portOf(endpoint), 0);
  await assertAdapts(endpoint);
  const { channel, ready } = openChannel(endpoint);
  await ready;
  const mails = Array.from({ length: 200 }, (_, i) => adapt(channel, Buffer.from(`mail ${i}`)));
  for (const [i, { adapted }] of (await Promise.all(mails)).entries()) assert.equal(adapted.toString(), `MAIL ${i}`);
  assert.equal(channel.agent.liveTransactions, 0);
});

test('two processors and three servers, each with each, under load (REQ-224)', async () => {
  const connected = [0, 0, 0];
  const servers = await Promise.all(
    [0, 1, 2].map((server) =>
      listen(LOCAL, {}, () => {
        connected[server] = (connected[server] ?? 0) + 1;
        return upperEvents();
      }),
    ),
  );
  const processors = [1, 2].map((processor) =>
    servers.map(({ endpoint }) => ({ processor, ...openChannel(endpoint) })),
  );
  const links = processors.flat();
  await Promise.all(links.map(({ ready }) => ready));
  const all = links.flatMap(({ processor, channel }, link) =>
    Array.from({ length: 100 }, async (_, i) => {
      const text = `${i}th of ${processor} over ${link}: `;
      const { adapted, end } = await adapt(channel, Buffer.alloc(i % 10 === 0 ? 200_000 : 500, text));
      assert.equal(end.result.code, 200);
      assert.ok(adapted.toString().startsWith(text.toUpperCase()), text);
      assert.equal(adapted.length, i % 10 === 0 ? 200_000 : 500);
    }),
  );
  await Promise.all(all);
  assert.deepEqual(connected, [2, 2, 2]);
});

test('over a Unix socket that is ours alone; a file left behind is no obstacle, a live server is', async () => {
  const path = join(scratchFolder('ocp'), 's');
  const listener = await listen({ kind: 'unix', path });
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await assertAdapts({ kind: 'unix', path });
  await assert.rejects(listen({ kind: 'unix', path }), { code: 'EADDRINUSE' });
  await assertAdapts({ kind: 'unix', path });
  await listener.close(0);
  const stale = join(scratchFolder('ocp'), 't');
  const script = `require('net').createServer().listen(${JSON.stringify(stale)}, () => process.exit(0))`;
  spawnSync(process.execPath, ['-e', script]);
  assert.deepEqual(readdirSync(join(stale, '..')), ['t']);
  chmodSync(stale, 0o600);
  await listen({ kind: 'unix', path: stale });
  await assertAdapts({ kind: 'unix', path: stale });
});

test('a server knows the address of its processor; a socket file has none', async () => {
  const path = join(scratchFolder('ocp'), 's');
  const seen: string[] = [];
  for (const to of [LOCAL, { kind: 'unix', path } as const]) {
    const { endpoint } = await listen(to, {}, ({ remoteAddress }) => {
      seen.push(remoteAddress);
      return upperEvents();
    });
    await assertAdapts(endpoint);
  }
  assert.deepEqual(seen, ['127.0.0.1', '']);
});

test('over TLS 1.3 with a certificate at each end, and with no others', async () => {
  const listener = await listen({ ...LOCAL, kind: 'tls', tls: { ...SERVER, ca: CLIENT.cert } });
  const { endpoint } = listener;
  assert.ok(endpoint.kind === 'tls');
  const to = (tls: object): Endpoint => ({ ...endpoint, tls });
  await assertAdapts(to({ ...CLIENT, ca: SERVER.cert }));
  await assertAdapts(to({ ...CLIENT, ca: SERVER.cert, serverName: 'server.example' }));
  for (const tls of [
    { ...CLIENT, ca: STRANGER.cert },
    { ...CLIENT, ca: SERVER.cert, serverName: 'other.example' },
    { ...STRANGER, ca: SERVER.cert },
    { ca: SERVER.cert },
    { ...CLIENT },
  ]) {
    const { ready, end } = openChannel(to(tls));
    const outcome = await Promise.race([ready.then(() => 'ready'), end]);
    assert.ok(typeof outcome === 'object' && outcome.by === 'transport', JSON.stringify(outcome));
  }
  const old = connectTls({ ...CLIENT, ca: SERVER.cert, port: endpoint.port, host: '127.0.0.1', maxVersion: 'TLSv1.2' });
  open.push(() => old.destroy());
  await once(old, 'error');
});

test('a certificate that has expired is none, at either end', async () => {
  const servers = [
    await listen({ ...LOCAL, kind: 'tls', tls: { ...EXPIRED, ca: CLIENT.cert } }),
    await listen({ ...LOCAL, kind: 'tls', tls: { ...SERVER, ca: EXPIRED.cert } }),
  ];
  const clients = [
    { ...CLIENT, ca: EXPIRED.cert },
    { ...EXPIRED, ca: SERVER.cert },
  ];
  for (const [i, { endpoint }] of servers.entries()) {
    const { ready, end } = openChannel({ ...endpoint, tls: clients[i] } as Endpoint);
    const outcome = await Promise.race([ready.then(() => 'ready'), end]);
    assert.ok(typeof outcome === 'object' && outcome.by === 'transport', JSON.stringify(outcome));
    // Of a client's the server knows why, and closes.
    assert.match(outcome.result.reason, i === 0 ? /CERT_HAS_EXPIRED/ : /closed-by-peer|ECONNRESET|EPIPE|alert/);
  }
});

test('plaintext stays on this host, unless it is wanted', async () => {
  const { end } = openChannel({ kind: 'tcp', host: '192.0.2.1', port: 9 });
  assert.deepEqual(await end, { by: 'transport', result: { code: 400, reason: 'plaintext-to-other-host' } });
  await assert.rejects(listen({ kind: 'tcp', host: '0.0.0.0', port: 0 }), /plaintext/);
  await assert.rejects(listen({ ...LOCAL, kind: 'tls', tls: SERVER }), /certificate/);
  const { endpoint } = await listen({ kind: 'tcp', host: '0.0.0.0', port: 0 }, { insecure: true });
  await assertAdapts({ ...LOCAL, port: portOf(endpoint) }, { insecure: true });
});

test('nobody there is an end like any other', async () => {
  const listener = await listen(LOCAL);
  await listener.close(0);
  const { end, channel } = openChannel(listener.endpoint);
  assert.deepEqual(await end, { by: 'transport', result: { code: 400, reason: 'ECONNREFUSED' } });
  await channel.closed;
});

test('closing before the connection is up', async () => {
  const { endpoint } = await listen(LOCAL);
  const { channel, end } = openChannel(endpoint);
  channel.close();
  channel.close();
  assert.equal((await end).by, 'us');
  await channel.closed;
});

test('a server that goes without CE fails its transactions', async () => {
  const endpoint = await rawServer((socket) => {
    socket.write('CS;\r\nNR;\r\n');
    void new Reader(socket).until('AME 1').then(() => socket.destroy());
  });
  const { channel, ready, end } = openChannel(endpoint);
  await ready;
  const outcome = await adapt(channel, Buffer.from('x'));
  assert.equal(outcome.end.by, 'connection');
  assert.equal((await end).by, 'transport');
  await channel.closed;
});

test('CE, half-close, and a bounded wait for the other side', async () => {
  const deadlines = new Deadlines();
  const said = Promise.withResolvers<string>();
  const endpoint = await rawServer((socket) => {
    socket.write('CS;\r\nNR;\r\n');
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    socket.on('end', () => said.resolve(text)); // and the other half stays open
  });
  const { channel, ready } = openChannel(endpoint, { deadlines, timeouts: { closeMs: 2000 } });
  await ready;
  channel.close();
  assert.match(await said.promise, /CE;\r\n$/);
  let isClosed = false;
  void channel.closed.then(() => {
    isClosed = true;
  });
  deadlines.tick(1999);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(isClosed, false);
  deadlines.tick(2000);
  await channel.closed;
});

test('time: a handshake, an offer, a silent server', async () => {
  const deadlines = new Deadlines();
  const mute = await rawServer(() => undefined);
  const shaking = openChannel({ ...mute, kind: 'tls', tls: {} }, { deadlines });
  deadlines.tick(5000);
  assert.deepEqual(await shaking.end, { by: 'transport', result: { code: 400, reason: 'connect-timeout' } });

  const got = Promise.withResolvers<string>();
  const noAnswer = await rawServer((socket) => {
    const reader = new Reader(socket);
    void reader.until('NO ();').then(() => {
      deadlines.tick(60_000);
      void reader.until('CE').then(got.resolve);
    });
  });
  const { end } = openChannel(noAnswer, { deadlines });
  assert.deepEqual(await end, {
    by: 'us',
    result: { code: 400, reason: 'negotiation-timeout' },
    rule: 'negotiation-timeout',
  });
  assert.match(await got.promise, /CE \{400 negotiation-timeout\};\r\n$/);

  const wait = (ms: number) => deadlines.tick(deadlines.nowMs + ms);
  const silent = await rawServer((socket) => {
    const reader = new Reader(socket);
    socket.write('CS;\r\nNR;\r\n');
    void reader
      .until('AME 1;')
      .then(() => {
        wait(30_000); // it was heard since the last look
        wait(30_000);
        return reader.until('PQ;');
      })
      .then(() => wait(30_000));
  });
  const { channel, ready } = openChannel(silent, { deadlines });
  await ready;
  assert.deepEqual((await adapt(channel, Buffer.from('x'))).end, {
    by: 'connection',
    result: { code: 400, reason: 'silence' },
  });
});

test('a server that is gone without a word is found though nobody uses it (REQ-222)', async () => {
  const deadlines = new Deadlines();
  const endpoint = await rawServer((socket) => {
    socket.write('CS;\r\nNR;\r\n');
  });
  const { ready, end } = openChannel(endpoint, { deadlines });
  await ready;
  for (let n = 1; n <= 3; n++) deadlines.tick(n * 30_000);
  assert.deepEqual((await end).result, { code: 400, reason: 'silence' });
});

test('a server that does not read holds up the data, not the memory; when it reads, all goes on', async () => {
  const started = Promise.withResolvers<Socket>();
  const endpoint = await rawServer((socket) => {
    socket.pause();
    socket.write('CS;\r\nNR;\r\n');
    started.resolve(socket);
  });
  const { channel, ready } = openChannel(endpoint);
  await ready;
  const original = Buffer.alloc(64 * 1024 * 1024);
  const progress = { sent: 0 };
  const done = adapt(channel, original, progress);
  const peer = await started.promise;
  // Some turns of the event loop: far more than it takes to fill all buffers between the two.
  for (let i = 0; i < 500; i++) await new Promise((resolve) => setImmediate(resolve));
  // Kernels take some megabytes.
  assert.ok(progress.sent < original.length / 2, `${progress.sent} octets were taken`);
  const small = adapt(channel, Buffer.from('small'));
  assert.ok(channel.agent.outbox.pendingOctets < 400 * 1024, `${channel.agent.outbox.pendingOctets}`);
  let octets = 0;
  peer.on('data', (chunk: Buffer) => {
    octets += chunk.length;
    if (octets > original.length && chunk.subarray(-8).toString('latin1') === 'AME 1;\r\n') {
      peer.end('TE 2;\r\nTE 1;\r\nCE;\r\n');
    }
  });
  peer.resume();
  assert.equal((await small).end.by, 'peer');
  assert.equal((await done).end.by, 'peer');
});

test('a server that does not read for too long is given up', async () => {
  const deadlines = new Deadlines();
  const endpoint = await rawServer((socket) => {
    socket.pause();
    socket.write('CS;\r\nNR;\r\n');
  });
  const { channel, ready, end } = openChannel(endpoint, { deadlines, timeouts: { silenceMs: 1000 } });
  await ready;
  const done = adapt(channel, Buffer.alloc(64 * 1024 * 1024));
  for (let i = 0; i < 500; i++) await new Promise((resolve) => setImmediate(resolve));
  // The questions whether it lives cannot be answered either.
  for (let now = 500; now <= 4000; now += 500) deadlines.tick(now);
  const { result } = await end;
  assert.ok(result.reason === 'silence' || result.reason === 'peer-does-not-read', result.reason);
  assert.equal((await done).end.by, 'connection');
  deadlines.tick(60_000);
  await channel.closed;
});

test('a flood of queries is read no further while its answers are not read', async () => {
  // Kernels keep less on a Unix socket, so that it takes fewer queries to fill it.
  const { endpoint } = await listen({ kind: 'unix', path: join(scratchFolder('ocp'), 's') });
  const socket = await rawClient(endpoint);
  socket.pause();
  socket.write(GREETING);
  const batch = Buffer.from('PQ;\r\n'.repeat(20_000));
  let sent = 0;
  // The server answers as much as it reads; when it stops reading, the writes here are no longer taken.
  for (let idle = 0; idle < 50 && sent < 400; idle++) {
    while (socket.writableLength < 100_000 && sent < 400) {
      socket.write(batch);
      sent++;
      idle = 0;
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(socket.writableLength > 0, 'all was taken');
  socket.end('CE;\r\n');
  let answers = 0;
  socket.on('data', (chunk: Buffer) => {
    for (let at = chunk.indexOf(0x50); at >= 0; at = chunk.indexOf(0x50, at + 1)) answers++;
  });
  socket.resume();
  await once(socket, 'end');
  // CE ends everything, what was not taken yet included; far most of it was answered before.
  assert.ok(answers > sent * 5000, `${answers} answers to ${sent * 20_000}`);
});

test('closing the listener: transactions may finish, and do not for ever', async () => {
  const listener = await listen(LOCAL);
  const socket = await rawClient(listener.endpoint);
  const reader = new Reader(socket);
  socket.write(`${GREETING}TS 1 1;\r\nAMS 1;\r\n`);
  await reader.until('AMS 1;');
  const closed = listener.close(60_000);
  socket.write('TS 2 1;\r\n');
  await reader.until('TE 2 {400 too-many-transactions\r\nCause: overload\r\n};');
  socket.write('AME 1;\r\n');
  assert.match(await reader.until('CE'), /TE 1;\r\nCE;\r\n$/);
  socket.end();
  await closed;

  const other = await listen(LOCAL);
  const stuck = await rawClient(other.endpoint);
  const stuckReader = new Reader(stuck);
  stuck.write(`${GREETING}TS 1 1;\r\nAMS 1;\r\n`);
  await stuckReader.until('AMS 1;');
  const gone = other.close(1);
  await stuckReader.until('CE {400 shutting-down};');
  stuck.end();
  await gone;
});

test('connections beyond the limit learn why they are refused', async () => {
  const listener = await listen(LOCAL, { maxConnections: 1 });
  const first = await rawClient(listener.endpoint);
  await new Reader(first).until('CS;');
  const second = await rawClient(listener.endpoint);
  assert.equal(await new Reader(second).until('CE'), 'CS;\r\nCE {400 too-many-connections};\r\n');
  second.end();
  assert.equal(listener.connections >= 1, true);
});

test('a handler that throws ends its own connection only', async () => {
  const errors: string[] = [];
  const log: Log = { ...silentLog, error: (event, fields) => errors.push(`${event} ${String(fields?.['error'])}`) };
  const { endpoint } = await listen(LOCAL, { log }, () => ({
    ...upperEvents(),
    onTransaction: (tx) => {
      if (tx.xid === 1) throw new Error('a bug');
      return new Upper(tx);
    },
  }));
  const victim = await rawClient(endpoint);
  victim.write(`${GREETING}TS 1 1;\r\n`);
  await new Reader(victim).until('CE {400 internal-error};');
  const other = await rawClient(endpoint);
  other.write(`${GREETING}TS 2 1;\r\nAMS 2;\r\nAME 2;\r\n`);
  await new Reader(other).until('TE 2;');
  assert.deepEqual(errors, ['ocp.handler-failed Error: a bug']);
});

test('whatever was said in one turn leaves in one write', async () => {
  const { endpoint } = await listen(LOCAL);
  const { channel, ready } = openChannel(endpoint);
  await ready;
  const { outbox } = channel.agent;
  let takes = 0;
  const take = outbox.take.bind(outbox);
  outbox.take = () => {
    takes++;
    return take();
  };
  const mails = Array.from({ length: 50 }, (_, i) => adapt(channel, Buffer.from(`mail ${i}`)));
  assert.equal(takes, 0);
  await Promise.all(mails);
  assert.ok(takes < 10, `${takes} writes for 50 mails`);
});
