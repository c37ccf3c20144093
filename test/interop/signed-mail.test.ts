/**
 * Mail that is signed, through the gateway and a stock MTA behind it, as programs see it that know nothing of OPES: services added a
 * field, and one that would write into the text was asked, too. DKIM by dkimpy, S/MIME by OpenSSL, OpenPGP by GnuPG.
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, test } from 'vitest';
import { run } from '../support/child.ts';
import { config, Gateway, serve } from '../support/gateway.ts';
import { Postfix } from '../support/postfix.ts';
import { needPrograms } from '../support/programs.ts';
import { scratchFolder } from '../support/scratch.ts';
import { SmtpTalk, verdict } from '../support/smtp-talk.ts';

const HEADER = 'From: <a@src.test>\r\nTo: <b@dst.test>\r\nSubject: signed\r\nDate: Sun, 22 Nov 2026 12:00:00 +0000\r\n';
const PART =
  'Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe\r\n';
const VERIFY_DKIM = fileURLToPath(new URL('../support/verify-dkim.py', import.meta.url));

const folder = scratchFolder('signed');
let postfix: Postfix;
let gateway: Gateway;
const ends: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  await needPrograms('openssl', 'gpg', 'dkimsign');
  postfix = await Postfix.start();
  ends.push(() => postfix.stop());
  const adds = await serve(fileURLToPath(new URL('../e2e/services/by-subject.ts', import.meta.url)));
  ends.push(() => adds.child.stop());
  const base = config(`smtp://127.0.0.1:${postfix.port}`);
  const may = ['add-header', 'edit-content'];
  gateway = await Gateway.start({
    ...base,
    services: {
      banner: { uri: 'https://gw.test/opes/banner', run: 'builtin:banner', may, consent: 'operator' },
      adds: { uri: 'https://gw.test/opes/by-subject', connect: [adds.endpoint], may, consent: 'operator' },
    },
    pipeline: ['banner', 'adds'].map((service) => ({ service, onFailure: 'tempfail', timeout: '20s' })),
  });
  ends.push(() => gateway.stop());
}, 240_000);
afterAll(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

function file(name: string, content: string | Buffer): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function ask(command: string, args: readonly string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, input === undefined ? {} : { input });
  assert.equal(code, 0, `${command} ${args.join(' ')}: ${stdout}\n${stderr}`);
  return stdout;
}

const toCrlf = (text: string): string => text.replace(/\r?\n/g, '\r\n');

/** What the MTA behind the gateway delivered. */
async function delivered(content: string): Promise<string> {
  const before = postfix.mails().length;
  const talk = await SmtpTalk.hello(gateway.port());
  const outcome = await talk.mail({ from: 'a@src.test', to: ['b@dst.test'], content: Buffer.from(content, 'latin1') });
  assert.equal(verdict(outcome), 250);
  await talk.quit();
  await postfix.waitForMails(before + 1);
  const text = toCrlf(postfix.mails().at(-1)?.content.toString('latin1') ?? '');
  for (const mark of [/^OPES-System:/m, /^X-Scan: yes\r$/m, /^X-External-Banner: not added \((?:dkim-)?signed\)\r$/m])
    assert.match(text, mark);
  return text;
}

test('a DKIM signature of the original still verifies (REQ-015)', async () => {
  const key = join(folder, 'dkim.pem');
  await ask('openssl', ['genrsa', '-traditional', '-out', key, '2048']);
  const spki = await ask('openssl', ['rsa', '-in', key, '-pubout', '-outform', 'PEM']);
  const record = `v=DKIM1; k=rsa; p=${spki.replace(/-----.*?-----|\s/g, '')}`;
  const plain = `${HEADER}MIME-Version: 1.0\r\n${PART}`;
  const signed = toCrlf(await ask('dkimsign', ['sel', 'src.test', key], plain));
  assert.match(signed, /^DKIM-Signature:/);
  const arrived = await delivered(signed.endsWith('\r\n') ? signed : `${signed}\r\n`);
  const args = [VERIFY_DKIM, 'sel._domainkey.src.test.', record];
  await ask('/usr/bin/python3', [...args, file('dkim.eml', arrived)]);
  const spoilt = await run('/usr/bin/python3', [...args, file('spoilt.eml', arrived.replace('Gr=C3', 'gr=C3'))]);
  assert.equal(spoilt.code, 1, 'it would have told');
});

test('an S/MIME signature still verifies (REQ-107)', async () => {
  const [key, cert] = [join(folder, 'smime.key'), join(folder, 'smime.crt')];
  const subject = ['-subj', '/CN=a', '-addext', 'subjectAltName=email:a@src.test'];
  const self = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', cert];
  await ask('openssl', [...self, ...subject]);
  const text = file('part.txt', PART);
  const signed = await ask('openssl', ['smime', '-sign', '-in', text, '-signer', cert, '-inkey', key, '-crlfeol']);
  const arrived = await delivered(HEADER + toCrlf(signed));
  const verify = ['smime', '-verify', '-CAfile', cert, '-crlfeol', '-out', '/dev/null', '-in'];
  await ask('openssl', [...verify, file('smime.eml', arrived)]);
  const spoilt = await run('openssl', [...verify, file('spoilt.eml', arrived.replace('Gr=C3', 'gr=C3'))]);
  assert.notEqual(spoilt.code, 0, 'it would have told');
});

test('an OpenPGP signature still verifies (REQ-107)', async () => {
  const home = join(folder, 'gnupg');
  mkdirSync(home, { mode: 0o700 });
  const gpg = ['--homedir', home, '--batch', '--pinentry-mode', 'loopback', '--passphrase', ''];
  await ask('gpg', [...gpg, '--quick-gen-key', 'a@src.test', 'ed25519', 'sign', '1d']);
  ends.push(() => run('gpgconf', ['--homedir', home, '--kill', 'all']));
  // The line end before the boundary belongs to that (RFC 2046, 5.1.1).
  const part = PART.slice(0, -2);
  const detached = join(folder, 'part.asc');
  await ask('gpg', [...gpg, '--armor', '--output', detached, '--detach-sign', file('part.bin', part)]);
  const signature = toCrlf(readFileSync(detached, 'latin1'));
  const type = 'multipart/signed; micalg=pgp-sha512; protocol="application/pgp-signature"; boundary=bound';
  const arrived = await delivered(
    `${HEADER}MIME-Version: 1.0\r\nContent-Type: ${type}\r\n\r\n--bound\r\n${part}\r\n--bound\r\n` +
      `Content-Type: application/pgp-signature\r\n\r\n${signature}\r\n--bound--\r\n`,
  );
  const [, first, second] = arrived.split(/\r\n--bound(?:--)?\r\n/);
  const asc = file('arrived.asc', second?.slice(second.indexOf('\r\n\r\n') + 4) ?? '');
  await ask('gpg', [...gpg, '--verify', asc, file('arrived.bin', first ?? '')]);
  const spoilt = await run('gpg', [...gpg, '--verify', asc, file('spoilt.bin', `${first ?? ''} `)]);
  assert.notEqual(spoilt.code, 0, 'it would have told');
});
