import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import {
  addTraceToReply,
  checkAgentUri,
  encodeUri,
  makeTraceBlock,
  parseTraceField,
  protectedFields,
  type Reception,
  sessionClauses,
  traceReplyLine,
  type ViaEntry,
  writeReceived,
} from './index.ts';

const reception: Reception = {
  hostname: 'mx1.example.com',
  helo: 'client.example.org',
  clientAddress: '192.0.2.138',
  protocol: 'ESMTPS',
  id: 'k3Jx.1',
  recipient: 'paul@example.com',
  date: new Date('2026-11-20T11:24:40Z'),
};

const makeReceived = (from: Reception) => writeReceived(sessionClauses(from), from);

const block = (via: readonly ViaEntry[], foreignViaPresent = false, uri = 'https://mail.example.com/opes') =>
  makeTraceBlock({ received: makeReceived(reception), system: { uri }, mailId: 'k3Jx.1', via, foreignViaPresent });

test('a Received field names the client, us, the protocol, the id and the one recipient', () => {
  assert.equal(
    makeReceived({ ...reception, clientName: 'host.example.org' }),
    'Received: from client.example.org (host.example.org [192.0.2.138])\r\n' +
      '\tby mx1.example.com with ESMTPS id k3Jx.1 for <paul@example.com>;\r\n' +
      '\tFri, 20 Nov 2026 11:24:40 +0000\r\n',
  );
});

test('a Received field tags IPv6 addresses and leaves out what is not there', () => {
  const { recipient: _, ...several } = reception;
  assert.equal(
    makeReceived({ ...several, helo: '', clientAddress: '2001:db8::1' }),
    'Received: from unknown ([IPv6:2001:db8::1]) by mx1.example.com\r\n' +
      '\twith ESMTPS id k3Jx.1;\r\n\tFri, 20 Nov 2026 11:24:40 +0000\r\n',
  );
});

test('a Received field of a Unix socket has no address to show', () => {
  assert.match(
    makeReceived({ ...reception, clientAddress: 'unix' }),
    /^Received: from client\.example\.org \(Unix socket\) by mx1\.example\.com\r\n/,
  );
});

test('nothing a client says can add a line, a comment or a field to Received', () => {
  const hostile = fc.string({ unit: 'binary', maxLength: 400 });
  fc.assert(
    fc.property(hostile, hostile, hostile, (helo, clientName, recipient) => {
      const field = makeReceived({ ...reception, helo, clientName, recipient });
      assert.ok(field.endsWith('\r\n'));
      const lines = field.slice(0, -2).split('\r\n');
      lines.forEach((line, i) => {
        assert.match(line, i === 0 ? /^Received: from [!-~]+/ : /^\t[!-~]/);
        assert.match(line, /^[\t -~]*$/);
        assert.ok(line.length <= 78 || !/[ \t]/.test(line.slice(i === 0 ? 15 : 1)), line);
        assert.ok(line.length <= 998);
      });
      assert.equal(field.split('(').length, 2);
      assert.equal(protectedFields(Buffer.from(field)).length, 1);
    }),
  );
});

test('the System stands in OPES-System alone while no service ran and no foreign Via is there', () => {
  assert.equal(
    block([]).toString('latin1').slice(makeReceived(reception).length),
    'OPES-System: https://mail.example.com/opes?id=k3Jx.1\r\n',
  );
});

test('a foreign Via makes the System enter itself there too, with the same URI', () => {
  assert.ok(
    block([], true)
      .toString('latin1')
      .endsWith(
        'OPES-System: https://mail.example.com/opes?id=k3Jx.1\r\nOPES-Via: https://mail.example.com/opes?id=k3Jx.1\r\n',
      ),
  );
});

test('services follow in their order, twice if they ran twice, folded after commas', () => {
  const text = block([
    { uri: 'https://mail.example.com/opes/av', outcome: 'skipped', reason: 'timeout' },
    { uri: 'https://mail.example.com/opes/a,b;c d', outcome: 'edited' },
    { uri: 'x:y', outcome: 'unchanged' },
    { uri: 'x:y', outcome: 'unchanged' },
  ]).toString('latin1');
  assert.equal(
    text.slice(text.indexOf('OPES-Via')),
    'OPES-Via: https://mail.example.com/opes?id=k3Jx.1,\r\n' +
      '\thttps://mail.example.com/opes/av;outcome=skipped;reason=timeout,\r\n' +
      '\thttps://mail.example.com/opes/a%2Cb%3Bc%20d;outcome=edited,\r\n' +
      '\tx:y;outcome=unchanged, x:y;outcome=unchanged\r\n',
  );
});

test('an existing query of the System URI is respected', () => {
  assert.match(block([], false, 'https://mail.example.com/o?v=2').toString(), /\/o\?v=2&id=k3Jx\.1\r\n$/);
});

test('entries beyond the caps are counted, not dropped in silence', () => {
  const many = Array.from({ length: 200 }, (): ViaEntry => ({ uri: 'x:y', outcome: 'unchanged' }));
  const field = parseTraceField(viaOf(block(many)));
  assert.equal(field?.entries.length, 50);
  assert.equal(field?.entries.at(-1)?.params.get('more'), '151');
  assert.equal(field?.cut, undefined);
  const long = Array.from({ length: 40 }, (): ViaEntry => ({ uri: `x:${'y'.repeat(390)}`, outcome: 'unchanged' }));
  const big = viaOf(block(long));
  assert.ok(big.length <= 4096);
  const read = parseTraceField(big);
  assert.equal((read?.entries.length ?? 0) - 1 + Number(read?.entries.at(-1)?.params.get('more')), 40);
});

function viaOf(made: Buffer): Buffer {
  const last = protectedFields(made).at(-1);
  return made.subarray(last?.start, last?.end);
}

const MARKS = {
  honoured: [['bypass', 'honoured']],
  never: [
    ['bypass', 'refused'],
    ['why', 'never'],
  ],
  authority: [
    ['bypass', 'refused'],
    ['why', 'authority'],
  ],
  late: [['bypass', 'late']],
} as const satisfies Record<NonNullable<ViaEntry['bypass']>, readonly (readonly [string, string])[]>;

test('what is written reads back, whatever the URIs hold', () => {
  const outcome = fc.constantFrom<ViaEntry['outcome']>('pending', 'unchanged', 'edited', 'header-added', 'bypassed');
  const bypass = fc.constantFrom<ViaEntry['bypass']>(undefined, 'honoured', 'never', 'authority', 'late');
  const entry = fc.record({
    uri: fc.string({ unit: 'grapheme', maxLength: 30 }).map((s) => `https://a/${s}`),
    outcome,
    bypass,
  });
  fc.assert(
    fc.property(fc.array(entry, { minLength: 1, maxLength: 30 }), (via) => {
      const made = block(via);
      for (const line of made.toString('latin1').split('\r\n')) {
        assert.ok(line.length <= 998);
        assert.match(line, /^[\t -~]*$/);
      }
      const [system, field] = protectedFields(made).slice(1);
      const first = parseTraceField(made.subarray(system?.start, system?.end));
      const read = parseTraceField(made.subarray(field?.start, field?.end));
      assert.equal(first?.name, 'OPES-System');
      assert.equal(first?.entries[0]?.uri, read?.entries[0]?.uri, 'REQ-006: the two System entries are the same');
      const expected = via.map((v) => ({
        uri: encodeUri(v.uri),
        params: new Map([['outcome', v.outcome as string], ...(v.bypass === undefined ? [] : MARKS[v.bypass])]),
      }));
      const entries = read?.entries.slice(1) ?? [];
      if (entries.at(-1)?.params.has('more')) return;
      assert.deepEqual(entries, expected);
    }),
  );
});

test('the URIs a configuration may not use are told', () => {
  assert.equal(checkAgentUri('https://mail.example.com/opes'), undefined);
  assert.match(checkAgentUri('mail.example.com/opes') ?? '', /absolute/);
  assert.match(checkAgentUri('https://a/#b') ?? '', /fragment/);
  assert.match(checkAgentUri(`https://a/${'ü'.repeat(100)}`) ?? '', /610 octets/);
});

test('foreign trace fields are read up to their caps, however they are written', () => {
  const read = (text: string) => parseTraceField(Buffer.from(text, 'latin1'));
  assert.equal(read('Subject: x\r\n'), undefined);
  assert.deepEqual(
    read('opes-via :\r\n http://a.example/;A="x\\",;";b , ,junk,\r\n\thttp://b.example/ ; a = 1;a=2\r\n'),
    {
      name: 'OPES-Via',
      entries: [
        {
          uri: 'http://a.example/',
          params: new Map([
            ['a', 'x",;'],
            ['b', ''],
          ]),
        },
        { uri: 'http://b.example/', params: new Map([['a', '1']]) },
      ],
      unreadable: 1,
    },
  );
  const giant = read(`OPES-System: ${'http://a.example/,'.repeat(60_000)}`);
  assert.equal(giant?.entries.length, 50);
  assert.equal(giant?.cut, 'field-size');
  assert.equal(read(`OPES-System: ${'x:y,'.repeat(60)}`)?.cut, 'entry-count');
  assert.equal(read(`OPES-System: "${'"\\'.repeat(4000)}`)?.entries.length, 0);
});

test('the trace line stands before the last line of a reply, or behind its only one', () => {
  const line = traceReplyLine('https://mail.example.com/opes', 'k3Jx.1');
  assert.equal(line, 'OPES-System: https://mail.example.com/opes?id=k3Jx.1');
  const reply = { code: 550, enhanced: '5.7.1', text: ['a'] };
  assert.deepEqual(addTraceToReply(reply, line), { ...reply, text: ['a', line] });
  assert.deepEqual(addTraceToReply({ ...reply, text: ['a', 'b', 'c'] }, line).text, ['a', 'b', line, 'c']);
  assert.deepEqual(reply.text, ['a']);
  assert.ok(traceReplyLine(`https://a/${'b'.repeat(390)}`, 'c'.repeat(64)).length <= 498);
});
