import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { onTestFinished, test } from 'vitest';
import { ServerSocket } from './server-socket.ts';

async function bind(): Promise<{ socket: ServerSocket; client: () => Promise<Socket> }> {
  const socket = await ServerSocket.bind({ host: '127.0.0.1', port: 0 });
  const clients: Socket[] = [];
  onTestFinished(async () => {
    for (const one of clients) one.destroy();
    await socket.close();
  });
  const client = async (): Promise<Socket> => {
    const one = connect(portOf(socket), '127.0.0.1').on('error', () => undefined);
    clients.push(one);
    await once(one, 'connect');
    return one;
  };
  return { socket, client };
}

function portOf({ place }: ServerSocket): number {
  return place !== undefined && 'port' in place ? place.port : assert.fail();
}

test('who connects before anybody serves waits, and what it sent is not lost', async () => {
  const { socket, client } = await bind();
  const early = await client();
  early.write('EHLO early\r\n');
  const served = new Promise<string>((resolve) => {
    socket.serve(
      (one) => {
        one.once('data', (octets: Buffer) => resolve(octets.toString())).resume();
        one.once('end', () => one.end());
      },
      () => undefined,
    );
  });
  assert.equal(await served, 'EHLO early\r\n');
});

test('who waits when nobody is going to serve is let go', async () => {
  const { socket, client } = await bind();
  const early = await client();
  early.resume();
  await Promise.all([socket.close(), once(early, 'close')]);
  assert.equal(socket.place, undefined);
});

test('a place that is taken is an error that says which', async () => {
  const { socket } = await bind();
  const port = portOf(socket);
  await assert.rejects(ServerSocket.bind({ host: '127.0.0.1', port }), { code: 'EADDRINUSE', port });
});
