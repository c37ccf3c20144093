import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'vitest';
import { allParts, fieldName, fileName, type MimePart, MimeScanner, partRanges, recognise } from './index.ts';

interface ExpectedPart {
  readonly path: string;
  readonly type: string;
  readonly faults?: readonly string[];
  readonly fields?: readonly string[];
  readonly [key: string]: unknown;
}
interface Vector {
  readonly why: string;
  readonly parts: readonly ExpectedPart[];
  readonly recognised?: Readonly<Record<string, string | boolean | null>>;
}

const folder = new URL('../../test/vectors/mail/', import.meta.url);
const names = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .map((name) => name.slice(0, -'.json'.length));

function scanned(chunks: readonly Buffer[]): MimePart {
  const scanner = new MimeScanner();
  for (const chunk of chunks) scanner.feed(chunk);
  return scanner.end();
}

/** What the vector says of a part, taken from the tree. */
function told(mail: Buffer, part: MimePart, expected: ExpectedPart): Record<string, unknown> {
  const cut = (from: number, to: number) => mail.toString('latin1', from, to);
  const all: Record<string, unknown> = {
    path: part.path,
    type: `${part.contentType.type}/${part.contentType.subtype}`,
    faults: part.faults,
    encoding: part.encoding,
    disposition: part.disposition?.kind,
    params: Object.fromEntries(part.contentType.params),
    dispositionParams: Object.fromEntries(part.disposition?.params ?? []),
    fileName: fileName(part)
      ?.map((piece) => new TextDecoder(piece.charset ?? 'utf-8').decode(piece.octets))
      .join(''),
    fields: part.fields.map((field) => fieldName(part.header, field)),
    header: cut(part.headerStart, part.bodyStart),
    body: cut(part.bodyStart, part.bodyEnd),
    preamble: part.preambleEnd === undefined ? undefined : cut(part.bodyStart, part.preambleEnd),
    epilogue: part.epilogueStart === undefined ? undefined : cut(part.epilogueStart, part.bodyEnd),
  };
  return Object.fromEntries([...Object.keys(expected), 'faults'].map((key) => [key, all[key]]));
}

/** All of a tree that must not depend on the chunks. */
function plain(part: MimePart): unknown {
  const { path, headerStart, bodyStart, bodyEnd, preambleEnd, epilogueStart, faults } = part;
  const texts = [part.header.toString('latin1'), part.head.toString('latin1')];
  const children = part.children.map(plain);
  return {
    path,
    headerStart,
    bodyStart,
    bodyEnd,
    preambleEnd,
    epilogueStart,
    faults: [...faults].sort(),
    texts,
    children,
  };
}

function assertTiles(mail: Buffer, root: MimePart): void {
  let at = 0;
  for (const { start, end } of partRanges(root)) {
    assert.equal(start, at);
    assert.ok(end > start);
    at = end;
  }
  assert.equal(at, mail.length);
}

for (const name of names) {
  const vector = JSON.parse(readFileSync(new URL(`${name}.json`, folder), 'utf8')) as Vector;
  const mail = readFileSync(new URL(`${name}.eml`, folder));

  test(`${name}: ${vector.why}`, () => {
    const root = scanned([mail]);
    const parts = [...allParts(root)];
    assert.deepEqual(
      parts.map((part, i) => told(mail, part, vector.parts[i] ?? { path: '', type: '' })),
      vector.parts.map((part) => ({ ...part, faults: part.faults ?? [] })),
    );
    assertTiles(mail, root);
    if (vector.recognised === undefined) return;
    const { signed = null, encrypted = null, dkim } = recognise(root);
    assert.deepEqual({ signed: signed ?? null, encrypted: encrypted ?? null, dkim }, vector.recognised);
  });

  test(`${name}: the tree does not depend on the chunks`, () => {
    const whole = plain(scanned([mail]));
    assert.deepEqual(plain(scanned(Array.from(mail, (octet) => Buffer.of(octet)))), whole);
    // A long mail is cut at some places only: its length comes from repetition.
    const step = mail.length > 3000 ? 97 : mail.length > 1000 ? 7 : 1;
    for (let cut = 1; cut < mail.length; cut += step) {
      assert.deepEqual(plain(scanned([mail.subarray(0, cut), mail.subarray(cut)])), whole, `cut at ${cut}`);
    }
  });
}
