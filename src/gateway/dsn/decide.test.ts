import assert from 'node:assert/strict';
import { test } from 'vitest';
import { type Log, type LogFields, noMetrics, silentLog } from '../../base/index.ts';
import type { ReportOptions } from '../options.ts';
import { passedOn } from './asked.ts';
import { type Decision, ReportDecider } from './decide.ts';
import type { DeliveryOfReport, Fate, MailOfReport } from './fate.ts';

const options: ReportOptions = {
  languages: ['en'],
  returnContent: 'headers',
  postmaster: undefined,
  perSenderPerHour: 3,
};
const mail: MailOfReport = {
  id: 's.1',
  acceptedMs: 0,
  reversePath: 'ann@example.org',
  params: {},
  isSenderTrusted: true,
  client: undefined,
};
const reply = { code: 550, enhanced: '5.1.1', text: ['No'] };
const ok = { code: 250, enhanced: undefined, text: ['ok'] };
const service = { uri: 'https://mail.example.com/opes/av', isBypassable: false };

const fates = {
  relayed: { kind: 'relayed', hop: 'mx.example.com', speaksDsn: false, reply: ok },
  relayedDsn: { kind: 'relayed', hop: 'mx.example.com', speaksDsn: true, reply: ok },
  delivered: { kind: 'delivered', hop: undefined, reply: undefined },
  expanded: { kind: 'expanded' },
  delayed: { kind: 'delayed', hop: undefined, reply: undefined, untilMs: 9 },
  refused: { kind: 'refused', hop: 'mx.example.com', reply },
  cannotCarry: { kind: 'cannot-carry', hop: 'mx.example.com', reply: undefined },
  noRoute: { kind: 'no-route', reply: undefined },
  loop: { kind: 'loop' },
  expired: { kind: 'expired', hop: undefined, reply: undefined },
  virus: { kind: 'blocked', by: 'verdict', service, reason: undefined, reply, isOnContent: true },
  policy: { kind: 'blocked', by: 'verdict', service, reason: undefined, reply, isOnContent: false },
  broken: { kind: 'blocked', by: 'failure', service, reason: 'timeout', reply: undefined, isOnContent: false },
} as const satisfies Record<string, Fate>;

function delivery(fate: Fate, notify?: string, n = 0): DeliveryOfReport {
  return {
    n,
    params: notify === undefined ? {} : { NOTIFY: notify },
    recipient: `r${n}@example.com`,
    fate,
    lastAttemptMs: 1,
  };
}

/** `failed 0 1 | excepted 2 never | quarantine 3 | suppressed 4` */
function told({ reports, excepted, quarantine, suppressed }: Decision): string {
  return [
    ...reports.map(({ kind, deliveries }) => `${kind} ${deliveries.map(({ n }) => n).join(' ')}`),
    ...excepted.map(({ n, why }) => `excepted ${n} ${why}`),
    ...quarantine.map((n) => `quarantine ${n}`),
    ...suppressed.map((n) => `suppressed ${n}`),
  ].join(' | ');
}

function decide(
  deliveries: readonly DeliveryOfReport[],
  of: Partial<MailOfReport> = {},
  with_: Partial<ReportOptions> = {},
): Decision {
  const decider = new ReportDecider({ ...options, ...with_ }, silentLog, noMetrics);
  return decider.decideReports({ ...mail, ...of }, deliveries, 0);
}

const untrusted = { isSenderTrusted: false };
const nobody = { reversePath: '' };

const table: readonly (readonly [
  fate: keyof typeof fates,
  notify: string | undefined,
  of: Partial<MailOfReport>,
  expected: string,
])[] = [
  // RFC 3461, 4.1: without NOTIFY, failures and delays
  ['refused', undefined, {}, 'failed 0'],
  ['cannotCarry', undefined, {}, 'failed 0'],
  ['noRoute', undefined, {}, 'failed 0'],
  ['loop', undefined, {}, 'failed 0'],
  ['expired', undefined, {}, 'failed 0'],
  ['broken', undefined, {}, 'failed 0'],
  ['delayed', undefined, {}, 'delayed 0'],
  ['delivered', undefined, {}, ''],
  ['relayed', undefined, {}, ''],
  ['expanded', undefined, {}, ''],
  // with it, what it says
  ['refused', 'FAILURE', {}, 'failed 0'],
  ['refused', 'SUCCESS,FAILURE,DELAY', {}, 'failed 0'],
  ['refused', 'SUCCESS', {}, 'excepted 0 not-asked'],
  ['refused', 'DELAY', {}, 'excepted 0 not-asked'],
  ['refused', 'NEVER', {}, 'excepted 0 never'],
  ['expired', 'NEVER', {}, 'excepted 0 never'],
  ['delayed', 'DELAY,FAILURE', {}, 'delayed 0'],
  ['delayed', 'FAILURE', {}, ''],
  ['delayed', 'NEVER', {}, ''],
  ['delivered', 'SUCCESS', {}, 'success 0'],
  ['delivered', 'FAILURE', {}, ''],
  ['delivered', 'NEVER', {}, ''],
  ['expanded', 'SUCCESS', {}, 'success 0'],
  // 5.2.2: the hop will not report, so we say "relayed"; 5.2.1: it will
  ['relayed', 'SUCCESS', {}, 'success 0'],
  ['relayedDsn', 'SUCCESS', {}, ''],
  // RFC 5321, 4.5.5 and 6.1
  ['refused', undefined, nobody, 'excepted 0 null-path'],
  ['refused', 'FAILURE', nobody, 'excepted 0 null-path'],
  ['delayed', undefined, nobody, ''],
  ['delivered', 'SUCCESS', nobody, ''],
  // D19
  ['virus', undefined, {}, 'failed 0'],
  ['virus', 'NEVER', {}, 'excepted 0 never'],
  ['virus', undefined, untrusted, 'quarantine 0'],
  ['virus', 'NEVER', untrusted, 'quarantine 0'],
  ['virus', undefined, nobody, 'quarantine 0'],
  ['policy', undefined, untrusted, 'failed 0'],
  ['broken', undefined, untrusted, 'failed 0'],
  ['refused', undefined, untrusted, 'failed 0'],
];

for (const [fate, notify, of, expected] of table) {
  const sender = of.reversePath === '' ? ' from <>' : of.isSenderTrusted === false ? ' of an unknown sender' : '';
  test(`${fate}, NOTIFY ${notify ?? 'absent'}${sender}: ${expected || 'nothing'}`, () => {
    assert.equal(told(decide([delivery(fates[fate], notify)], of)), expected);
  });
}

test('one report a kind for all recipients that end together', () => {
  const deliveries = [
    delivery(fates.refused, undefined, 0),
    delivery(fates.delivered, 'SUCCESS', 1),
    delivery(fates.virus, undefined, 2),
    delivery(fates.delayed, undefined, 3),
    delivery(fates.refused, 'NEVER', 4),
    delivery(fates.relayed, 'SUCCESS', 5),
  ];
  assert.equal(told(decide(deliveries)), 'failed 0 2 | delayed 3 | success 1 5 | excepted 4 never');
});

test('every failure is reported, excepted or quarantined: none is lost, none counts twice', () => {
  const all = Object.values(fates);
  const deliveries = all.flatMap((fate, i) =>
    [undefined, 'NEVER', 'SUCCESS', 'FAILURE', 'SUCCESS,DELAY'].map((notify, j) => delivery(fate, notify, i * 10 + j)),
  );
  const failures = deliveries.filter(
    ({ fate }) => !['relayed', 'delivered', 'expanded', 'delayed'].includes(fate.kind),
  );
  for (const of of [{}, untrusted, nobody]) {
    for (const perSenderPerHour of [0, 3]) {
      const { reports, excepted, quarantine } = decide(deliveries, of, { perSenderPerHour });
      const ended = [
        ...reports.filter(({ kind }) => kind === 'failed').flatMap((plan) => plan.deliveries.map(({ n }) => n)),
        ...excepted.map(({ n }) => n),
        ...quarantine,
      ];
      const byNumber = (a: number, b: number) => a - b;
      assert.deepEqual(ended.toSorted(byNumber), failures.map(({ n }) => n).toSorted(byNumber));
    }
  }
});

test('beyond the rate of its reverse-path a failure is excepted, counted and logged; an hour later it is told again', () => {
  const lines: [string, LogFields | undefined][] = [];
  const counted: string[] = [];
  const log: Log = { ...silentLog, warn: (event, fields) => lines.push([event, fields]) };
  const decider = new ReportDecider({ ...options, perSenderPerHour: 2 }, log, {
    ...noMetrics,
    count: (name, labels, by) => counted.push(`${name} ${Object.values(labels ?? {}).join()} ${by ?? 1}`),
  });
  const failed = [delivery(fates.refused, undefined, 0), delivery(fates.refused, undefined, 1)];
  const at = (nowMs: number, reversePath = mail.reversePath) =>
    told(decider.decideReports({ ...mail, reversePath }, failed, nowMs));
  assert.deepEqual([at(0), at(1), at(2)], ['failed 0 1', 'failed 0 1', 'excepted 0 rate | excepted 1 rate']);
  assert.equal(at(3, 'ANN@example.org'), 'excepted 0 rate | excepted 1 rate');
  assert.equal(at(4, 'tom@example.org'), 'failed 0 1');
  assert.equal(at(3_600_000), 'failed 0 1');
  assert.deepEqual(lines[0], ['report.excepted', { mail: 's.1', why: 'rate', recipients: 2 }]);
  assert.ok(counted.includes('opes_report_exceptions_total rate 2'));
  assert.equal(counted.filter((line) => line === 'opes_reports_total failed 1').length, 4);
});

test('failures take the last report of the hour, and what is not told is named', () => {
  const deliveries = [
    delivery(fates.delivered, 'SUCCESS', 0),
    delivery(fates.refused, undefined, 1),
    delivery(fates.delayed, undefined, 2),
  ];
  assert.equal(told(decide(deliveries, {}, { perSenderPerHour: 1 })), 'failed 1 | suppressed 2 | suppressed 0');
});

test('the postmaster hears of mail without a sender, but never of our own reports', () => {
  const postmaster = 'postmaster@example.com';
  const decision = decide(
    [delivery(fates.refused)],
    { ...nobody, params: { RET: 'FULL' } },
    { postmaster, returnContent: 'full' },
  );
  assert.deepEqual(
    decision.reports.map(({ kind, to, returns }) => [kind, to, returns]),
    [['failed', postmaster, 'headers']],
  );
  assert.equal(
    told(decide([delivery(fates.refused)], { ...nobody, id: 's.1.r1' }, { postmaster })),
    'excepted 0 null-path',
  );
  assert.equal(told(decide([delivery(fates.refused, 'NEVER')], nobody, { postmaster })), 'excepted 0 never');
});

test('whole mails go back only in failures, to senders who are who they say, and never for content', () => {
  const returns = (fate: Fate, of: Partial<MailOfReport>, returnContent: 'headers' | 'full') =>
    decide([delivery(fate, 'SUCCESS,FAILURE,DELAY')], of, { returnContent }).reports[0]?.returns;
  assert.equal(returns(fates.refused, { params: { RET: 'FULL' } }, 'headers'), 'full');
  assert.equal(returns(fates.refused, { params: { RET: 'HDRS' } }, 'full'), 'headers');
  assert.equal(returns(fates.refused, {}, 'full'), 'full');
  assert.equal(returns(fates.refused, {}, 'headers'), 'headers');
  assert.equal(returns(fates.refused, { params: { RET: 'FULL' }, ...untrusted }, 'full'), 'headers');
  assert.equal(returns(fates.virus, { params: { RET: 'FULL' } }, 'full'), 'headers');
  assert.equal(returns(fates.delayed, { params: { RET: 'FULL' } }, 'full'), 'headers');
  assert.equal(returns(fates.delivered, { params: { RET: 'FULL' } }, 'full'), 'headers');
});

test('parameters that are broken ask for nothing', () => {
  assert.equal(
    told(decide([{ ...delivery(fates.refused), params: { NOTIFY: 'WHAT' } }], { params: { RET: true } })),
    'failed 0',
  );
});

test('ORCPT is added where a service made another address of the recipient, and only there', () => {
  assert.deepEqual(passedOn({ NOTIFY: 'NEVER' }, 'a@example.com', 'a@example.com', false), { NOTIFY: 'NEVER' });
  assert.deepEqual(passedOn({}, 'a+b@example.com', 'c@example.com', false), { ORCPT: 'rfc822;a+2Bb@example.com' });
  assert.deepEqual(passedOn({ ORCPT: 'rfc822;x@y' }, 'a@example.com', 'c@example.com', false), { ORCPT: 'rfc822;x@y' });
  assert.deepEqual(passedOn({}, '\xc3\xa9@example.com', 'c@example.com', true), {
    ORCPT: 'utf-8;\xc3\xa9@example.com',
  });
  assert.deepEqual(passedOn({}, '\xc3\xa9@example.com', 'c@example.com', false), {});
});
