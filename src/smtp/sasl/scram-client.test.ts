import assert from 'node:assert/strict';
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto';
import { test } from 'vitest';
import { makeSaslClient, type SaslCrypto, type SaslStep, usableMechanisms } from './client.ts';
import { plainMessage } from './plain.ts';
import { ScramClient } from './scram-client.ts';
import { parseServerFirst } from './scram-messages.ts';

const crypto = (nonce = 'rOprNGfwEbeRWgbNEkqO'): SaslCrypto => ({
  hash: (octets) => createHash('sha256').update(octets).digest(),
  hmac: (key, octets) => createHmac('sha256', key).update(octets).digest(),
  nonce: () => nonce,
});

const PENCIL = { user: 'user', password: 'pencil' };

function derive(step: SaslStep): Buffer {
  assert.ok(step.kind === 'derive', JSON.stringify(step));
  return pbkdf2Sync(step.password, step.salt, step.iterations, 32, 'sha256');
}

const said = (step: SaslStep): string => (step.kind === 'say' ? step.octets.toString() : `${step.kind}`);
const why = (step: SaslStep): string => (step.kind === 'bad' ? step.why : `not bad but ${step.kind}`);

// RFC 7677 section 3.
const SERVER_FIRST = 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096';
const CLIENT_FINAL =
  'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=';
const SERVER_FINAL = 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=';

test('the exchange of RFC 7677', () => {
  const client = new ScramClient(PENCIL, crypto());
  assert.equal(client.first().toString(), 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO');
  const salted = derive(client.next(Buffer.from(SERVER_FIRST)));
  assert.equal(said(client.derived(salted)), CLIENT_FINAL);
  assert.equal(client.mayEnd, false);
  assert.equal(said(client.next(Buffer.from(SERVER_FINAL))), '');
  assert.equal(client.mayEnd, true);
});

test('a server that does not know the password is found out', () => {
  for (const [final, expected] of [
    ['v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=', /signature is wrong/],
    ['v=', /signature is wrong/],
    ['', /signature is wrong/],
    ['v=!!!!', /signature is wrong/],
    ['e=invalid-proof', /the server says invalid-proof/],
  ] as const) {
    const client = new ScramClient(PENCIL, crypto());
    client.first();
    client.derived(derive(client.next(Buffer.from(SERVER_FIRST))));
    assert.match(why(client.next(Buffer.from(final))), expected);
    assert.equal(client.mayEnd, false);
    assert.match(why(client.next(Buffer.from(SERVER_FINAL))), /out of turn/);
  }
});

test('a server-first message that is none, plays back, or asks for too little or too much', () => {
  for (const [text, expected] of [
    ['', /no server-first/],
    ['s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096', /no server-first/],
    ['m=x,r=rOprNGfwEbeRWgbNEkqO1,s=W22Z,i=4096', /no server-first/],
    ['r=rOprNGfwEbeRWgbNEkqO1,s=,i=4096', /no server-first/],
    ['r=rOprNGfwEbeRWgbNEkqO1,s=W2Z,i=4096', /no server-first/],
    ['r=rOprNGfwEbeRWgbNEkqO1,s=W22Z,i=04096', /no server-first/],
    ['r=rOprNGfwEbeRWgbNEkqO1,s=W22Z,i=1e9', /no server-first/],
    ['r=rOprNGfwEbeRWgbNEkqO1,s=W22Z', /no server-first/],
    ['r=someoneElse,s=W22Z,i=4096', /does not go on from ours/],
    ['r=rOprNGfwEbeRWgbNEkqO,s=W22Z,i=4096', /does not go on from ours/],
    ['r=rOprNGfwEbeRWgbNEkqO1,s=W22Z,i=4095', /fewer than 4096/],
    ['r=rOprNGfwEbeRWgbNEkqO1,s=W22Z,i=9999999999', /more than/],
  ] as const) {
    const client = new ScramClient(PENCIL, crypto());
    client.first();
    assert.match(why(client.next(Buffer.from(text))), expected, text);
  }
});

test('extensions behind what is asked for are passed over; names are escaped; forms are made compatible', () => {
  assert.equal(parseServerFirst('r=a,s=W22Z,i=4096,x=y')?.iterations, 4096);
  const client = new ScramClient({ user: 'a=b,c', password: 'I\u00ADX\u2168' }, crypto('n'));
  assert.equal(client.first().toString(), 'n,,n=a=3Db=2Cc,r=n');
  const step = client.next(Buffer.from('r=nn,s=W22Z,i=4096'));
  assert.equal(step.kind === 'derive' && step.password, 'I\u00ADXIX');
});

test('PLAIN and LOGIN: what they say, and what they do not answer', () => {
  assert.equal(plainMessage(PENCIL).toString(), '\0user\0pencil');
  const plain = makeSaslClient('PLAIN', PENCIL, crypto());
  assert.equal(plain.first()?.toString(), '\0user\0pencil');
  assert.match(why(plain.next(Buffer.alloc(0))), /PLAIN has none/);
  const login = makeSaslClient('LOGIN', PENCIL, crypto());
  assert.equal(login.first(), undefined);
  assert.equal(said(login.next(Buffer.from('Username:'))), 'user');
  assert.equal(said(login.next(Buffer.from('Password:'))), 'pencil');
  assert.match(why(login.next(Buffer.from('Again:'))), /third prompt/);
});

test('the best mechanism first, and none we do not know', () => {
  assert.deepEqual(usableMechanisms('login PLAIN CRAM-MD5 SCRAM-SHA-256-PLUS SCRAM-SHA-256'), [
    'SCRAM-SHA-256',
    'PLAIN',
    'LOGIN',
  ]);
  assert.deepEqual(usableMechanisms('GSSAPI XOAUTH2'), []);
});
