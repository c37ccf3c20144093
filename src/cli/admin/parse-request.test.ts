/** What an operator types, in the words of the store. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { parseRequest } from './parse-request.ts';
import { VERSION } from './protocol.ts';

test('an address beyond ASCII is looked for as its octets, as the store has it', () => {
  const octets = (text: string): string => Buffer.from(text).toString('latin1');
  const parsed = (request: object) => parseRequest(JSON.stringify({ v: VERSION, ...request }));
  assert.deepEqual(parsed({ do: 'list', filter: { text: 'zoë' }, limit: 1 }), {
    request: { do: 'list', filter: { text: octets('zoë') }, limit: 1, after: undefined },
  });
  assert.deepEqual(parsed({ do: 'act', order: { act: 'retry', destination: 'bücher.example' } }), {
    request: { do: 'act', order: { act: 'retry', destination: octets('bücher.example') } },
  });
});
