import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'vitest';
import { certificateNotice, keysComplaint } from './pem.ts';

/** Valid for 90 days from now; its key before it. */
const ARGS = 'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 90 -subj /CN=x -keyout - -out -';
const pair = execFileSync('openssl', ARGS.split(' '));
const cert = pair.subarray(pair.indexOf('-----BEGIN CERTIFICATE'));
const DAY_MS = 24 * 60 * 60 * 1000;

test('a certificate is worth a word when it ends soon, has ended, or does not begin yet', () => {
  const after = (days: number) => certificateNotice(cert, Date.now() + days * DAY_MS);
  assert.equal(after(1), undefined);
  assert.equal(after(75), undefined);
  assert.match(after(77) ?? '', /^the certificate ends on \d{4}-\d\d-\d\d$/);
  assert.match(after(91) ?? '', /^the certificate ended on \d{4}-\d\d-\d\d$/);
  assert.match(after(-1) ?? '', /^the certificate is not valid before \d{4}-\d\d-\d\d$/);
});

test('what nobody has words for is told in those of the TLS library', () => {
  const { what } = keysComplaint({ cert, key: pair }, new Error('error:0A00018F:SSL routines::ee key too small'));
  assert.equal(what, 'certificate and key cannot be used: SSL routines::ee key too small');
});
