import assert from 'node:assert/strict';
import { chmodSync, chownSync, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Worker } from 'node:worker_threads';
import Database from 'better-sqlite3';
import { test } from 'vitest';
import { Child } from '../../test/support/child.ts';
import { scratchFolder } from '../../test/support/scratch.ts';
import { makeMail, names } from '../../test/support/store-mail.ts';
import { isCode, type Place, storeSuite } from '../../test/support/store-suite.ts';
import { openStore, type Store, type StoreError } from './index.ts';
import { type Migration, migrations } from './migrations/index.ts';

async function makePlace(): Promise<Place> {
  const dataDir = scratchFolder('store');
  return {
    open: (options = {}) => openStore({ dataDir, url: 'sqlite', ...options }),
    tamper: async (sql) => {
      const db = new Database(join(dataDir, 'store.sqlite'));
      db.exec(sql);
      db.close();
    },
  };
}

storeSuite({ name: 'sqlite', makePlace });

/** Each opening starts a thread and synchronises several times; a busy machine takes its time for that. */
const OPENING_MS = 120_000;

const CHILD = fileURLToPath(new URL('../../test/support/store-child.ts', import.meta.url));
const open = (dataDir: string): Promise<Store> => openStore({ dataDir, url: 'sqlite' });

/** Fails with `code`, and the message says `what`. */
async function refuses(opening: Promise<Store>, code: Parameters<typeof isCode>[0], what: RegExp): Promise<void> {
  await assert.rejects(opening, (error) => {
    assert.match(String(error), what);
    return isCode(code)(error);
  });
}

test(
  'a directory that is made is ours alone',
  async () => {
    const dataDir = join(scratchFolder('store'), 'deep', 'data');
    const store = await open(dataDir);
    await store.commit({ mails: [makeMail('s.1')] });
    assert.equal(statSync(dataDir).mode & 0o777, 0o700);
    for (const name of ['store.sqlite', 'store.sqlite-wal', 'store.pid'])
      assert.equal(statSync(join(dataDir, name)).mode & 0o777, 0o600, name);
    await store.close();
    assert.ok(!existsSync(join(dataDir, 'store.pid')));
  },
  OPENING_MS,
);

test(
  'a second gateway is refused, in this process and in another, until the first one ends or is killed',
  async () => {
    const dataDir = scratchFolder('store');
    const store = await open(dataDir);
    await refuses(open(dataDir), 'owned', new RegExp(`process ${process.pid}\\).*dataDir`));
    // Having been asked did not take the lock away from its holder.
    await refuses(open(dataDir), 'owned', /stop it/);
    await store.commit({ mails: [makeMail('s.1')] });
    await store.close();
    const child = new Child(process.execPath, ['-C', 'opes-source', CHILD, dataDir]);
    await child.until(() => child.stdout[0], 'open', 60_000);
    await refuses(open(dataDir), 'owned', new RegExp(`process ${child.pid}\\)`));
    await child.stop('SIGKILL');
    const again = await open(dataDir);
    assert.equal((await again.mail('s.1'))?.id, 's.1');
    await again.close();
  },
  OPENING_MS,
);

test(
  'the thread that has the file ends: said once, everything asked is unreachable, and the next life has all of it',
  async () => {
    const dataDir = scratchFolder('store');
    const thread = Promise.withResolvers<Worker>();
    process.once('worker', (worker: Worker) => thread.resolve(worker));
    const lost: StoreError[] = [];
    const store = await openStore({ dataDir, url: 'sqlite', onLost: (error) => lost.push(error) });
    await store.commit({ mails: [makeMail('s.1')] });
    const pending = assert.rejects(store.commit({ mails: [makeMail('s.2')] }), isCode('unreachable'));
    await (await thread.promise).terminate();
    await pending;
    for (const asked of [
      () => store.commit({ mails: [makeMail('s.3')] }),
      () => store.claim(0, 1),
      () => store.list({}, 1),
    ])
      await assert.rejects(asked(), isCode('unreachable'));
    assert.deepEqual(
      lost.map(({ code }) => code),
      ['unreachable'],
    );
    assert.match(String(lost[0]), /thread .* ended.*next start/);
    await assert.rejects(store.close(), isCode('unreachable'));
    const again = await open(dataDir);
    assert.deepEqual(names(await again.list({}, 9)).slice(0, 1), ['s.1 0']);
    await again.close();
    assert.equal(lost.length, 1, 'a close is no loss');
  },
  OPENING_MS,
);

test(
  'a directory or file that is open to others, or not ours, or none',
  async () => {
    const dataDir = scratchFolder('store');
    await (await open(dataDir)).close();
    chmodSync(dataDir, 0o750);
    await refuses(open(dataDir), 'denied', /mode 750.*chmod 700/);
    chmodSync(dataDir, 0o700);
    chmodSync(join(dataDir, 'store.sqlite'), 0o640);
    await refuses(open(dataDir), 'denied', /mode 640.*chmod 600/);
    const file = join(scratchFolder('store'), 'file');
    writeFileSync(file, '');
    await refuses(open(file), 'denied', /cannot be used \(EEXIST\)/);
    await refuses(openStore({ dataDir, url: 'mysql://x' }), 'failed', /names no store/);
  },
  OPENING_MS,
);

test(
  'a directory of another user is refused',
  async () => {
    const dataDir = scratchFolder('store');
    const us = process.getuid?.() ?? 0;
    // Only root may give a directory away; for everybody else root's own is one of another.
    if (us === 0) chownSync(dataDir, 65534, 65534);
    await refuses(
      open(us === 0 ? dataDir : '/root'),
      'denied',
      us === 0 ? /belongs to user 65534.*chown/ : /cannot be used|belongs/,
    );
  },
  OPENING_MS,
);

test(
  'a database of a later program is refused and left alone',
  async () => {
    const place = await makePlace();
    await (await place.open()).close();
    await place.tamper(`insert into migration values (${migrations.length + 1}, 'later', 0)`);
    await refuses(place.open(), 'newer', /start the later version/);
    await place.tamper(`delete from migration where name = 'later'`);
    await (await place.open()).close();
  },
  OPENING_MS,
);

test(
  'a database of an older program is brought up to date, with what is in it',
  async () => {
    const place = await makePlace();
    const store = await place.open();
    await store.commit({ mails: [makeMail('s.1', { deliveries: 2 })] });
    await store.close();
    const version = migrations.length + 1;
    const next = (statements: readonly string[]): readonly Migration[] => [
      ...migrations,
      { version, name: 'next', statements: () => statements },
    ];
    const added = "alter table mail add column colour text not null default 'blue'";
    await refuses(place.open({ migrations: next([added, 'no statement']) }), 'failed', /syntax error/);
    await (await place.open()).close();
    // The failed step left nothing: it can be done as a whole.
    const upgraded = await place.open({ migrations: next([added, "update delivery set destination = 'moved'"]) });
    const [first, second] = await upgraded.list({}, 9);
    assert.deepEqual([first?.destination, second?.destination], ['moved', 'moved']);
    assert.equal((await upgraded.mail('s.1'))?.reversePath, 'sender@example.com');
    await upgraded.close();
    await refuses(place.open(), 'newer', new RegExp(`schema version ${version}`));
  },
  OPENING_MS,
);

test(
  'a damaged file is told as damaged',
  async () => {
    const dataDir = scratchFolder('store');
    const store = await open(dataDir);
    for (let i = 0; i < 50; i++)
      await store.commit({ mails: [makeMail(`s.${i}`, { octets: [Buffer.alloc(10_000)] })] });
    await store.close();
    const file = join(dataDir, 'store.sqlite');
    const sound = readFileSync(file);
    for (let page = 1; page < 12; page += 2) {
      const damaged = Buffer.from(sound);
      damaged.fill(0xff, page * 4096, page * 4096 + 2048);
      writeFileSync(file, damaged);
      await refuses(open(dataDir), 'corrupt', /damaged.*(?:restore it|move it away)/);
    }
    writeFileSync(file, 'no database, and long enough to be looked at'.repeat(100));
    await refuses(open(dataDir), 'corrupt', /not a database/);
    writeFileSync(file, sound);
    const again = await open(dataDir);
    assert.equal((await again.list({}, 100)).length, 50);
    await again.close();
  },
  OPENING_MS,
);

test(
  'ends of delivered mail need no transaction of their own',
  async () => {
    const store = await open(scratchFolder('store'));
    await store.commit({ mails: [makeMail('s.1'), makeMail('s.2')] });
    const order: string[] = [];
    const end = store
      .commit({ changes: [{ kind: 'end', mail: 's.1', n: 0, as: 'delivered' }] })
      .then(() => order.push('end'));
    const mail = store.commit({ mails: [makeMail('s.3')] }).then(() => order.push('mail'));
    await Promise.all([end, mail]);
    assert.deepEqual(order, ['end', 'mail'], 'in one batch, in order');
    // Alone, it does not wait for company for ever; nor does a close.
    await store.commit({ changes: [{ kind: 'end', mail: 's.2', n: 0, as: 'delivered' }] });
    const last = store.commit({ changes: [{ kind: 'end', mail: 's.3', n: 0, as: 'delivered' }] });
    await store.close();
    await last;
  },
  OPENING_MS,
);

test(
  'an operator lists while mail is committed',
  async () => {
    const store = await open(scratchFolder('store'));
    const commits = Array.from({ length: 30 }, (_, i) => store.commit({ mails: [makeMail(`s.${i}`)] }));
    const listed = await store.list({}, 100);
    await Promise.all(commits);
    assert.ok(listed.length === 0 || listed.length === 30, 'all of a batch, or none');
    assert.equal(names(await store.list({}, 100)).length, 30);
    await store.close();
  },
  OPENING_MS,
);
