/**
 * Made-up and mutated PROXY headers: nothing throws, no more is asked for than a header can have, and the answer does not depend
 * on how much of what follows is there. FUZZ_RUNS says how many inputs; FUZZ_SEED and FUZZ_AT run one again.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { isIP } from 'node:net';
import { test } from 'vitest';
import { takeProxyHeader } from '../../src/smtp/proxy/proxy-header.ts';
import { type Dice, makeDice } from './ocp-inputs.ts';

const runs = Number(process.env['FUZZ_RUNS'] ?? 100_000);
const seed = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 32));
const only = process.env['FUZZ_AT'];

/** Version 2's head and the most that may stand behind it. */
const MOST = 16 + 4096;

const WHOLE = [
  'PROXY TCP4 192.0.2.1 198.51.100.1 56324 25\r\n',
  'PROXY TCP6 2001:db8::1 2001:db8::2 56324 25\r\n',
  'PROXY UNKNOWN\r\n',
  '\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x01\xdc\x04\0\x19',
  `\r\n\r\n\0\r\nQUIT\n!!\0\x24${'\x20\x01'.repeat(16)}\xdc\x04\0\x19`,
  '\r\n\r\n\0\r\nQUIT\n \0\0\0',
];
const BITS = [
  '\r\n',
  '\r',
  '\n',
  ' ',
  '\0',
  '::',
  ':',
  '.',
  '65535',
  '65536',
  'TCP4',
  'TCP6',
  'UNKNOWN',
  'PROXY ',
  '\xff\xff',
  'EHLO a\r\n',
];

function inputAt(dice: Dice): Buffer {
  let text = WHOLE[dice(WHOLE.length)] ?? '';
  for (let i = dice(4); i > 0; i--) {
    const from = dice(text.length + 1);
    const put = dice(3) === 0 ? String.fromCharCode(dice(256)) : (BITS[dice(BITS.length)] ?? '');
    text = text.slice(0, from) + put + text.slice(from + dice(4));
  }
  return Buffer.from(text, 'latin1');
}

function check(input: Buffer, dice: Dice): void {
  const step = takeProxyHeader(input);
  if (step.kind === 'more') {
    assert.notEqual(
      takeProxyHeader(Buffer.concat([input, Buffer.alloc(MOST, 'x')])).kind,
      'more',
      'more than a header has',
    );
    return;
  }
  if (step.kind === 'got') {
    assert.ok(step.used > 0 && step.used <= input.length);
    const { source } = step.value;
    if (source !== undefined) assert.ok(isIP(source.address) > 0 && source.port <= 65_535, JSON.stringify(source));
    assert.deepEqual(takeProxyHeader(input.subarray(0, step.used)), step);
    for (let cut = 0; cut < step.used; cut++) assert.equal(takeProxyHeader(input.subarray(0, cut)).kind, 'more');
    return;
  }
  const early = takeProxyHeader(input.subarray(0, dice(input.length + 1)));
  assert.ok(early.kind === 'more' || early.kind === 'bad');
}

test(`${only === undefined ? runs : 1} inputs, FUZZ_SEED=${seed}`, () => {
  const first = only === undefined ? 0 : Number(only);
  const last = only === undefined ? runs : first + 1;
  for (let at = first; at < last; at++) {
    const dice = makeDice(seed, at);
    const input = inputAt(dice);
    try {
      check(input, dice);
    } catch (error) {
      throw new Error(`FUZZ_SEED=${seed} FUZZ_AT=${at} ${JSON.stringify(input.toString('latin1'))}`, { cause: error });
    }
  }
});
