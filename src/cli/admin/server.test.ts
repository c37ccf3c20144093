import assert from 'node:assert/strict';
import { existsSync, linkSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { onTestFinished, test } from 'vitest';
import { scratchFolder } from '../../../test/support/scratch.ts';
import { silentLog } from '../../base/index.ts';
import type { QueueAdmin, QueueOrder } from '../../gateway/index.ts';
import { AdminClient } from './client.ts';
import { AdminHandler } from './handler.ts';
import { findPlace } from './place.ts';
import { AdminServer, type AdminServerOptions } from './server.ts';

const COUNTERS = { accepted: 0, delivered: 0, reported: 0, excepted: 0, removed: 0, queued: 0, held: 0 };
const LARGE = Buffer.alloc(3_000_000, 'line after line\r\n');

/** A queue with one message, `m`, and one that breaks off, `broken`. */
class ScriptedQueue implements QueueAdmin {
  readonly orders: QueueOrder[] = [];
  gate: Promise<void> = Promise.resolve();

  list: QueueAdmin['list'] = async () => ({ entries: [], after: undefined });
  show: QueueAdmin['show'] = async (id) =>
    id === 'm' ? { missing: 'ambiguous', some: ['m.1', 'm.2'] } : { missing: 'unknown' };
  message: QueueAdmin['message'] = async (id) =>
    id === 'm' || id === 'broken'
      ? { found: { octets: LARGE.length, chunks: chunks(id === 'broken') } }
      : { missing: 'unknown' };
  counters: QueueAdmin['counters'] = async () => COUNTERS;
  act: QueueAdmin['act'] = async (order) => {
    this.orders.push(order);
    await this.gate;
    return { found: { done: 1, refused: 0, entries: [] } };
  };
}

async function* chunks(isBroken: boolean): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < LARGE.length; at += 100_000) {
    if (isBroken && at > LARGE.length / 2) throw new Error('what is read is not what was written');
    yield LARGE.subarray(at, at + 100_000);
  }
}

async function open(more: Partial<AdminServerOptions> = {}, queue = new ScriptedQueue()) {
  const dataDir = more.dataDir ?? scratchFolder('admin');
  const recent = { list: () => [], find: () => undefined };
  const handler = new AdminHandler({ queue, recent, log: silentLog });
  const server = await AdminServer.open({ dataDir, handler, log: silentLog, ...more });
  onTestFinished(() => server.close());
  return { server, queue, dataDir };
}

function talk(path: string): { readonly socket: Socket; readonly heard: Promise<string> } {
  const socket = connect({ path, allowHalfOpen: true });
  const heard = new Promise<string>((resolve) => {
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => undefined).on('close', () => resolve(text));
    socket.on('end', () => socket.end());
  });
  return { socket, heard };
}

/** Of this process: both ends of each connection. */
const openFiles = (): number => readdirSync('/proc/self/fd').length;

const connected = async (dataDir: string): Promise<AdminClient> => {
  const client = await AdminClient.connect(dataDir);
  onTestFinished(() => client.close());
  return client;
};

test('nobody but the owner reaches the socket, and it goes with the server', async () => {
  const { server, dataDir } = await open();
  assert.equal(statSync(server.path).mode & 0o777, 0o600);
  const umask = process.umask();
  process.umask(umask);
  assert.notEqual(umask, 0o177);
  await server.close();
  assert.equal(existsSync(server.path), false);
  await assert.rejects(AdminClient.connect(dataDir), /no gateway is running on/);
});

test('requests on one connection are answered in their order, errors among them', async () => {
  const { dataDir, queue } = await open();
  const client = await connected(dataDir);
  assert.deepEqual(await client.ask({ do: 'counters' }), COUNTERS);
  await assert.rejects(client.ask({ do: 'show', id: 'm' }), /m begins more than one id: m\.1, m\.2/);
  await assert.rejects(client.ask({ do: 'show', id: 'x' }), /x is neither in the queue nor in quarantine/);
  const order = { act: 'remove', id: 'a#1', only: 'held' } as const;
  assert.deepEqual(await client.ask({ do: 'act', order }), { done: 1, refused: 0, entries: [] });
  assert.deepEqual(queue.orders, [order]);
});

test('a message comes exactly, and the connection goes on behind it', async () => {
  const { dataDir } = await open();
  const client = await connected(dataDir);
  const octets: Buffer[] = [];
  for await (const chunk of client.message('m')) octets.push(Buffer.from(chunk));
  assert.ok(Buffer.concat(octets).equals(LARGE));
  assert.deepEqual(await client.ask({ do: 'counters' }), COUNTERS);
});

test('a message that breaks off is a failure, not a shorter message', async () => {
  const { dataDir } = await open();
  const client = await connected(dataDir);
  await assert.rejects(async () => {
    for await (const _ of client.message('broken'));
  }, /before the answer was whole/);
});

test('several clients at a time; one too many is told so', async () => {
  const { dataDir, server } = await open({ maxClients: 2 });
  const clients = [await connected(dataDir), await connected(dataDir)];
  // Both are being served when they have been answered.
  for (const client of clients) assert.deepEqual(await client.ask({ do: 'counters' }), COUNTERS);
  assert.match(await talk(server.path).heard, /"code":"busy"/);
});

test('nonsense is answered, and the connection ended', async () => {
  const { server } = await open();
  for (const [said, answer] of [
    ['GET / HTTP/1.1\r\n', 'bad-request'],
    ['[]\n', 'bad-request'],
    ['{"do":"counters"}\n', 'version'],
    ['{"v":1,"do":"nosuch"}\n', 'bad-request'],
    ['{"v":1,"do":"show"}\n', 'bad-request'],
    ['{"v":1,"do":"list","filter":{"state":"x"},"limit":1}\n', 'bad-request'],
    ['{"v":1,"do":"list","filter":{},"limit":1e99}\n', 'bad-request'],
    ['{"v":1,"do":"list","filter":{},"limit":1,"after":{"seq":-1,"n":0}}\n', 'bad-request'],
    ['{"v":1,"do":"act","order":{"act":"remove"}}\n', 'bad-request'],
    ['{"v":1,"do":"act","order":{"act":"remove","destination":"x"}}\n', 'bad-request'],
    ['{"v":1,"do":"act","order":{"act":"constructor","id":"x"}}\n', 'bad-request'],
    [Buffer.alloc(10_000_000, 'x'), 'too-long'],
  ] as const) {
    const { socket, heard } = talk(server.path);
    socket.write(said);
    assert.match(await heard, new RegExp(`^\\{"v":1,"error":\\{"code":"${answer}"`), String(said).slice(0, 80));
  }
});

test('who says too much is heard to his end, within bounds, and finds the answer', async () => {
  const { server } = await open();
  const { socket, heard } = talk(server.path);
  await new Promise<void>((resolve, reject) => {
    socket.write(Buffer.alloc(10_000_000, 'x'), (error) => (error ? reject(error) : resolve()));
  });
  assert.match(await heard, /"code":"too-long"/);
});

test('a crowd that is sent away is not waited for', async () => {
  const { server, dataDir } = await open({ maxClients: 1 });
  const client = await connected(dataDir);
  assert.deepEqual(await client.ask({ do: 'counters' }), COUNTERS);
  const before = openFiles();
  const crowd = Array.from({ length: 100 }, () => connect({ path: server.path, allowHalfOpen: true }));
  onTestFinished(() => {
    for (const socket of crowd) socket.destroy();
  });
  // None of them hangs up when it has heard its answer.
  await Promise.all(crowd.map((socket) => new Promise((resolve) => socket.once('data', resolve))));
  await new Promise((resolve) => setImmediate(resolve));
  assert.ok(openFiles() - before < 100 + 10, `${openFiles() - before} files are open for 100 clients`);
});

test('who never ends is cut off', async () => {
  const { server } = await open({ patienceMs: 50 });
  const { socket, heard } = talk(server.path);
  const more = (): void => {
    socket.write(Buffer.alloc(100_000, 'x'), (error) => error ?? more());
  };
  more();
  assert.match(await heard, /"code":"too-long"/);
});

test('half a request, and none, are not waited for', async () => {
  const { server } = await open({ patienceMs: 50 });
  const half = talk(server.path);
  half.socket.write('{"v":1,');
  const silent = talk(server.path);
  assert.deepEqual(await Promise.all([half.heard, silent.heard]), ['', '']);
});

test('half a request and an end: no answer', async () => {
  const { server } = await open();
  const { socket, heard } = talk(server.path);
  socket.end('{"v":1,"do":"counters"}');
  assert.equal(await heard, '');
});

test('a whole request and an end: the answer comes', async () => {
  const { server } = await open();
  const { socket, heard } = talk(server.path);
  socket.end('{"v":1,"do":"counters"}\n');
  assert.equal(await heard, `${JSON.stringify({ v: 1, ok: COUNTERS })}\n`);
});

test('a client that does not read is cut off, and others are served meanwhile', async () => {
  let tellLost = (): void => undefined;
  const lost = new Promise<void>((resolve) => {
    tellLost = resolve;
  });
  const { server, dataDir } = await open({ patienceMs: 300, log: { ...silentLog, debug: () => tellLost() } });
  const stalled = connect(server.path);
  onTestFinished(() => {
    stalled.destroy();
  });
  let octets = 0;
  const ended = new Promise((resolve) => stalled.on('error', () => undefined).on('close', resolve));
  stalled.write('{"v":1,"do":"message","id":"m"}\n');
  assert.deepEqual(await (await connected(dataDir)).ask({ do: 'counters' }), COUNTERS);
  await lost;
  stalled.on('data', (chunk) => {
    octets += chunk.length;
  });
  await ended;
  assert.ok(octets < LARGE.length, 'what its buffers held');
});

test('a close waits for what is being done, and answers nobody any more', async () => {
  const { server, queue } = await open();
  let go = (): void => undefined;
  queue.gate = new Promise((resolve) => {
    go = resolve;
  });
  const { socket, heard } = talk(server.path);
  socket.write('{"v":1,"do":"act","order":{"act":"retry"}}\n');
  while (queue.orders.length === 0) await new Promise(setImmediate);
  let isClosed = false;
  const closing = server.close().then(() => {
    isClosed = true;
  });
  assert.equal(await heard, '');
  assert.equal(isClosed, false);
  go();
  await closing;
});

test('a socket nobody answers on is replaced; one that answers is not', async () => {
  const dataDir = scratchFolder('admin');
  const { server } = await open({ dataDir });
  await assert.rejects(open({ dataDir }), /another gateway answers at .*admin\.sock: stop it first/);
  assert.deepEqual(await (await connected(dataDir)).ask({ do: 'counters' }), COUNTERS);
  await server.close();
  // What a killed process leaves: a socket file without a listener.
  await leaveSocket(server.path);
  await open({ dataDir });
  assert.deepEqual(await (await connected(dataDir)).ask({ do: 'counters' }), COUNTERS);
});

test('a path too long for a socket: a private directory, and a note that leads there', async () => {
  const dataDir = join(scratchFolder('admin'), 'x'.repeat(100));
  mkdirSync(dataDir, { mode: 0o700 });
  const first = await open({ dataDir });
  assert.equal(findPlace(dataDir), first.server.path);
  assert.ok(first.server.path.length < 107);
  assert.equal(statSync(dirname(first.server.path)).mode & 0o777, 0o700);
  assert.equal(readFileSync(join(dataDir, 'admin.sock.path'), 'utf8'), `${first.server.path}\n`);
  assert.deepEqual(await (await connected(dataDir)).ask({ do: 'counters' }), COUNTERS);
  await first.server.close();
  assert.equal(existsSync(dirname(first.server.path)), false);
  assert.equal(findPlace(dataDir), undefined);
});

/** Made by a server whose file is put back after it went. */
async function leaveSocket(path: string): Promise<void> {
  const other = `${path}.2`;
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(other, resolve));
  linkSync(other, path);
  await new Promise((resolve) => server.close(resolve));
  rmSync(other, { force: true });
}
