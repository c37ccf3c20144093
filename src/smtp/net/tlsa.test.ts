import assert from 'node:assert/strict';
import { createHash, createPublicKey, X509Certificate } from 'node:crypto';
import { afterAll, test } from 'vitest';
import { type MadeCertificate, TestCa } from '../../../test/support/test-ca.ts';
import { checkTlsa, publicKeyInfo, type TlsaRecord, usableTlsa } from './tlsa.ts';

const NOW = Date.UTC(2026, 10, 22);
const NAMES = ['mx.example.com'];

const ca = new TestCa();
afterAll(() => ca[Symbol.dispose]());
const root = ca.make('root', { isIssuer: true });
const issuer = ca.make('issuer', { isIssuer: true }, root);
const own = ca.make('mx.example.com', { names: 'DNS:mx.example.com' }, issuer);
const rsa = ca.make('mx.example.com', { names: 'DNS:mx.example.com', rsa: true }, issuer);

const x509 = (made: MadeCertificate) => new X509Certificate(made.cert);
const CHAIN = [own, issuer, root].map(x509);

/** As an operator would make it: from the certificate, by the RFC's table. */
function record(made: MadeCertificate, usage: number, selector: number, matching: number): TlsaRecord {
  const octets =
    selector === 0
      ? new X509Certificate(made.cert).raw
      : createPublicKey(made.cert).export({ type: 'spki', format: 'der' });
  const data =
    matching === 0
      ? octets
      : createHash(matching === 1 ? 'sha256' : 'sha512')
          .update(octets)
          .digest();
  return { usage, selector, matching, data };
}

const verdict = (records: readonly TlsaRecord[], chain = CHAIN, names: readonly string[] = NAMES, now = NOW) => {
  const made = checkTlsa(records, chain, names, now);
  return made.kind === 'matched' ? 'matched' : made.why;
};

test('every usable selector and matching type, for the key itself and for its issuers', () => {
  for (const selector of [0, 1]) {
    for (const matching of [0, 1, 2]) {
      assert.equal(verdict([record(own, 3, selector, matching)]), 'matched', `3 ${selector} ${matching}`);
      assert.equal(verdict([record(issuer, 2, selector, matching)]), 'matched', `2 ${selector} ${matching}`);
      assert.equal(verdict([record(root, 2, selector, matching)]), 'matched', `2 ${selector} ${matching} root`);
      assert.equal(
        verdict([record(rsa, 3, selector, matching)], [x509(rsa)]),
        'matched',
        `rsa ${selector} ${matching}`,
      );
    }
  }
});

test('another key is refused, and so is a record for an issuer in the place of the key', () => {
  const other = ca.make('mx.example.com', { names: 'DNS:mx.example.com' }, issuer);
  assert.equal(verdict([record(other, 3, 1, 1)]), 'no TLSA record matches the certificate');
  assert.equal(verdict([record(issuer, 3, 1, 1)]), 'no TLSA record matches the certificate');
  assert.equal(verdict([record(other, 3, 1, 1), record(own, 3, 1, 1)]), 'matched', 'one of several is enough');
  const [first] = CHAIN;
  assert.ok(first);
  assert.equal(verdict([record(issuer, 2, 0, 1)], [first]), 'no TLSA record matches the certificate', 'not shown');
});

test('usage 3 asks for the key alone: neither names nor dates (RFC 7671, 5.1)', () => {
  const old = ca.make('elsewhere', { until: '20210101000000Z' });
  assert.equal(verdict([record(old, 3, 1, 1)], [x509(old)]), 'matched');
});

test('usage 2 asks for names, dates, and a chain that holds', () => {
  const anchor = [record(root, 2, 0, 1)];
  assert.equal(verdict(anchor, CHAIN, ['other.example.com']), 'the certificate is not for other.example.com');
  assert.equal(verdict(anchor, CHAIN, []), 'the certificate is not for ');
  assert.equal(verdict(anchor, CHAIN, ['other.example.com', 'mx.example.com']), 'matched');
  assert.equal(verdict(anchor, CHAIN, NAMES, Date.UTC(2019, 0, 1)), 'a certificate is not valid yet');
  assert.equal(verdict(anchor, CHAIN, NAMES, Date.UTC(2121, 0, 1)), 'a certificate has expired');
  const old = ca.make('mx.example.com', { names: 'DNS:mx.example.com', until: '20210101000000Z' }, root);
  assert.equal(verdict(anchor, [old, root].map(x509)), 'a certificate has expired');
  const stranger = ca.make('root', { isIssuer: true });
  const forged = ca.make('mx.example.com', { names: 'DNS:mx.example.com' }, stranger);
  assert.equal(verdict(anchor, [forged, root].map(x509)), 'the chain of certificates is broken');
  const child = ca.make('mx.example.com', { names: 'DNS:mx.example.com' }, own);
  assert.equal(
    verdict([record(own, 2, 0, 1)], [child, own].map(x509)),
    'a certificate was issued by one that may issue none',
  );
});

test('what SMTP cannot use is passed over: usages 0 and 1, unknown numbers, digests of a wrong length', () => {
  const right = record(own, 3, 1, 1);
  const odd: TlsaRecord[] = [
    { ...right, usage: 0 },
    { ...right, usage: 1 },
    { ...right, usage: 255 },
    { ...right, selector: 2 },
    { ...right, matching: 3 },
    { ...right, data: right.data.subarray(1) },
    { ...right, matching: 2 },
    { ...right, matching: 0, data: Buffer.alloc(0) },
  ];
  assert.deepEqual(usableTlsa([...odd, right]), [right]);
  assert.equal(verdict(odd), 'no TLSA record can be used');
  assert.equal(verdict([right], []), 'the hop shows no certificate');
});

test('the key is cut out of the certificate as it stands there; cut or mutated octets give none, or another', () => {
  for (const made of [own, issuer, root, rsa]) {
    const expected = createPublicKey(made.cert).export({ type: 'spki', format: 'der' });
    assert.deepEqual(publicKeyInfo(x509(made).raw), expected);
  }
  const { raw } = x509(own);
  for (let at = 0; at < raw.length; at++) {
    const cut = publicKeyInfo(raw.subarray(0, at));
    assert.equal(cut, undefined);
    const mutated = Buffer.from(raw);
    mutated[at] = 0x84;
    publicKeyInfo(mutated);
  }
});
