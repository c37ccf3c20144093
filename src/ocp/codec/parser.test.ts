import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import {
  everyCut,
  invalid,
  moreInvalid,
  octets,
  parse,
  parseOne,
  samples,
  type Told,
  valid,
} from '../../../test/vectors/ocp/vectors.ts';
import { type Message, MessageParser, Outbox, writeMessage } from './index.ts';

const isBad = (told: readonly Told[]) => told.at(-1)?.told === 'bad';

/** Quotes that are not needed are not written. */
const UNQUOTED: Readonly<Record<string, string>> = { V10: 'TS 10 5;\r\n', V52: 'x-doit xyzzy;\r\n' };

for (const v of valid) {
  test(`${v.id} parses alike at every cut: ${v.note}`, () => {
    const whole = parse([octets(v.wire)]);
    assert.equal(whole.length > 0 && !isBad(whole), true, JSON.stringify(whole));
    for (const chunks of everyCut(octets(v.wire))) assert.deepEqual(parse(chunks), whole);
  });

  test(`${v.id} is written as it was read`, () => {
    const { message, payload } = parseOne(v.wire);
    const out = new Outbox();
    writeMessage(
      out,
      message.name,
      message.anonymous,
      message.named,
      payload === undefined ? undefined : octets(payload),
    );
    const written = Buffer.concat(out.take()).toString('latin1');
    assert.equal(written, UNQUOTED[v.id] ?? v.wire);
  });
}

/** What breaks is a stable name, so each is written down. */
const RULES: Readonly<Record<string, string>> = {
  I01: 'message-end',
  I02: 'value-start',
  I03: 'line-start',
  I04: 'name-start',
  I05: 'name-start',
  I06: 'message-end',
  I07: 'name-start',
  I08: 'name-start',
  I09: 'value-start',
  I10: 'after-value',
  I11: 'value-start',
  I12: 'value-start',
  I13: 'value-start',
  I14: 'after-value',
  I15: 'value-start',
  I16: 'after-value',
  I17: 'quote-end',
  I18: 'value-start',
  I19: 'quote-end',
  I20: 'quote-end',
  I21: 'size',
  I22: 'size',
  I23: 'size',
  I24: 'size',
  I25: 'size',
  I26: 'after-value',
  I27: 'after-value',
  I28: 'parameter-space',
  I29: 'parameter-colon',
  I30: 'after-value',
  I31: 'line-start',
  I32: 'line-start',
  I33: 'message-end',
  I34: 'message-end',
  I35: 'line-start',
  I36: 'after-value',
  I37: 'line-start',
  I38: 'after-value',
  I39: 'line-start',
};

const syntax = invalid.filter(({ layer }) => layer === 'syntax').map((v) => ({ ...v, rule: RULES[v.id] }));

for (const v of [...syntax, ...moreInvalid]) {
  test(`${v.id} breaks its rule at every cut: ${v.wrong}`, () => {
    const whole = parse([octets(v.wire)]);
    assert.deepEqual(whole.at(-1), { told: 'bad', rule: v.rule });
    for (const chunks of everyCut(octets(v.wire))) assert.deepEqual(parse(chunks), whole);
  });
}

for (const v of invalid.filter(({ layer }) => layer === 'type')) {
  test(`${v.id} has whole framing at every cut: ${v.wrong}`, () => {
    const whole = parse([octets(v.wire)]);
    assert.equal(isBad(whole), false);
    for (const chunks of everyCut(octets(v.wire))) assert.deepEqual(parse(chunks), whole);
  });
}

test('every sample and session of the reference parses, message by message', () => {
  for (const { id, wire } of samples) assert.doesNotThrow(() => parseOne(wire), id);
});

test('each side of a session parses as one stream at every cut', () => {
  for (const session of ['T1', 'T2', 'T3', 'T4', 'T5', 'T6', 'T7']) {
    for (const by of ['P', 'S']) {
      const said = samples.filter((s) => s.id.startsWith(session) && s.by === by).map((s) => octets(s.wire));
      const whole = parse(said);
      assert.equal(whole.filter(({ told }) => told === 'message' || told === 'end').length, said.length);
      for (const chunks of everyCut(Buffer.concat(said))) assert.deepEqual(parse(chunks), whole);
    }
  }
});

test('an atom is a number where it is a canonical dec-number in range, quoted or not, else text', () => {
  const { message } = parseOne(
    'X 0 2147483647 "1:7" 00 007 2147483648 12345678901 -1 1-2 12a "2:01" "0:" "1:\xff";\r\n',
  );
  const expected = [0, 2147483647, 7, '00', '007', '2147483648', '12345678901', '-1', '1-2', '12a', '01', '', '\xff'];
  assert.deepEqual(message.anonymous, expected);
});

test('a token of any length comes whole out of chunks of any size', () => {
  const letters = Array.from({ length: 5000 }, (_, i) => String.fromCharCode(97 + ((i * 7) % 26))).join('');
  const name = letters.slice(0, 1000);
  const wire = octets(`${name} ${letters} "5000:${letters}"\r\n${name}: 1\r\n;\r\n`);
  const whole = parse([wire]);
  assert.deepEqual(whole[0]?.told === 'message' && whole[0].message.anonymous, [letters, letters]);
  for (const size of [1, 7, 100, 255, 256, 257, 1000, 4097]) {
    const count = Math.ceil(wire.length / size);
    const chunks = Array.from({ length: count }, (_, i) => wire.subarray(i * size, (i + 1) * size));
    assert.deepEqual(parse(chunks), whole);
  }
});

test('lists and structures nest, and names that mean something elsewhere are names like others', () => {
  const { message } = parseOne('X ({a (1,())\r\ntoString: {\r\nconstructor: 2\r\n}\r\n},{});\r\n');
  const inner = { anonymous: [], named: new Map([['constructor', 2]]) };
  const first = { anonymous: ['a', [1, []]], named: new Map([['toString', inner]]) };
  assert.deepEqual(message.anonymous, [[first, { anonymous: [], named: new Map() }]]);
});

test('a name given twice leaves framing whole and the message broken, at any depth', () => {
  for (const wire of ['X\r\na: 1\r\na: 2\r\n;\r\n', 'X ({\r\na: 1\r\nb: 2\r\na: 1\r\n});\r\n']) {
    assert.equal(parseOne(wire).message.broken, 'duplicate-name');
  }
  assert.equal(parseOne('X {\r\na: 1\r\n} {\r\na: 1\r\n}\r\na: 1\r\n;\r\n').message.broken, undefined);
  const [first, second] = parse([octets('X\r\na: 1\r\na: 2\r\n;\r\nPQ;\r\n')]);
  assert.deepEqual(first?.told === 'message' && first.message.named, new Map([['a', 1]]));
  assert.equal(second?.told === 'message' && second.message.broken, undefined);
});

test('a bare Kept pair is read behind the switch, in a DUM only, at every cut', () => {
  const pair = 'DUM 1 0\r\nKept: 65 64\r\nModp: 0\r\n\r\n1:x\r\n;\r\n';
  const expected = new Map<string, unknown>([
    ['Kept', { anonymous: [65, 64], named: new Map() }],
    ['Modp', 0],
  ]);
  for (const chunks of everyCut(octets(pair))) {
    const [start] = parse(chunks, { kept: 'pair' });
    assert.deepEqual(start?.told === 'start' && start.message.named, expected);
    assert.deepEqual(parse(chunks).at(-1), { told: 'bad', rule: 'after-value' });
  }
  const strict = parseOne('DUM 1 0\r\nKept: {65 64}\r\nModp: 0\r\n\r\n1:x\r\n;\r\n', { kept: 'pair' });
  assert.deepEqual(strict.message.named, expected);
  assert.equal(parseOne('DUM 1 0\r\nKept: 65\r\n\r\n1:x\r\n;\r\n', { kept: 'pair' }).message.named.get('Kept'), 65);
  for (const [wire, rule] of [
    ['DUY 1 0 5\r\nKept: 65 64\r\n', 'after-value'],
    ['DUM 1 0\r\nkept: 65 64\r\n', 'after-value'],
    ['DUM 1 0\r\nModp: 65 64\r\n', 'after-value'],
    ['DUM 1 0\r\nKept: 65 64 63\r\n', 'after-value'],
    ['DUM 1 0\r\nKept: a 64\r\n', 'after-value'],
    ['DUM 1 0\r\nKept: 65 {1 2}\r\n', 'kept-pair'],
    ['DUM 1 0\r\nKept: 65 b\r\n', 'kept-pair'],
    ['DUM 1 0\r\nKept: 65 {\r\na: 1\r\n}\r\n', 'kept-pair'],
    ['DUM 1 0\r\nX: {\r\nKept: 65 64\r\n', 'after-value'],
    ['DUM 1 0\r\nKept: 65\r\nX: {\r\na: 1 2\r\n', 'after-value'],
  ] as const) {
    assert.deepEqual(parse([octets(wire)], { kept: 'pair' }), [{ told: 'bad', rule }], wire);
  }
});

test('payload comes as views into the chunk, without a copy', () => {
  const chunk = octets('DUM 1 0\r\n5:hello\r\n;\r\n');
  const seen: Buffer[] = [];
  const ignore = () => {};
  const parser = new MessageParser(
    { onMessage: ignore, onPayloadStart: ignore, onPayload: (o) => seen.push(o), onPayloadEnd: ignore, onBad: ignore },
    { kept: 'structure' },
  );
  parser.feed(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.length));
  assert.equal(seen.length, 1);
  assert.equal(seen[0]?.buffer, chunk.buffer);
  assert.equal(seen[0]?.toString(), 'hello');
});

test('nothing is told after a broken rule, nor after stop, though more is fed', () => {
  const bad = parse([octets('PQ;\r\n PQ;\r\n'), octets('PQ;\r\n')]);
  assert.deepEqual(
    bad.map(({ told }) => told),
    ['message', 'bad'],
  );
  const names: string[] = [];
  const parser: MessageParser = new MessageParser(
    {
      onMessage(message: Message) {
        names.push(message.name);
        parser.stop();
      },
      onPayloadStart() {},
      onPayload() {},
      onPayloadEnd() {},
      onBad: (rule) => names.push(rule),
    },
    { kept: 'structure' },
  );
  parser.feed(octets('CS;\r\nPQ;\r\n'));
  parser.feed(octets(' '));
  assert.deepEqual(names, ['CS']);
});

test('a sink that throws ends the stream: what follows is not taken for messages', () => {
  const names: string[] = [];
  const parser = new MessageParser(
    {
      onMessage(message) {
        names.push(message.name);
        throw new Error('sink');
      },
      onPayloadStart() {},
      onPayload() {},
      onPayloadEnd() {},
      onBad: (rule) => names.push(rule),
    },
    { kept: 'structure' },
  );
  assert.throws(() => parser.feed(octets('CS;\r\nPQ;\r\n')), /sink/);
  parser.feed(octets('PQ;\r\n'));
  assert.deepEqual(names, ['CS']);
});

test('whatever the octets and wherever they are cut, the same is told', () => {
  const piece = fc.constantFrom(
    'X',
    'DUM',
    ' ',
    '\r\n',
    ';',
    '"3:a;b"',
    '{',
    '}',
    '(',
    ')',
    ',',
    'a: ',
    '12',
    '3:abc',
    '\x00',
  );
  const wires = fc.oneof(
    fc.array(piece, { maxLength: 24 }).map((pieces) => octets(pieces.join(''))),
    fc.uint8Array({ maxLength: 60 }).map((o) => Buffer.from(o)),
  );
  fc.assert(
    fc.property(wires, fc.array(fc.nat(60), { maxLength: 6 }), (wire, cuts) => {
      const places = [0, ...cuts.map((c) => Math.min(c, wire.length)).sort((a, b) => a - b), wire.length];
      const chunks = places.slice(1).map((to, i) => wire.subarray(places[i], to));
      assert.deepEqual(parse(chunks), parse([wire]));
    }),
    { numRuns: 2000 },
  );
});
