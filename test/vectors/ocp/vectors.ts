/**
 * The OCP vectors and what every test of octets needs: each way to cut them, and a sink that writes down what is told.
 *
 * `valid.jsonl`, `invalid.jsonl` and `context.jsonl` are sections 23.1 to 23.3 of the OCP reference, `samples.jsonl` its
 * samples and sessions (22.1, 22.2). `invalid-more.jsonl` is ours: one more way to break each place of the grammar. In all of them a character is one octet.
 */
import { readFileSync } from 'node:fs';
import {
  type CodecLimits,
  DEFAULT_CODEC_LIMITS,
  type Message,
  MessageParser,
  type MessageSink,
} from '../../../src/ocp/codec/index.ts';

export interface Valid {
  readonly id: string;
  readonly wire: string;
  readonly note: string;
}

export interface Invalid {
  readonly id: string;
  readonly layer: 'syntax' | 'type';
  readonly wire: string;
  readonly wrong: string;
  readonly reaction: string;
}

/** Syntax errors beyond the reference's, each with the rule it breaks. */
export interface MoreInvalid {
  readonly id: string;
  readonly wire: string;
  readonly rule: string;
  readonly wrong: string;
}

export interface Sample {
  readonly id: string;
  readonly wire: string;
  readonly by?: 'P' | 'S';
}

function readVectors<T>(name: string): readonly T[] {
  const text = readFileSync(new URL(`${name}.jsonl`, import.meta.url), 'utf8');
  return text.trimEnd().split('\n').map((line): T => JSON.parse(line));
}

export const valid = readVectors<Valid>('valid');
export const invalid = readVectors<Invalid>('invalid');
export const moreInvalid = readVectors<MoreInvalid>('invalid-more');
export const samples = readVectors<Sample>('samples');

export const octets = (latin1: string): Buffer => Buffer.from(latin1, 'latin1');

/** Whole, octet by octet, and cut in two at each place. */
export function* everyCut(wire: Buffer): Generator<readonly Buffer[]> {
  yield [wire];
  yield Array.from(wire, (_, i) => wire.subarray(i, i + 1));
  for (let i = 1; i < wire.length; i++) yield [wire.subarray(0, i), wire.subarray(i)];
}

export type Told =
  | { readonly told: 'message'; readonly message: Message }
  | { readonly told: 'start'; readonly message: Message; readonly size: number }
  | { readonly told: 'payload'; readonly octets: string }
  | { readonly told: 'end'; readonly message: Message }
  | { readonly told: 'bad'; readonly rule: string };

/** Writes down what a parser tells, payload pieces joined. */
export class Recorder implements MessageSink {
  readonly told: Told[] = [];

  onMessage(message: Message): void {
    this.told.push({ told: 'message', message });
  }

  onPayloadStart(message: Message, size: number): void {
    this.told.push({ told: 'start', message, size });
  }

  onPayload(octets: Buffer): void {
    const last = this.told.pop();
    const joined = last?.told === 'payload' ? last.octets : '';
    if (last !== undefined && last.told !== 'payload') this.told.push(last);
    this.told.push({ told: 'payload', octets: joined + octets.toString('latin1') });
  }

  onPayloadEnd(message: Message): void {
    this.told.push({ told: 'end', message });
  }

  onBad(rule: string): void {
    this.told.push({ told: 'bad', rule });
  }
}

export interface ParseOptions {
  readonly kept?: 'structure' | 'pair';
  readonly limits?: Partial<CodecLimits>;
}

/** All that a fresh parser tells about `chunks`. */
export function parse(chunks: readonly Uint8Array[], { kept = 'structure', limits }: ParseOptions = {}): Told[] {
  const recorder = new Recorder();
  const parser = new MessageParser(recorder, { kept, limits: { ...DEFAULT_CODEC_LIMITS, ...limits } });
  for (const chunk of chunks) parser.feed(chunk);
  return recorder.told;
}

/** The one message in `wire`, and its payload. Throws where there is none, or more. */
export function parseOne(wire: string, options?: ParseOptions): { message: Message; payload: string | undefined } {
  const [first, ...rest] = parse([octets(wire)], options);
  if (first?.told === 'message' && rest.length === 0) return { message: first.message, payload: undefined };
  if (first?.told !== 'start' || rest.at(-1)?.told !== 'end') throw new Error(`not one message: ${wire}`);
  return { message: first.message, payload: rest[0]?.told === 'payload' ? rest[0].octets : '' };
}
