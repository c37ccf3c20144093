/**
 * What the OCP codec costs a message, without sockets: `node bench/micro-ocp.ts`. Messages come 64 to a chunk, as they do
 * when a turn's output is written at once; written ones are taken once per 64. The figure is the best of several rounds.
 */
import { MessageParser, type MessageSink, Outbox, readMessage, writeDum, writeDuy, writeTs } from '../src/ocp/index.ts';

const BATCH = 64;
/** Short rounds and many: on a machine that does other things, some are undisturbed. */
const ROUNDS = 150;

/** What an agent does first with each message. */
const sink: MessageSink = {
  onMessage: (message) => void readMessage(message),
  onPayloadStart: (message) => void readMessage(message),
  onPayload() {},
  onPayloadEnd() {},
  onBad(rule) {
    throw new Error(rule);
  },
};

function bestNs(run: () => void, batches: number): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round++) {
    const from = process.hrtime.bigint();
    for (let i = 0; i < batches; i++) run();
    best = Math.min(best, Number(process.hrtime.bigint() - from) / (batches * BATCH));
  }
  return Math.round(best);
}

const block = 'Kept: {0 10240}\r\nAM-Part: RAWDATA\r\n';
const small = [Buffer.alloc(60, 'a')];
const large = [Buffer.alloc(10 * 1024, 'b')];

const writers: Readonly<Record<string, (out: Outbox) => void>> = {
  TS: (out) => writeTs(out, 1_000_000, 1),
  DUY: (out) => writeDuy(out, 1_000_000, 0, 10_240),
  'DUM of 60 octets': (out) => writeDum(out, 1_000_000, 0, '', small, 60),
  'DUM of 60 octets with Kept and part': (out) => writeDum(out, 1_000_000, 0, block, small, 60),
  'DUM of 10 KiB with Kept and part': (out) => writeDum(out, 1_000_000, 0, block, large, 10_240),
};

for (const [name, write] of Object.entries(writers)) {
  const out = new Outbox();
  const writeBatch = () => {
    for (let i = 0; i < BATCH; i++) write(out);
    return out.take();
  };
  const wire = Buffer.concat(writeBatch());
  const parser = new MessageParser(sink, { kept: 'structure' });
  const half = wire.length / 2 + 3;
  const batches = name.includes('KiB') ? 20 : 150;
  const parsed = bestNs(() => parser.feed(wire), batches);
  const cut = bestNs(() => {
    for (let at = 0; at < wire.length; at += half) parser.feed(wire.subarray(at, at + half));
  }, batches);
  const written = bestNs(writeBatch, batches);
  console.log(`${name.padEnd(36)} parse ${parsed} ns, cut in two ${cut} ns, write ${written} ns`);
}
