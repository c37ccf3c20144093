/** One connection on a stream of the test's own: what is read, written and held back when. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { createSecureContext } from 'node:tls';
import { test } from 'vitest';
import { YesHandler } from '../../../test/support/yes-handler.ts';
import { Deadlines, silentLog } from '../../base/index.ts';
import { makeServerOptions, replies, type ServerHandler, SmtpConnection, type Ticket } from '../index.ts';
import { connectionLimits } from '../limits.ts';
import type { ConnectionOwner } from './connection.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function ownerWith(own: Partial<ConnectionOwner> = {}): ConnectionOwner {
  return {
    options: makeServerOptions({ hostname: 'mx.example.com' }),
    secureContext: undefined,
    idleMs: 1000,
    deadlines: new Deadlines(),
    log: silentLog,
    replies: [],
    flushLater: (one) => setImmediate(() => one.flush()),
    onClosed: () => undefined,
    ...own,
  };
}

function connectionOn(
  socket: Duplex,
  owner: ConnectionOwner,
  makeHandler: (one: SmtpConnection) => ServerHandler = (one) => new YesHandler(one),
): SmtpConnection {
  const connection = new SmtpConnection(socket as unknown as Socket, owner, makeHandler);
  connection.greet();
  return connection;
}

test('the replies to a read leave when the turn of the event loop ends, those to an earlier read at once', async () => {
  const written: string[] = [];
  const due: SmtpConnection[] = [];
  const socket = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _encoding, done: () => void) => {
      written.push(chunk.toString('latin1'));
      done();
    },
  });
  const connection = connectionOn(socket, ownerWith({ flushLater: (one) => due.push(one) }));
  written.length = 0;
  socket.push('HELO a\r\nNOOP\r\n');
  await turn();
  assert.deepEqual(written, []);
  assert.deepEqual(due, [connection]);
  due[0]?.flush();
  assert.deepEqual(written, ['250 mx.example.com\r\n250 2.0.0 OK\r\n']);

  socket.push('NOOP\r\n');
  await turn();
  socket.push('VRFY\r\n');
  await turn();
  assert.equal(due.length, 2, 'asked for once');
  assert.match(written[1] ?? '', /^250 2\.0\.0 OK\r\n5/, 'both, as the second read met the replies to the first');
});

test('a peer that takes no replies makes no more of them', async () => {
  const deadlines = new Deadlines();
  let taken: () => void = () => undefined;
  const socket = new Duplex({
    writableHighWaterMark: 1000,
    read: () => undefined,
    write: (_chunk, _encoding, done: () => void) => {
      taken = done;
    },
  });
  const connection = connectionOn(socket, ownerWith({ deadlines }));
  const said = async (octets: string): Promise<boolean> => {
    socket.push(octets);
    await turn();
    return socket.isPaused();
  };
  assert.equal(await said('NOOP\r\n'.repeat(10)), false);
  assert.equal(await said('NOOP\r\n'.repeat(70)), true);
  const { steps } = connection.session;
  await said('NOOP\r\n');
  assert.equal(connection.session.steps, steps);
  while (socket.writableLength > 0) {
    taken();
    await turn();
  }
  while (connection.session.steps === steps) await turn();
  // A deadline runs all the same.
  deadlines.tick(2000);
  assert.equal(connection.session.waitsFor, 'nothing');
  deadlines.tick(10_000);
  assert.equal(socket.destroyed, true);
});

test('behind STARTTLS nothing is read in the clear, though reading was held back before', async () => {
  const socket = new Duplex({ read: () => undefined, write: () => undefined });
  const owner = ownerWith({
    options: makeServerOptions({ hostname: 'mx.example.com', tls: 'offered' }),
    secureContext: createSecureContext(),
  });
  let greeted: Ticket = 0;
  const connection = connectionOn(socket, owner, (one) => {
    const handler = new YesHandler(one);
    handler.onHello = (_verb, _name, ticket) => {
      greeted = ticket;
    };
    return handler;
  });
  socket.push(`EHLO a\r\n${`NOOP ${'x'.repeat(400)}\r\n`.repeat(30)}STARTTLS\r\n`);
  await turn();
  assert.equal(socket.isPaused(), true, 'so much is not held');
  connection.answerHello(greeted);
  assert.equal(connection.session.waitsFor, 'tls');
  assert.equal(socket.isPaused(), true);
  socket.destroy();
});

test('content held back for one mail is not held back for the next, which its answer brings at once', async () => {
  const socket = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done: () => void) => done() });
  const ended: Ticket[] = [];
  const connection = connectionOn(socket, ownerWith(), (one) => {
    const handler = new YesHandler(one);
    handler.onPiece = () => one.pauseContent();
    handler.onEnd = (ticket) => ended.push(ticket);
    return handler;
  });
  const envelope = 'MAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\n';
  socket.push(`EHLO a\r\n${envelope}BDAT 6 LAST\r\nabcd\r\n${envelope}BDAT 6 LAST\r\n`);
  await turn();
  assert.equal(ended.length, 1);
  connection.answer(ended[0] ?? 0, replies.accepted);
  await turn();
  assert.equal(connection.session.waitsFor, 'content');
  assert.equal(socket.isPaused(), false);
  socket.push('abcd\r\n');
  await turn();
  assert.equal(ended.length, 2);
});

/** A handler that leaves EHLO to the test. */
function slowToGreet(): { make: (one: SmtpConnection) => ServerHandler; asked: Ticket[] } {
  const asked: Ticket[] = [];
  const make = (one: SmtpConnection): ServerHandler => {
    const handler = new YesHandler(one);
    handler.onHello = (_verb, _name, ticket) => asked.push(ticket);
    return handler;
  };
  return { make, asked };
}

test('a client that closes its side while an answer is due, and takes nothing of ours, is not kept for ever', async () => {
  const deadlines = new Deadlines();
  const socket = new Duplex({ read: () => undefined, write: () => undefined });
  const connection = connectionOn(socket, ownerWith({ deadlines }), slowToGreet().make);
  socket.push('EHLO a\r\n');
  await turn();
  await turn();
  assert.equal(connection.session.waitsFor, 'handler');
  socket.push(null);
  await turn();
  await turn();
  assert.equal(socket.destroyed, false);
  deadlines.tick(10_000);
  assert.equal(socket.destroyed, true);
});

test('a connection that is gone is armed no more, whatever is answered to it', async () => {
  const deadlines = new Deadlines();
  const greeting = slowToGreet();
  const socket = new Duplex({ read: () => undefined, write: (_chunk, _encoding, done: () => void) => done() });
  const connection = connectionOn(socket, ownerWith({ deadlines }), greeting.make);
  socket.push('EHLO a\r\n');
  await turn();
  await turn();
  socket.destroy();
  await turn();
  deadlines.tick(3_600_000); // takes out what nobody waits for
  assert.equal(deadlines.size, 0);
  connection.answerHello(greeting.asked[0] ?? 0);
  await turn();
  assert.equal(deadlines.size, 0);
});

test('a peer that takes no replies, and sends no content, has no more time for it than one that does', async () => {
  const deadlines = new Deadlines();
  const socket = new Duplex({ writableHighWaterMark: 100, read: () => undefined, write: () => undefined });
  const connection = connectionOn(socket, ownerWith({ deadlines }));
  socket.push('EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b.example>\r\nDATA\r\n');
  await turn();
  await turn();
  assert.equal(connection.session.waitsFor, 'content');
  assert.equal(socket.isPaused(), true);
  deadlines.tick(connectionLimits.rateWindowMs + 1);
  assert.equal(connection.session.waitsFor, 'nothing');
  deadlines.tick(2 * connectionLimits.rateWindowMs);
  assert.equal(socket.destroyed, true);
});
