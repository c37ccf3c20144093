/**
 * Mutated vectors and made-up mails against the message engine: nothing throws, hangs or grows, the tree does not depend on
 * the cuts, its ranges are the message, and the encodings lose nothing.
 *
 * FUZZ_RUNS says how many inputs. A failure prints FUZZ_SEED and FUZZ_AT; set both to run that one input again.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { test } from 'vitest';
import {
  allParts,
  Base64Decoder,
  Base64Encoder,
  decodeEncodedWords,
  fieldBody,
  fileName,
  type MailLimits,
  type MimePart,
  MimeScanner,
  mailLimits,
  parseStructured,
  partRanges,
  QuotedPrintableDecoder,
  QuotedPrintableEncoder,
  recognise,
  unfold,
} from '../../src/mail/index.ts';
import { type Dice, makeDice } from './ocp-inputs.ts';

const runs = Number(process.env['FUZZ_RUNS'] ?? 100_000);
const seed = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 32));
const only = process.env['FUZZ_AT'];

const BATCH = 1000;
const BATCH_TIMEOUT_MS = 60_000;

/** Caps that small inputs reach. */
const TIGHT: MailLimits = {
  headerOctets: 90,
  totalHeaderOctets: 300,
  fields: 3,
  nameOctets: 20,
  depth: 3,
  parts: 5,
  falseDelimiters: 3,
  boundaryOctets: 4,
  params: 3,
  paramOctets: 10,
  encodedWords: 2,
};

const folder = new URL('../vectors/mail/', import.meta.url);
const MAILS = readdirSync(folder)
  .filter((name) => name.endsWith('.eml'))
  .map((name) => readFileSync(new URL(name, folder)).toString('latin1'))
  .filter((mail) => mail.length < 450);

const TOKENS = [
  ...'\r\n|\n|\r|\r\n\r\n|\n\n|--|--b|--b--|\r\n--b\r\n|\r\n--b--\r\n|\n--b\n|--c|\r\n--c\r\n\r\n|--abc|--abcdef--| |\t|:|;|=|"'.split(
    '|',
  ),
  ...'Content-Type: multipart/mixed; boundary=b\r\n|Content-Type: message/rfc822\r\n|Content-Type: multipart/digest; boundary=c\r\n'.split(
    '|',
  ),
  ..."Content-Transfer-Encoding: base64\r\n|; name*0*=utf-8''%|; name*1=x|; boundary=b|=?utf-8?Q?=41?=|=?x?B?QQ==?= |(|)|\\".split(
    '|',
  ),
  '-'.repeat(70),
  'x'.repeat(100),
  ' '.repeat(300),
];

function inputAt(dice: Dice): Buffer {
  let text = dice(6) === 0 ? Array.from({ length: dice(20) }, () => pick(TOKENS, dice)).join('') : pick(MAILS, dice);
  for (let i = dice(5); i > 0; i--) {
    const from = dice(text.length + 1);
    const to = Math.min(text.length, from + dice(dice(4) === 0 ? 60 : 4));
    const middle = text.slice(from, to);
    const put = [
      () => '',
      () => middle + middle,
      () => pick(TOKENS, dice),
      () => middle + pick(TOKENS, dice),
      () => middle + String.fromCharCode(dice(256)),
      () => text.slice(dice(text.length + 1)).slice(0, 80),
    ][dice(6)];
    text = text.slice(0, from) + (put?.() ?? '') + text.slice(to);
  }
  return Buffer.from(text.slice(0, 4000), 'latin1');
}

function pick(list: readonly string[], dice: Dice): string {
  return list[dice(list.length)] ?? '';
}

function cut(octets: Buffer, dice: Dice): Buffer[] {
  const chunks: Buffer[] = [];
  const longest = dice(12) === 0 ? 1 : 1 + dice(octets.length + 1);
  for (let at = 0; at < octets.length; ) {
    const to = Math.min(octets.length, at + 1 + dice(longest));
    chunks.push(octets.subarray(at, to));
    at = to;
  }
  return chunks;
}

function scanned(chunks: readonly Buffer[], limits: MailLimits): MimePart {
  const scanner = new MimeScanner(limits);
  for (const chunk of chunks) {
    // The chunk is the caller's again after it was fed: whatever the scanner still needs it must have copied.
    const lent = Buffer.from(chunk);
    scanner.feed(lent);
    lent.fill('#');
  }
  return scanner.end();
}

/** The whole tree as text, to compare. */
function told(part: MimePart): string {
  const { path, headerStart, bodyStart, bodyEnd, preambleEnd, epilogueStart, faults, broken, encoding } = part;
  const numbers = [headerStart, bodyStart, bodyEnd, preambleEnd, epilogueStart].join();
  const texts = [part.header.toString('latin1'), part.head.toString('latin1')].join('|');
  const type = JSON.stringify([part.contentType, part.disposition, [...part.contentType.params]]);
  return `${path} ${numbers} ${faults.join()} ${broken} ${encoding} ${type} ${texts}\n${part.children.map(told).join('')}`;
}

function check(mail: Buffer, dice: Dice): void {
  const limits = dice(3) === 0 ? TIGHT : mailLimits;
  const root = scanned([mail], limits);
  assert.equal(told(scanned(cut(mail, dice), limits)), told(root));
  let at = 0;
  for (const { start, end } of partRanges(root)) {
    assert.equal(start, at);
    at = end;
  }
  assert.equal(at, mail.length);
  recognise(root);
  let parts = 0;
  for (const part of allParts(root)) {
    parts++;
    assert.ok(part.path.split('.').length <= limits.depth + 1);
    assert.ok(part.headerStart <= part.bodyStart && part.bodyStart <= part.bodyEnd);
    assert.equal(part.header.length, part.bodyStart - part.headerStart);
    assert.ok(part.header.equals(mail.subarray(part.headerStart, part.bodyStart)));
    fileName(part);
    for (const field of part.fields.slice(0, 5)) {
      const body = unfold(fieldBody(part.header, field));
      parseStructured(body, limits);
      decodeEncodedWords(body, limits);
    }
  }
  assert.ok(parts <= limits.parts);
  if (dice(3) === 0) checkEncodings(mail, dice);
}

interface Coder {
  feed(chunk: Uint8Array): Buffer;
  end(): Buffer;
}

function coded(coder: Coder, chunks: readonly Buffer[]): Buffer {
  return Buffer.concat([...chunks.map((chunk) => coder.feed(chunk)), coder.end()]);
}

/** Decoding anything is the same at any cut; decoding what was encoded is what went in. */
function checkEncodings(octets: Buffer, dice: Dice): void {
  const Pair =
    dice(2) === 0
      ? ([Base64Encoder, Base64Decoder] as const)
      : ([QuotedPrintableEncoder, QuotedPrintableDecoder] as const);
  const [Encoder, Decoder] = Pair;
  assert.ok(coded(new Decoder(), cut(octets, dice)).equals(coded(new Decoder(), [octets])));
  const encoded = coded(new Encoder(), cut(octets, dice));
  assert.ok(encoded.equals(coded(new Encoder(), [octets])));
  assert.match(encoded.toString('latin1'), /^(?:[\t -~]{0,76}\r\n)*[\t -~]{0,76}$/);
  const decoder = new Decoder();
  assert.ok(coded(decoder, cut(encoded, dice)).equals(octets));
  assert.equal(decoder.broken, undefined);
}

function memoryInUse(): number {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  for (let i = 0; i < 2; i++) if (typeof collect === 'function') collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

test(`the message engine holds against ${runs} inputs`, () => {
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
    const mail = inputAt(makeDice(seed, at));
    console.error(`FUZZ_SEED=${seed} FUZZ_AT=${at} input (latin1): ${JSON.stringify(mail.toString('latin1'))}`);
    throw error;
  }
});

test('a hostile mail of many megabytes takes time in proportion to its size', () => {
  const head = 'Content-Type: multipart/mixed; boundary=b\r\n\r\n';
  const attacks: Readonly<Record<string, string>> = {
    'lines of two dashes': '\n--',
    'lines that begin like a delimiter': '\r\n--bx',
    'empty parts': '\r\n--b\r\n',
    'parts that open multiparts': '\r\n--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n',
    'header lines': 'a:\r\n',
    'messages in messages': 'Content-Type: message/rfc822\r\n\r\n',
    'empty lines': '\r\n',
    carriages: '\r',
  };
  for (const [name, text] of Object.entries(attacks)) {
    const mail = Buffer.from(head + text.repeat(8_000_000 / text.length), 'latin1');
    const before = process.cpuUsage();
    const scanner = new MimeScanner();
    for (let at = 0; at < mail.length; at += 65_536) scanner.feed(mail.subarray(at, at + 65_536));
    const root = scanner.end();
    const seconds = (process.cpuUsage(before).user + process.cpuUsage(before).system) / 1e6;
    assert.equal(root.bodyEnd, mail.length);
    assert.ok(seconds < 3, `${name}: ${seconds} s`);
  }
});
