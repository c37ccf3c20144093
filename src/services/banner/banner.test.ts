import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import iconv from 'iconv-lite';
import { test } from 'vitest';
import { type RunResult, run } from '../../callout/testing.ts';
import {
  allParts,
  Base64Decoder,
  type MimePart,
  MimeScanner,
  QuotedPrintableDecoder,
  QuotedPrintableEncoder,
} from '../../mail/index.ts';
import { placeInHtml } from './html-place.ts';
import banner, { makeBanner } from './index.ts';
import { encodeIn, plainLines } from './notice.ts';

/** A mail as a mail program wrote it; the files have LF line ends. */
function fixture(name: string): Buffer {
  const octets = readFileSync(new URL(`../fixtures/${name}.eml`, import.meta.url));
  return Buffer.from(octets.toString('latin1').replaceAll('\n', '\r\n'), 'latin1');
}

function parse(message: Buffer): MimePart {
  const scanner = new MimeScanner();
  scanner.feed(message);
  return scanner.end();
}

/** What a reader sees of a part. */
function shown(message: Buffer, path: string): string {
  const part = [...allParts(parse(message))].find((one) => one.path === path);
  assert.ok(part !== undefined);
  const body = message.subarray(part.bodyStart, part.bodyEnd);
  return iconv.decode(decoded(body, part.encoding), part.contentType.params.get('charset') ?? 'us-ascii');
}

function decoded(body: Buffer, encoding: MimePart['encoding']): Buffer {
  if (encoding === 'base64') {
    const decoder = new Base64Decoder();
    const octets = Buffer.concat([decoder.feed(body), decoder.end()]);
    assert.equal(decoder.broken, undefined);
    return octets;
  }
  if (encoding !== 'quoted-printable') return body;
  const decoder = new QuotedPrintableDecoder();
  const octets = Buffer.concat([decoder.feed(body), decoder.end()]);
  assert.equal(decoder.broken, undefined);
  return octets;
}

const TEXT = 'From outside. Vorsicht, bitte.';
const plain = makeBanner({ text: TEXT });
const umlauts = makeBanner({ text: 'Von draußen: Vorsicht!' });

/** Nothing but what was put in is new, and all lines are as long as they may be. */
function assertUntouchedElse(before: Buffer, { edits, message, added, byReference }: RunResult): void {
  let rebuilt = Buffer.alloc(0);
  let at = 0;
  let replaced = 0;
  for (const { start, end, data } of edits) {
    rebuilt = Buffer.concat([rebuilt, before.subarray(at, start), data]);
    at = end;
    replaced += end - start;
    const longest = Math.max(
      ...data
        .toString('latin1')
        .split('\r\n')
        .map((line) => line.length),
    );
    assert.ok(longest <= 998);
  }
  rebuilt = Buffer.concat([Buffer.from(added.map((field) => `${field}\r\n`).join('')), rebuilt, before.subarray(at)]);
  const withoutTrace = before.toString('latin1').startsWith('Received:')
    ? message.length === rebuilt.length
    : message.equals(rebuilt);
  assert.ok(withoutTrace);
  assert.equal(byReference, before.length - replaced);
}

interface Case {
  readonly name: string;
  /** The parts that get it. */
  readonly paths: readonly string[];
  readonly note: string;
  readonly isAsciiOnly?: boolean;
}

const cases: readonly Case[] = [
  { name: 'no-mime', paths: ['1'], note: 'added', isAsciiOnly: true },
  { name: 'utf8-qp', paths: ['1'], note: 'added' },
  { name: 'utf8-base64', paths: ['1'], note: 'added' },
  { name: 'windows1252-8bit', paths: ['1'], note: 'added' },
  { name: 'gmail-alternative', paths: ['1.1', '1.2'], note: 'added' },
  { name: 'thunderbird-flowed', paths: ['1'], note: 'added' },
  { name: 'outlook-mixed', paths: ['1.1.1.1', '1.1.1.2'], note: 'added' },
  { name: 'forward-attached', paths: ['1.1'], note: 'added', isAsciiOnly: true },
];

for (const { name, paths, note, isAsciiOnly = false } of cases) {
  for (const service of isAsciiOnly ? [plain] : [plain, umlauts]) {
    const words = service === plain ? TEXT : 'Von draußen: Vorsicht!';
    test(`${name}: ${words}`, async () => {
      const before = fixture(name);
      const result = await run(service, { mail: before });
      assert.deepEqual(result.added, [`X-External-Banner: ${note}`]);
      assertUntouchedElse(before, result);
      for (const part of allParts(parse(before))) {
        if (part.children.length > 0) continue;
        const old = shown(before, part.path);
        const now = shown(result.message, part.path);
        if (!paths.includes(part.path)) assert.equal(now, old);
        // In flowed text, a line that begins with `From ` has a space in front.
        else if (part.contentType.subtype === 'plain')
          assert.ok(now.trimStart().startsWith(words) && now.endsWith(old) && now.includes('\r\n\r\n'));
        else assertInHtml(old, now, words);
      }
      // In a chain of gateways the next one finds it there.
      const again = await run(service, { mail: result.message });
      assert.deepEqual(again.added, ['X-External-Banner: not added (there already)']);
      for (const { path } of allParts(parse(before)))
        assert.equal(shown(again.message, path), shown(result.message, path));
    });
  }
}

/** The notice stands behind the body tag if there is one, else in front, and the rest is as it was. */
function assertInHtml(old: string, now: string, words: string): void {
  const body = /<body lang[^>]*>/.exec(old);
  const at = body === null ? 0 : body.index + body[0].length;
  assert.equal(now.slice(0, at), old.slice(0, at));
  assert.ok(now.endsWith(old.slice(at)));
  const notice = /^\r\n<div style="[^"]*">([^<]*)<\/div>\r\n {0,2}$/.exec(now.slice(at, now.length - old.length + at));
  const text = notice?.[1]?.replace(/&#(\d+);/g, (_, code) => String.fromCodePoint(Number(code)));
  assert.equal(text, words);
}

test('mail whose charset cannot be written is left alone, and says so', async () => {
  const before = fixture('iso2022jp');
  const result = await run(plain, { mail: before });
  assert.deepEqual(result.added, ['X-External-Banner: not added (charset ISO-2022-JP)']);
  assert.deepEqual([result.edits, result.byReference], [[], before.length]);
  const german = await run(umlauts, { mail: fixture('gb2312-base64') });
  assert.match(german.added[0] ?? '', /not added \(charset gb2312\)/);
  const ascii = await run(umlauts, { mail: fixture('no-mime') });
  assert.match(ascii.added[0] ?? '', /not added \(charset us-ascii\)/);
});

test('a Chinese mail in base64 gets an ASCII notice, and loses a digest that would be wrong', async () => {
  const before = fixture('gb2312-base64');
  const { message, edits } = await run(plain, { mail: before });
  assert.equal(shown(message, '1').slice(-shown(before, '1').length), shown(before, '1'));
  assert.ok(shown(message, '1').startsWith(TEXT));
  assert.ok(!message.includes('Content-MD5'));
  assert.equal(edits.length, 2);
});

for (const [name, why] of [
  ['smime-signed', 'signed'],
  ['pgp-inline-signed', 'signed'],
  ['pgp-mime-encrypted', 'encrypted'],
  ['dkim', 'dkim-signed'],
  ['image-only', 'no-text'],
  ['forward-only', 'no-text'],
  ['no-body', 'no body'],
] as const) {
  test(`${name} is not touched`, async () => {
    const before = fixture(name);
    const result = await run(banner, { mail: before });
    assert.deepEqual(result.added, [`X-External-Banner: not added (${why})`]);
    assert.deepEqual([result.edits, result.byReference, result.sentBack], [[], before.length, 0]);
    const silent = await run(makeBanner({ noteField: false }), { mail: before });
    assert.deepEqual([silent.outcome, silent.added], ['kept', []]);
  });
}

test('signed with a protocol nobody knows is signed too, also inside a mixture', async () => {
  const mail = (type: string) =>
    `Content-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: multipart/${type}; boundary=b\n\n--b\n\nwords\n--b\nContent-Type: application/x-new\n\nx\n--b--\n--a--\n`;
  assert.match((await run(banner, { mail: mail('signed') })).added[0] ?? '', /\(signed\)/);
  assert.match((await run(banner, { mail: mail('encrypted') })).added[0] ?? '', /\(encrypted\)/);
});

test('a DKIM signature is given up only where that was asked for', async () => {
  const before = fixture('dkim');
  const result = await run(makeBanner({ text: TEXT, touchDkimSigned: true }), { mail: before });
  assert.deepEqual(result.added, ['X-External-Banner: added']);
  const now = shown(result.message, '1');
  // No body tag: behind the document type, which has to stay in front.
  assert.match(
    now,
    /^<!DOCTYPE html>\r\n<div style="[^"]*">From outside\. Vorsicht, bitte\.<\/div>\r\n\r\n<p>Neues von Ida/,
  );
});

test('what two programs would read in two ways is left alone', async () => {
  for (const mail of [
    'Content-Type: text/plain\nContent-Type: text/html\n\nwords\n',
    'Content-Transfer-Encoding: x-uuencode\n\nwords\n',
    'Content-Type: multipart/mixed; boundary=a\nContent-Type: multipart/mixed; boundary=b\n\n--a\n\nwords\n--a--\n',
    'From nowhere\nthis is no header\n\nwords\n',
  ]) {
    const result = await run(banner, { mail });
    assert.match(result.added[0] ?? '', /not added \(malformed\)/, mail);
    assert.equal(result.sentBack, 0);
  }
  const broken = await run(banner, {
    mail: 'Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n!!! not base64\n',
  });
  assert.match(broken.added[0] ?? '', /not added \(transfer encoding\)/);
  const strange = await run(banner, { mail: 'Content-Type: text/plain; charset="__proto__\u0001"\n\nx\n' });
  assert.match(strange.added[0] ?? '', /not added/);
});

test('one of two alternatives may be left out, which is said', async () => {
  const mail =
    'Content-Type: multipart/alternative; boundary=a\n\n--a\nContent-Type: text/plain; charset=iso-2022-jp\n\nx\n--a\nContent-Type: text/html; charset=utf-8\n\n<p>x\n--a--\n';
  const result = await run(plain, { mail });
  assert.deepEqual(result.added, ['X-External-Banner: added in part (charset iso-2022-jp)']);
  assert.equal(result.edits.length, 1);
});

test('a body far behind the start gets no banner', async () => {
  const mail = Buffer.from(
    `Content-Type: multipart/mixed; boundary=a\r\n\r\n${'preamble\r\n'.repeat(60_000)}--a\r\n\r\nwords\r\n--a--\r\n`,
  );
  assert.match((await run(banner, { mail })).added[0] ?? '', /too far behind/);
});

test('a false body tag does not hide the banner', () => {
  const at = (html: string) => html.slice(placeInHtml(html));
  assert.equal(at('<html><body class="a">x'), 'x');
  assert.equal(at('<!-- <body> --><BODY>x'), 'x');
  assert.equal(at('<!--><body>x-->'), 'x-->');
  assert.equal(at('<style>/*<body>*/</style><title><body></title><body\nid=a>x'), 'x');
  assert.equal(at('<!DOCTYPE html>\n<!-- <body> <p>'), '\n<!-- <body> <p>');
  assert.equal(at('<bodyguard><p>x'), '<bodyguard><p>x');
  assert.equal(at(''), '');
  const many = '<!-- -->'.repeat(8000);
  assert.equal(at(`${many}<body>x`), 'x');
});

test('flowed lines neither flow on nor mean something else', () => {
  assert.equal(plainLines('> a\nFrom b\nc ', true), ' > a\r\n From b\r\nc\r\n\r\n');
  assert.equal(plainLines('> a', false), '> a\r\n\r\n');
  assert.ok(
    plainLines('word '.repeat(100), true)
      .split('\r\n')
      .every((line) => line.length <= 72 && !line.endsWith(' ')),
  );
});

test('text is written only in charsets that hold it', () => {
  assert.deepEqual(encodeIn('koi8-r', 'Привет'), iconv.encode('Привет', 'koi8-r'));
  assert.equal(encodeIn('koi8-r', 'ü'), undefined);
  for (const charset of ['utf-16', 'ucs2', 'base64', 'hex', 'binary', 'iso-2022-jp', 'nonsense', ''])
    assert.equal(encodeIn(charset, 'a'), undefined, charset);
});

test('whatever the text and the place, an HTML part decodes to the old text with the notice in it', async () => {
  const fill = fc.string({ unit: fc.constantFrom('a', ' ', 'ü', '=', '\r\n', '€', '<p>', '.'), maxLength: 150 });
  const encoding = fc.constantFrom('8bit', 'quoted-printable', 'base64');
  await fc.assert(
    fc.asyncProperty(fill, fill, encoding, async (front, back, how) => {
      const text = Buffer.from(`${front}<body lang=x>${back}`);
      const encoder = new QuotedPrintableEncoder();
      const body =
        how === 'base64'
          ? Buffer.from(text.toString('base64').replace(/.{1,76}/g, '$&\r\n'))
          : how === '8bit'
            ? text
            : Buffer.concat([encoder.feed(text), encoder.end()]);
      const header = `Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: ${how}\r\n\r\n`;
      const mail = Buffer.concat([Buffer.from(header), body]);
      const result = await run(umlauts, { mail });
      const now = shown(result.message, '1');
      // Behind the last group there is no sign whose place could be named.
      if (result.edits.length === 0) {
        assert.ok(how === 'base64' && back === '' && /transfer encoding/.test(result.added[0] ?? ''));
        return;
      }
      assertInHtml(text.toString(), now, 'Von draußen: Vorsicht!');
      if (how !== '8bit')
        for (const line of result.message.toString('latin1').split('\r\n')) assert.ok(line.length <= 76);
    }),
    { numRuns: 150 },
  );
});
