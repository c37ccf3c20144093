/** Reports where the store gives no octets: put off, or made without them, and never left out for it. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'vitest';
import { SpoolRig } from '../../../test/support/spool-rig.ts';
import { noMetrics, silentLog } from '../../base/index.ts';
import { replies, reply } from '../../smtp/index.ts';
import { type Store, StoreError, type StoreErrorCode } from '../../store/index.ts';
import { ReportDecider } from '../dsn/index.ts';
import { Reporter } from './reporter.ts';

const MINUTE = 60_000;
const REFUSED = reply(550, '5.1.1', 'no such user');
const LARGE = `From: a@src.example\r\nSubject: long\r\n\r\n${'0123456789abcdef\r\n'.repeat(30_000)}`;
let rig: SpoolRig;
afterEach(() => rig.stop());

/** A real reporter; mail is first put off, so that it comes from the store the next time. `code`: what reads are told then. */
async function putOff(code: () => StoreErrorCode | undefined): Promise<void> {
  rig = new SpoolRig();
  const reports = { languages: ['en'], returnContent: 'headers', postmaster: undefined, perSenderPerHour: 1 } as const;
  const reporter = new Reporter(new ReportDecider(reports, silentLog, noMetrics), {
    hostname: 'mx.example.com',
    system: { uri: 'https://mail.example.com/opes', contact: undefined },
    reports,
    headerOctets: 10_000,
    lifetimeMs: 60 * MINUTE,
    serviceOf: () => undefined,
    wallClock: () => rig.nowMs,
    nonce: () => '0123456789abcdef',
  });
  rig.make = (event) => reporter.make(event);
  await rig.start({}, (store) => {
    const read: Store['read'] = async (id, from, length) => {
      // A try begins with the last octets, a report with the first.
      const said = from === 0 ? code() : undefined;
      if (said !== undefined) throw new StoreError(said, `it is ${said}`);
      return await store.read(id, from, length);
    };
    return new Proxy(store, {
      get: (target, name) => {
        if (name === 'read') return read;
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
      },
    });
  });
  rig.hops.rcpt = (argument) => (argument.includes('src.') ? replies.rcptOk : reply(450, '4.2.1', 'greylisted'));
  await rig.accept('s.1', ['b@dst.example'], { octets: LARGE });
  await rig.until(async () => (await rig.store.list({}, 10))[0]?.attempts === 1, 'put off');
  rig.hops.rcpt = (argument) => (argument.includes('src.') ? replies.rcptOk : REFUSED);
  rig.tick(6 * MINUTE);
}

const toSender = (): string | undefined => rig.sent.find(({ rcpts }) => rcpts[0]?.includes('src.'))?.octets;

test('a failure while the store is away is reported when it is back', async () => {
  let isAway = true;
  let reads = 0;
  await putOff(() => {
    reads++;
    return isAway ? 'unreachable' : undefined;
  });
  const turns = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await rig.store.counters();
  };
  await rig.until(() => reads > 0, 'read');
  for (let i = 0; i < 3; i++) {
    rig.tick(MINUTE);
    await turns();
  }
  const { reported, excepted, queued } = await rig.store.counters();
  assert.deepEqual({ reported, excepted, queued }, { reported: 0, excepted: 0, queued: 1 });
  isAway = false;
  await rig.until(async () => {
    rig.tick(1000);
    return (await rig.store.counters()).delivered === 1;
  }, 'reported');
  assert.match(toSender() ?? '', /Subject: long/);
  assert.equal((await rig.store.counters()).reported, 1);
});

test('a failure of a mail whose octets are damaged is reported without them', async () => {
  await putOff(() => 'corrupt');
  await rig.until(async () => (await rig.store.counters()).delivered === 1, 'reported');
  const { reported, excepted } = await rig.store.counters();
  assert.deepEqual({ reported, excepted }, { reported: 1, excepted: 0 });
  assert.match(toSender() ?? '', /550 5\.1\.1 no such user/);
});

test('given up while the store is away: not ended, and reported by the next start', async () => {
  let isAway = true;
  await putOff(() => (isAway ? 'unreachable' : undefined));
  await rig.until(() => rig.lines('report.put-off').length > 0, 'put off');
  await rig.stop();
  isAway = false;
  await rig.start();
  rig.tick(1);
  await rig.until(async () => (await rig.store.counters()).reported === 1, 'reported');
  assert.equal((await rig.store.counters()).excepted, 0);
});
