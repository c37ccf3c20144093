/** Kills a process in the middle of its commits, many times, and looks whether everything it was told is durable is there. */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import type { Store } from '../../src/store/index.ts';
import { Child } from './child.ts';

const CHILD = fileURLToPath(new URL('store-child.ts', import.meta.url));

export interface CrashOptions {
  readonly dataDir: string;
  readonly url: string;
  readonly kills: number;
  readonly open: () => Promise<Store>;
}

export async function crash({ dataDir, url, kills, open }: CrashOptions): Promise<void> {
  const committed = new Set<string>();
  const ended = new Set<string>();
  for (let life = 0; life < kills; life++) {
    const child = new Child(process.execPath, ['-C', 'opes-source', CHILD, dataDir, url, `c${life}`]);
    // Killed when it has said so many things, at any point of what follows.
    const lines = 1 + Math.floor(Math.random() * 400);
    await child.until(() => (child.stdout.length > lines ? true : undefined), `${lines} commits`, 60_000);
    await child.stop('SIGKILL');
    for (const line of child.stdout.slice(1)) (line.startsWith('-') ? ended : committed).add(line.replace(/^-/, ''));
    const store = await open();
    try {
      await compare(store, committed, ended, life);
    } finally {
      await store.close();
    }
  }
  assert.ok(committed.size > kills * 10, `${committed.size} mails`);
}

async function compare(store: Store, committed: Set<string>, ended: Set<string>, life: number): Promise<void> {
  const listed = await store.list({}, 1_000_000);
  const there = new Set(listed.map(({ mail }) => mail));
  for (const id of committed) {
    if (ended.has(id)) assert.ok(!there.has(id), `${id} ended, and came back`);
    else if (!there.has(id)) {
      // Its end may have been committed, and the process killed before it could say so; a mail that never was to end is lost.
      assert.ok(Number(id.split('.')[1]) % 3 === 0, `${id} is lost`);
      ended.add(id);
    }
  }
  for (const { content, mail } of listed) {
    const octets = Buffer.from(await store.read(content, 0, 100_000));
    assert.ok(octets.equals(Buffer.alloc(10_000, mail)), mail);
    // Committed, and the process killed before it could say so.
    committed.add(mail);
  }
  for (let n = 0; n < 5; n++) assert.equal(await store.content(`c${life}.w/${n}`), undefined, 'nobody has it');
  const counters = await store.counters();
  assert.equal(counters.queued, listed.length);
  assert.equal(counters.accepted, counters.queued + counters.delivered);
  const claimed = await store.claim(Date.now() + 1e12, 1_000_000);
  assert.equal(claimed.length, listed.length, 'claims of the killed one are given back');
}
