/** The small parts of the SDK by themselves. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { decodeEncodedWords, unfold } from '../mail/index.ts';
import { checkAddedField } from '../profile/index.ts';
import { hasBareNewline } from './changes.ts';
import { writeField } from './field-text.ts';
import { HeaderCollector } from './header-collector.ts';
import { decodeText } from './headers.ts';
import { Held, HeldBudget } from './held.ts';
import { defineService, edit, keep, type Mail, refuse, rewrite, tempfail } from './index.ts';
import { MailStream } from './mail-stream.ts';
import { sortSplices } from './splice.ts';

test('fields are folded and encoded, and read back as they were', () => {
  assert.equal(writeField('X-A', 'b'), 'X-A: b');
  assert.equal(writeField('X-A', ''), 'X-A:');
  assert.equal(
    writeField('From', 'Jürgen Müller <j@x.example>'),
    'From: =?utf-8?B?SsO8cmdlbiBNw7xsbGVy?= <j@x.example>',
  );
  assert.equal(
    writeField('Subject', 'already =?utf-8?Q?x?= encoded'),
    'Subject: already =?utf-8?B?PT91dGYtOD9RP3g/PQ==?= encoded',
  );
  const long = writeField('X-Long', 'word '.repeat(40));
  assert.ok(long.split('\r\n').every((line) => line.length <= 78 && line.trim() !== ''));
  const words = fc.array(fc.oneof(fc.stringMatching(/^[!-~]{1,30}$/), fc.stringMatching(/^[ä-ü😀]{1,20}$/u)), {
    minLength: 1,
    maxLength: 30,
  });
  fc.assert(
    fc.property(words, (all) => {
      const value = all.join(' ');
      const field = writeField('X-Name', value);
      assert.equal(checkAddedField(field), undefined);
      const read = decodeEncodedWords(unfold(field.slice('X-Name:'.length)))
        .map(({ octets, charset }) => decodeText(octets, charset))
        .join('');
      assert.equal(read, value);
    }),
  );
});

test('a verdict that makes no sense is refused where it is made', () => {
  assert.throws(() => refuse(450, '5.7.1', 'x'), /5yz/);
  assert.throws(() => refuse(560, '5.7.1', 'x'), /5yz/);
  assert.throws(() => refuse(550, '4.7.1', 'x'), /5\.y\.z/);
  assert.throws(() => tempfail(550, '5.7.1', 'x'), /4yz/);
  for (const path of ['a@b', '<a@b', '<a b@c>', '<a@b>\r\nDATA', '<a@b> X', '', '<<a@b>>'])
    assert.throws(() => rewrite(path), /path/);
  for (const path of ['<>', '<a@b.example>', '<"a b"@c.example>', '<jürgen@müller.example>'])
    assert.equal(rewrite(path).path, path);
  for (const name of ['Received', 'OPES-Via', 'X A', 'X:', '', 'DKIM-Signature']) {
    assert.throws(() => edit({ headers: { add: [[name, 'x']] } }), name);
    assert.throws(() => edit({ headers: { remove: [name] } }), name);
    assert.throws(() => edit({ headers: { replace: [[name, 'x']] } }), name);
  }
  assert.throws(() => edit({ headers: { add: [['X-A', 'b\r\nBcc: x@y']] } }), /line end/);
  for (const range of [
    { start: -1, end: 0 },
    { start: 2, end: 1 },
    { start: 0.5, end: 1 },
    { start: 0, end: Number.NaN },
  ]) {
    assert.throws(() => edit({ ranges: [{ ...range, data: '' }] }), /range/);
  }
  for (const data of ['a\n', '\r', 'a\rb', '\nb'])
    assert.throws(() => edit({ ranges: [{ start: 0, end: 0, data }] }), /CRLF/);
  assert.ok(!hasBareNewline(Buffer.from('a\r\nb\r\n')));
  assert.throws(() => defineService({ uri: 'no uri', message: () => keep() }), /URI/);
  assert.throws(
    () => defineService({ uri: 'urn:x', wants: { body: 'stream', whole: { maxOctets: 1 } } }),
    /or for the whole/,
  );
  assert.throws(() => defineService({ uri: 'urn:x', timeoutMs: 0, message: () => keep() }), /time limit/);
});

test('text of a refusal cannot end its line or steer a terminal', () => {
  assert.equal(refuse(550, '5.7.1', 'a\r\nb', 'c\x1b[2Jd ü').reply, '550-5.7.1 a??b\r\n550 5.7.1 c?[2Jd ?');
  assert.equal(refuse(550, '5.7.1').reply, '550 5.7.1 Refused');
  assert.equal(refuse(550, '5.7.1', ...Array.from('abcdefg')).reply.split('\r\n').length, 5);
});

test('overlapping splices are found', () => {
  const at = (start: number, end: number) => ({ start, end, data: new Uint8Array(0) });
  assert.equal(sortSplices([at(3, 5), at(4, 6)]), undefined);
  assert.equal(sortSplices([at(3, 5), at(4, 4)]), undefined);
  assert.deepEqual(sortSplices([at(5, 6), at(3, 5), at(3, 3)]), [at(3, 3), at(3, 5), at(5, 6)]);
});

test('held octets are walked with their gaps, and given back', () => {
  const budget = new HeldBudget(10);
  const held = new Held(budget);
  const chunk = Buffer.from('..abcde.');
  assert.equal(held.add(2, chunk, 2, 5)?.toString(), 'abc');
  assert.equal(held.add(7, chunk, 5, 7)?.toString(), 'de');
  assert.equal(held.add(9, chunk, 0, 6), undefined);
  chunk.fill('#'); // as a read does
  const walk = (from: number, to: number): string => {
    let text = '';
    held.walk(
      from,
      to,
      (octets) => {
        text += octets.toString();
        return true;
      },
      (start, end) => {
        text += `[${start}-${end}]`;
        return true;
      },
    );
    return text;
  };
  assert.equal(walk(0, 10), '[0-2]abc[5-7]de[9-10]');
  assert.equal(walk(3, 8), 'bc[5-7]d');
  assert.equal(walk(5, 7), '[5-7]');
  assert.equal(walk(3, 3), '');
  held.release(5);
  assert.deepEqual([walk(0, 9), held.octets, budget.octets], ['[0-7]de', 2, 2]);
  held.clear();
  assert.equal(budget.octets, 0);
});

function streamOf(told: string[]): MailStream {
  return new MailStream({
    onReaderWaits: () => told.push('waits'),
    onReaderFed: () => told.push('fed'),
    wantPause: () => told.push('pause'),
    wantMore: () => told.push('more'),
  });
}

async function readAll(octets: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of octets) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

test('a stream is read whole, with or without its first octets, before or while it comes', async () => {
  for (const skip of [0, 1, 4, 5, 11]) {
    const before = streamOf([]);
    for (const chunk of ['abcd', 'ef', 'ghijk']) before.push(Buffer.from(chunk));
    before.end();
    assert.equal(await readAll(before.read(skip)), 'abcdefghijk'.slice(skip));
    const during = streamOf([]);
    const reading = readAll(during.read(skip));
    for (const chunk of ['abcd', 'ef', 'ghijk']) during.push(Buffer.from(chunk));
    during.end();
    assert.equal(await reading, 'abcdefghijk'.slice(skip));
  }
});

test('a stream asks for a pause when it is full and for more when it is read', async () => {
  const told: string[] = [];
  const stream = streamOf(told);
  const chunk = Buffer.alloc(100_000);
  for (let i = 0; i < 3; i++) assert.ok(stream.push(chunk));
  assert.deepEqual(told, ['pause']);
  const reader = stream.read(0);
  for (let i = 0; i < 3; i++) await reader.next();
  assert.ok(told.includes('more'));
  const waiting = reader.next();
  await assert.rejects(reader.next(), /before it was answered/);
  stream.fail(new Error('over'));
  await assert.rejects(waiting, /over/);
  assert.throws(() => stream.read(0), /once only/);
  const flooded = streamOf([]);
  let isWilling = true;
  for (let i = 0; i < 200 && isWilling; i++) isWilling = flooded.push(chunk);
  assert.ok(!isWilling, 'a processor that does not pause is not listened to for ever');
});

test('a header is the same however it is cut', () => {
  const octets = Buffer.from('Subject: =?utf-8?Q?a?=\r\n =?utf-8?Q?b?=\r\nTo: x\r\n\r\nbody');
  for (let cut = 0; cut <= octets.length; cut++) {
    const collector = new HeaderCollector();
    collector.feed(octets.subarray(0, cut));
    collector.feed(octets.subarray(cut));
    const { headers } = collector;
    assert.ok(headers !== undefined);
    assert.equal(headers.end, octets.length - 4);
    assert.equal(headers.text('subject'), 'ab');
    assert.deepEqual(
      [...headers].map(({ name, start, end }) => [name, start, end]),
      [
        ['Subject', 0, 40],
        ['To', 40, 47],
      ],
    );
    assert.equal(headers.first('To')?.raw, ' x');
    assert.ok(headers.isWhole && headers.has('TO') && !headers.has('Cc'));
  }
});

type Has<T, K> = K extends keyof T ? true : false;

test('a view shows what was wished for, and the compiler knows', () => {
  // Each line fails to compile where the type says otherwise.
  const headers: Has<Mail<{ headers: true }>, 'headers'> = true;
  const noStream: Has<Mail<{ headers: true }>, 'content'> = false;
  const stream: Has<Mail<{ body: 'stream' }>, 'content' | 'body' | 'headers'> = true;
  const whole: Has<Mail<{ whole: { maxOctets: 1 } }>, 'octets'> = true;
  const noSender: Has<Mail<{ recipients: true }>, 'sender'> = false;
  const nothing: Has<Mail<Record<never, never>>, 'headers' | 'sender' | 'octets'> = false;
  assert.deepEqual([headers, noStream, stream, whole, noSender, nothing], [true, false, true, true, false, false]);
});
