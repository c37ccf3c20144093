import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { octets, parse } from '../../../test/vectors/ocp/vectors.ts';
import * as ocp from './index.ts';
import { type Atom, MAX_NUMBER, type Named, NO_NAMED, Outbox, structure, type Value, writeMessage } from './index.ts';

function written(write: (out: Outbox) => void): string {
  const out = new Outbox();
  write(out);
  return Buffer.concat(out.take()).toString('latin1');
}

test('each message of OCP Core is written in its one form', () => {
  const log = structure(['http://svc.example/log'], new Map([['Level', 3]]));
  const x = structure(['x']);
  const failed = { code: 400, reason: 'idle too long' };
  const cases: readonly [(out: Outbox) => void, string][] = [
    [(o) => ocp.writeCs(o), 'CS;\r\n'],
    [(o) => ocp.writeCe(o), 'CE;\r\n'],
    [(o) => ocp.writeCe(o, failed), 'CE {400 "13:idle too long"};\r\n'],
    [(o) => ocp.writeCe(o, { code: 200, reason: '' }), 'CE {200};\r\n'],
    [(o) => ocp.writeSgc(o, 5, []), 'SGC 5 ();\r\n'],
    [(o) => ocp.writeSgc(o, 5, [x, log]), 'SGC 5 ({x},{"22:http://svc.example/log"\r\nLevel: 3\r\n});\r\n'],
    [(o) => ocp.writeSgd(o, 5), 'SGD 5;\r\n'],
    [(o) => ocp.writeTs(o, 10, 5), 'TS 10 5;\r\n'],
    [(o) => ocp.writeTe(o, 10), 'TE 10;\r\n'],
    [(o) => ocp.writeTe(o, 10, { code: 400, reason: 'no' }), 'TE 10 {400 no};\r\n'],
    [
      (o) => ocp.writeTe(o, 10, { code: 400, reason: 'no', cause: 'overload' }),
      'TE 10 {400 no\r\nCause: overload\r\n};\r\n',
    ],
    [(o) => ocp.writeTe(o, 10, { code: 400, reason: '', cause: 'x' }), 'TE 10 {400\r\nCause: x\r\n};\r\n'],
    [(o) => ocp.writeAms(o, 10), 'AMS 10;\r\n'],
    [(o) => ocp.writeAms(o, 10, [x]), 'AMS 10\r\nServices: ({x})\r\n;\r\n'],
    [(o) => ocp.writeAme(o, 10), 'AME 10;\r\n'],
    [(o) => ocp.writeAme(o, 10, { code: 206, reason: 'partial' }), 'AME 10 {206 partial};\r\n'],
    [(o) => ocp.writeDum(o, 10, 0, '', [octets('hel'), octets('lo')], 5), 'DUM 10 0\r\n5:hello\r\n;\r\n'],
    [(o) => ocp.writeDum(o, 10, 5, '', [], 0), 'DUM 10 5\r\n0:\r\n;\r\n'],
    [
      (o) => ocp.writeDum(o, 10, 0, ocp.writeNamed('Kept', structure([0, 5])), [octets('hello')], 5),
      'DUM 10 0\r\nKept: {0 5}\r\n\r\n5:hello\r\n;\r\n',
    ],
    [(o) => ocp.writeDuy(o, 10, 0, 5), 'DUY 10 0 5;\r\n'],
    [(o) => ocp.writeDuy(o, 10, 0, 5, 'AM-Part: RCPT\r\n'), 'DUY 10 0 5\r\nAM-Part: RCPT\r\n;\r\n'],
    [(o) => ocp.writeDpi(o, 10, 6, 5), 'DPI 10 6 5;\r\n'],
    [(o) => ocp.writeDwsr(o, 10, 1024), 'DWSR 10 1024;\r\n'],
    [(o) => ocp.writeDwss(o, 10), 'DWSS 10;\r\n'],
    [(o) => ocp.writeDss(o, 10), 'DSS 10;\r\n'],
    [(o) => ocp.writeDwp(o, 10, 65536), 'DWP 10 65536;\r\n'],
    [(o) => ocp.writeDpm(o, 10), 'DPM 10;\r\n'],
    [(o) => ocp.writeDwm(o, 10), 'DWM 10;\r\n'],
    [(o) => ocp.writeDwm(o, 10, 16384), 'DWM 10\r\nSize-request: 16384\r\n;\r\n'],
    [(o) => ocp.writeNo(o, []), 'NO ();\r\n'],
    [(o) => ocp.writeNo(o, [x], { sg: 5, offerPending: true }), 'NO ({x})\r\nSG: 5\r\nOffer-Pending: true\r\n;\r\n'],
    [(o) => ocp.writeNr(o, undefined), 'NR;\r\n'],
    [(o) => ocp.writeNr(o, x, { sg: 5 }), 'NR {x}\r\nSG: 5\r\n;\r\n'],
    [
      (o) => ocp.writeNr(o, undefined, { rejects: [x], unknowns: [x], offerPending: false }),
      'NR\r\nRejects: ({x})\r\nUnknowns: ({x})\r\n;\r\n',
    ],
    [(o) => ocp.writeAq(o, x), 'AQ {x};\r\n'],
    [(o) => ocp.writeAq(o, x, 'Y: 1\r\n'), 'AQ {x}\r\nY: 1\r\n;\r\n'],
    [(o) => ocp.writeAa(o, true), 'AA true;\r\n'],
    [(o) => ocp.writeAa(o, false, 'Y: 1\r\n'), 'AA false\r\nY: 1\r\n;\r\n'],
    [(o) => ocp.writePq(o), 'PQ;\r\n'],
    [(o) => ocp.writePq(o, 0), 'PQ 0;\r\n'],
    [(o) => ocp.writePa(o), 'PA;\r\n'],
    [(o) => ocp.writePa(o, 10, 4096), 'PA 10\r\nOrg-Data: 4096\r\n;\r\n'],
    [(o) => ocp.writePr(o, 10), 'PR 10;\r\n'],
  ];
  for (const [write, wire] of cases) {
    assert.equal(written(write), wire);
    const told = parse([octets(wire)]);
    const last = told.at(-1);
    assert.ok(last?.told === 'message' || last?.told === 'end', wire);
    assert.equal(ocp.readMessage(last.message).kind, wire.match(/^[A-Z]+/)?.[0]);
  }
});

const name = fc.stringMatching(/^[A-Za-z][A-Za-z0-9_-]{0,12}$/);
const latin1 = fc.uint8Array({ maxLength: 40 }).map((o) => Buffer.from(o).toString('latin1'));
const text = fc.oneof(latin1, name, fc.constantFrom('', '00', '-1', '"', '1:', ';\r\n', '2147483648'));
/** A canonical number in memory is a number, never its digits. */
const isCanonical = (s: string) => /^(0|[1-9]\d{0,9})$/.test(s) && Number(s) <= MAX_NUMBER;
const atom: fc.Arbitrary<Atom> = fc.oneof(
  fc.nat(MAX_NUMBER),
  text.filter((s) => !isCanonical(s)),
);
const namedOf = (value: fc.Arbitrary<Value>): fc.Arbitrary<Named> =>
  fc.array(fc.tuple(name, value), { maxLength: 3 }).map((pairs) => (pairs.length === 0 ? NO_NAMED : new Map(pairs)));
const { value } = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    atom,
    fc.array(tie('value'), { maxLength: 3 }),
    fc.record(
      { anonymous: fc.array(tie('value'), { maxLength: 3 }), named: namedOf(tie('value')) },
      { noNullPrototype: true },
    ),
  ),
}));

test('whatever is written reads back as it was', () => {
  const message = fc.record({
    name,
    anonymous: fc.array(value, { maxLength: 4 }),
    named: namedOf(value),
    payload: fc.option(fc.uint8Array({ maxLength: 60 }), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(message, { minLength: 1, maxLength: 3 }), (messages) => {
      const out = new Outbox();
      for (const m of messages) writeMessage(out, m.name, m.anonymous, m.named, m.payload);
      const pending = out.pendingOctets;
      const wire = Buffer.concat(out.take());
      assert.equal(wire.length, pending);
      const told = parse([wire]).filter(({ told }) => told !== 'start');
      const expected = messages.flatMap(({ payload, ...m }) => {
        const message = { ...m, payloadSize: payload?.length, broken: undefined };
        if (payload === undefined) return [{ told: 'message', message }];
        const content = { told: 'payload', octets: Buffer.from(payload).toString('latin1') };
        return [...(payload.length > 0 ? [content] : []), { told: 'end', message }];
      });
      assert.deepEqual(told, expected);
    }),
    { numRuns: 1000 },
  );
});

test('text that is no octets cannot break framing', () => {
  const wire = written((out) => writeMessage(out, 'X', ['\u2122', '\u0122;\r\n', 'a\u0430']));
  const [told, ...rest] = parse([octets(wire)]);
  assert.equal(rest.length, 0);
  assert.equal(told?.told === 'message' && told.message.anonymous.length, 3);
});

test('what has no form on the wire is a bug of ours, and nothing of it is written', () => {
  const out = new Outbox();
  for (const wrong of [
    () => writeMessage(out, 'a b', []),
    () => writeMessage(out, '', []),
    () => writeMessage(out, '1a', []),
    () => writeMessage(out, 'X', [], new Map([['a:', 1]])),
    () => writeMessage(out, 'X', [-1]),
    () => writeMessage(out, 'X', [1.5]),
    () => writeMessage(out, 'X', [Number.NaN]),
    () => writeMessage(out, 'X', [2147483648]),
    () => ocp.writeDum(out, 1, 0, '', [octets('abc')], 2),
  ]) {
    assert.throws(wrong, RangeError);
  }
  assert.equal(out.pendingOctets, 0);
  assert.deepEqual(out.take(), []);
});
