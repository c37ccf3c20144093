import assert from 'node:assert/strict';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import { onTestFinished, test, vi } from 'vitest';
import { READ_OCTETS, readShared } from './index.ts';

/** A server that answers each read with the octets in upper case, read as `read` says; and what it heard. */
async function echo(read: (accepted: Socket, answer: (octets: Buffer) => void) => void) {
  const server = createServer({ pauseOnConnect: true, allowHalfOpen: true }, (accepted) => {
    read(accepted, (octets) => accepted.write(octets.toString('latin1').toUpperCase(), 'latin1'));
    accepted.on('end', () => accepted.end('END'));
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const ask = (text: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const client = connect((server.address() as AddressInfo).port, '127.0.0.1', () => client.end(text));
      let heard = '';
      client.on('data', (octets) => {
        heard += octets.toString('latin1');
      });
      client.on('error', reject);
      client.on('close', () => resolve(heard));
    });
  const close = () => new Promise<unknown>((resolve) => server.close(resolve));
  onTestFinished(() => void server.close());
  return { ask, close };
}

test('accepted sockets are read into the one buffer; half-open ends and the close of the server are as before', async () => {
  const buffer = Buffer.alloc(READ_OCTETS);
  const seen = new Set<ArrayBufferLike>();
  const { ask, close } = await echo((accepted, answer) =>
    readShared(accepted, buffer, (octets) => {
      seen.add(octets.buffer);
      answer(octets);
    }),
  );
  assert.deepEqual(await Promise.all([ask('one'), ask('two')]), ['ONEEND', 'TWOEND']);
  assert.deepEqual([...seen], [buffer.buffer]);
  assert.equal(await close(), undefined);
});

test('where Node does not show its handle, the accepted socket is read as it is', async () => {
  const hidden = (accepted: Socket): Socket =>
    new Proxy(accepted, {
      get(target, name) {
        if (name === '_handle') return undefined;
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  const buffer = Buffer.alloc(READ_OCTETS);
  const { ask, close } = await echo((accepted, answer) => readShared(hidden(accepted), buffer, answer));
  assert.equal(await ask('one'), 'ONEEND');
  assert.ok(buffer.equals(Buffer.alloc(READ_OCTETS)));
  assert.equal(await close(), undefined);
});

test('what is no socket of the system does not decide how those are read that come behind it', async () => {
  vi.resetModules();
  const fresh = await import('./shared-reads.ts');
  fresh.readShared(new PassThrough() as unknown as Socket, Buffer.alloc(1), () => undefined);
  const buffer = Buffer.alloc(READ_OCTETS);
  const { ask, close } = await echo((accepted, answer) => fresh.readShared(accepted, buffer, answer));
  assert.equal(await ask('one'), 'ONEEND');
  assert.equal(buffer.toString('latin1', 0, 3), 'one');
  assert.equal(await close(), undefined);
});
