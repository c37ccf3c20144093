import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterAll, test } from 'vitest';
import { DotStuffer } from '../../smtp/client/stuffing.ts';
import { SpillDirectory } from '../fs/spill-files.ts';
import { compareContents, cutHeader, loadHeader } from './compare.ts';
import { Content, ContentReader, FixedOctets, MemoryBudget, OctetStore, type SpillSpace } from './index.ts';

const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'opes-content-'));
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }));

const space = new SpillDirectory({ directory, maxOctets: 1 << 30 });
const quiet = {
  onFault() {},
  onCaughtUp() {},
  onFailed(error: Error) {
    throw error;
  },
};
const noSpill: SpillSpace = { isFull: false, open: () => assert.fail('nothing was to be spilled') };

function octets(size: number, seed = 1): Buffer {
  const out = Buffer.alloc(size);
  for (let i = 0; i < size; i++) out[i] = (i * 31 + seed * 17 + (i >> 8)) & 0xff;
  return out;
}

function load(from: { load: Content['load'] }, offset: number, size: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    from.load(offset, size, (error, found) => (error === undefined ? resolve(Buffer.concat(found)) : reject(error)));
  });
}

/** Waits until the store's last octet is on the disk only. */
async function spilled(store: OctetStore): Promise<void> {
  while (store.view(store.size - 1, 1) !== undefined) await new Promise(setImmediate);
}

test('what the budget grants stays in memory, and is read back at any place', () => {
  const budget = new MemoryBudget(1000, 1000);
  const store = new OctetStore(budget, noSpill, quiet);
  const all = octets(900);
  for (let at = 0; at < 900; at += 90) store.append(all.subarray(at, at + 90));
  fc.assert(
    fc.property(fc.nat(900), fc.nat(900), (a, b) => {
      const [from, to] = a < b ? [a, b] : [b, a];
      return Buffer.concat(store.view(from, to - from) ?? []).equals(all.subarray(from, to));
    }),
  );
  assert.equal(budget.used, 900);
  store.dispose();
  assert.equal(budget.used, 0);
});

test('what the budget does not grant goes to the disk and is the same there', async () => {
  const budget = new MemoryBudget(100_000, 30_000);
  const store = new OctetStore(budget, space, quiet);
  const all = octets(300_000, 7);
  for (let at = 0; at < all.length; at += 10_000) store.append(all.subarray(at, at + 10_000));
  await spilled(store);
  assert.ok((await load(store, 0, all.length)).equals(all));
  for (const [from, size] of [
    [0, 1],
    [29_999, 2],
    [25_000, 90_001],
    [299_999, 1],
  ] as const) {
    assert.ok((await load(store, from, size)).equals(all.subarray(from, from + size)), `${from}+${size}`);
  }
  assert.equal(budget.used, 30_000);
  assert.deepEqual(fs.readdirSync(directory), [], 'a spill file has no name');
  store.dispose();
  assert.equal(space.used, 0);
});

test('a source that outruns the disk is asked to hold, and told when to go on', async () => {
  let caughtUp = 0;
  const store = new OctetStore(new MemoryBudget(0, 0), space, {
    onFault() {},
    onCaughtUp: () => caughtUp++,
    onFailed: (error) => quiet.onFailed(error),
  });
  while (!store.isBehind) store.append(octets(64 * 1024));
  assert.ok(store.size <= 640 * 1024, `${store.size} octets waited`);
  await load(store, 0, 1);
  while (store.isBehind) await new Promise(setImmediate);
  assert.equal(caughtUp, 1);
  store.dispose();
});

test('a spent quota fails the store once, and gives back what it took', async () => {
  const small = new SpillDirectory({ directory, maxOctets: 1000 });
  let failed: Error | undefined;
  const store = new OctetStore(new MemoryBudget(0, 0), small, {
    onFault() {},
    onCaughtUp() {},
    onFailed: (error) => (failed = error),
  });
  store.append(octets(900));
  store.append(octets(200));
  while (failed === undefined) await new Promise(setImmediate);
  assert.match(failed.message, /quota/);
  await assert.rejects(load(store, 0, 10), /quota/);
  store.dispose();
  assert.equal(small.used, 0);
});

test('ranges of ranges are ranges of the source: copying a content piece by piece makes it one piece again', () => {
  const source = new FixedOctets(octets(1000));
  const content = new Content();
  content.append(source, 0, 1000);
  const copy = new Content();
  for (let at = 0; at < 1000; at += 7) copy.appendRange(content, at, Math.min(7, 1000 - at));
  assert.equal(copy.pieces.length, 1);
  assert.ok(copy.isSameRange(0, content, 0, 1000));
});

test('any edit by ranges and insertions reads as the same edit of the octets', () => {
  const edit = fc.array(
    fc.oneof(fc.record({ from: fc.nat(200), size: fc.nat(80) }), fc.uint8Array({ minLength: 1, maxLength: 9 })),
    { maxLength: 20 },
  );
  fc.assert(
    fc.property(edit, (edits) => {
      const base = octets(200);
      const content = new Content();
      for (let at = 0; at < 200; at += 50) content.append(new FixedOctets(base.subarray(at, at + 50)), 0, 50);
      const out = new Content();
      const expected: Buffer[] = [];
      for (const one of edits) {
        if (one instanceof Uint8Array) {
          out.append(new FixedOctets(Buffer.from(one)), 0, one.length);
          expected.push(Buffer.from(one));
        } else {
          const size = Math.min(one.size, 200 - one.from);
          out.appendRange(content, one.from, size);
          expected.push(base.subarray(one.from, one.from + size));
        }
      }
      const whole = Buffer.concat(expected);
      assert.equal(out.size, whole.length);
      assert.ok(Buffer.concat(out.view(0, out.size) ?? []).equals(whole));
    }),
  );
});

test('a reader gets every octet once, in portions, from memory and from the disk', async () => {
  const store = new OctetStore(new MemoryBudget(50_000, 50_000), space, quiet);
  const all = octets(200_000, 3);
  for (let at = 0; at < all.length; at += 8_000) store.append(all.subarray(at, at + 8_000));
  await spilled(store);
  const content = new Content();
  content.append(store, 0, store.size);
  const read: Buffer[] = [];
  await new Promise<void>((resolve, reject) => {
    const pump = (): void => {
      while (reader.left > 0) {
        const portion = reader.next(64 * 1024);
        if (portion.kind === 'wait') return;
        if (portion.kind === 'failed') {
          reject(portion.error);
          return;
        }
        assert.ok(portion.size <= 64 * 1024);
        read.push(...portion.octets);
      }
      resolve();
    };
    const reader = new ContentReader(content, pump);
    pump();
  });
  assert.ok(Buffer.concat(read).equals(all));
  store.dispose();
});

test('dot-free octets are read apart, so that stuffing looks at the start of each piece only', () => {
  const piece = fc.record({
    isDotFree: fc.boolean(),
    text: fc.array(fc.constantFrom('a', '.', '\r\n', 'word', '..'), { maxLength: 6 }).map((parts) => parts.join('')),
    from: fc.nat(5),
    to: fc.nat(5),
  });
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), fc.integer({ min: 1, max: 20 }), (pieces, max) => {
      const content = new Content();
      for (const { isDotFree, text, from, to } of pieces) {
        const octets = Buffer.from(isDotFree ? text.replace(/^\.+|(?<=\n)\.+/g, '') : text);
        const store = new OctetStore(new MemoryBudget(), space, quiet);
        store.append(octets);
        store.isDotFree = isDotFree;
        const start = Math.min(from, octets.length);
        content.append(store, start, Math.max(0, octets.length - to - start));
      }
      const reader = new ContentReader(content, assert.fail);
      const [knowing, looking] = [new DotStuffer(), new DotStuffer()];
      const [known, looked]: [Uint8Array[], Uint8Array[]] = [[], []];
      while (reader.left > 0) {
        const portion = reader.nextAlike(max);
        assert.ok(portion.kind === 'octets' && portion.size > 0 && portion.size <= max);
        for (const octets of portion.octets) {
          knowing.push(octets, known, portion.isDotFree);
          looking.push(octets, looked);
        }
      }
      assert.equal(Buffer.concat(known).toString(), Buffer.concat(looked).toString());
    }),
    { numRuns: 1000 },
  );
});

test('a header section ends with its empty line; a message may be all header or have none', () => {
  const cut = (text: string) => cutHeader(Buffer.from(text)).toString();
  assert.equal(cut('A: b\r\n\r\nbody\r\n\r\n'), 'A: b\r\n\r\n');
  assert.equal(cut('\r\nbody\r\n\r\n'), '\r\n');
  assert.equal(cut('A: b\r\n'), 'A: b\r\n');
  assert.equal(cut(''), '');
});

function contentOf(...texts: string[]): Content {
  const content = new Content();
  for (const text of texts) content.append(new FixedOctets(Buffer.from(text)), 0, text.length);
  return content;
}

test('header and body are compared apart, by octets where references differ', async () => {
  const compare = (a: Content, b: Content) =>
    new Promise((resolve) => compareContents(a, b, 1000, (error, changes) => resolve(error ?? changes)));
  const before = contentOf('A: b\r\n\r\n', 'body\r\n');
  assert.deepEqual(await compare(before, before), { header: false, body: false });
  assert.deepEqual(await compare(before, contentOf('A: b\r\n\r\nbo', 'dy\r\n')), { header: false, body: false });
  assert.deepEqual(await compare(before, contentOf('A: c\r\n\r\n', 'body\r\n')), { header: true, body: false });
  assert.deepEqual(await compare(before, contentOf('A: b\r\n\r\n', 'BODY\r\n')), { header: false, body: true });
  assert.deepEqual(await compare(before, contentOf('X: y\r\nA: b\r\n\r\nbody\r\nmore')), { header: true, body: true });
});

test('the header of a spilled content is loaded', async () => {
  const store = new OctetStore(new MemoryBudget(0, 0), space, quiet);
  store.append(Buffer.from('A: b\r\n\r\nbody'));
  await spilled(store);
  const content = new Content();
  content.append(store, 0, store.size);
  const header = await new Promise<string>((resolve) =>
    loadHeader(content, 100, (_, found) => resolve(found.toString())),
  );
  assert.equal(header, 'A: b\r\n\r\n');
  store.dispose();
});
