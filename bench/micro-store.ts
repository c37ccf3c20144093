/**
 * What a durable mail costs in the store, without SMTP: sessions that commit a mail, and its end when it is durable, side
 * by side. CPU is of the whole process; the event loop's part is told apart.
 *
 *     node -C opes-source bench/micro-store.ts [SECONDS [OCTETS [SESSIONS]]]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type NewMail, openStore, type Store } from '../src/store/index.ts';

const [seconds = 5, octets = 10 * 1024, sessions = 50] = process.argv.slice(2).map(Number);
const ROUNDS = 3;

function makeMail(id: string, content: readonly Uint8Array[]): NewMail {
  const now = Date.now();
  return {
    id,
    acceptedMs: now,
    reversePath: 'sender@example.com',
    params: { BODY: '8BITMIME' },
    facts: { client: '192.0.2.1', name: 'client.example.com', hello: 'client.example.com', tls: null, user: null },
    contents: [{ id: `${id}/0`, octets: content }],
    deliveries: [
      {
        n: 0,
        content: `${id}/0`,
        forwardPath: 'recipient@example.org',
        params: { NOTIFY: 'FAILURE' },
        destination: 'smtp://192.0.2.25:25',
        lane: 'relay',
        hold: undefined,
        nextMs: now,
        expiresMs: now + 5 * 24 * 3600 * 1000,
        notes: null,
      },
    ],
  };
}

/** A content as it comes: chunks of what a socket gives at a time. */
function chunksOf(size: number): readonly Uint8Array[] {
  const whole = Buffer.alloc(size, 'octets of a mail\r\n');
  const chunks: Uint8Array[] = [];
  for (let at = 0; at < size; at += 64 * 1024) chunks.push(whole.subarray(at, at + 64 * 1024));
  return chunks;
}

async function session(store: Store, name: string, until: number, content: readonly Uint8Array[]): Promise<number> {
  let n = 0;
  for (; performance.now() < until; n++) {
    const id = `${name}.${n}`;
    await store.commit({ mails: [makeMail(id, content)] });
    await store.commit({ changes: [{ kind: 'end', mail: id, n: 0, as: 'delivered' }] });
  }
  return n;
}

async function round(store: Store, name: string, ms: number): Promise<string> {
  const content = chunksOf(octets);
  const startMs = performance.now();
  const whole = process.cpuUsage();
  const loop = process.threadCpuUsage();
  const running = Array.from({ length: sessions }, (_, i) => session(store, `${name}s${i}`, startMs + ms, content));
  const mails = (await Promise.all(running)).reduce((sum, n) => sum + n, 0);
  const took = performance.now() - startMs;
  const cpu = sum(process.cpuUsage(whole)) / mails;
  const ofLoop = sum(process.threadCpuUsage(loop)) / mails;
  const rate = Math.round((mails / took) * 1000);
  return `${rate} mails/s, ${cpu.toFixed(0)} us CPU a mail, ${ofLoop.toFixed(0)} us of it on the event loop`;
}

function sum({ user, system }: { user: number; system: number }): number {
  return user + system;
}

const dataDir = mkdtempSync(join(process.env['BENCH_DIR'] ?? tmpdir(), 'opes-bench-'));
const store = await openStore({ dataDir, url: 'sqlite' });
await round(store, 'w', 1000);
for (let i = 0; i < ROUNDS; i++) console.log(await round(store, `r${i}`, (seconds * 1000) / ROUNDS));
await store.close();
rmSync(dataDir, { recursive: true });
