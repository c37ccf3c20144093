import assert from 'node:assert/strict';
import { test } from 'vitest';
import type { MailDns, MailHost, MailLookup, TlsaLookup } from '../../../dns/index.ts';
import { writeReply } from '../../../smtp/index.ts';
import { findDestination } from './find.ts';
import type { RouteTls } from './plan.ts';

const SELF = { names: new Set<string>(), isOwnAddress: () => false };
const HOSTS: readonly MailHost[] = ['a.example', 'b.example'].map((name) => ({
  name,
  canonical: name,
  preference: 10,
  addresses: ['192.0.2.1'],
  isSecure: true,
}));

function rig(found: MailLookup, tlsa: TlsaLookup = { kind: 'none' }) {
  const asked: string[] = [];
  const dns: MailDns = {
    async lookupMail(domain) {
      asked.push(`mail ${domain}`);
      return found;
    },
    async lookupTlsa(host, port) {
      asked.push(`tlsa ${host.name} ${port}`);
      return tlsa;
    },
    async lookupSts(domain) {
      asked.push(`sts ${domain}`);
      return { kind: 'none', detail: undefined };
    },
  };
  return { asked, find: (domain: string, tls: RouteTls) => findDestination(dns, SELF, domain, tls) };
}

test('each way to have no host has its reply', async () => {
  const rows: readonly (readonly [MailLookup, string])[] = [
    [{ kind: 'null-mx' }, '556 5.1.10 '],
    [{ kind: 'no-domain' }, '550 5.1.2 '],
    [{ kind: 'no-host' }, '550 5.4.4 '],
    [{ kind: 'loop' }, '554 5.4.6 '],
    [{ kind: 'failed', detail: '192.0.2.53: SERVFAIL' }, '451 4.4.3 '],
  ];
  for (const [found, want] of rows) {
    const { asked, find } = rig(found);
    const destination = await find('d.example', 'mta-sts');
    assert.ok(destination.kind === 'refused');
    assert.ok(writeReply(destination.reply).startsWith(want), writeReply(destination.reply));
    assert.ok(!writeReply(destination.reply).includes('192.0.2.53'), 'detail is for the log');
    assert.equal(destination.why, found.kind === 'failed' ? 'failed: 192.0.2.53: SERVFAIL' : found.kind);
    assert.deepEqual(asked, ['mail d.example']);
  }
});

test('only what the route asks for is looked up', async () => {
  const tlsa = ['tlsa a.example 25', 'tlsa b.example 25'];
  const rows: readonly (readonly [RouteTls, readonly string[]])[] = [
    ['none', []],
    ['may', []],
    ['require', []],
    ['verify', []],
    ['dane', tlsa],
    ['mta-sts', ['sts xn--bcher-kva.example', ...tlsa]],
  ];
  for (const [tls, more] of rows) {
    const { asked, find } = rig({ kind: 'hosts', hosts: HOSTS, isSecure: true });
    const destination = await find('Bücher.example', tls);
    assert.equal(destination.kind, 'hosts');
    assert.deepEqual(asked, ['mail Bücher.example', ...more]);
  }
});

test('a literal has no policy', async () => {
  const { asked, find } = rig({ kind: 'hosts', hosts: HOSTS.slice(0, 1), isSecure: false });
  await find('[192.0.2.1]', 'mta-sts');
  assert.deepEqual(asked, ['mail [192.0.2.1]', 'tlsa a.example 25']);
});
