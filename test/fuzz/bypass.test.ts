/**
 * Made-up and mutated requests to leave services out, as parameters and as fields of a message: nothing throws, no cap is passed, what is
 * read can be written and read again, and whatever a URI is, it names one service or all. FUZZ_RUNS says how many inputs; FUZZ_SEED and
 * FUZZ_AT run one again.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'vitest';
import { Agents, readBypassFields, writeBypassField } from '../../src/gateway/bypass/index.ts';
import { type AgentUris, isAgentUri, parseOpesBypass } from '../../src/smtp/index.ts';
import { writeOpesBypass } from '../support/opes-parameters.ts';
import { type Dice, makeDice } from './ocp-inputs.ts';

const runs = Number(process.env['FUZZ_RUNS'] ?? 100_000);
const seed = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 32));
const only = process.env['FUZZ_AT'];

const SYSTEM = 'https://mail.example.com/opes';
const SERVICES = [`${SYSTEM}/av`, `${SYSTEM}/banner`, `${SYSTEM}?service=log`, 'urn:x:a,b;c'];
const agents = new Agents(SYSTEM, SERVICES);

const WHOLE = [
  '*',
  ...SERVICES,
  SYSTEM,
  `${SERVICES[0]}, ${SERVICES[1]}`,
  'urn:x:y,*',
  'HTTPS://Mail.Example.COM/opes/av?id=1#x;y',
];
const BITS = [
  ',',
  ';',
  '*',
  ' ',
  '\r\n\t',
  '\r\n ',
  '+',
  '+2C',
  '+3D',
  '+0',
  '%2C',
  '%3',
  '?',
  '#',
  '/',
  '//',
  ':',
  '=',
  '\0',
  '\xe9',
  'a:',
];

function inputAt(dice: Dice): string {
  let text = WHOLE[dice(WHOLE.length)] ?? '';
  for (let i = dice(6); i > 0; i--) {
    const from = dice(text.length + 1);
    const put = dice(4) === 0 ? String.fromCharCode(dice(256)) : (BITS[dice(BITS.length)] ?? '');
    text = text.slice(0, from) + put.repeat(dice(40) === 0 ? 60 : 1) + text.slice(from + dice(4));
  }
  return text;
}

function found(asked: AgentUris): readonly string[] {
  const named = agents.named(asked);
  return SERVICES.filter((uri) => named === '*' || named.has(uri));
}

function checkAsked(asked: AgentUris): void {
  assert.ok(asked === '*' || (asked.length > 0 && asked.length <= 50 && asked.every(isAgentUri)));
  const named = found(asked);
  if (asked === '*') assert.equal(named.length, SERVICES.length);
  else for (const uri of asked) assert.ok([1, SERVICES.length].includes(found([uri]).length));
  assert.ok(named.length > 0, 'a request that can be read is never one for nothing');
}

function check(text: string): void {
  const value = parseOpesBypass(text);
  if (value !== undefined) {
    checkAsked(value);
    assert.deepEqual(parseOpesBypass(writeOpesBypass(value)), value);
  }
  const field = Buffer.from(`OPES-Bypass: ${text}\r\n`, 'latin1');
  const { asked, unreadable } = readBypassFields([field]);
  assert.equal(unreadable, asked === undefined ? 1 : 0);
  if (asked === undefined) return;
  checkAsked(asked);
  const written = writeBypassField(asked);
  assert.match(written, /^OPES-Bypass: (?:[\x21-\x7e]+,\r\n\t)*[\x21-\x7e]+\r\n$/);
  assert.deepEqual(readBypassFields([Buffer.from(written, 'latin1')]), { asked, unreadable: 0 });
}

test(`${only === undefined ? runs : 1} requests, FUZZ_SEED=${seed}`, () => {
  const first = only === undefined ? 0 : Number(only);
  const last = only === undefined ? runs : first + 1;
  for (let at = first; at < last; at++) {
    const input = inputAt(makeDice(seed, at));
    try {
      check(input);
    } catch (error) {
      throw new Error(`FUZZ_SEED=${seed} FUZZ_AT=${at} ${JSON.stringify(input)}`, { cause: error });
    }
  }
});
