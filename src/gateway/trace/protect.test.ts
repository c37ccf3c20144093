import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { olderTrace, protectedFields, traceFacts, verifyTrace } from './index.ts';

const octets = (text: string) => Buffer.from(text.replaceAll('\n', '\r\n'), 'latin1');

const block = octets(
  'Received: from a by us;\n\tFri, 20 Nov 2026 11:24:40 +0000\nOPES-System: https://us.example/?id=1\n',
);
const original = octets(
  'Return-Path: <a@b>\nReceived: one\n by two\nDKIM-Signature: d\nReceived: two\nOPES-System: https://x.example/\n' +
    'OPES-System: https://y.example/\nOPES-Via: https://x.example/,\n\thttps://x.example/av\nFrom: a@b\nSubject: s\n\n',
);
const older = olderTrace(original);
const expected = { block, older };
const whole = Buffer.concat([block, original]);
const text = (header: Buffer) => header.toString('latin1').replaceAll('\r\n', '\n');

/** What comes out for a header made by replacing text in the one that the services were given. */
function after(from: string, to: string) {
  const given = text(whole);
  assert.ok(given.includes(from));
  return verifyTrace(expected, octets(given.replace(from, () => to)));
}

test('the protected fields are found in any case, with spaces before the colon, folds and all', () => {
  const header = octets(
    'RECEIVED : x\n y\nReceived-SPF: pass\nopes-via:z\nX: Received: no\n Received: no\n\nReceived: body\n',
  );
  assert.deepEqual(
    protectedFields(header).map(({ start, end }) => text(header.subarray(start, end))),
    ['RECEIVED : x\n y\n', 'opes-via:z\n'],
  );
});

test('hops and a foreign Via are counted from the header', () => {
  assert.deepEqual(traceFacts(original), { bypass: undefined, hops: 2, hasForeignVia: true });
  const none = { bypass: undefined, hops: 0, hasForeignVia: false };
  assert.deepEqual(traceFacts(octets('OPES-System: x:y\n\nOPES-Via: x:y\n')), none);
});

test('requests to leave services out are found among them, whole, wherever they stand in the header', () => {
  const filler = 'X-Filler: 1\n'.repeat(4000);
  const header = octets(`opes-BYPASS: *\n${filler}OPES-Bypass: a:b,\n\tc:d\n\nOPES-Bypass: not:this\n`);
  assert.deepEqual(traceFacts(header).bypass?.map(String), ['opes-BYPASS: *\r\n', 'OPES-Bypass: a:b,\r\n\tc:d\r\n']);
});

test('an untouched header is intact, and so is one with other fields changed or added', () => {
  assert.deepEqual(verifyTrace(expected, whole), { intact: true });
  assert.deepEqual(after('Subject: s\n', 'Subject: t\nX-Spam: no\n'), { intact: true });
  assert.deepEqual(after('DKIM-Signature: d\n', ''), { intact: true });
  assert.deepEqual(verifyTrace({ block, older: Buffer.alloc(0) }, block), { intact: true });
});

test('whatever a service did to trace fields, they come out as they went in', () => {
  const damage: readonly (readonly [string, string, number, number])[] = [
    ['OPES-System: https://us.example/?id=1\n', '', 0, 1], // own entry removed
    ['OPES-System: https://us.example/?id=1\n', 'OPES-System: https://us.example/?id=2\n', 1, 1],
    ['OPES-System: https://us.example/?id=1\n', 'OPES-System:\n https://us.example/?id=1\n', 1, 1], // folded anew
    ['Received: from a', 'X-Top: 1\nReceived: from a', 0, 0], // pushed down; put back on top
    ['Received: two\n', '', 0, 1],
    ['Received: two\n', 'Received: two\nReceived: forged\n', 1, 0],
    ['Received: two\n', 'Received: two\nReceived: two\n', 1, 0], // doubled
    ['Received: two\n', 'received: two\n', 1, 1],
    ['https://x.example/,\n\thttps', 'https://x.example/, https', 1, 1],
    ['OPES-System: https://us.example/?id=1\n', 'OPES-System: https://us.example/?id=1\n ,x:y\n', 1, 1], // lengthened
    ['Subject: s\n', 'Subject: s\nOPES-Via: https://evil.example/\n', 1, 0],
    ['Subject: s\n', 'Subject: s\nOPES-Via : https://evil.example/\n', 1, 0],
  ];
  for (const [from, to, foreign, missing] of damage) {
    const check = after(from, to);
    assert.equal(check.intact, false, to);
    assert.equal(check.foreign, foreign, to);
    assert.equal(check.missing, missing, to);
    const repaired = check.repaired ?? Buffer.alloc(0);
    assert.deepEqual(verifyTrace(expected, repaired), { intact: true }, to);
    assert.equal(rest(repaired), rest(octets(text(whole).replace(from, () => to))), to);
  }
});

/** The fields of a header that are not protected. */
function rest(header: Buffer): string {
  const places = protectedFields(header);
  return [{ start: 0, end: 0 }, ...places]
    .map(({ end }, i) => text(header.subarray(end, places[i]?.start ?? header.length)))
    .join('');
}

test('older fields keep their place between others when only some are gone', () => {
  const { repaired } = after('Received: two\n', '');
  assert.equal(text(repaired ?? Buffer.alloc(0)), text(whole));
});

test('a header that a service emptied or cut short gets all of its trace back', () => {
  for (const output of ['', '\n', 'From: a@b', '\nReceived: two\n']) {
    const { repaired = Buffer.alloc(0) } = verifyTrace(expected, octets(output));
    assert.ok(repaired.subarray(0, block.length + older.length).equals(Buffer.concat([block, older])), output);
    assert.ok(text(repaired).endsWith(output));
  }
});

test('an older field without its line end does not swallow what follows it', () => {
  const cut = octets('From: a@b\nReceived: x');
  const want = { block, older: olderTrace(cut) };
  assert.deepEqual(verifyTrace(want, Buffer.concat([block, cut])), { intact: true });
  const { repaired } = verifyTrace(want, octets('From: a@b\n\n'));
  assert.equal(text(repaired ?? Buffer.alloc(0)), `${text(block)}Received: x\nFrom: a@b\n\n`);
});

test('a mail that begins with a continuation line lengthens nothing of ours', () => {
  const folded = octets(' folded\nReceived: x\n\nbody\n');
  const apart = Buffer.concat([block, octets('\n'), folded]);
  const want = { block, older: olderTrace(folded) };
  assert.equal(want.older.length, 0);
  assert.deepEqual(verifyTrace(want, apart), { intact: true });
  assert.deepEqual(verifyTrace(want, folded).repaired, apart);
});

test('any edit of any header: repaired is intact, other fields stay, and nothing foreign is left', () => {
  const line = fc.constantFrom(
    ...text(whole).split(/(?<=\n)(?![ \t])/),
    'Received: f\n',
    'OPES-Via: x:y\n',
    'X: y\n',
    ' folded\n',
    'junk\n',
    'Received: bare\nlf\n',
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 25 }), (lines) => {
      const output = octets(lines.join(''));
      const check = verifyTrace(expected, output);
      if (check.intact) return;
      const repaired = check.repaired ?? Buffer.alloc(0);
      assert.deepEqual(verifyTrace(expected, repaired), { intact: true });
      const isBody = /^[ \t]/.test(lines[0] ?? '');
      if (isBody) assert.ok(repaired.equals(Buffer.concat([block, older, octets('\n'), output])));
      else assert.equal(rest(repaired), rest(output));
    }),
    { numRuns: 2000 },
  );
});

test('a giant header of forged fields costs no more than reading it', () => {
  const forged = Buffer.from('Received: x\r\nOPES-Via: x:y\r\n'.repeat(40_000));
  const mail = Buffer.concat([forged, octets('From: a@b\n\n')]);
  const want = { block, older: olderTrace(mail) };
  const started = process.cpuUsage();
  const { repaired } = verifyTrace(want, Buffer.concat([mail.subarray(13), block]));
  assert.ok(repaired);
  assert.ok(process.cpuUsage(started).user < 2_000_000);
});
