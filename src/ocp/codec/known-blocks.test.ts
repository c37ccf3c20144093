/** Whatever was read before, a message comes to the same: a parser that knows blocks against one that knows nothing. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { DEFAULT_CODEC_LIMITS, type Message, MessageParser } from './index.ts';

const LINES = [
  'AM-Part: RCPT\r\n',
  'AM-Part: RAWDATA\r\n',
  'Allow: (SMTP-Error,Add-Header)\r\n',
  'Kept: {0 10}\r\n',
  'Kept: {5 20}\r\n',
  'Kept: 3 4\r\n',
  'A: {x\r\nKept: {1 2}\r\nB: 1}\r\n',
  'Add-Header: "8:X-A: b\r\n"\r\n',
];

const LIMITS = { ...DEFAULT_CODEC_LIMITS, maxValues: 8, maxHeadOctets: 90 };

type Told = Message | string;

function parser(told: Told[]): MessageParser {
  return new MessageParser(
    {
      onMessage: (message) => void told.push(message),
      onPayloadStart: (message) => void told.push(message),
      onPayload: (octets) => void told.push(octets.toString('latin1')),
      onPayloadEnd: () => void told.push('end'),
      onBad: (rule) => void told.push(rule),
    },
    { kept: 'pair', limits: LIMITS },
  );
}

function write(name: string, lines: readonly string[], withPayload: boolean): string {
  const head = `${name} 1 0\r\n${lines.join('')}`;
  if (withPayload) return lines.length === 0 ? `${head}1:p\r\n;\r\n` : `${head}\r\n1:p\r\n;\r\n`;
  return lines.length === 0 ? `${name} 1 0;\r\n` : `${head};\r\n`;
}

test('what was read before changes nothing of what is read', () => {
  const message = fc
    .tuple(fc.constantFrom('DUM', 'DUY', 'X'), fc.array(fc.constantFrom(...LINES), { maxLength: 4 }), fc.boolean())
    .map(([name, lines, withPayload]) => write(name, lines, withPayload));
  fc.assert(
    fc.property(
      fc.array(message, { minLength: 1, maxLength: 12 }),
      fc.integer({ min: 1, max: 400 }),
      (messages, cut) => {
        const known: Told[] = [];
        const one = parser(known);
        const wire = Buffer.from(messages.join(''), 'latin1');
        for (let at = 0; at < wire.length; at += cut) one.feed(wire.subarray(at, at + cut));
        const fresh: Told[] = [];
        for (const text of messages) {
          const before = fresh.length;
          parser(fresh).feed(Buffer.from(text, 'latin1'));
          if (fresh.slice(before).some((told) => typeof told === 'string' && told.endsWith('-limit'))) break;
          if (fresh.at(-1) === 'after-value' || fresh.at(-1) === 'kept-pair') break;
        }
        assert.deepEqual(known, fresh);
      },
    ),
    { numRuns: 2000 },
  );
});

test('lines that are shared are not added to', () => {
  const told: Told[] = [];
  const block = LINES[0] as string;
  const texts = [write('DUM', [block], true), write('DUM', [block, 'B: 1\r\n'], true), write('DUM', [block], true)];
  parser(told).feed(Buffer.from(texts.join(''), 'latin1'));
  const named = told.flatMap((one) => (typeof one === 'string' ? [] : [[...one.named.keys()].join()]));
  assert.deepEqual(named, ['AM-Part', 'AM-Part,B', 'AM-Part']);
});
