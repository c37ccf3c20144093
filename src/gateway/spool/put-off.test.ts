/** Mail that a service had wait: not shown to anybody before its time, and never for longer than the queue keeps it. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'vitest';
import { contentOf, SpoolRig } from '../../../test/support/spool-rig.ts';
import { reply } from '../../smtp/index.ts';
import type { ViaEntry } from '../trace/index.ts';
import type { SpoolVariant } from './port.ts';
import { notesOf } from './rows.ts';
import type { AdaptResult, Progress } from './world.ts';

const MINUTE = 60_000;
const MAIL = 'Subject: x\r\n\r\nHello\r\n';
const VIA: ViaEntry = { uri: 'http://svc.example/s1', outcome: 'delayed' };
let rig: SpoolRig;
afterEach(() => rig.stop());

/** `forMs`: said by service `s1` in the dialog. */
function putOff(forMs: number): Partial<SpoolVariant> {
  const recipients = ['b@one.example', 'c@one.example'].map((to) => ({
    argument: `<${to}>`,
    domain: 'one.example',
    named: undefined,
    fate: { kind: 'delay', forMs } as const,
  }));
  return { lane: 'adapt', resume: { service: 's1', via: [VIA] }, recipients };
}

function progress(more: Partial<Progress> = {}): Progress {
  const nothing = { content: undefined, judged: new Map(), rewritten: new Map(), dispose: () => undefined };
  return { service: 's1', via: [VIA], ...nothing, ...more };
}

const again = (forMs: number, more?: Partial<Progress>): AdaptResult => ({
  kind: 'delay',
  atMs: rig.nowMs + forMs,
  refused: new Map(),
  progress: progress(more),
});

const released = (text: string): AdaptResult => ({
  kind: 'release',
  content: contentOf(text),
  refused: new Map(),
  dispose: () => undefined,
});

/** As many as are expected, and what they are in all. */
async function counts(expected: Readonly<Record<string, number>>): Promise<void> {
  await rig.until(async () => {
    const got = await rig.store.counters();
    const { accepted, delivered, reported, excepted, removed, queued, held } = got;
    assert.equal(accepted, delivered + reported + excepted + removed + queued + held);
    return Object.entries(expected).every(([name, value]) => got[name as keyof typeof got] === value);
  }, JSON.stringify(expected));
}

/** Both deliveries wait for their time and nobody has them. */
async function waiting(nextMs: number): Promise<void> {
  await rig.until(async () => (await rig.store.list({}, 9)).every((one) => one.nextMs === nextMs), 'their time is set');
  await rig.until(() => rig.spool.load === 0, 'nobody works on them');
  await new Promise(setImmediate);
}

async function started(more: Parameters<SpoolRig['start']>[0] = {}): Promise<number> {
  rig = new SpoolRig();
  await rig.start(more);
  return rig.nowMs;
}

test('put off in the dialog: shown to its service when the time has come, not before, and then delivered', async () => {
  const nowMs = await started();
  rig.adapt = () => released(`X: 1\r\n${MAIL}`);
  await rig.accept('s.1', [], putOff(10 * MINUTE));
  await waiting(nowMs + 10 * MINUTE);
  await counts({ accepted: 2, queued: 2 });
  rig.tick(9 * MINUTE);
  await waiting(nowMs + 10 * MINUTE);
  assert.equal(rig.jobs.length, 0);
  rig.tick(MINUTE);
  await rig.until(() => rig.jobs.length === 1, 'the service is asked');
  const [first] = rig.jobs[0]?.deliveries ?? [];
  assert.deepEqual(first && [notesOf(first).service, notesOf(first).via, first.attempts], ['s1', [VIA], 0]);
  await counts({ delivered: 2, queued: 0 });
  assert.equal(rig.sent[0]?.octets, `X: 1\r\n${MAIL}`);
});

test('put off, and restarted: it waits on', async () => {
  const nowMs = await started();
  await rig.accept('s.1', [], putOff(10 * MINUTE));
  await waiting(nowMs + 10 * MINUTE);
  await rig.stop();
  await rig.start();
  rig.tick(9 * MINUTE);
  await waiting(nowMs + 10 * MINUTE);
  assert.equal(rig.jobs.length, 0);
  rig.adapt = () => released(MAIL);
  rig.tick(MINUTE);
  await counts({ delivered: 2 });
});

test('put off again: what other services made meanwhile is kept, and they do not run again', async () => {
  const nowMs = await started();
  await rig.accept('s.1', [], putOff(MINUTE));
  await waiting(nowMs + MINUTE);
  const s2: ViaEntry = { uri: 'http://svc.example/s2', outcome: 'edited' };
  const s3: ViaEntry = { uri: 'http://svc.example/s3', outcome: 'delayed' };
  const to = { path: 'new@two.example', params: {}, destination: 'two.example' };
  rig.adapt = () =>
    again(5 * MINUTE, {
      service: 's3',
      content: contentOf(`X: 2\r\n${MAIL}`),
      via: [VIA, VIA, s2, s3],
      judged: new Map([0, 1].map((n) => [n, { 's4 true': true }])),
      rewritten: new Map([[1, { to }]]),
    });
  rig.tick(MINUTE);
  await waiting(nowMs + 6 * MINUTE);
  await counts({ queued: 2 });
  rig.adapt = ({ content }) => ({ kind: 'release', content, refused: new Map(), dispose: () => undefined });
  rig.tick(5 * MINUTE);
  await rig.until(() => rig.jobs.length > 1, 'asked again');
  for (const { deliveries } of rig.jobs.slice(1))
    for (const one of deliveries) assert.deepEqual(notesOf(one).judged, { 's4 true': true });
  const second = rig.jobs[1]?.deliveries[1];
  assert.deepEqual(second && [notesOf(second).service, notesOf(second).via], ['s3', [VIA, s2, s3]]);
  await counts({ delivered: 2 });
  assert.deepEqual(
    new Map(rig.sent.map(({ octets, rcpts }) => [rcpts.join(), octets])),
    new Map([
      ['<b@one.example>', `X: 2\r\n${MAIL}`],
      ['<new@two.example> ORCPT=rfc822;c@one.example', `X: 2\r\n${MAIL}`],
    ]),
    'what services made of a recipient before it was put off stands',
  );
});

test('a recipient that another service refused does not wait: who refused it is not asked again', async () => {
  const nowMs = await started();
  await rig.accept('s.1', [], putOff(MINUTE));
  await waiting(nowMs + MINUTE);
  const by = { service: 's2', because: 'verdict', isOnContent: false } as const;
  const refused = new Map([[1, { reply: reply(550, '5.7.1', 'no'), by }]]);
  rig.adapt = () => ({ kind: 'delay', atMs: rig.nowMs + MINUTE, refused, progress: progress({ service: 's3' }) });
  rig.tick(MINUTE);
  await counts({ excepted: 1, queued: 1 });
  assert.deepEqual(
    rig.events[0]?.failed.map((one) => [one.delivery.forwardPath, one.by]),
    [['c@one.example', by]],
  );
  rig.adapt = ({ content }) => ({ kind: 'release', content, refused: new Map(), dispose: () => undefined });
  rig.tick(MINUTE);
  await counts({ delivered: 1, excepted: 1, queued: 0 });
  assert.deepEqual(rig.sent[0]?.rcpts, ['<b@one.example>']);
});

test('put off over and over: given up when its time is over, and the service is named', async () => {
  const nowMs = await started({ warnAfterMs: undefined });
  await rig.accept('s.1', [], putOff(25 * MINUTE));
  await waiting(nowMs + 25 * MINUTE);
  rig.adapt = () => again(25 * MINUTE);
  rig.tick(25 * MINUTE);
  await waiting(nowMs + 50 * MINUTE);
  rig.tick(25 * MINUTE);
  await waiting(nowMs + 60 * MINUTE);
  assert.equal(rig.events.length, 0);
  rig.tick(10 * MINUTE);
  await counts({ excepted: 2, queued: 0 });
  assert.deepEqual(
    rig.events[0]?.failed.map(({ reply, by }) => [reply.code, by]),
    Array(2).fill([451, { service: 's1', because: 'delay', isOnContent: false }]),
  );
  assert.equal(rig.jobs.length, 3);
  assert.equal(rig.tries, 0, 'it went nowhere');
});

test('a delay longer than the queue keeps mail ends with the queue, and the service is asked once more', async () => {
  const nowMs = await started();
  await rig.accept('s.1', [], putOff(1000 * MINUTE));
  await waiting(nowMs + 60 * MINUTE);
  rig.adapt = () => released(MAIL);
  rig.tick(60 * MINUTE);
  await counts({ delivered: 2 });
});
