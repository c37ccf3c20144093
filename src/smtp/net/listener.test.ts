/** The listener with real sockets on loopback; time is ticked by the test. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, test } from 'vitest';
import { YesHandler } from '../../../test/support/yes-handler.ts';
import { Deadlines, type Log, silentLog } from '../../base/index.ts';
import { replies, reply, SmtpListener, type SmtpListenerOptions, type Ticket } from '../index.ts';

/** A client that waits for what it wants to hear. */
class Client {
  readonly socket: Socket;
  heard = '';
  isOver = false;
  #wake: () => void = () => undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.heard += chunk.toString('latin1');
      this.#wake();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.isOver = true;
      this.#wake();
    });
  }

  /** Sends, and waits until what was heard since ends so. */
  async say(octets: string, ending: RegExp): Promise<string> {
    this.heard = '';
    this.socket.write(octets, 'latin1');
    return await this.until(() => ending.test(this.heard), String(ending));
  }

  async until(isSo: () => boolean, what: string): Promise<string> {
    const giveUp = setTimeout(() => this.socket.destroy(new Error('waited too long')), 10_000);
    while (!isSo()) {
      if (this.isOver) throw new Error(`over before ${what}; heard ${JSON.stringify(this.heard)}`);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    clearTimeout(giveUp);
    return this.heard;
  }

  async closed(): Promise<string> {
    if (!this.isOver) await once(this.socket, 'close');
    return this.heard;
  }
}

const open: SmtpListener[] = [];
const clients: Client[] = [];
const dir = mkdtempSync(join(tmpdir(), 'opes-smtp-'));

afterEach(async () => {
  for (const client of clients.splice(0)) client.socket.destroy();
  for (const listener of open.splice(0)) await listener.close(0);
});

afterAll(() => rmSync(dir, { recursive: true }));

interface Setup {
  readonly listener: SmtpListener;
  readonly deadlines: Deadlines;
  readonly handlers: YesHandler[];
  readonly logged: string[];
  readonly client: () => Promise<Client>;
}

type TcpOptions = SmtpListenerOptions & { readonly host: string; readonly port: number };

async function setup(options: Partial<TcpOptions> = {}): Promise<Setup> {
  const deadlines = new Deadlines();
  const handlers: YesHandler[] = [];
  const logged: string[] = [];
  const log: Log = { ...silentLog, error: (event) => logged.push(event) };
  const all: TcpOptions = {
    hostname: 'mx.example.com',
    host: '127.0.0.1',
    port: 0,
    log,
    tls: undefined,
    maxSizeOctets: 64 * 1024 * 1024,
    maxRecipients: 100,
    maxConnections: 10,
    maxConnectionsPerPeer: 10,
    idleMs: 300_000,
    deadlines,
    ...options,
  };
  const listener = await SmtpListener.listen(all, (connection) => {
    const handler = new YesHandler(connection);
    handlers.push(handler);
    return handler;
  });
  open.push(listener);
  const client = async (): Promise<Client> => {
    const one = new Client(connect(listener.port, '127.0.0.1'));
    clients.push(one);
    await one.until(() => one.heard.endsWith('\r\n'), 'the greeting');
    return one;
  };
  return { listener, deadlines, handlers, logged, client };
}

/** Octets of a TLS certificate for tests, made anew. */
function makeKeys(): { readonly cert: Buffer; readonly key: Buffer } {
  const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
  const args = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=mx.example.com`;
  execFileSync('openssl', [...args.split(' '), '-keyout', key, '-out', cert], { stdio: 'ignore' });
  return { cert: readFileSync(cert), key: readFileSync(key) };
}

const ENVELOPE = 'MAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\n';

test('a mail through a socket, and what the handler knows of the peer', async () => {
  const { client, handlers } = await setup();
  const one = await client();
  assert.equal(one.heard, '220 mx.example.com ESMTP\r\n');
  await one.say('EHLO a\r\n', /^250 .*\r\n$/m);
  await one.say(`${ENVELOPE}DATA\r\n`, /354 .*\r\n$/);
  assert.equal(
    await one.say('Hi\r\n.\r\nQUIT\r\n', /221 .*\r\n$/),
    '250 2.0.0 OK, message accepted\r\n221 2.0.0 Goodbye\r\n',
  );
  await one.closed();
  const [handler] = handlers;
  assert.equal(String(Buffer.concat(handler?.content ?? [])), 'Hi\r\n');
  assert.equal(handler?.connection.remoteAddress, '127.0.0.1');
  assert.equal(handler.connection.isSecure, false);
  assert.deepEqual([handler.isClosed, handler.resets], [true, []]);
});

test('an answer outside of a read leaves too, and several of a turn leave together', async () => {
  const { client, handlers } = await setup();
  const one = await client();
  const [handler] = handlers;
  assert.ok(handler);
  const tickets: Ticket[] = [];
  handler.onRcpt = (_rcpt: unknown, ticket: Ticket): void => void tickets.push(ticket);
  await one.say(`HELO a\r\n${ENVELOPE}RCPT TO:<g@e.f>\r\n`, /250 2\.1\.0 OK\r\n$/);
  const chunks: string[] = [];
  one.socket.on('data', (chunk: Buffer) => chunks.push(String(chunk)));
  for (const ticket of tickets.reverse()) handler.connection.answer(ticket, replies.rcptOk);
  await one.until(() => one.heard.endsWith('2.1.5 OK\r\n250 2.1.5 OK\r\n'), 'both');
  assert.equal(chunks.length, 1);
});

test('too many connections, of one peer or in all, get 421', async () => {
  for (const options of [{ maxConnections: 1 }, { maxConnectionsPerPeer: 1 }]) {
    const { client, listener, handlers } = await setup(options);
    const first = await client();
    const second = await client();
    assert.equal(await second.closed(), '421 4.7.0 Too many connections, try again later\r\n');
    assert.deepEqual([listener.connections, handlers.length], [1, 1]);
    await first.say('QUIT\r\n', /221/);
    await waitFor(() => listener.connections === 0);
    const third = await client();
    assert.match(third.heard, /^220 /);
  }
});

test('a held greeting waits for the handler, and who speaks before it is refused', async () => {
  const { handlers, listener, deadlines } = await setup({ isGreetingHeld: true });
  const one = new Client(connect(listener.port, '127.0.0.1'));
  clients.push(one);
  await once(one.socket, 'connect');
  one.socket.write('EHLO a\r\n');
  assert.match(await one.closed(), /^554 5\.5\.0 /);
  const two = new Client(connect(listener.port, '127.0.0.1'));
  clients.push(two);
  await waitFor(() => handlers.length === 2);
  deadlines.tick(1_000_000);
  assert.equal(two.heard, '');
  handlers[1]?.connection.greet();
  await two.until(() => two.heard.endsWith('ESMTP\r\n'), 'the greeting');
});

test('a command that never ends is waited for only so long, however many octets of it come', async () => {
  const { client, deadlines, handlers } = await setup({ idleMs: 1000 });
  const one = await client();
  await one.say('HELO a\r\n', /250/);
  deadlines.tick(900);
  await one.say('NOOP\r\nMAI', /250/);
  deadlines.tick(1800);
  assert.equal(one.isOver, false);
  one.socket.write('L');
  deadlines.tick(2000);
  assert.match(await one.closed(), /421 4\.4\.2 Timeout/);
  assert.equal(handlers[0]?.isClosed, true);
});

test('no deadline runs against the peer while the handler thinks', async () => {
  const { client, deadlines, handlers } = await setup({ idleMs: 1000 });
  const one = await client();
  const [handler] = handlers;
  assert.ok(handler);
  let end: Ticket = 0;
  handler.onEnd = (ticket) => {
    end = ticket;
  };
  await one.say(`HELO a\r\n${ENVELOPE}DATA\r\n`, /354/);
  one.socket.write('x\r\n.\r\n');
  await waitFor(() => end !== 0);
  deadlines.tick(10_000_000);
  handler.connection.answer(end, replies.accepted);
  await one.until(() => one.heard.endsWith('2.0.0 OK, message accepted\r\n'), 'the answer');
});

test('content that trickles is given up, whatever comes of it', async () => {
  const { client, deadlines, handlers } = await setup();
  const one = await client();
  await one.say(`HELO a\r\n${ENVELOPE}DATA\r\n`, /354/);
  // 24,000 octets are due in a window of 120 s.
  let came = 0;
  const [handler] = handlers;
  assert.ok(handler);
  handler.onPiece = (octets) => {
    came += octets.length;
  };
  const line = `${'x'.repeat(998)}\r\n`;
  one.socket.write(line.repeat(24));
  await waitFor(() => came === 24_000);
  deadlines.tick(120_000);
  one.socket.write(line.repeat(20));
  await waitFor(() => came === 44_000);
  assert.equal(one.isOver, false);
  deadlines.tick(240_000);
  assert.match(await one.closed(), /421 4\.4\.2 Data comes too slowly/);
  assert.deepEqual(handler.resets, ['LOST']);
});

test('a handler may hold content back, which is not the peer being slow; the end of the mail lets go', async () => {
  const { client, deadlines, handlers } = await setup();
  const one = await client();
  const [handler] = handlers;
  assert.ok(handler);
  let came = 0;
  handler.onPiece = (octets) => {
    came += octets.length;
    handler.connection.pauseContent();
  };
  await one.say(`HELO a\r\n${ENVELOPE}DATA\r\n`, /354/);
  const size = 16 * 1024 * 1024;
  one.socket.write(`${'x'.repeat(998)}\r\n`.repeat(size / 1000));
  one.socket.write('bare\n\r\n.\r\nNOOP\r\n');
  await waitFor(() => came > 0);
  const before = came;
  deadlines.tick(120_000);
  deadlines.tick(240_000);
  assert.ok(came < size / 2, `${before} then ${came} octets came while paused`);
  handler.onPiece = (octets) => {
    came += octets.length;
  };
  handler.connection.resumeContent();
  await one.until(() => /550 5\.6\.11 .*\r\n250 2\.0\.0 OK\r\n$/.test(one.heard), 'the refusal');
  assert.deepEqual(handler.resets, ['BAD_CONTENT']);
});

test('a client that hangs up while its content is held back has gone when it is let go on', async () => {
  for (const leave of ['destroy', 'resetAndDestroy'] as const) {
    const { client, handlers, listener } = await setup();
    const one = await client();
    const [handler] = handlers;
    assert.ok(handler);
    handler.onPiece = () => handler.connection.pauseContent();
    await one.say(`HELO a\r\n${ENVELOPE}DATA\r\n`, /354/);
    one.socket.write(`${'x'.repeat(998)}\r\n`.repeat(100));
    await waitFor(() => handler.content.length > 0);
    one.socket[leave]();
    await one.closed();
    handler.onPiece = () => undefined;
    handler.connection.resumeContent();
    await waitFor(() => handler.isClosed);
    assert.deepEqual(handler.resets, ['LOST'], leave);
    await listener.close(0);
  }
});

test('content refused while the handler holds it back is read to its end', async () => {
  const { client, handlers } = await setup();
  const one = await client();
  const [handler] = handlers;
  assert.ok(handler);
  handler.onPiece = () => handler.connection.pauseContent();
  await one.say(`HELO a\r\n${ENVELOPE}DATA\r\n`, /354/);
  assert.match(await one.say(`${'x'.repeat(998)}\r\nbare\n\r\n.\r\n`, /\r\n$/), /^550 5\.6\.11 /);
  await one.say('NOOP\r\n', /^250 /);
});

test('a client that goes away takes its mail with it', async () => {
  const { client, handlers, listener } = await setup();
  const one = await client();
  await one.say(`HELO a\r\n${ENVELOPE}DATA\r\n`, /354/);
  one.socket.destroy();
  await waitFor(() => handlers[0]?.isClosed === true);
  assert.deepEqual(handlers[0]?.resets, ['LOST']);
  await waitFor(() => listener.connections === 0);
});

test('a client that closes its side behind QUIT hears all its replies; without QUIT it has gone', async () => {
  const { client, handlers, listener } = await setup();
  const [one, two] = [await client(), await client()];
  let answer = (): void => undefined;
  for (const handler of handlers.slice(0, 2))
    handler.onEnd = (ticket) => (answer = () => handler.connection.answer(ticket, replies.accepted));
  const mail = `HELO a\r\n${ENVELOPE}BDAT 3 LAST\r\nx\r\n`;
  one.socket.end(`${mail}QUIT\r\n`);
  await one.until(() => one.heard.endsWith('2.1.5 OK\r\n'), 'the reply to RCPT');
  await new Promise(setImmediate);
  answer();
  await one.closed();
  assert.match(one.heard, /OK, message accepted\r\n221 2\.0\.0 Goodbye\r\n$/);
  assert.deepEqual(handlers[0]?.resets, []);
  two.socket.end(mail);
  await two.closed();
  assert.deepEqual(handlers[1]?.resets, ['LOST']);
  await waitFor(() => listener.connections === 0);
});

test('octets behind QUIT are read off: the last reply is not lost to a reset', async () => {
  const { client } = await setup();
  const one = await client();
  const errors: Error[] = [];
  one.socket.on('error', (error) => errors.push(error));
  one.socket.write(`QUIT\r\n${'x'.repeat(300_000)}`);
  await one.closed();
  assert.match(one.heard, /\r\n221 2\.0\.0 Goodbye\r\n$/);
  assert.deepEqual(errors, []);
});

test('a handler that throws loses its own connection only', async () => {
  const { client, logged, handlers } = await setup();
  const [one, two] = [await client(), await client()];
  one.socket.write('VRFY a\r\n');
  await one.closed();
  assert.deepEqual([logged, handlers[0]?.isClosed], [['smtp.handler-failed'], true]);
  await two.say('NOOP\r\n', /250/);
});

test('so does one that throws when the end of a mail, for each recipient, lets the session read on', async () => {
  const { client, logged, handlers } = await setup();
  const one = await client();
  const [first] = handlers;
  assert.ok(first);
  const tickets: Ticket[] = [];
  first.onEnd = (ticket) => void tickets.push(ticket);
  first.onVerify = () => {
    throw new Error('on purpose');
  };
  one.socket.write(`HELO a\r\n${ENVELOPE}BDAT 3 LAST\r\nx\r\nVRFY b\r\n`);
  await waitFor(() => tickets.length === 1);
  assert.doesNotThrow(() => first.connection.answerEach(tickets[0] as Ticket, [replies.accepted]));
  await one.closed();
  assert.match(one.heard, /OK, message accepted\r\n$/, 'the mail is not sent again');
  assert.deepEqual([logged, first.isClosed], [['smtp.handler-failed'], true]);
});

test('a handler that throws while an answer of another turn lets the session read on: the same', async () => {
  const { client, logged, handlers } = await setup();
  const [one, two] = [await client(), await client()];
  const [first] = handlers;
  assert.ok(first);
  // Held back until its answer is given, out of a turn that is not the socket's.
  const tickets: Ticket[] = [];
  first.onRcpt = (_, ticket) => void tickets.push(ticket);
  first.onReset = () => {
    throw new Error('on purpose');
  };
  await one.say('HELO a\r\nMAIL FROM:<a@b>\r\n', /250[\s\S]*250/);
  one.socket.write('RCPT TO:<c@d>\r\nRSET\r\n');
  await waitFor(() => tickets.length === 1);
  assert.doesNotThrow(() => first.connection.answer(tickets[0] as Ticket, replies.rcptOk));
  await one.closed();
  assert.ok(logged.includes('smtp.handler-failed'));
  await two.say('NOOP\r\n', /250/);
});

test('closing: idle sessions hear 421 at once, a mail under way ends, and nothing new begins', async () => {
  const { client, listener, handlers } = await setup();
  const [idle, busy] = [await client(), await client()];
  await busy.say(`HELO a\r\n${ENVELOPE}DATA\r\n`, /354/);
  const { port } = listener;
  const closing = listener.close(60_000);
  assert.match(await idle.closed(), /421 4\.3\.2 /);
  busy.socket.write('x\r\n.\r\n');
  assert.match(await busy.closed(), /250 2\.0\.0 OK, message accepted\r\n421 4\.3\.2 .*\r\n$/);
  await closing;
  assert.equal(
    handlers.every((handler) => handler.isClosed),
    true,
  );
  const [error] = await once(connect(port, '127.0.0.1'), 'error');
  assert.equal(error.code, 'ECONNREFUSED');
});

test('closing is bounded: who is busy for ever is cut, who takes no last words is dropped', async () => {
  const { client, listener, handlers } = await setup();
  const [busy, deaf] = [await client(), await client()];
  await busy.say(`HELO a\r\n${ENVELOPE}DATA\r\n`, /354/);
  await deaf.say(`HELO a\r\n${ENVELOPE}DATA\r\n`, /354/);
  deaf.socket.pause();
  const closing = listener.close(10);
  assert.match(await busy.closed(), /421 4\.3\.2 /);
  await closing;
  assert.deepEqual(
    handlers.map(({ resets }) => resets),
    [['LOST'], ['LOST']],
  );
});

test('STARTTLS: the session starts anew inside TLS', async () => {
  const { client, handlers } = await setup({ tls: makeKeys(), requireTls: true });
  const plain = await client();
  await plain.say('EHLO a\r\n', /250 STARTTLS\r\n$/);
  assert.match(await plain.say('MAIL FROM:<a@b.c>\r\n', /\r\n$/), /^530 /);
  await plain.say('STARTTLS\r\n', /^220 .*\r\n$/);
  plain.socket.removeAllListeners('data');
  const socket = connectTls({ socket: plain.socket, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const one = new Client(socket);
  clients.push(one);
  assert.match(await one.say('MAIL FROM:<a@b.c>\r\n', /\r\n$/), /^503 5\.5\.1 Send EHLO first/);
  assert.doesNotMatch(await one.say('EHLO a\r\n', /^250 .*\r\n$/m), /STARTTLS/);
  await one.say(`${ENVELOPE}DATA\r\n`, /354/);
  await one.say('x\r\n.\r\n', /accepted/);
  const connection = handlers[0]?.connection;
  assert.equal(connection?.isSecure, true);
  assert.equal(connection?.tls?.protocol, 'TLSv1.3');
  await one.say('QUIT\r\n', /221/);
  await one.closed();
  assert.equal(handlers[0]?.isClosed, true);
});

test('STARTTLS: no handshake in time, a broken one, and commands in its place end the connection', async () => {
  const { client, handlers, deadlines } = await setup({ tls: makeKeys() });
  const [silent, broken, talking] = [await client(), await client(), await client()];
  for (const one of [silent, broken, talking]) await one.say('HELO a\r\nSTARTTLS\r\n', /220 .*\r\n$/);
  broken.socket.write(Buffer.alloc(100, 0x16));
  talking.socket.write(`HELO a\r\n${ENVELOPE}`);
  await Promise.all([broken.closed(), talking.closed()]);
  assert.doesNotMatch(talking.heard, /250 2/);
  deadlines.tick(60_000);
  await silent.closed();
  await waitFor(() => handlers.every((handler) => handler.isClosed));
});

test('what cannot be listened on rejects with the reason', async () => {
  const { listener } = await setup();
  await assert.rejects(setup({ port: listener.port }), { code: 'EADDRINUSE' });
});

test('a refused greeting', async () => {
  const { handlers, listener } = await setup({ isGreetingHeld: true });
  const one = new Client(connect(listener.port, '127.0.0.1'));
  clients.push(one);
  await waitFor(() => handlers.length === 1);
  handlers[0]?.connection.greet(reply(554, '5.7.1', 'Not you'));
  assert.equal(await one.closed(), '554 5.7.1 Not you\r\n');
});

/** Waits for something that sockets will bring about; no guess of how long. */
async function waitFor(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}
