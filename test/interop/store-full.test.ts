/** A disk that is full: the unit fails whole, what was there stays, and there is room again when mail has gone. */
import assert from 'node:assert/strict';
import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'vitest';
import { openStore } from '../../src/store/index.ts';
import { run } from '../support/child.ts';
import { atEnd } from '../support/cleanup.ts';
import { scratchFolder } from '../support/scratch.ts';
import { makeMail } from '../support/store-mail.ts';
import { isCode } from '../support/store-suite.ts';

/** A file system of its own, of a few megabytes; gone at the end. */
async function smallDisk(size: string): Promise<string> {
  const folder = scratchFolder('full');
  const mounted = await run('mount', ['-t', 'tmpfs', '-o', `size=${size},mode=0700`, 'tmpfs', folder]);
  assert.equal(mounted.code, 0, `this test mounts a small tmpfs, which takes root: ${mounted.stderr}`);
  atEnd(async () => await run('umount', ['-l', folder]));
  return folder;
}

test('a full disk refuses what does not fit, as a whole, and takes mail again when there is room', async () => {
  const dataDir = await smallDisk('128m');
  const store = await openStore({ dataDir, url: 'sqlite' });
  const mailOf = (i: number) => makeMail(`s.${i}`, { octets: [Buffer.alloc(1_000_000, `${i}.`)] });
  let taken = 0;
  await assert.rejects(async () => {
    for (; taken < 1000; taken++) await store.commit({ mails: [mailOf(taken)] });
  }, isCode('full'));
  assert.ok(taken > 20, `${taken} mails`);
  const writer = store.writeContent('w.1/0');
  await assert.rejects(
    writer.append(Buffer.alloc(3_000_000)).then(() => writer.end()),
    isCode('full'),
  );
  // Everything that was taken is there, and nothing of what was refused.
  assert.equal((await store.list({}, 1000)).length, taken);
  assert.equal((await store.counters()).accepted, taken);
  assert.equal(await store.content(`s.${taken}/0`), undefined);
  const last = Buffer.from(await store.read(`s.${taken - 1}/0`, 0, 1_000_000));
  assert.ok(last.equals(Buffer.alloc(1_000_000, `${taken - 1}.`)));
  await store.close();
  // A new life finds the same, and mail that goes makes room.
  const again = await openStore({ dataDir, url: 'sqlite' });
  assert.equal((await again.list({}, 1000)).length, taken);
  for (let i = 0; i < taken; i++)
    await again.commit({ changes: [{ kind: 'end', mail: `s.${i}`, n: 0, as: 'delivered' }] });
  for (let i = 0; i < 10; i++) await again.commit({ mails: [mailOf(1000 + i)] });
  await again.close();
}, 120_000);

test('a full disk where all that waits ends in reports: the queue drains, and no mail is taken meanwhile', async () => {
  const dataDir = await smallDisk('96m');
  const store = await openStore({ dataDir, url: 'sqlite' });
  const mailOf = (id: string, octets: number) => makeMail(id, { octets: [Buffer.alloc(octets, id)] });
  let taken = 0;
  await assert.rejects(async () => {
    for (; ; taken++) await store.commit({ mails: [mailOf(`s.${taken}`, 100_000)] });
  }, isCode('full'));
  assert.ok(taken > 50, `${taken} mails`);
  // Not even what is little.
  await assert.rejects(store.commit({ mails: [mailOf('s.more', 10_000)] }), isCode('full'));
  const told = (i: number) => ({
    mails: [mailOf(`s.${i}.r1`, 20_000)],
    changes: [{ kind: 'end', mail: `s.${i}`, n: 0, as: 'reported' } as const],
  });
  // Side by side with a mail: one batch, and each its own answer.
  const [report, mail] = await Promise.allSettled([
    store.commit(told(0)),
    store.commit({ mails: [mailOf('s.no', 300_000)] }),
  ]);
  assert.deepEqual([report.status, mail.status], ['fulfilled', 'rejected']);
  for (let i = 1; i < taken; i++) await store.commit(told(i));
  const { reported, queued } = await store.counters();
  assert.deepEqual({ reported, queued }, { reported: taken, queued: taken });
  await store.commit({ mails: [mailOf('s.more', 300_000)] });
  await store.close();
}, 120_000);

test('somebody else fills the disk, and makes room again', async () => {
  const dataDir = await smallDisk('96m');
  const store = await openStore({ dataDir, url: 'sqlite' });
  await store.commit({ mails: [makeMail('s.1')] });
  const filler = join(dataDir, 'filler');
  assert.throws(() => writeFileSync(filler, Buffer.alloc(110_000_000)), /ENOSPC/);
  const big = makeMail('s.2', { octets: [Buffer.alloc(1_000_000)] });
  await assert.rejects(store.commit({ mails: [big] }), isCode('full'));
  // Perhaps not even an end can be written; it is not half-written.
  const end = { changes: [{ kind: 'end', mail: 's.1', n: 0, as: 'delivered' }] } as const;
  await store.commit(end).catch(isCode('full'));
  rmSync(filler);
  await store.commit(end);
  assert.equal((await store.counters()).delivered, 1);
  await store.commit({ mails: [big] });
  assert.equal((await store.content('s.2/0'))?.size, 1_000_000);
  await store.close();
  assert.deepEqual(readdirSync(dataDir), ['store.sqlite']);
}, 120_000);
