import assert from 'node:assert/strict';
import { test } from 'vitest';
import { addTraceToReply, findMailId, makeTraceBlock, traceReplyLine } from './index.ts';

const SYSTEM = 'https://mail.example.com/opes';
const ID = 'q3-_Zk81aBcD.2';
const found = { kind: 'id', id: ID };

test('an id is itself', () => {
  assert.deepEqual(findMailId(ID, SYSTEM), found);
  assert.deepEqual(findMailId(` ${ID}\n`, SYSTEM), found);
  assert.deepEqual(findMailId(`${ID}#0`, SYSTEM), found, 'as `opes queue list` prints it');
  assert.deepEqual(findMailId(`${ID}.v2`, SYSTEM), { kind: 'id', id: `${ID}.v2` });
});

test('what we write into mails and refusals leads back to the id', () => {
  for (const system of [SYSTEM, `${SYSTEM}?site=a`, 'https://mail.example.com/a,b;c']) {
    const via = [{ uri: 'https://mail.example.com/opes/av', outcome: 'unchanged' }] as const;
    const received = 'Received: from a by b\r\n';
    const block = makeTraceBlock({ received, system: { uri: system }, mailId: ID, via, foreignViaPresent: false });
    const fields = block
      .toString()
      .slice(received.length)
      .split(/\r\n(?=OPES)/);
    assert.equal(fields.length, 2);
    for (const field of fields) assert.deepEqual(findMailId(field, system), found, field);
    const { text } = addTraceToReply({ text: ['no'] }, traceReplyLine(system, ID));
    assert.deepEqual(findMailId(`550 5.7.1 ${text.at(-1)}`, system), found);
  }
});

test('a URI as a mail shows it, in angle brackets or not', () => {
  assert.deepEqual(findMailId(`${SYSTEM}?id=${ID}`, SYSTEM), found);
  assert.deepEqual(findMailId(`<${SYSTEM}?id=${ID}>`, SYSTEM), found);
  assert.deepEqual(findMailId(`${SYSTEM}?id=${ID}&lang=en`, SYSTEM), found);
});

test('a folded field of several Systems: ours is found', () => {
  const field = `opes-via: https://other.example/opes?id=x.1,\r\n\thttps://other.example/av;outcome=edited,\r\n\t${SYSTEM}?id=${ID}`;
  assert.deepEqual(findMailId(field, SYSTEM), found);
});

test('a trace of others is told as such', () => {
  const uri = 'https://other.example/opes?id=x.1';
  assert.deepEqual(findMailId(`OPES-System: ${uri}`, SYSTEM), { kind: 'foreign', uris: [uri] });
  assert.deepEqual(findMailId(`${SYSTEM}.evil.example?id=${ID}`, SYSTEM).kind, 'foreign');
});

test('anything else is none', () => {
  for (const text of ['', 'no such thing', 'OPES-System:', 'Subject: x', '#0', `${ID}#x`, 'x'.repeat(5000)])
    assert.deepEqual(findMailId(text, SYSTEM), { kind: 'none' }, text);
  assert.deepEqual(findMailId(`${SYSTEM}?id=%ff`, SYSTEM).kind, 'foreign');
  assert.deepEqual(findMailId(`${SYSTEM}?id=`, SYSTEM).kind, 'foreign');
});
