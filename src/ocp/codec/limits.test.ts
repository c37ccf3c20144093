import assert from 'node:assert/strict';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { test } from 'vitest';
import { everyCut, octets, parse } from '../../../test/vectors/ocp/vectors.ts';
import { type CodecLimits, DEFAULT_CODEC_LIMITS, MessageParser } from './index.ts';

const small: Partial<CodecLimits> = {
  maxHeadOctets: 60,
  maxDepth: 2,
  maxValues: 4,
  maxNameOctets: 8,
  maxValueOctets: 20,
  maxPayloadOctets: 9,
};

function expectAtEveryCut(wire: string, rule: string | undefined, limits = small): void {
  for (const chunks of everyCut(octets(wire))) {
    const last = parse(chunks, { limits }).at(-1);
    assert.equal(last?.told === 'bad' ? last.rule : undefined, rule, wire);
  }
}

test('each cap holds to the octet, wherever the chunks are cut', () => {
  const v20 = 'v'.repeat(20);
  expectAtEveryCut('Xxxxxxxx;\r\n', undefined);
  expectAtEveryCut('Xxxxxxxxx;\r\n', 'name-limit');
  expectAtEveryCut('X\r\nXxxxxxxxx: 1\r\n;\r\n', 'name-limit');
  expectAtEveryCut('X {()};\r\n', undefined);
  expectAtEveryCut('X {({})};\r\n', 'depth-limit');
  expectAtEveryCut('X 1 2 3 4;\r\n', undefined);
  expectAtEveryCut('X 1 2 3 4 5;\r\n', 'values-limit');
  expectAtEveryCut('X (1,2,{}\r\n', 'after-value');
  expectAtEveryCut('X (1,2,{},());\r\n', 'values-limit');
  expectAtEveryCut('X\r\na: 1\r\nb: 1\r\nc: 1\r\nd: 1\r\ne: 1\r\n;\r\n', 'values-limit');
  expectAtEveryCut(`X ${v20};\r\n`, undefined);
  expectAtEveryCut(`X ${v20}v;\r\n`, 'value-limit');
  expectAtEveryCut(`X "20:${v20}";\r\n`, undefined);
  expectAtEveryCut(`X "21:${v20}v";\r\n`, 'value-limit');
  expectAtEveryCut('X\r\n9:123456789\r\n;\r\n', undefined);
  expectAtEveryCut('X\r\n10:1234567890\r\n;\r\n', 'payload-limit');
  expectAtEveryCut(`X ${v20} ${v20} ${'v'.repeat(16)};\r\n`, undefined);
  expectAtEveryCut(`X ${v20} ${v20} ${'v'.repeat(17)};\r\n`, 'head-limit');
  expectAtEveryCut(`X ${v20} ${v20} "12:${'v'.repeat(12)}";\r\n`, undefined);
  expectAtEveryCut(`X ${v20} ${v20} "13:${'v'.repeat(13)}";\r\n`, 'head-limit');
});

test('of two caps the one passed first is told, wherever the chunks are cut', () => {
  expectAtEveryCut(`X ${'v'.repeat(50)}`, 'value-limit', { ...small, maxHeadOctets: 30 });
  expectAtEveryCut(`X ${'v'.repeat(50)}`, 'value-limit', { ...small, maxHeadOctets: 22 });
  expectAtEveryCut(`X ${'v'.repeat(50)}`, 'head-limit', { ...small, maxHeadOctets: 21 });
});

test('a payload is not part of the head, and each message has its own caps', () => {
  const wire = `X 1 2 3\r\n200:${'p'.repeat(200)}\r\n;\r\n`.repeat(5);
  expectAtEveryCut(wire, undefined, { ...small, maxPayloadOctets: 200, maxHeadOctets: 20 });
});

test('a quoted value is judged by its size alone, before any of it is kept', () => {
  const { maxValueOctets } = DEFAULT_CODEC_LIMITS;
  assert.deepEqual(parse([octets(`X "${maxValueOctets + 1}:`)]), [{ told: 'bad', rule: 'value-limit' }]);
  assert.deepEqual(parse([octets('X "2147483647:')]), [{ told: 'bad', rule: 'value-limit' }]);
  assert.deepEqual(parse([octets(`X "${maxValueOctets}:`)]), []);
});

test('the largest payload is announced and streamed', () => {
  const [start] = parse([octets('DUM 1 0\r\n2147483647:x')]);
  assert.equal(start?.told === 'start' && start.size, 2147483647);
  assert.deepEqual(parse([octets('DUM 1 0\r\n2147483648:x')]), [{ told: 'bad', rule: 'size' }]);
});

const sinkOfNothing = { onMessage() {}, onPayloadStart() {}, onPayload() {}, onPayloadEnd() {}, onBad() {} };

/** Nanoseconds an octet when `wire` is fed octet by octet. */
function costOfOctets(wire: Buffer): number {
  const parser = new MessageParser(sinkOfNothing, { kept: 'structure' });
  const from = process.hrtime.bigint();
  for (let i = 0; i < wire.length; i++) parser.feed(wire.subarray(i, i + 1));
  return Number(process.hrtime.bigint() - from) / wire.length;
}

test('single octets of a long head cost no more each than those of a short one', () => {
  const head = (octetsOfValue: number, values: number) =>
    octets(`X${` ${'v'.repeat(octetsOfValue)}`.repeat(values)} "60000:${'q'.repeat(60000)}";\r\n`);
  const short = octets('TS 1 2;\r\n'.repeat(20_000));
  // Quadratic work would make this a thousandfold; the margin is for a machine that does other things meanwhile.
  const base = Math.min(...[0, 1, 2].map(() => costOfOctets(short)));
  const long = Math.min(...[0, 1, 2].map(() => costOfOctets(head(60_000, 2))));
  const many = Math.min(...[0, 1, 2].map(() => costOfOctets(head(40, 3000))));
  assert.ok(long < base * 12 + 500, `${long} ns an octet, ${base} in short messages`);
  assert.ok(many < base * 12 + 500, `${many} ns an octet, ${base} in short messages`);
});

/** Octets of memory that are really in use. */
function memoryInUse(): number {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  // Twice: buffers found dead by one collection are given back by the next.
  for (let i = 0; i < 2; i++) if (typeof collect === 'function') collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

test('a parser holds on to nothing between messages', () => {
  const value = `"60000:${'q'.repeat(60_000)}"`;
  const wire = octets(`X (${value},{a\r\nb: ${value}\r\n})\r\n3:abc\r\n;\r\n`);
  const parsers: MessageParser[] = [];
  const before = memoryInUse();
  for (let i = 0; i < 500; i++) {
    const parser = new MessageParser(sinkOfNothing, { kept: 'structure' });
    for (let round = 0; round < 3; round++) {
      for (let at = 0; at < wire.length; at += 7_000) parser.feed(wire.subarray(at, at + 7_000));
    }
    parsers.push(parser);
  }
  const each = (memoryInUse() - before) / parsers.length;
  assert.ok(each < 10_000, `${each} octets a parser`);
});

test('what was announced and never came costs no memory', () => {
  const parsers: MessageParser[] = [];
  const before = memoryInUse();
  for (let i = 0; i < 500; i++) {
    const parser = new MessageParser(sinkOfNothing, { kept: 'structure' });
    parser.feed(octets('X "65536:abc'));
    parsers.push(parser);
  }
  const each = (memoryInUse() - before) / parsers.length;
  assert.ok(each < 10_000, `${each} octets a parser`);
});
