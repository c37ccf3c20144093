/** What the record of the last mails is told by the spool. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'vitest';
import { mailRecord } from '../../../test/support/records.ts';
import { SpoolRig } from '../../../test/support/spool-rig.ts';
import { replies, reply } from '../../smtp/index.ts';
import { type Store, StoreError } from '../../store/index.ts';

let rig: SpoolRig;
afterEach(() => rig.stop());

async function started(wrap?: (store: Store) => Store): Promise<void> {
  rig = new SpoolRig();
  await rig.start({}, wrap);
  rig.recent.keep(mailRecord('s.1'));
}

const known = () => rig.recent.find('s.1')?.deliveries ?? [];
const told = () => known().map(({ id, state, said }) => [id, state, said]);
const byId = ([a = '']: readonly string[], [b = '']: readonly string[]): number => (a < b ? -1 : 1);
const toldOf = (n: number): Promise<void> => rig.until(() => known().length === n, 'told');

test('each delivery of a mail: taken by a hop, failed and reported or not, to be tried again', async () => {
  await started();
  rig.hops.rcpt = (argument) => {
    if (argument === '<later@x.example>') return reply(452, '4.2.2', 'full');
    return argument === '<a@x.example>' ? replies.rcptOk : reply(550, '5.1.1', 'no such user');
  };
  rig.reports = () => ({ mails: [], held: new Set(), excepted: new Map([[2, 'test']]) });
  await rig.accept('s.1', ['a@x.example', 'no@x.example', 'untold@x.example', 'later@x.example']);
  await toldOf(4);
  assert.deepEqual(told().toSorted(byId), [
    ['s.1#0', 'delivered', '250 2.0.0 queued'],
    ['s.1#1', 'reported', '550 5.1.1 no such user'],
    ['s.1#2', 'excepted', '550 5.1.1 no such user'],
    ['s.1#3', 'queued', '452 4.2.2 full'],
  ]);
  const later = known().find(({ id }) => id === 's.1#3');
  assert.equal(later?.nextMs, rig.nowMs + 5 * 60_000);
  assert.equal(known()[0]?.nextHop, 'one:25');
  rig.hops.rcpt = () => replies.rcptOk;
  rig.tick(6 * 60_000);
  await rig.until(() => told().every(([, state]) => state !== 'queued'), 'delivered');
  assert.deepEqual(told().at(-1), ['s.1#3', 'delivered', '250 2.0.0 queued']);
  assert.equal(known().length, 4, 'what was said before counts no more');
});

test('held by a service that runs later, and when the mail was taken', async () => {
  await started();
  rig.adapt = () => ({ kind: 'hold', service: 'av', reason: 'verdict: virus', refused: new Map() });
  await rig.accept('s.1', ['a@x.example'], { lane: 'adapt' });
  await toldOf(1);
  assert.deepEqual(told(), [['s.1#0', 'held', 'by av (verdict: virus)']]);
  rig.recent.keep(mailRecord('s.1'));
  const fate = { kind: 'hold', service: 'spam', reason: 'timeout' } as const;
  const recipients = [{ argument: '<a@x.example>', domain: 'x.example', named: undefined, fate }];
  rig.recent.keep(mailRecord('s.2'));
  await rig.accept('s.2', [], { recipients });
  assert.deepEqual(
    rig.recent.find('s.2')?.deliveries.map(({ state, said }) => [state, said]),
    [['held', 'by spam (timeout)']],
  );
});

test('nothing is told before it is stored, and nothing of mails that are not among the last ones', async () => {
  let isAway = false;
  const commit =
    (store: Store): Store['commit'] =>
    async (unit) => {
      if (isAway && unit.mails === undefined) throw new StoreError('unreachable', 'away');
      await store.commit(unit);
    };
  await started((store) => withCommit(store, commit(store)));
  isAway = true;
  await rig.accept('s.1', ['a@x.example']);
  await rig.accept('s.9', ['a@x.example']);
  await rig.until(() => rig.lines('spool.store-failed').length >= 2, 'tried');
  assert.deepEqual(told(), []);
  isAway = false;
  rig.tick(2500);
  await toldOf(1);
  assert.equal(rig.recent.find('s.9'), undefined);
});

function withCommit(store: Store, commit: Store['commit']): Store {
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'commit') return commit;
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
