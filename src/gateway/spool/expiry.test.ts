import assert from 'node:assert/strict';
import { onTestFinished, test } from 'vitest';
import { scratchFolder } from '../../../test/support/scratch.ts';
import { Deadlines, noMetrics, silentLog } from '../../base/index.ts';
import { openStore } from '../../store/index.ts';
import { Dispatcher } from '../dispatch/dispatcher.ts';
import { Spool } from './spool.ts';

const NOW = 1_800_000_000_000;
const KEEP_MS = 30 * 24 * 3600 * 1000;

test('what nobody released in time ends as an exception, with a line in the log, and no sooner', async () => {
  let nowMs = NOW;
  const store = await openStore({ dataDir: scratchFolder('spool'), url: 'sqlite', clock: () => nowMs });
  onTestFinished(() => store.close());
  const expired: unknown[] = [];
  let tell = (): void => undefined;
  const info = (event: string, fields: unknown): void => {
    if (event === 'quarantine.expired') expired.push(fields);
    tell();
  };
  const log = { ...silentLog, info };
  const never = (): never => {
    throw new Error('what is held goes nowhere');
  };
  const options = {
    mode: 'inline',
    retryMs: [60_000],
    lifetimeMs: 1000,
    warnAfterMs: undefined,
    perDestination: 1,
    keepMs: KEEP_MS,
    notice: false,
  } as const;
  const spool = new Spool(options, {
    store,
    dispatcher: new Dispatcher([], [], log),
    relay: { open: never },
    reports: { make: never },
    adapt: { keyOf: never, run: never },
    reviveServices: () => undefined,
    notices: undefined,
    book: undefined,
    memory: { isHalfUsed: false },
    deadlines: new Deadlines(),
    wallClock: () => nowMs,
    random: () => 0,
    log,
    metrics: noMetrics,
  });
  const delivery = {
    content: 's.1/0',
    params: {},
    destination: 'one.example',
    lane: 'adapt',
    hold: { service: 'av', reason: 'timeout', heldMs: NOW },
    nextMs: NOW,
    notes: {},
  } as const;
  await store.commit({
    mails: [
      {
        id: 's.1',
        acceptedMs: NOW,
        reversePath: 'a@src.example',
        params: {},
        facts: {},
        contents: [{ id: 's.1/0', octets: [Buffer.from('Subject: x\r\n\r\n')] }],
        deliveries: [
          { ...delivery, n: 0, forwardPath: 'b@one.example', expiresMs: NOW + KEEP_MS },
          { ...delivery, n: 1, forwardPath: 'c@one.example', expiresMs: NOW + KEEP_MS + 1 },
        ],
      },
    ],
  });
  nowMs = NOW + KEEP_MS - 1;
  assert.deepEqual(await store.claimExpired(nowMs, 9), []);
  nowMs++;
  const told = new Promise<void>((resolve) => {
    tell = resolve;
  });
  spool.wake();
  await told;
  await spool.close(1000);
  assert.deepEqual(expired, [{ mail: 's.1', n: 0, to: 'b@one.example', service: 'av' }]);
  const { accepted, excepted, held, queued } = await store.counters();
  assert.deepEqual({ accepted, excepted, held, queued }, { accepted: 2, excepted: 1, held: 1, queued: 0 });
  assert.deepEqual(
    (await store.list({}, 9)).map(({ n }) => n),
    [1],
  );
});
