/**
 * One question to one server, by UDP or by TCP, and what came back; always something, within `timeoutMs`.
 *
 * Each datagram leaves from a socket of its own, on a port that the system chooses at random, connected: so the kernel
 * drops what comes from any other address, and an ICMP "port unreachable" is heard at once. With the random id that is
 * all the protection plain DNS has (RFC 5452).
 */
import { createSocket } from 'node:dgram';
import { connect, isIPv6 } from 'node:net';
import type { DnsLimits } from '../limits.ts';
import { type Query, type ReadAnswer, readAnswer, writeQuery } from '../message.ts';
import type { DnsServer } from './servers.ts';

export type Exchanged = Exclude<ReadAnswer, { kind: 'foreign' }> | { readonly kind: 'lost'; readonly detail: string };

/** An exchange under way, and how to end it. */
export interface Exchange {
  readonly done: Promise<Exchanged>;
  abort(): void;
}

const TIMEOUT: Exchanged = { kind: 'lost', detail: 'no answer in time' };
const CLOSED: Exchanged = { kind: 'lost', detail: 'the resolver is closed' };

export function exchangeUdp(server: DnsServer, query: Query, limits: DnsLimits, timeoutMs: number): Exchange {
  const socket = createSocket(isIPv6(server.host) ? 'udp6' : 'udp4');
  const one = settleOnce(timeoutMs, () => socket.close());
  let foreign = 0;
  socket.on('error', (error) => one.settle(lost(error)));
  socket.on('message', (octets) => {
    const read = readAnswer(octets, query, limits);
    if (read.kind !== 'foreign') one.settle(read);
    // Somebody guesses at ids: over TCP that leads nowhere.
    else if (++foreign >= limits.foreign) one.settle({ kind: 'truncated' });
  });
  // Not as the callback of `connect`: that would be called with the error in place of the event.
  socket.once('connect', () => {
    socket.send(writeQuery(query, limits), (error) => {
      if (error !== null) one.settle(lost(error));
    });
  });
  socket.connect(server.port, server.host);
  return one.exchange;
}

/** RFC 7766: two octets of length before each message. */
export function exchangeTcp(server: DnsServer, query: Query, limits: DnsLimits, timeoutMs: number): Exchange {
  const socket = connect({ host: server.host, port: server.port, noDelay: true });
  const one = settleOnce(timeoutMs, () => socket.destroy());
  let held: Buffer = Buffer.alloc(0);
  socket.on('error', (error) => one.settle(lost(error)));
  socket.on('close', () => one.settle({ kind: 'lost', detail: 'the connection was closed' }));
  socket.on('connect', () => {
    const octets = writeQuery(query, limits);
    const size = Buffer.alloc(2);
    size.writeUInt16BE(octets.length);
    socket.write(Buffer.concat([size, octets]));
  });
  socket.on('data', (chunk: Buffer) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    if (held.length < 2) return;
    const size = held.readUInt16BE(0);
    if (size > limits.messageOctets) one.settle({ kind: 'bad', rule: 'message-octets' });
    else if (held.length >= 2 + size) one.settle(overTcp(readAnswer(held.subarray(2, 2 + size), query, limits)));
  });
  return one.exchange;
}

/** One connection carries one question: an answer to another, or a part of one, is no answer. */
function overTcp(read: ReadAnswer): Exchanged {
  if (read.kind === 'foreign') return { kind: 'bad', rule: 'other-question' };
  return read.kind === 'truncated' ? { kind: 'bad', rule: 'truncated-over-tcp' } : read;
}

/** The first outcome counts; then the socket goes. A socket may still tell of errors behind that: nobody minds. */
function settleOnce(timeoutMs: number, close: () => void): { exchange: Exchange; settle(outcome: Exchanged): void } {
  const { promise: done, resolve } = Promise.withResolvers<Exchanged>();
  let isOver = false;
  const settle = (outcome: Exchanged): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    close();
    resolve(outcome);
  };
  const timer = setTimeout(() => settle(TIMEOUT), timeoutMs);
  return { exchange: { done, abort: () => settle(CLOSED) }, settle };
}

function lost(error: Error): Exchanged {
  return { kind: 'lost', detail: (error as NodeJS.ErrnoException).code ?? error.message };
}
