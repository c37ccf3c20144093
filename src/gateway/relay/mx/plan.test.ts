import assert from 'node:assert/strict';
import { test } from 'vitest';
import type { MailHost, StsLookup, TlsaLookup } from '../../../dns/index.ts';
import { type HostFacts, planDestination, type RouteTls } from './plan.ts';

const host = (name: string, more: Partial<MailHost> = {}): MailHost => ({
  name,
  canonical: name,
  preference: 10,
  addresses: ['2001:db8::1', '192.0.2.1'],
  isSecure: true,
  ...more,
});

const TLSA = {
  none: { kind: 'none' },
  insecure: { kind: 'insecure' },
  failed: { kind: 'failed', detail: 'SERVFAIL' },
  unusable: { kind: 'records', base: 'mx.example', records: [] },
  records: {
    kind: 'records',
    base: 'mx.example',
    records: [{ usage: 3, selector: 1, matching: 1, data: Buffer.alloc(32) }],
  },
} as const satisfies Readonly<Record<string, TlsaLookup>>;

const policy = (mode: 'enforce' | 'testing' | 'none', ...mx: string[]): StsLookup => ({
  kind: 'policy',
  policy: { mode, maxAgeS: 1, mx },
});

const STS = {
  'no sts': { kind: 'none', detail: undefined },
  enforce: policy('enforce', 'mx.example'),
  'enforce others': policy('enforce', 'mx.elsewhere.example'),
  testing: policy('testing', 'mx.elsewhere.example'),
  'mode none': policy('none'),
} as const satisfies Readonly<Record<string, StsLookup>>;

type Tlsas = keyof typeof TLSA;
type Stss = keyof typeof STS;
const ALL_TLSA = Object.keys(TLSA) as Tlsas[];
const ALL_STS = Object.keys(STS) as Stss[];

/** The table of decision 0027. */
const TABLE: readonly (readonly [RouteTls, readonly Tlsas[], readonly Stss[], string])[] = [
  ['none', ALL_TLSA, ALL_STS, 'none'],
  ['may', ALL_TLSA, ALL_STS, 'may'],
  ['require', ALL_TLSA, ALL_STS, 'require'],
  ['verify', ALL_TLSA, ALL_STS, 'verify mx.example'],
  ['dane', ['none', 'insecure'], ALL_STS, 'may'],
  ['dane', ['records'], ALL_STS, 'dane mx.example d.example'],
  ['dane', ['unusable'], ALL_STS, 'require'],
  ['dane', ['failed'], ALL_STS, '451 4.4.3 mx.example: tlsa-failed (SERVFAIL)'],
  ['mta-sts', ['none', 'insecure'], ['no sts', 'testing', 'mode none'], 'may'],
  ['mta-sts', ['none', 'insecure', 'unusable'], ['enforce'], 'verify mx.example'],
  ['mta-sts', ['none', 'insecure', 'unusable'], ['enforce others'], '451 4.7.0 mx.example: not-in-policy'],
  ['mta-sts', ['unusable'], ['no sts', 'testing', 'mode none'], 'require'],
  ['mta-sts', ['records'], ALL_STS, 'dane mx.example d.example'],
  ['mta-sts', ['failed'], ALL_STS, '451 4.4.3 mx.example: tlsa-failed (SERVFAIL)'],
];

function plan(tls: RouteTls, hosts: readonly HostFacts[], sts?: StsLookup, domain = 'd.example') {
  return planDestination({ tls, domain, hosts, sts });
}

function inWords(planned: ReturnType<typeof plan>): string {
  if (planned.kind === 'refused') return `${planned.reply.code} ${planned.reply.enhanced} ${planned.why}`;
  return planned.hosts.map(({ tls }) => [tls.kind, ...('names' in tls ? tls.names : [])].join(' ')).join(', ');
}

test('what TLS each host must have, by route, TLSA records and policy', () => {
  for (const [tls, tlsas, stss, want] of TABLE) {
    for (const tlsa of tlsas)
      for (const sts of stss)
        assert.equal(
          inWords(plan(tls, [{ host: host('mx.example'), tlsa: TLSA[tlsa] }], STS[sts])),
          want,
          `${tls}, ${tlsa}, ${sts}`,
        );
  }
});

test('the table has a row for each case', () => {
  for (const tls of ['none', 'may', 'require', 'verify', 'dane', 'mta-sts'])
    for (const tlsa of ALL_TLSA)
      for (const sts of ALL_STS) {
        const rows = TABLE.filter((row) => row[0] === tls && row[1].includes(tlsa) && row[2].includes(sts));
        assert.equal(rows.length, 1, `${tls}, ${tlsa}, ${sts}`);
      }
});

test('hosts keep their order, their addresses and port 25; those passed over are told', () => {
  const facts: HostFacts[] = [
    { host: host('bad.example'), tlsa: TLSA.failed },
    { host: host('b.example', { addresses: ['192.0.2.2'] }), tlsa: TLSA.none },
    { host: host('alias.example', { canonical: 'mx.example' }), tlsa: TLSA.records },
  ];
  const planned = plan('dane', facts);
  assert.ok(planned.kind === 'hosts');
  assert.deepEqual(planned.skipped, [{ host: 'bad.example', why: 'tlsa-failed', detail: 'SERVFAIL' }]);
  assert.deepEqual(planned.hosts, [
    { host: 'b.example', addresses: ['192.0.2.2'], port: 25, tlsName: 'b.example', tls: { kind: 'may' } },
    {
      host: 'alias.example',
      addresses: ['2001:db8::1', '192.0.2.1'],
      port: 25,
      // SNI and the certificate go by the TLSA base domain.
      tlsName: 'mx.example',
      tls: { kind: 'dane', records: TLSA.records.records, names: ['mx.example', 'alias.example', 'd.example'] },
    },
  ]);
});

test('a host outside the policy is passed over for one inside', () => {
  const facts = ['mx.elsewhere.example', 'mx.example'].map((name) => ({ host: host(name), tlsa: TLSA.none }));
  const planned = plan('mta-sts', facts, STS.enforce);
  assert.equal(inWords(planned), 'verify mx.example');
  assert.deepEqual(planned.kind === 'hosts' && planned.skipped.map(({ host: name, why }) => [name, why]), [
    ['mx.elsewhere.example', 'not-in-policy'],
  ]);
});

test('a literal has no name to show, and is verified by its address', () => {
  const literal = host('[192.0.2.1]', { addresses: ['192.0.2.1'], isSecure: false });
  const planned = plan('verify', [{ host: literal, tlsa: undefined }], undefined, '[192.0.2.1]');
  assert.equal(inWords(planned), 'verify 192.0.2.1');
  assert.equal(planned.kind === 'hosts' && planned.hosts[0]?.tlsName, undefined);
});

test('what the log should know of a policy', () => {
  const notes = (sts: StsLookup, tlsa: TlsaLookup = TLSA.none) => {
    const planned = plan('mta-sts', [{ host: host('mx.example'), tlsa }], sts);
    return planned.kind === 'hosts' ? planned.notes : undefined;
  };
  assert.deepEqual(notes(STS['no sts']), []);
  assert.deepEqual(notes({ kind: 'none', detail: 'policy of d.example: status 404' }), [
    'MTA-STS: policy of d.example: status 404',
  ]);
  assert.deepEqual(notes(STS.testing), ['MTA-STS: mx.example is not in the policy, which is being tested']);
  assert.deepEqual(notes(policy('testing', 'mx.example')), []);
  assert.deepEqual(notes(STS.enforce), []);
  assert.deepEqual(notes(STS['mode none']), []);
});
