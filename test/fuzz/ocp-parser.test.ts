/**
 * Random octets, mutated vectors and made-up messages against the OCP parser: nothing throws, hangs, grows or depends on
 * the cuts, and what was understood can be written and is then understood alike.
 *
 * FUZZ_RUNS says how many inputs. A failure prints FUZZ_SEED and FUZZ_AT; set both to run that one input again.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { test } from 'vitest';
import {
  type CodecLimits,
  DEFAULT_CODEC_LIMITS,
  type Message,
  MessageParser,
  type MessageSink,
  Outbox,
  readMessage,
  writeMessage,
} from '../../src/ocp/index.ts';
import { octets } from '../vectors/ocp/vectors.ts';
import { type Dice, inputAt, makeDice } from './ocp-inputs.ts';

const runs = Number(process.env['FUZZ_RUNS'] ?? 100_000);
const seed = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 32));
const only = process.env['FUZZ_AT'];

const BATCH = 1000;
/** Far beyond what a batch needs on a slow machine, so it is only reached by a parser that does not go on. */
const BATCH_TIMEOUT_MS = 60_000;

const TIGHT: CodecLimits = {
  maxHeadOctets: 200,
  maxDepth: 3,
  maxValues: 8,
  maxNameOctets: 12,
  maxValueOctets: 40,
  maxPayloadOctets: 100,
};

/** Checks the order of what is told, and keeps it as text to compare. */
class Checker implements MessageSink {
  log = '';
  bad = false;
  readonly whole: Message[] = [];
  #open: Message | undefined = undefined;
  #left = 0;

  onMessage(message: Message): void {
    this.#mustBeBetween();
    assert.equal(message.payloadSize, undefined);
    this.#tell('m', message);
    this.whole.push(message);
  }

  onPayloadStart(message: Message, size: number): void {
    this.#mustBeBetween();
    assert.equal(message.payloadSize, size);
    this.#tell('s', message);
    this.#open = message;
    this.#left = size;
  }

  onPayload(octets: Buffer): void {
    assert.ok(!this.bad && this.#open !== undefined && octets.length > 0 && octets.length <= this.#left);
    this.#left -= octets.length;
    this.log += octets.toString('latin1');
  }

  onPayloadEnd(message: Message): void {
    assert.ok(!this.bad && this.#open === message && this.#left === 0);
    this.#open = undefined;
    this.log += '|e';
  }

  onBad(rule: string): void {
    assert.equal(this.bad, false);
    this.bad = true;
    this.log += `|b ${rule}`;
  }

  #mustBeBetween(): void {
    assert.ok(!this.bad && this.#open === undefined);
  }

  #tell(what: string, message: Message): void {
    this.log += `|${what} ${message.broken ?? ''} ${written(message)}`;
    const typed = readMessage(message);
    this.log += typed.kind === 'broken' ? `${typed.scope} ${typed.rule}` : typed.kind;
  }
}

function written({ name, anonymous, named }: Message): string {
  const out = new Outbox();
  writeMessage(out, name, anonymous, named);
  return Buffer.concat(out.take()).toString('latin1');
}

function told(chunks: readonly Buffer[], options: { limits: CodecLimits; kept: 'structure' | 'pair' }): Checker {
  const checker = new Checker();
  const parser = new MessageParser(checker, options);
  for (const chunk of chunks) parser.feed(chunk);
  return checker;
}

function cut(wire: Buffer, dice: Dice): Buffer[] {
  const chunks: Buffer[] = [];
  const longest = dice(3) === 0 ? 1 : 1 + dice(wire.length + 1);
  for (let at = 0; at < wire.length; ) {
    const to = Math.min(wire.length, at + 1 + dice(longest));
    chunks.push(wire.subarray(at, to));
    at = to;
  }
  return chunks;
}

function check(wire: Buffer, dice: Dice): void {
  const limits = dice(4) === 0 ? TIGHT : DEFAULT_CODEC_LIMITS;
  const options = { limits, kept: dice(2) === 0 ? 'pair' : 'structure' } as const;
  const whole = told([wire], options);
  assert.equal(told(cut(wire, dice), options).log, whole.log);
  // Read back what was read: the two sides of the codec agree on every message that can be told.
  for (const message of whole.whole) {
    if (message.broken !== undefined) continue;
    const again = told([octets(written(message))], { limits: DEFAULT_CODEC_LIMITS, kept: 'structure' });
    assert.deepEqual(again.whole, [message]);
  }
}

function memoryInUse(): number {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  for (let i = 0; i < 2; i++) if (typeof collect === 'function') collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

test(`the OCP parser holds against ${runs} inputs`, () => {
  let at = only === undefined ? 0 : Number(only);
  const end = only === undefined ? runs : at + 1;
  const batch = () => {
    for (const stop = Math.min(end, at + BATCH); at < stop; at++) {
      const dice = makeDice(seed, at);
      check(inputAt(dice), dice);
    }
  };
  try {
    // A script's time can be limited, a function's cannot.
    const next = () => runInNewContext('batch()', { batch }, { timeout: BATCH_TIMEOUT_MS });
    next(); // tables and code of ours are in place after the first, and may stay
    const before = memoryInUse();
    while (at < end) next();
    const grown = memoryInUse() - before;
    assert.ok(grown < 16e6, `${grown} octets more in use`);
  } catch (error) {
    const wire = inputAt(makeDice(seed, at));
    console.error(`FUZZ_SEED=${seed} FUZZ_AT=${at} input (latin1): ${JSON.stringify(wire.toString('latin1'))}`);
    throw error;
  }
});
