import assert from 'node:assert/strict';
import { test } from 'vitest';
import { Failure } from '../exit.ts';
import { readConfig } from '../load.ts';
import { placeFailure } from './bind.ts';

test('what to do where a place cannot be had fits the reason', () => {
  const loaded = readConfig(undefined);
  assert.ok(loaded.kind === 'loaded');
  const config = { ...loaded.config, file: '/etc/opes/opes.yaml', source: 'opes.yaml' };
  const said = (code: string): string => {
    const failure = placeFailure(Object.assign(new Error(code), { code }), 'mx.test:25', config);
    assert.ok(failure instanceof Failure);
    return failure.message.split('\n')[1] ?? '';
  };
  assert.equal(said('EADDRINUSE'), '    end it, or change the address in opes.yaml');
  assert.match(said('EADDRNOTAVAIL'), /^ {4}write an address of this machine in opes\.yaml$/);
  for (const code of ['ENOTFOUND', 'EAI_AGAIN'])
    assert.match(said(code), /^ {4}write an IP address in opes\.yaml, or /);
  assert.match(said('EACCES'), /^ {4}start it under systemd /);
});
