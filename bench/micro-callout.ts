/**
 * What a mail costs the two ends of a callout connection, without sockets: the real callout server with the service of
 * target g1, and the engine of a processor (no gateway above it). Each end is fed what the other one said: 10 KiB mails,
 * 20 in flight, in reads of at most 64 KiB. CPU includes that of the collector's threads; the figure is the best of many
 * short segments, each a connection of its own.
 *
 *     node -C opes-source bench/micro-callout.ts [SEGMENTS] [server|processor]
 *
 * What is set aside can be told only where nothing is collected meanwhile: `node --min-semi-space-size=128 ...`.
 */
import { Deadlines } from '../src/base/index.ts';
import { ServiceSet } from '../src/callout/server.ts';
import { CalloutAgent, ProcessorAgent, type ProcessorTransaction, Scratch } from '../src/ocp/index.ts';
import { ALLOW_NOTHING, dataBlock, makeOffer, makeService, type Part, readAnswer } from '../src/profile/index.ts';
import service from './header-service.ts';

const segments = Number(process.argv[2] ?? 60);
const only = process.argv[3];
const MAILS = 1000;
const IN_FLIGHT = 20;
const READ_OCTETS = 64 * 1024;

const content = [
  Buffer.from(
    'Received: from load ([127.0.0.1]) by gw.test with ESMTP id ZDMR-LhxOdxG.1\r\n\tfor <b@dst.test>;\r\n\tSun, 22 Nov 2026 02:56:31 +0000\r\n' +
      'OPES-System: https://gw.test/opes?id=ZDMR-LhxOdxG.1\r\nOPES-Via: https://gw.test/opes?id=ZDMR-LhxOdxG.1\r\n',
  ),
  Buffer.from(
    `From: a@src.test\r\nTo: b@dst.test\r\nSubject: test\r\nMessage-ID: <1@x>\r\n\r\n${`${'x'.repeat(73)}\r\n`.repeat(136)}`,
  ),
];
const contentSize = content.reduce((sum, octets) => sum + octets.length, 0);

/** The processor's end of mails of the gateway's kind: envelope first, content when the recipient was answered. */
class Sender {
  readonly agent: ProcessorAgent;
  #transactions: ProcessorTransaction[] = [];
  ended = 0;

  constructor(onOutput: () => void) {
    this.agent = new ProcessorAgent(
      {
        offer: [makeOffer({ adaptive: ['MAIL', 'RCPT', 'RAWDATA'], informative: ['IP', 'EHLO', 'HELO'] })],
        services: [makeService(service.uri)],
        kept: 'structure',
      },
      { onSelected: () => undefined, onReady() {}, onOutput, onEnd() {} },
    );
  }

  envelopes(count: number, first: number): void {
    for (let i = first; i < first + count; i++) {
      const transaction = this.agent.startTransaction({
        onAdaptedStart() {},
        onData() {},
        onDataOctets() {},
        onDataEnd() {},
        onUseYours: (_offset, _size, named) => void readAnswer(named, 'DUY'),
        onDisposable() {},
        onAdaptedEnd() {},
        onTurn: () => this.#sendContent(i),
        onEnd: ({ result }) => {
          if (result.code !== 200) throw new Error(result.reason);
          this.ended++;
        },
      });
      if (transaction === undefined) throw new Error('not ready');
      this.#transactions[i] = transaction;
      transaction.startMessage();
      this.#say(transaction, 'IP', Buffer.from('[127.0.0.1]'));
      this.#say(transaction, 'EHLO', Buffer.from('load.test'));
      this.#say(transaction, 'MAIL', Buffer.from('<a@src.test>'));
      const rcpt = Buffer.from(`<user${i % 10}@dst.test>`);
      const kept = { offset: transaction.orgOffset, size: rcpt.length };
      transaction.sendData(
        dataBlock('RCPT', { smtpError: true, addHeader: false, advice: false }),
        [rcpt],
        rcpt.length,
        kept,
      );
    }
  }

  contents(count: number, first: number): void {
    for (let i = first; i < first + count; i++) this.#transactions[i]?.requestTurn();
  }

  #say(transaction: ProcessorTransaction, part: Part, octets: Buffer): void {
    transaction.sendData(dataBlock(part, ALLOW_NOTHING), [octets], octets.length);
  }

  #sendContent(i: number): void {
    const transaction = this.#transactions[i] as ProcessorTransaction;
    const keptFrom = '[127.0.0.1]load.test<a@src.test>'.length;
    const kept = { offset: keptFrom, size: transaction.orgOffset - keptFrom + contentSize };
    transaction.sendData(
      dataBlock('RAWDATA', { smtpError: true, addHeader: true, advice: false }),
      content,
      contentSize,
      kept,
    );
    transaction.endMessage();
  }
}

const scratch = new Scratch();
const set = new ServiceSet([service], { deadlines: new Deadlines() });

function openServer(onOutput: () => void): CalloutAgent {
  const events = set.connect({ onOutput, onEnd() {} });
  return new CalloutAgent({ kept: 'pair' }, events);
}

/** What each end of one connection said to the other, in the order of the talk. */
interface Talk {
  readonly toServer: Buffer[];
  readonly toProcessor: Buffer[];
}

/** A copy, as a socket's reads are: nothing the two ends share in memory. */
function takeReads(agent: ProcessorAgent | CalloutAgent): Buffer[] {
  const taken = agent.outbox.take().map((octets) => Buffer.from(octets));
  agent.drained();
  const octets = Buffer.concat([...taken, ...agent.outbox.take()]);
  const reads: Buffer[] = [];
  for (let at = 0; at < octets.length; at += READ_OCTETS) reads.push(octets.subarray(at, at + READ_OCTETS));
  return reads;
}

function record(): Talk {
  const talk: Talk = { toServer: [], toProcessor: [] };
  const sender = new Sender(() => undefined);
  const server = openServer(() => undefined);
  const exchange = () => {
    for (let reads = takeReads(sender.agent); reads.length > 0; reads = takeReads(sender.agent)) {
      for (const read of reads) {
        talk.toServer.push(read);
        server.recv(read);
      }
    }
    for (const read of takeReads(server)) {
      talk.toProcessor.push(read);
      sender.agent.recv(read);
    }
  };
  sender.agent.start();
  for (let round = 0; round < 4; round++) exchange();
  for (let first = 0; first < MAILS; first += IN_FLIGHT) {
    sender.envelopes(IN_FLIGHT, first);
    exchange();
    sender.contents(IN_FLIGHT, first);
    exchange();
  }
  if (sender.ended !== MAILS) throw new Error(`${sender.ended} mails were answered`);
  return talk;
}

const { toServer, toProcessor } = record();

/** As a socket does that takes all at once: the octets are counted and gone. */
function write(agent: ProcessorAgent | CalloutAgent): number {
  let octets = 0;
  for (const buffer of agent.outbox.take(scratch)) octets += buffer.length;
  scratch.giveBack(false);
  return octets;
}

function serve(): number {
  const server = openServer(() => undefined);
  let octets = 0;
  for (const read of toServer) {
    server.recv(read);
    octets += write(server);
    server.drained();
  }
  server.close();
  return octets;
}

function send(): number {
  const sender = new Sender(() => undefined);
  const { agent } = sender;
  let octets = 0;
  let at = 0;
  const flush = () => {
    octets += write(agent);
    agent.drained();
    octets += write(agent);
  };
  const recv = () => {
    const read = toProcessor[at++];
    if (read !== undefined) agent.recv(read);
    flush();
  };
  agent.start();
  flush();
  while (!agent.isReady) recv();
  for (let first = 0; first < MAILS; first += IN_FLIGHT) {
    sender.envelopes(IN_FLIGHT, first);
    flush();
    recv();
    sender.contents(IN_FLIGHT, first);
    flush();
    recv();
  }
  if (sender.ended !== MAILS) throw new Error(`${sender.ended} mails were answered`);
  agent.close();
  return octets;
}

/** Octets set aside while `run` ran, as far as no collection came between. */
function allocated(run: () => void): { readonly heap: number; readonly buffers: number } {
  const before = process.memoryUsage();
  run();
  const after = process.memoryUsage();
  return { heap: after.heapUsed - before.heapUsed, buffers: after.arrayBuffers - before.arrayBuffers };
}

const runs = { server: serve, processor: send };
for (const [name, run] of Object.entries(runs)) {
  if (only !== undefined && only !== name) continue;
  let best = Number.POSITIVE_INFINITY;
  let user = Number.POSITIVE_INFINITY;
  const heaps: number[] = [];
  const buffers: number[] = [];
  for (let segment = 0; segment < segments; segment++) {
    const from = process.cpuUsage();
    const garbage = allocated(run);
    const spent = process.cpuUsage(from);
    best = Math.min(best, spent.user + spent.system);
    user = Math.min(user, spent.user);
    heaps.push(garbage.heap);
    buffers.push(garbage.buffers);
  }
  const us = (total: number) => (total / MAILS).toFixed(1).padStart(6);
  // Segments in which memory was collected show less than they set aside, or less than nothing.
  const most = (all: readonly number[]) => (Math.max(...all) / MAILS / 1024).toFixed(1);
  console.log(
    `${name.padEnd(10)} ${us(best)} us a mail (user ${us(user)}), sets aside ${most(heaps)} KiB, buffers ${most(buffers)} KiB`,
  );
}
