/** What holds for any service, any message and any cut of the wire. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { test } from 'vitest';
import { defineService, edit, keep, type MessageVerdict, type Service } from './index.ts';
import { type RunOptions, run } from './testing.ts';

/** Text of lines, a header or something like it in front. No trace: that is not to be edited. */
const message = fc
  .record({
    header: fc.array(
      fc.constantFrom('X-Folded: by a\r\n b\r\n', 'List-Id: http://x\r\n', 'Subject: s\r\n', 'X-Long: ', 'junk\r\n'),
      { maxLength: 6 },
    ),
    isWhole: fc.boolean(),
    body: fc.array(fc.string({ maxLength: 40 }), { maxLength: 60 }),
  })
  .map(({ header, isWhole, body }) =>
    Buffer.from(
      `${header.join('')}${isWhole ? '\r\n' : ''}${body.map((line) => `${line.replace(/[\r\n]/g, ' ')}\r\n`).join('')}`,
    ),
  );

interface Place {
  readonly start: number;
  readonly end: number;
  readonly data: Buffer;
}

/** Edits that do not overlap, for a message of `size` octets. */
function placesIn(size: number, cuts: readonly number[], texts: readonly string[]): readonly Place[] {
  const at = [...cuts].map((cut) => cut % (size + 1)).sort((a, b) => a - b);
  const places: Place[] = [];
  for (let i = 0; i + 1 < at.length; i += 2) {
    places.push({ start: at[i] ?? 0, end: at[i + 1] ?? 0, data: Buffer.from(texts[i % texts.length] ?? '') });
  }
  return places;
}

function edited(octets: Buffer, places: readonly Place[]): Buffer {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const { start, end, data } of places) {
    pieces.push(octets.subarray(at, start), data);
    at = end;
  }
  return Buffer.concat([...pieces, octets.subarray(at)]);
}

type When = 'at once' | 'with the header' | 'when it is whole' | 'when some was read' | 'when all was read' | 'later';

/** A service that makes these edits, deciding at the given time. */
function editor(uri: string, places: readonly Place[], when: When): Service {
  const verdict = (): MessageVerdict =>
    places.length === 0 ? keep() : edit({ ranges: places.toSorted((a, b) => b.start - a.start) });
  switch (when) {
    case 'at once':
      return defineService({ uri, message: verdict });
    case 'with the header':
      return defineService({ uri, wants: { headers: true }, message: verdict });
    case 'when it is whole':
      return defineService({ uri, wants: { whole: { maxOctets: 1e6 } }, message: verdict });
    case 'when some was read':
      return defineService({
        uri,
        wants: { body: 'stream' },
        async message(mail) {
          for await (const _ of mail.body) break;
          return verdict();
        },
      });
    case 'when all was read':
      return defineService({
        uri,
        wants: { body: 'stream' },
        async message(mail) {
          for await (const _ of mail.content);
          return verdict();
        },
      });
    case 'later':
      return defineService({
        uri,
        async message() {
          await new Promise(setImmediate);
          return verdict();
        },
      });
  }
}

const when = fc.constantFrom<When>(
  'at once',
  'with the header',
  'when it is whole',
  'when some was read',
  'when all was read',
  'later',
);
const texts = fc.array(fc.constantFrom('', 'new\r\n', 'some more text\r\nin lines\r\n'), {
  minLength: 1,
  maxLength: 3,
});
const cuts = fc.array(fc.nat(), { maxLength: 8 });
const wire = fc.record({
  fragmentOctets: fc.integer({ min: 1, max: 200 }),
  cutOctets: fc.integer({ min: 1, max: 300 }),
});

function randomCut(max: number): () => number {
  let n = max;
  return () => {
    n = (n * 7919 + 13) % max;
    return n + 1;
  };
}

const options = ({ fragmentOctets, cutOctets }: { fragmentOctets: number; cutOctets: number }): RunOptions => ({
  fragmentOctets,
  cut: randomCut(cutOctets),
});

test('any edits give exactly the expected message, and what they do not touch goes by reference', async () => {
  await fc.assert(
    fc.asyncProperty(message, cuts, texts, when, wire, async (octets, at, data, time, how) => {
      const places = placesIn(octets.length, at, data);
      const result = await run(editor('urn:a', places, time), { ...options(how), mail: octets });
      assert.equal(result.failure, undefined);
      assert.deepEqual(result.message, edited(octets, places));
      assert.equal(result.byReference, octets.length - places.reduce((sum, { start, end }) => sum + end - start, 0));
      assert.equal(
        result.sentBack,
        places.reduce((sum, place) => sum + place.data.length, 0),
      );
    }),
    { numRuns: 150 },
  );
});

test('the same where the processor keeps nothing', async () => {
  await fc.assert(
    fc.asyncProperty(message, cuts, texts, when, wire, async (octets, at, data, time, how) => {
      const places = placesIn(octets.length, at, data);
      const result = await run(editor('urn:a', places, time), { ...options(how), mail: octets, kept: 'off' });
      assert.equal(result.failure, undefined);
      assert.deepEqual(result.message, edited(octets, places));
      assert.equal(result.byReference, 0);
    }),
    { numRuns: 100 },
  );
});

test('services of one group work on each other’s results, and what nobody touched still goes by reference', async () => {
  const step = fc.record({ at: cuts, data: texts, time: when });
  const kept = fc.constantFrom('structure' as const, 'off' as const);
  await fc.assert(
    fc.asyncProperty(
      message,
      fc.array(step, { minLength: 2, maxLength: 3 }),
      wire,
      kept,
      async (octets, steps, how, keeps) => {
        let expected: Buffer = octets;
        const services = steps.map(({ at, data, time }, i) => {
          const places = placesIn(expected.length, at, data);
          expected = edited(expected, places);
          return editor(`urn:${i}`, places, time);
        });
        const result = await run(services, { ...options(how), mail: octets, kept: keeps });
        assert.equal(result.failure, undefined);
        assert.deepEqual(result.message, expected);
        if (keeps === 'off') return;
        // Everything that was sent is something a service had put in.
        const inserted = steps.reduce((sum, { data }) => sum + data.reduce((all, text) => all + text.length, 0) * 4, 0);
        assert.ok(result.sentBack <= inserted);
      },
    ),
    { numRuns: 100 },
  );
});
