import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'vitest';
import { CalloutBench, type Line, lineOf, ProcessorBench } from '../../../test/support/ocp-agents.ts';
import { everyCut, invalid, octets } from '../../../test/vectors/ocp/vectors.ts';
import { Phase } from './phase.ts';

/** Section 23.3 of the OCP reference: messages that are wrong only for what went before. */
interface InContext {
  readonly id: string;
  readonly after: readonly string[];
  readonly wire: string;
  readonly wrong: string;
  readonly reaction: string;
}

const [baseLine = '', ...vectorLines] = readFileSync(
  new URL('../../../test/vectors/ocp/context.jsonl', import.meta.url),
  'utf8',
)
  .trimEnd()
  .split('\n');
const { BASE }: { BASE: readonly string[] } = JSON.parse(baseLine);
const vectors = vectorLines.map((line): InContext => JSON.parse(line));

function before(vector: InContext): Line[] {
  return vector.after.flatMap((text) => (text === 'BASE' ? BASE : [text])).map(lineOf);
}

/** The agent the wrong message comes to, with all that went before. */
function benchAfter(lines: readonly Line[], to: 'P' | 'S'): ProcessorBench | CalloutBench {
  const bench = to === 'P' ? new ProcessorBench({ firstXid: 10, groupId: 5 }) : new CalloutBench();
  if (bench instanceof CalloutBench) {
    for (const { by, wire } of lines) {
      if (by === 'S' && wire.startsWith('NR')) {
        bench.answers.push({ feature: undefined, pending: wire.includes('Offer-Pending: true') });
      }
    }
  }
  for (const { by, wire } of lines) {
    if (by === to) bench.act(wire);
    else bench.feed(wire);
  }
  return bench;
}

/** `S: TE 10 400 (…)` or `P: negotiation failed; may CE 400`: what the reaction starts with on the wire. */
function reactionOf({ reaction }: { reaction: string }): string {
  const [, xid] = /TE (\d+) 400/.exec(reaction) ?? [];
  return xid === undefined ? 'CE {400 ' : `TE ${xid} {400 `;
}

for (const vector of vectors) {
  // An agent of ours has answered the first offer before it reads the second, which is then just another one.
  if (vector.id === 'C19') continue;
  test(`${vector.id}: ${vector.wrong}`, () => {
    const { by, wire } = lineOf(vector.wire);
    const to = by === 'P' ? 'S' : 'P';
    for (const chunks of everyCut(octets(wire))) {
      const bench = benchAfter(before(vector), to);
      assert.equal(bench.agent.isEnded, false);
      const sentBefore = bench.sent.length;
      for (const chunk of chunks) bench.feed(chunk);
      const reaction = bench.sent.slice(sentBefore).replace(/^CS;\r\n/, '');
      assert.ok(reaction.startsWith(reactionOf(vector)), reaction);
      assert.equal(reaction.split(';\r\n').length, 2, `one message: ${reaction}`);
      assert.equal(bench.agent.isEnded, reactionOf(vector).startsWith('CE'));
    }
  });
}

test('C01: CS goes out before the CE', () => {
  const bench = new CalloutBench();
  bench.feed('TS 1 1;\r\n');
  assert.match(bench.sent, /^CS;\r\nCE \{400 /);
});

test('C18: without a DUY before, a dropped commitment only ends our use of it', () => {
  const vector = vectors.find(({ id }) => id === 'C18');
  assert.ok(vector);
  const bench = benchAfter(before(vector).slice(0, -1), 'S');
  assert.ok(bench instanceof CalloutBench);
  assert.equal(bench.transactions.get(10)?.canUseYours(0, 5), true);
  bench.feed(lineOf(vector.wire).wire);
  assert.equal(bench.log.at(-1), '10 data world');
  assert.equal(bench.transactions.get(10)?.canUseYours(0, 5), false);
  assert.equal(bench.transactions.get(10)?.canUseYours(5, 5), false);
});

test('C19: a second offer breaks the rule while the first is unanswered', () => {
  const phase = new Phase('callout');
  assert.equal(phase.recvOffer(false).kind, 'answer');
  assert.deepEqual(phase.recvOffer(false), { kind: 'bad', rule: 'offer-before-answer' });
  phase.sendAnswer(false);
  assert.equal(phase.recvOffer(false).kind, 'answer');
});

/** Section 23.2, in a session where transaction 10 lives; those only one side looks at go there. */
const TO_PROCESSOR = new Set(['I52', 'I54', 'I55', 'I56', 'I57', 'I58', 'I59']);

for (const vector of invalid) {
  test(`${vector.id} (${vector.layer}): ${vector.wrong}`, () => {
    const to = TO_PROCESSOR.has(vector.id) ? 'P' : 'S';
    const lines = [...BASE, 'P> TS 10 5;\r\n', 'P> AMS 10;\r\n', 'S> AMS 10;\r\n'].map(lineOf);
    for (const chunks of everyCut(octets(vector.wire))) {
      const bench = benchAfter(lines, to);
      const sentBefore = bench.sent.length;
      for (const chunk of chunks) bench.feed(chunk);
      const reaction = bench.sent.slice(sentBefore);
      assert.ok(reaction.startsWith(reactionOf(vector)), `${reaction} / ${bench.log.join()}`);
    }
  });
}
