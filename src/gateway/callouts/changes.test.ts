/** Judging what a service made of a message: here where its header section is as large as one may be. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { Content, FixedOctets } from '../content/index.ts';
import { olderTrace } from '../trace/protect.ts';
import type { Call } from './call.ts';
import { type JudgedWalk, judgeChanges } from './changes.ts';

const BLOCK = Buffer.from('OPES-System: http://opes.example\r\nOPES-Via: http://opes.example 1\r\n');
const BODY = 'Hello!\r\n';

const contentOf = (...texts: (string | Buffer)[]): Content => {
  const content = new Content();
  for (const text of texts) {
    const octets = new FixedOctets(Buffer.from(text));
    content.append(octets, 0, octets.size);
  }
  return content;
};

const textOf = (content: Content) => Buffer.concat(content.view(0, content.size) ?? []).toString();

/** What becomes of `after`, which a service with these permissions made of `before`. */
async function judge(before: string, after: string, maxHeaderOctets: number, may: readonly string[]) {
  const told: string[] = [];
  const call = {
    planned: { step: { service: { options: { may: new Set(may) } } } },
    run: { declareInvalid: (detail: string) => told.push(detail) },
    took: (what: string) => told.push(what),
    traceRepaired: (missing: number) => told.push(`repaired ${missing}`),
  } as unknown as Call;
  let base: string | undefined;
  const block = new FixedOctets(BLOCK);
  const walk: JudgedWalk = {
    mail: {
      maxHeaderOctets,
      olderTrace: olderTrace(Buffer.from(before)),
      storeFailed: assert.fail,
      onFault: assert.fail,
    },
    block,
    base: contentOf(before),
    isReleased: false,
    goOnWith: (next) => {
      base = textOf(next);
    },
    afterFailure: () => {},
  };
  const output = contentOf(BLOCK, after);
  judgeChanges(walk, call, contentOf(BLOCK, before), { kind: 'adapted', output, addHeaders: [] });
  await new Promise(setImmediate);
  return { told, base };
}

const TRACE = 'Received: from a.example\r\n';
const LARGE = `Subject: ${'x'.repeat(60)}\r\n${TRACE}\r\n`;

test('the last field of the largest header is a field, and no body', async () => {
  const after = LARGE.replace(TRACE, '');
  assert.deepEqual((await judge(LARGE + BODY, after + BODY, LARGE.length, ['edit-content'])).told, [
    'no permission: edit-header',
  ]);
  const may = ['edit-header', 'edit-content'];
  assert.deepEqual((await judge(LARGE + BODY, after + BODY, LARGE.length, may)).told, ['edited', 'repaired 1']);
});

test('beyond the largest header a change may be one of a field, and is not taken', async () => {
  const before = LARGE.replace(TRACE, `X: ${'y'.repeat(80)}\r\n${TRACE}`);
  const after = before.replace(TRACE, '');
  const only = await judge(before + BODY, after + BODY, LARGE.length, ['edit-content']);
  assert.deepEqual(only, { told: ['no permission: edit-header'], base: undefined });
  const both = await judge(before + BODY, after + BODY, LARGE.length, ['edit-header', 'edit-content']);
  assert.deepEqual(both, { told: ['header-size'], base: undefined });
  assert.deepEqual((await judge(before + BODY, before + BODY, LARGE.length, [])).told, ['unchanged']);
});

test('behind the largest header the body is the body', async () => {
  assert.deepEqual((await judge(LARGE + BODY, `${LARGE}Bye!\r\n`, LARGE.length, ['edit-content'])).told, ['edited']);
});
