/**
 * The callout server dies, falls silent, trickles or talks nonsense, at any octet of its answers, and at any place in chains of
 * one to three services, under each failure policy. Whatever happens: the client gets a whole adaptation or what the policy says,
 * the next hop sees nothing else, and the same session takes the next mail.
 *
 * Each lane is a listener with a chain of its own, one server of which is the one that fails; lanes run side by side.
 */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, test } from 'vitest';
import { Draft00, type Draft00Fault, type Draft00Rule, type WireFault } from '../support/draft00.ts';
import { config, type FailureAction, Gateway, type TestService, withoutTrace } from '../support/gateway.ts';
import { NextHop } from '../support/next-hop.ts';
import { SmtpTalk, verdict } from '../support/smtp-talk.ts';

interface Lane {
  readonly name: string;
  readonly policy: FailureAction;
  /** Services in the chain, and which of them fails (from 1). */
  readonly length: number;
  readonly faulty: number;
  readonly yours: boolean;
  readonly faults: readonly Draft00Fault[];
}

const TIMEOUT_MS = 700;
const MARK = '@1@ @2@ @3@';
const bodyOf = (id: string, marks = MARK): string => `Subject: ${id}\r\n\r\n${marks}\r\n.end\r\n`;
/** What service `k` does to a mail: a header, a change, and nothing to the recipient. */
const rules = (k: number): readonly Draft00Rule[] => [
  { part: 'RAWDATA', replace: [`@${k}@`, `#${k}#`], addHeader: [`X-Scan: ${k}`] },
];
/** By reference there is no change to the body, only the header. */
const referring = (k: number): readonly Draft00Rule[] => [{ part: 'RAWDATA', addHeader: [`X-Scan: ${k}`] }];

const range = (from: number, to: number, step = 1): number[] =>
  Array.from({ length: Math.max(0, Math.ceil((to - from) / step)) }, (_, i) => from + i * step);
const cut = (kind: WireFault, octets: readonly number[]): Draft00Fault[] => octets.map((sent) => ({ kind, sent }));
const at = (kind: WireFault, ...points: readonly string[]): Draft00Fault[] => points.map((on) => ({ kind, on }));
const POINTS = ['TS', 'AMS', 'IP', 'EHLO', 'MAIL', 'RCPT', 'RAWDATA', 'AME'] as const;

/** An answer by reference is about 110 octets long, one by value about 900. */
const lanes: readonly Lane[] = [
  ...[0, 1, 2, 3].map((k) => lane('tempfail', 1, 1, true, cut('die', range(k, 130, 4)))),
  lane('tempfail', 1, 1, false, cut('die', range(0, 1000, 31))),
  lane('tempfail', 1, 1, true, [...at('die', ...POINTS), ...at('reset', ...POINTS), ...at('end', ...POINTS)]),
  lane('tempfail', 1, 1, true, [...at('garbage', ...POINTS), ...cut('garbage', range(0, 130, 9))]),
  lane('tempfail', 1, 1, true, [
    ...at('mute', ...POINTS),
    ...cut('mute', range(1, 130, 17)),
    ...cut('slow', [0, 40, 70]),
  ]),
  ...[0, 3].map((k) => lane('skip', 1, 1, true, cut('die', range(k, 130, 6)))),
  lane('skip', 1, 1, false, cut('die', range(0, 1000, 47))),
  lane('skip', 1, 1, true, [...at('die', ...POINTS), ...at('garbage', ...POINTS), ...at('mute', 'TS', 'RCPT', 'AME')]),
  lane('reject', 1, 1, true, [...cut('die', range(0, 130, 6)), ...at('mute', 'RCPT', 'AME')]),
  lane('reject', 1, 1, false, [...cut('die', range(0, 1000, 97)), ...at('garbage', 'RCPT', 'AME')]),
  ...(['tempfail', 'skip', 'reject'] as const).flatMap((policy) => [
    lane(policy, 2, 1, false, few(policy)),
    lane(policy, 2, 2, true, few(policy)),
    lane(policy, 3, 1, true, few(policy)),
    lane(policy, 3, 2, false, few(policy)),
    lane(policy, 3, 3, false, few(policy)),
  ]),
];
function lane(
  policy: FailureAction,
  length: number,
  faulty: number,
  yours: boolean,
  faults: readonly Draft00Fault[],
): Lane {
  return { name: `${policy} ${length}.${faulty}`, policy, length, faulty, yours, faults };
}
function few(policy: FailureAction): Draft00Fault[] {
  return [
    ...cut('die', [0, 5, 30, 45, 60, 75, 90, 200, 420, 700]),
    ...at('mute', 'RCPT', 'AME'),
    ...(policy === 'tempfail' ? [...cut('garbage', [10, 60]), ...cut('slow', [60])] : []),
  ];
}

let hop: NextHop;
let gateway: Gateway;
const honest: Draft00[] = [];
const failing: Draft00[] = [];

beforeAll(async () => {
  hop = await NextHop.listen();
  for (const k of [1, 2, 3]) honest.push(await Draft00.start({ rules: rules(k) }));
  failing.push(...(await Promise.all(lanes.map(() => Draft00.start()))));
  gateway = await Gateway.start(
    config(hop.url, services(), {
      listeners: lanes.map((_, i) => ({ name: `lane${i}`, address: '127.0.0.1:0', side: 'recipient' })),
    }),
  );
});
afterAll(async () => {
  await gateway.stop();
  await Promise.all([...honest, ...failing].map((server) => server.stop()));
  await hop.close();
});

/** The services of all lanes, in an order that makes each lane's chain run 1, 2, 3. */
function services(): Record<string, TestService> {
  const out: Record<string, TestService> = {};
  for (const k of [1, 2, 3]) {
    for (const [i, l] of lanes.entries()) {
      if (k > l.length) continue;
      const server = k === l.faulty ? failing[i] : honest[k - 1];
      out[`s${i}x${k}`] = {
        connect: server?.endpoint ?? '',
        requires: ['RCPT', 'RAWDATA'],
        onFailure: k === l.faulty ? l.policy : 'tempfail',
        timeout: k === l.faulty ? `${TIMEOUT_MS}ms` : '20s',
        when: `listener.name == 'lane${i}'`,
      };
    }
  }
  return out;
}

/** What must arrive: all scans, or all but the failed one's. */
function expected(l: Lane, id: string, skipped: boolean): string {
  let marks = MARK;
  let headers = '';
  for (const k of range(1, l.length + 1)) {
    if (skipped && k === l.faulty) continue;
    headers = `X-Scan: ${k}\r\n${headers}`;
    if (k !== l.faulty || !l.yours) marks = marks.replace(`@${k}@`, `#${k}#`);
  }
  return headers + bodyOf(id, marks);
}

const counts = new Map<string, number>();
const delivered = (to: string): string[] =>
  hop.mails
    .filter((m) => m.rcpts.includes(`<${to}>`))
    .map((m) =>
      withoutTrace(m.content)
        .rest.toString('latin1')
        .replace(/^(X-Scan: \d\r\n)+/, sorted),
    );
/** Where each service's header goes among the others' is the gateway's affair here. */
const sorted = (block: string): string =>
  block.split('\r\n').filter(Boolean).sort().reverse().join('\r\n').concat('\r\n');

type Result = 'whole' | 'policy';

/** Sends one mail and judges what came of it; anything but a whole adaptation or the policy's answer fails. */
async function mail(talk: SmtpTalk, l: Lane, id: string, what: string): Promise<Result> {
  const to = `${id}@dst.test`;
  const outcome = await talk.mail({ from: 'a@src.test', to: [to], content: Buffer.from(bodyOf(id)) });
  const code = verdict(outcome);
  const heard = JSON.stringify(outcome.content ?? outcome.rcpts[0]);
  const got = delivered(to);
  if (code === 250) {
    assert.equal(got.length, 1, `${what}: 250 for ${got.length} mails`);
    if (got[0] === expected(l, id, false)) return 'whole';
    assert.equal(l.policy, 'skip', `${what}: delivered although not scanned:\n${got[0]}`);
    assert.equal(got[0], expected(l, id, true), `${what}: a mixture`);
    return 'policy';
  }
  assert.deepEqual(got, [], `${what}: answered ${heard} and delivered`);
  assert.equal(Math.floor(code / 100), l.policy === 'reject' ? 5 : 4, `${what}: ${heard}`);
  assert.notEqual(l.policy, 'skip', `${what}: ${heard}`);
  await talk.say('RSET');
  return 'policy';
}

async function runLane(l: Lane, i: number): Promise<string[]> {
  const server = failing[i];
  assert.ok(server !== undefined);
  const failures: string[] = [];
  let talk = await SmtpTalk.hello(gateway.port(`lane${i}`));
  for (const [n, fault] of l.faults.entries()) {
    const what = `${l.name}${l.yours ? ' by reference' : ''}: ${JSON.stringify(fault)}`;
    try {
      await strike(server, talk, l, fault, `l${i}f${n}`, what);
    } catch (error) {
      failures.push(error instanceof Error ? error.message : String(error));
      talk.destroy();
      talk = await SmtpTalk.hello(gateway.port(`lane${i}`));
    }
  }
  await talk.quit();
  return failures;
}

async function strike(
  server: Draft00,
  talk: SmtpTalk,
  l: Lane,
  fault: Draft00Fault,
  id: string,
  what: string,
): Promise<void> {
  const honestScript = { yours: l.yours, rules: l.yours ? referring(l.faulty) : rules(l.faulty) };
  const before = server.child.events('fault').length;
  await server.script({ ...honestScript, fault });
  const result = await mail(talk, l, id, what);
  await server.script(honestScript); // its answer comes behind all it has told before
  const struck = server.child.events('fault').length > before;
  // A fault behind the last octet of the answers strikes nobody.
  if (!struck) assert.equal(result, 'whole', `${what}: nothing was wrong`);
  else if (fault.on !== undefined) assert.equal(result, 'policy', `${what}: it cannot have answered`);
  counts.set(result, (counts.get(result) ?? 0) + 1);
  // A connection that fell silent is given up in its own time; that has a test of its own.
  if (fault.kind === 'mute' || fault.kind === 'slow') await server.drop();
  await recovers(talk, l, id, what);
}

/** The session takes mail as before, as soon as the connection to the server is up again. */
async function recovers(talk: SmtpTalk, l: Lane, id: string, what: string): Promise<void> {
  const end = Date.now() + 20_000;
  for (let n = 0; ; n++) {
    if ((await mail(talk, l, `${id}r${n}`, `${what}, afterwards`)) === 'whole') return;
    assert.ok(Date.now() < end, `${what}: no whole mail for 20 s afterwards`);
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
}

test('every fault at every place: a whole adaptation or the policy, and the session lives on', async () => {
  const failures = (await Promise.all(lanes.map(runLane))).flat();
  assert.equal(failures.length, 0, failures.join('\n'));
  assert.ok((counts.get('policy') ?? 0) > 150, `too few faults struck: ${JSON.stringify([...counts])}`);
});

test('a server that is gone: each policy gives its answer, and comes back by itself', async () => {
  for (const [i, l] of lanes.entries()) {
    if (l.length !== 1 || l.faults !== lanes.find((x) => x.policy === l.policy)?.faults) continue;
    const server = failing[i];
    const talk = await SmtpTalk.hello(gateway.port(`lane${i}`));
    await server?.listen(false);
    assert.equal(await mail(talk, l, `gone${i}`, `${l.name}: nobody listens`), 'policy');
    await server?.listen(true);
    await recovers(talk, l, `back${i}`, `${l.name}: back again`);
    await talk.quit();
  }
});

test('a connection that fell silent is given up soon after a mail timed out on it', async () => {
  const i = lanes.findIndex((l) => l.policy === 'tempfail' && l.length === 1 && l.yours);
  const [l, server] = [lanes[i], failing[i]];
  assert.ok(l !== undefined && server !== undefined);
  const talk = await SmtpTalk.hello(gateway.port(`lane${i}`));
  await server.script({ yours: true, rules: referring(l.faulty), fault: { kind: 'mute', on: 'TS', times: 1 } });
  assert.equal(await mail(talk, l, 'silent', 'silent'), 'policy');
  await recovers(talk, l, 'silent', 'silent connection');
  await talk.quit();
});

test('a skipped service is marked: in the trace and in the log', async () => {
  const i = lanes.findIndex((l) => l.policy === 'skip' && l.length === 1);
  const l = lanes[i];
  assert.ok(l !== undefined);
  await failing[i]?.script({ fault: { kind: 'die', on: 'AME' } });
  const talk = await SmtpTalk.hello(gateway.port(`lane${i}`));
  const from = gateway.logs().length;
  assert.equal(await mail(talk, l, 'marked', 'skip'), 'policy');
  await talk.quit();
  const sent = hop.mails.find((m) => m.rcpts.includes('<marked@dst.test>'));
  const { trace } = withoutTrace(sent?.content ?? Buffer.alloc(0));
  assert.ok(
    trace.some((line) => line.startsWith('OPES-') && line.includes(`s${i}x1`) && /skip/i.test(line)),
    trace.join('\n'),
  );
  await gateway.child.until(
    () =>
      gateway
        .logs()
        .slice(from)
        .find((line) => /skip/i.test(JSON.stringify(line))),
    'log line about the skip',
  );
});
