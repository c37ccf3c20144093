import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { NextHopWriter, type WritableSocket } from './next-hop-writer.ts';

/** Counts the system calls a socket would make: one for each write, one for everything between cork and uncork. */
class FakeSocket implements WritableSocket {
  destroyed = false;
  readonly calls: Buffer[] = [];
  /** What was given, as it was given. */
  readonly given: Uint8Array[] = [];
  /** The system takes nothing before `take`: until then what was written is the socket's, and may not change. */
  isSlow = false;
  #corked: Buffer[] | undefined;
  #done: (() => void)[] = [];
  #held: Uint8Array[] = [];
  #heldAs: Buffer[] = [];

  get writableLength(): number {
    return this.#held.reduce((sum, octets) => sum + octets.length, 0);
  }

  write(chunk: string | Uint8Array, second?: 'latin1' | (() => void)): boolean {
    const octets = typeof chunk === 'string' ? Buffer.from(chunk, 'latin1') : Buffer.from(chunk);
    if (this.isSlow && typeof chunk !== 'string') {
      this.#held.push(chunk);
      this.#heldAs.push(octets);
    }
    if (typeof chunk !== 'string') this.given.push(chunk);
    if (typeof second === 'function') this.#done.push(second);
    if (this.#corked === undefined) this.calls.push(octets);
    else this.#corked.push(octets);
    return true;
  }
  cork(): void {
    this.#corked = [];
  }
  uncork(): void {
    this.calls.push(Buffer.concat(this.#corked ?? []));
    this.#corked = undefined;
  }
  /** The system took what was written. */
  take(): void {
    assert.deepEqual(
      this.#held.map((chunk) => Buffer.from(chunk)),
      this.#heldAs,
    );
    this.#held = [];
    this.#heldAs = [];
    const done = this.#done;
    this.#done = [];
    for (const call of done) call();
  }
}

function make(room = 256 * 1024) {
  const socket = new FakeSocket();
  const events: string[] = [];
  const writer = new NextHopWriter(socket, room, {
    onFault: (error) => {
      throw error;
    },
    onWriting: (octets) => events.push(`writing ${octets}`),
    onWritten: () => events.push('written'),
    onRoom: () => events.push('room'),
  });
  return { socket, events, writer };
}
const turn = () => new Promise(setImmediate);
const KIB = 1024;

test('what is given in one turn leaves in one call, in order', async () => {
  const { socket, writer, events } = make();
  writer.commands('MAIL\r\n');
  writer.commands('RCPT\r\n');
  await turn();
  writer.content([Buffer.from('a'), Buffer.from('b')], 2);
  writer.content([Buffer.from('c')], 1);
  await turn();
  assert.deepEqual(socket.calls.map(String), ['MAIL\r\nRCPT\r\n', 'abc']);
  writer.commands('RSET\r\n');
  await turn();
  assert.equal(socket.calls.length, 2, 'one write at a time once content is under way');
  socket.take();
  assert.deepEqual(socket.calls.map(String), ['MAIL\r\nRCPT\r\n', 'abc', 'RSET\r\n']);
  socket.take();
  assert.deepEqual(events, ['writing 3', 'writing 6', 'written']);
});

test('commands before content of the same turn leave with it', async () => {
  const { socket, writer } = make();
  writer.commands('BDAT 1\r\n');
  writer.content([Buffer.from('x')], 1);
  await turn();
  assert.deepEqual(socket.calls.map(String), ['BDAT 1\r\nx']);
});

test('much content goes batch by batch, and only what was taken makes room', async () => {
  const { socket, writer, events } = make(300 * KIB);
  writer.content([Buffer.alloc(600 * KIB, 'x'), Buffer.alloc(10, 'y')], 600 * KIB + 10);
  assert.equal(writer.hasRoom(), false);
  await turn();
  assert.deepEqual(
    socket.calls.map((call) => call.length),
    [256 * KIB],
  );
  assert.deepEqual(events, [`writing ${256 * KIB}`]);
  socket.take();
  assert.equal(socket.calls.length, 2);
  assert.equal(events.includes('written'), false, 'the end is told at the end');
  socket.take();
  socket.take();
  assert.deepEqual(
    socket.calls.map((call) => call.length),
    [256 * KIB, 256 * KIB, 88 * KIB + 10],
  );
  const batch = `writing ${256 * KIB}`;
  assert.deepEqual(events, [batch, batch, 'room', `writing ${88 * KIB + 10}`, 'written']);
  assert.equal(writer.hasRoom(), true);
});

test('large parts leave by reference, many small ones as one copy', async () => {
  const { socket, writer } = make();
  const large = [0, 1, 2].map((i) => new Uint8Array(200 * KIB).fill(i));
  writer.content(large, 600 * KIB);
  await turn();
  assert.equal(socket.calls.length, 1);
  assert.deepEqual(
    socket.given.map((part) => large.findIndex((one) => one.buffer === part.buffer)),
    [0, 1],
  );
  const many = make();
  const small = Array.from({ length: 600 }, () => new Uint8Array(KIB));
  many.writer.content(small, 600 * KIB);
  await turn();
  assert.deepEqual(
    many.socket.given.map((part) => part.length),
    [256 * KIB],
  );
});

test('nothing is written to a socket that is gone', async () => {
  const { socket, writer, events } = make();
  writer.content([Buffer.alloc(600 * KIB)], 600 * KIB);
  await turn();
  socket.destroyed = true;
  socket.take();
  writer.commands('QUIT\r\n');
  await turn();
  assert.equal(socket.calls.length, 1);
  assert.deepEqual(events, [`writing ${256 * KIB}`]);
});

test('whatever is given and however the system takes it, the octets are the same', async () => {
  const give = fc.record({
    size: fc.constantFrom(0, 1, 100, 64 * KIB, 255 * KIB, 700 * KIB),
    parts: fc.integer({ min: 1, max: 70 }),
    wait: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(give, { maxLength: 8 }), async (gives) => {
      const { socket, writer } = make();
      const all: Buffer[] = [];
      let n = 0;
      for (const { size, parts, wait } of gives) {
        const chunks = Array.from({ length: parts }, () => Buffer.alloc(Math.ceil(size / parts), ++n));
        all.push(...chunks);
        writer.content(
          chunks,
          chunks.reduce((sum, chunk) => sum + chunk.length, 0),
        );
        if (wait) {
          await turn();
          socket.take();
        }
      }
      await turn();
      while (writer.isBusy) socket.take();
      assert.equal(Buffer.concat(socket.calls).equals(Buffer.concat(all)), true);
      assert.ok(socket.calls.every((call) => call.length > 0 && call.length <= 256 * KIB));
    }),
    { numRuns: 60 },
  );
});

test('what a slow system has not taken stays as it was, whatever other hops are written', async () => {
  const slow = make();
  slow.socket.isSlow = true;
  const other = make();
  slow.writer.content([Buffer.from('first '), Buffer.from('mail')], 10);
  await turn();
  other.writer.content([Buffer.from('another'), Buffer.from(' one')], 11);
  await turn();
  slow.socket.take(); // compares
  assert.deepEqual([...slow.socket.calls, ...other.socket.calls].map(String), ['first mail', 'another one']);
});
