import assert from 'node:assert/strict';
import { test } from 'vitest';
import { originalFacts } from './original.ts';

test('what a report takes from a header, folds undone', () => {
  const header = Buffer.from(
    'OPES-Via: urn:a?id=1,\r\n\turn:b;outcome=edited\r\nopes-via: urn:older\r\nMessage-Id:\r\n <a@b>\r\nSubject: Hi\r\n there\r\nAccept-Language: de, en\r\n\r\nContent-Language: fr\r\n',
  );
  assert.deepEqual(originalFacts(header), {
    messageId: '<a@b>',
    subject: 'Hi there',
    languages: { accept: 'de, en', content: undefined },
    via: 'urn:a?id=1,\turn:b;outcome=edited',
  });
});

test('a header of anything else gives nothing', () => {
  for (const octets of ['', '\r\n', 'no field', '\0\n\n'])
    assert.equal(originalFacts(Buffer.from(octets)).messageId, undefined);
});
