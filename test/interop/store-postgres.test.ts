/** The store on a real PostgreSQL. */
import assert from 'node:assert/strict';
import { Client } from 'pg';
import { beforeAll, test } from 'vitest';
import { openStore, type Store, type Unit } from '../../src/store/index.ts';
import { LosingProxy } from '../support/losing-proxy.ts';
import { Postgres } from '../support/postgres.ts';
import { eventually } from '../support/scratch.ts';
import { crash } from '../support/store-crash.ts';
import { makeMail, NOW, names } from '../support/store-mail.ts';
import { isCode, type Place, storeSuite } from '../support/store-suite.ts';

let server: Postgres;
let made = 0;

beforeAll(async () => {
  server = await Postgres.start();
});

async function makePlace(): Promise<Place> {
  const url = await server.database(`db${++made}`);
  return {
    open: (options = {}) => openStore({ dataDir: '', url, owner: 'gateway-1', ...options }),
    tamper: async (sql) => {
      const client = new Client({ connectionString: url });
      await client.connect();
      await client.query(sql);
      await client.end();
    },
  };
}

storeSuite({ name: 'postgres', makePlace });

const gateway = (url: string, owner: string, leaseMs = 1000): Promise<Store> =>
  openStore({ dataDir: '', url, owner, leaseMs, clock: () => NOW });

test('several gateways share a database: each delivery is claimed by one of them, and leases end', async () => {
  const url = await server.database('shared');
  // Their migrations meet, too.
  const stores = await Promise.all(['a', 'b', 'c'].map((owner) => gateway(url, owner)));
  const [a, b, c] = stores as [Store, Store, Store];
  const ids = Array.from({ length: 60 }, (_, i) => `s.${i}`);
  for (const id of ids) await a.commit({ mails: [makeMail(id, { deliveries: 2 })] });
  assert.deepEqual(await b.claim(NOW + 10, 100), [], "a's, from the start");
  const claims = await Promise.all(
    stores.flatMap((store) => Array.from({ length: 8 }, () => store.claim(NOW + 1000, 10))),
  );
  const claimed = claims.flatMap(names);
  assert.equal(new Set(claimed).size, claimed.length, 'none twice');
  assert.ok(claimed.length > 20, `${claimed.length}`);
  for (const claim of claims) {
    const mails = Map.groupBy(claim, ({ mail }) => mail);
    for (const [mail, deliveries] of mails) assert.equal(deliveries.length, 2, mail);
  }
  // What is another's is not given back by a name that is not its own.
  await b.release(ids.flatMap((mail) => [0, 1].map((n) => ({ mail, n }))));
  const ofB = new Set(names(await c.claim(NOW + 1000, 1000)));
  const left = ids.length * 2 - claimed.length;
  const claimedByB = claims.slice(8, 16).flatMap(names);
  assert.equal(ofB.size, claimedByB.length + left);
  // Both end the last deliveries of the same mails at the same time: each mail goes.
  const everything = ids.flatMap((mail) => [0, 1].map((n) => ({ mail, n })));
  await Promise.all(stores.map((store) => store.release(everything)));
  const ends = (n: number) => ids.map((mail) => ({ kind: 'end', mail, n, as: 'delivered' }) as const);
  await Promise.all([a.commit({ changes: ends(0) }), b.commit({ changes: ends(1).toReversed() })]);
  for (const id of ids) assert.equal(await c.mail(id), undefined);
  const { accepted, delivered, queued } = await c.counters();
  assert.deepEqual({ accepted, delivered, queued }, { accepted: 120, delivered: 120, queued: 0 });
  await Promise.all(stores.map((store) => store.close()));
});

test('claims of several gateways at the same moment: a mail goes to one of them as a whole, and none is left', async () => {
  const url = await server.database('together');
  const stores = await Promise.all(['a', 'b', 'c', 'd'].map((owner) => gateway(url, owner)));
  const [first] = stores as [Store];
  const deliveries = 20;
  const ids = Array.from({ length: 60 }, (_, i) => `s.${i}`);
  for (const id of ids)
    await first.commit({ mails: [makeMail(id, { deliveries, delivery: { expiresMs: NOW + 1000 } })] });
  const all = ids.flatMap((mail) => Array.from({ length: deliveries }, (_, n) => ({ mail, n })));
  await first.release(all);
  for (let round = 0; round < 40; round++) {
    // Whole mails, half a mail over; every second gateway looks for what has expired.
    const claims = await Promise.all(
      stores.map((store, i) => (i % 2 === 0 ? store.claim(NOW + 1000, 310) : store.claimExpired(NOW + 1000, 310))),
    );
    const claimed = claims.flatMap(names);
    assert.equal(new Set(claimed).size, claimed.length, 'none twice');
    assert.ok(claimed.length >= 300, `round ${round}: ${claimed.length}`);
    for (const claim of claims)
      for (const [mail, some] of Map.groupBy(claim, (one) => one.mail))
        assert.equal(some.length, deliveries, `round ${round}: ${mail}`);
    // What one of them left is nobody's.
    const left = await first.claim(NOW + 1000, 10_000);
    assert.equal(left.length + claimed.length, all.length);
    await Promise.all([...stores.map((store, i) => store.release(claims[i] ?? [])), first.release(left)]);
  }
  await Promise.all(stores.map((store) => store.close()));
});

test("work that takes longer than a lease is nobody else's while its gateway lives, and somebody's soon after", async () => {
  const url = await server.database('renewed');
  let nowMs = NOW;
  const open = (owner: string): Promise<Store> =>
    openStore({ dataDir: '', url, owner, leaseMs: 1000, clock: () => nowMs });
  const [a, b] = [await open('a'), await open('b')];
  await a.commit({ mails: [makeMail('s.1')] });
  for (nowMs = NOW + 300; nowMs < NOW + 5000; nowMs += 300) {
    await a.renew([{ mail: 's.1', n: 0 }]);
    // What it cannot do for another.
    await b.renew([{ mail: 's.1', n: 0 }]);
    assert.deepEqual(await b.claim(nowMs, 9), []);
  }
  nowMs += 1000;
  assert.deepEqual(names(await b.claim(nowMs, 9)), ['s.1 0']);
  await a.renew([{ mail: 's.1', n: 0 }]);
  assert.deepEqual(names(await a.claim(nowMs + 999, 9)), []);
  assert.deepEqual(names(await a.claim(nowMs + 1010, 9)), ['s.1 0']);
  await Promise.all([a.close(), b.close()]);
});

test('the answer to a commit is lost: it is found to be done, and done once', async () => {
  const direct = await server.database('lost');
  const proxy = await LosingProxy.start(server.socketFolder);
  const store = await gateway(`postgres://opes@/lost?host=${encodeURIComponent(proxy.folder)}`, 'a');
  await store.commit({ mails: [makeMail('s.1')] });
  const lost = proxy.loseNextCommit();
  await store.commit({ mails: [makeMail('s.2')], changes: [{ kind: 'end', mail: 's.1', n: 0, as: 'delivered' }] });
  await lost;
  await store.commit({ mails: [makeMail('s.3')] });
  const other = await gateway(direct, 'b');
  assert.deepEqual(names(await other.list({}, 9)), ['s.2 0', 's.3 0']);
  const { accepted, delivered } = await other.counters();
  assert.deepEqual({ accepted, delivered }, { accepted: 3, delivered: 1 });
  await Promise.all([store.close(), other.close()]);
});

test('the answer to a claim is lost: what it took is given back, and nothing else', async () => {
  const direct = await server.database('claim');
  const proxy = await LosingProxy.start(server.socketFolder);
  const store = await gateway(`postgres://opes@/claim?host=${encodeURIComponent(proxy.folder)}`, 'a', 3_600_000);
  const past = (id: string) => makeMail(id, { deliveries: 2 });
  await store.commit({ mails: [past('s.1'), past('s.2'), past('s.3')] });
  const other = await gateway(direct, 'b');
  await store.release([0, 1].flatMap((n) => ['s.1', 's.2'].map((mail) => ({ mail, n }))));
  assert.deepEqual(names(await store.claim(NOW, 1)), ['s.1 0'], 'one that is worked on');
  const lost = proxy.loseNextClaim();
  await assert.rejects(store.claim(NOW, 100), isCode('unreachable'));
  await lost;
  assert.deepEqual(names(await other.claim(NOW, 100)), [], 'the lost claim was done');
  assert.deepEqual(names(await store.claim(NOW, 100)), ['s.1 1', 's.2 0', 's.2 1']);
  assert.deepEqual(names(await other.claim(NOW, 100)), [], 'what is worked on, and what was just stored, stays ours');
  await Promise.all([store.close(), other.close()]);
});

test('a claim that is still at work when its gateway has died is over before the next life begins', async () => {
  const direct = await server.database('ghost');
  const proxy = await LosingProxy.start(server.socketFolder);
  const dead = await gateway(`postgres://opes@/ghost?host=${encodeURIComponent(proxy.folder)}`, 'a', 3_600_000);
  await dead.commit({ mails: [makeMail('s.1')] });
  await dead.release([{ mail: 's.1', n: 0 }]);
  const other = new Client({ connectionString: direct });
  await other.connect();
  // Whoever claims a delivery waits for us in the middle of it.
  await other.query(`create function wait() returns trigger language plpgsql as
    'begin perform pg_advisory_xact_lock(42); return new; end'`);
  await other.query(`create trigger claims before update on delivery for each row
    when (old.lease_ms = 0 and new.lease_ms > 0) execute function wait()`);
  await other.query('select pg_advisory_lock(42)');
  const claims = async (): Promise<number> => {
    const at = "from pg_stat_activity where datname = 'ghost' and state = 'active' and query like 'with picks%'";
    return Number((await other.query(`select count(*) as n ${at}`)).rows[0].n);
  };
  const claim = assert.rejects(dead.claim(NOW, 9), isCode('unreachable'));
  await eventually(async () => (await claims()) === 1, 'a claim under way');
  // As a kill would: its sockets are closed, and nobody hears the answer.
  proxy.cut();
  await claim;
  const next = await gateway(direct, 'a', 3_600_000);
  await other.query('select pg_advisory_unlock(42)');
  await eventually(async () => (await claims()) === 0, 'no claim under way');
  assert.deepEqual(names(await next.claim(NOW, 9)), ['s.1 0']);
  await next.close();
  await other.end();
  await dead.close().catch(isCode('unreachable'));
});

test('connections have the name by which a lost one is found and ended, whatever the URL says', async () => {
  const url = await server.database('named');
  const store = await gateway(`${url}&application_name=mine`, 'a');
  await store.commit({ mails: [makeMail('s.1')] });
  assert.deepEqual(names(await store.list({}, 9)), ['s.1 0']);
  const other = new Client({ connectionString: url });
  await other.connect();
  const { rows } =
    await other.query(`select application_name as name from pg_stat_activity a join pg_locks l using (pid)
    where a.datname = 'named' and l.locktype = 'advisory'`);
  assert.equal(rows.length, 2);
  for (const { name } of rows) assert.match(name, /^opes [0-9a-f-]{36}$/);
  await other.end();
  await store.close();
});

test('a second gateway of the same name is refused, and the first one does not notice', async () => {
  const url = await server.database('twice');
  const first = await gateway(url, 'a');
  await first.commit({ mails: [makeMail('s.1')] });
  await assert.rejects(gateway(url, 'a'), (error) => {
    assert.match(String(error), /another gateway works in PostgreSQL .*twice as "opes a writer": stop it/);
    return isCode('owned')(error);
  });
  const other = await gateway(url, 'b');
  assert.deepEqual(names(await other.claim(NOW, 9)), [], 'what it has claimed is still its own');
  await first.commit({ changes: [{ kind: 'end', mail: 's.1', n: 0, as: 'delivered' }] });
  await first.close();
  const next = await gateway(url, 'a');
  assert.equal((await next.counters()).delivered, 1);
  await Promise.all([next.close(), other.close()]);
});

test('a server that is gone makes mail fail, and what failed is not there when it is back', async () => {
  const direct = await server.database('gone');
  const proxy = await LosingProxy.start(server.socketFolder);
  const store = await gateway(`postgres://opes@/gone?host=${encodeURIComponent(proxy.folder)}`, 'a');
  await store.commit({ mails: [makeMail('s.1')] });
  // The commit is done, its answer is lost, and nobody can be asked: the caller is told that it failed.
  const lost = proxy.loseNextCommit().then(() => proxy.cut());
  await assert.rejects(store.commit({ mails: [makeMail('s.2')] }), isCode('unreachable'));
  await lost;
  await assert.rejects(store.list({}, 9), isCode('unreachable'));
  proxy.mend();
  await store.commit({ mails: [makeMail('s.3')] });
  assert.deepEqual(names(await store.list({}, 9)), ['s.1 0', 's.3 0'], 's.2 was taken back');
  assert.equal(await store.content('s.2/0'), undefined);
  assert.equal((await store.counters()).accepted, 2);
  await store.close();
  await (await gateway(direct, 'b')).close();
});

test('whatever keeps us away when the answer to a commit is lost, what failed is not there afterwards', async () => {
  const other = new Client({ connectionString: await server.database('doubt') });
  await other.connect();
  await other.query('create role clerk superuser login');
  const proxy = await LosingProxy.start(server.socketFolder);
  const store = await gateway(`postgres://clerk@/doubt?host=${encodeURIComponent(proxy.folder)}`, 'a');
  await store.commit({ mails: [makeMail('s.1')] });
  const keptAway = {
    // It may not come back, and another of its name is there when it does.
    denied: ['alter role clerk nologin', 'alter role clerk login'],
    owned: [
      `select pg_advisory_lock(hashtextextended('opes a writer', 0))`,
      `select pg_advisory_unlock(hashtextextended('opes a writer', 0))`,
    ],
  };
  for (const [why, [away = '', back = '']] of Object.entries(keptAway)) {
    const isAway = other.query(away);
    const lost = proxy.loseNextCommit();
    const both = await Promise.allSettled(['x', 'y'].map((id) => store.commit({ mails: [makeMail(`${why}.${id}`)] })));
    assert.ok(
      both.every((one) => one.status === 'rejected' && isCode('unreachable')(one.reason)),
      why,
    );
    await Promise.all([lost, isAway]);
    const { rows } = await other.query('select id from mail order by id');
    assert.deepEqual(
      rows.map(({ id }) => id),
      [`${why}.x`, `${why}.y`, 's.1'].toSorted(),
      `${why}: it was done`,
    );
    await other.query(back);
    await store.commit({ changes: [{ kind: 'end', mail: 'none', n: 0, as: 'delivered' }] });
    assert.deepEqual(names(await store.list({}, 9)), ['s.1 0'], why);
    assert.equal((await store.counters()).accepted, 1, why);
  }
  await store.close();
  await other.end();
});

test('what was done unheard and cannot be taken back yet is not found by whoever tries it again', async () => {
  const other = new Client({ connectionString: await server.database('undo') });
  await other.connect();
  const proxy = await LosingProxy.start(server.socketFolder);
  const store = await gateway(`postgres://opes@/undo?host=${encodeURIComponent(proxy.folder)}`, 'a');
  await store.commit({ mails: [makeMail('s.1')] });
  const report: Unit = { mails: [makeMail('s.1.r1')] };
  const lost = proxy.loseNextCommit().then(() => proxy.cut());
  await assert.rejects(store.commit(report), isCode('unreachable'));
  await lost;
  await other.query(`create function refuse() returns trigger language plpgsql as
    $$ begin raise exception 'canceling statement due to statement timeout' using errcode = '57014'; end $$`);
  await other.query('create trigger refuse before delete on delivery execute function refuse()');
  proxy.mend();
  // Any other word would have the report looked for (decision 0037), and found, before it is taken back.
  for (let i = 0; i < 2; i++) await assert.rejects(store.commit(report), isCode('unreachable'));
  await other.query('drop trigger refuse on delivery');
  await store.commit(report);
  assert.deepEqual(names(await store.list({}, 9)), ['s.1 0', 's.1.r1 0']);
  assert.equal((await store.counters()).accepted, 2);
  await Promise.all([store.close(), other.end()]);
});

test('what tells of an end stands or falls with it, though nobody heard that it was done', async () => {
  const direct = await server.database('told');
  const proxy = await LosingProxy.start(server.socketFolder);
  const store = await gateway(`postgres://opes@/told?host=${encodeURIComponent(proxy.folder)}`, 'a');
  await store.commit({ mails: [makeMail('s.1'), makeMail('s.2')] });
  const end = { kind: 'end', mail: 's.1', n: 0, as: 'reported' } as const;
  const report: Unit = { mails: [makeMail('s.1.r1')], changes: [end] };
  const lost = proxy.loseNextCommit().then(() => proxy.cut());
  // In one batch with a mail whose client is told that it failed.
  const both = await Promise.allSettled([store.commit(report), store.commit({ mails: [makeMail('s.3')] })]);
  assert.ok(both.every((one) => one.status === 'rejected' && isCode('unreachable')(one.reason)));
  await lost;
  proxy.mend();
  // Somebody else's commit comes first, and then we might die.
  await store.commit({ changes: [{ kind: 'end', mail: 's.2', n: 0, as: 'delivered' }] });
  const other = await gateway(direct, 'b');
  assert.deepEqual(names(await other.list({}, 9)), ['s.1.r1 0'], 'the end is told of, and s.3 was taken back');
  await assert.rejects(store.commit(report), isCode('duplicate'));
  const { accepted, reported, delivered, queued } = await other.counters();
  assert.deepEqual({ accepted, reported, delivered, queued }, { accepted: 3, reported: 1, delivered: 1, queued: 1 });
  await Promise.all([store.close(), other.close()]);
});

test('a database or user that is not there is told with what to do', async () => {
  const host = encodeURIComponent(server.socketFolder);
  await assert.rejects(gateway(`postgres://opes@/nowhere?host=${host}`, 'a'), (error) => {
    assert.match(String(error), /nowhere.*create the database first/);
    return isCode('denied')(error);
  });
  await assert.rejects(gateway(`postgres://stranger:secret@/postgres?host=${host}`, 'a'), (error) => {
    assert.match(String(error), /stranger/);
    assert.doesNotMatch(String(error), /secret/);
    return isCode('denied')(error);
  });
});

test('PostgreSQL: gateway killed, nothing that was promised is lost', async () => {
  const url = await server.database('crashed');
  // The name of the child: what it had claimed is given back to it.
  await crash({ dataDir: '', url, kills: 6, open: () => openStore({ dataDir: '', url, owner: 'child' }) });
}, 300_000);

test('PostgreSQL: server killed in the middle, every unit is there or failed', async () => {
  const url = await server.database('killed');
  const store = await gateway(url, 'a');
  const results = new Map<string, boolean>();
  let isOver = false;
  const sessions = Array.from({ length: 8 }, async (_, session) => {
    for (let n = 0; !isOver; n++) {
      const id = `s${session}.${n}`;
      results.set(
        id,
        await store.commit({ mails: [makeMail(id)] }).then(
          () => true,
          () => false,
        ),
      );
    }
  });
  for (let life = 0; life < 3; life++) {
    const before = results.size;
    while (results.size < before + 200) await new Promise((resolve) => setImmediate(resolve));
    await server.kill();
    await server.up();
  }
  isOver = true;
  await Promise.all(sessions);
  const there = new Set((await store.list({}, 1_000_000)).map(({ mail }) => mail));
  for (const [id, isDone] of results) assert.equal(there.has(id), isDone, id);
  assert.equal((await store.counters()).accepted, there.size);
  await store.close();
}, 300_000);
