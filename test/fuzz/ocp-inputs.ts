/** Inputs for the OCP fuzz test, each from its seed and number alone. */
import { invalid, moreInvalid, octets, samples, valid } from '../vectors/ocp/vectors.ts';

/** A number from 0 up to, not including, `n`. */
export type Dice = (n: number) => number;

/** A generator of its own for each input (mulberry32), so that one can be run again without those before it. */
export function makeDice(seed: number, at: number): Dice {
  let state = (seed ^ Math.imul(at + 1, 0x9e3779b1)) >>> 0;
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) % n;
  };
}

const WIRES = [...valid, ...invalid, ...moreInvalid, ...samples].map(({ wire }) => wire);
const TOKENS = [
  ' |\r\n|;|;\r\n|(|)|{|}|,|: |:|"|"0:"|"3:a;b"|0|1|10|00|2147483647|2147483648|99999999999|a|A-b_9|()|{}|\r|\n|\0|\xff|\t',
  'Kept: |Kept: 0 5\r\n|Kept: {0 5}\r\n|Modp: 5\r\n|DUM 10 0|DUM |TS 1 2;\r\n|\r\n3:abc\r\n;\r\n|{400 "2:no"}',
].flatMap((tokens) => tokens.split('|'));

export function inputAt(dice: Dice): Buffer {
  switch (dice(8)) {
    case 0:
      return Buffer.from(Array.from({ length: dice(80) }, () => dice(256)));
    case 1:
      return octets(Array.from({ length: dice(30) }, () => pick(TOKENS, dice)).join(''));
    case 2:
    case 3:
      return octets(messages(dice));
    case 4:
      return octets(mutated(messages(dice), dice));
    default:
      return octets(mutated(Array.from({ length: 1 + dice(3) }, () => pick(WIRES, dice)).join(''), dice));
  }
}

function pick(list: readonly string[], dice: Dice): string {
  return list[dice(list.length)] ?? '';
}

function mutated(wire: string, dice: Dice): string {
  let text = wire;
  for (let i = dice(4); i >= 0; i--) {
    const from = dice(text.length + 1);
    const to = Math.min(text.length, from + dice(6));
    const middle = text.slice(from, to);
    const replacement = [
      () => '',
      () => middle + middle,
      () => pick(TOKENS, dice),
      () => middle + pick(TOKENS, dice),
      () => String.fromCharCode(dice(256)),
      () => String.fromCharCode((middle.charCodeAt(0) || 0) ^ (1 << dice(8))) + middle.slice(1),
      () => pick(WIRES, dice),
    ][dice(7)];
    text = text.slice(0, from) + (replacement?.() ?? '') + text.slice(to);
  }
  return text;
}

/** Well-formed messages, now and then large, deep or with names twice. */
function messages(dice: Dice): string {
  let text = '';
  for (let i = dice(3); i >= 0; i--) {
    let body = '';
    for (let n = dice(4); n > 0; n--) body += ` ${value(dice, 0)}`;
    const block = lines(dice, 0);
    const content = random(dice, dice(60));
    const payload = dice(2) === 0 ? `\r\n${content.length}:${content}\r\n` : '';
    text += `${name(dice)}${body}${block === '' ? '' : `\r\n${block}`}${payload};\r\n`;
  }
  return text;
}

function lines(dice: Dice, depth: number): string {
  let block = '';
  for (let n = Math.max(0, dice(6) - 3); n > 0; n--) block += `${name(dice)}: ${value(dice, depth)}\r\n`;
  return block;
}

function value(dice: Dice, depth: number): string {
  const inner = () => value(dice, depth + 1);
  switch (dice(depth > 4 ? 5 : 8)) {
    case 0:
    case 1:
      return String(dice(2) === 0 ? dice(100) : dice(2 ** 32));
    case 2:
      return name(dice);
    case 3:
    case 4: {
      const content = random(dice, dice(200) === 0 ? 70_000 : dice(20));
      return `"${content.length}:${content}"`;
    }
    case 5:
      return `(${Array.from({ length: dice(3) }, inner).join(',')})`;
    case 6: {
      const block = lines(dice, depth + 1);
      return `{${Array.from({ length: dice(3) }, inner).join(' ')}${block === '' ? '' : `\r\n${block}`}}`;
    }
    default: {
      const levels = dice(dice(20) === 0 ? 100 : 4);
      return '('.repeat(levels) + inner() + ')'.repeat(levels);
    }
  }
}

const NAMES = [
  'DUM',
  'TS',
  'NO',
  'NR',
  'AME',
  'Kept',
  'Modp',
  'As-is',
  'Services',
  'a',
  'b',
  'X-Long-Name',
  'true',
  'toString',
];

function name(dice: Dice): string {
  return dice(300) === 0 ? 'N'.repeat(1 + dice(1500)) : pick(NAMES, dice);
}

function random(dice: Dice, length: number): string {
  if (length > 1000) return 'abcdefghijk'.repeat(length / 11);
  return Array.from({ length }, () => String.fromCharCode(dice(256))).join('');
}
