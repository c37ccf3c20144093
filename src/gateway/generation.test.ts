import assert from 'node:assert/strict';
import { test } from 'vitest';
import { MailRig } from '../../test/support/mail-rig.ts';
import { MemoryCallouts } from '../../test/support/memory-callout.ts';
import { noMetrics, silentLog } from '../base/index.ts';
import { Generation, type Holder } from './generation.ts';
import type { GatewayOptions } from './options.ts';
import { NextHops } from './relay/next-hops.ts';

function generation(): { generation: Generation; isOver: () => Promise<boolean> } {
  const { world } = new MailRig(new MemoryCallouts(), []);
  const hops = new NextHops({
    helo: 'gw.test',
    connections: 1,
    dns: { servers: undefined, trustAd: false },
    log: silentLog,
    metrics: noMetrics,
  });
  const options: GatewayOptions = {
    hostname: world.hostname,
    system: world.system,
    listeners: [],
    routes: [],
    pipeline: [],
    services: [],
    store: undefined,
    queue: {
      mode: 'inline',
      retryMs: [1000],
      lifetimeMs: 1,
      warnAfterMs: undefined,
      perDestination: 1,
      keepMs: 1,
      notice: false,
    },
    dns: { servers: undefined, trustAd: false },
    reports: { languages: ['en'], returnContent: 'headers', postmaster: undefined, perSenderPerHour: 1 },
    deadlineMs: world.deadlineMs,
    spillDir: '/nowhere',
    limits: world.limits,
    recentMails: 0,
    recentOctets: 0,
    log: silentLog,
    metrics: noMetrics,
    onSilent: () => undefined,
  };
  const made = new Generation(1, options, world, { services: [], hops });
  let isOver = false;
  void made.over.then(() => {
    isOver = true;
  });
  return { generation: made, isOver: () => new Promise((resolve) => setImmediate(() => resolve(isOver))) };
}

const holder = (): Holder & { asked: number } => ({
  asked: 0,
  shutdown() {
    this.asked++;
  },
});

test('it is over when it is retired and the last holder has left, in whichever order', async () => {
  const { generation: one, isOver } = generation();
  const [a, b] = [holder(), holder()];
  one.joined(a)();
  assert.equal(await isOver(), false, 'without holders, but the present one');
  const aLeaves = one.joined(a);
  const bLeaves = one.joined(b);
  one.retire();
  aLeaves();
  aLeaves();
  assert.deepEqual([await isOver(), one.holders], [false, 1]);
  bLeaves();
  assert.equal(await isOver(), true);
});

test('without holders it is over at once', async () => {
  const { generation: one, isOver } = generation();
  one.retire();
  assert.equal(await isOver(), true);
});

test('holders are asked to end, and may leave while they are asked', async () => {
  const { generation: one, isOver } = generation();
  const stays = holder();
  const leave = one.joined({ shutdown: () => leave() });
  one.joined(stays);
  one.retire();
  one.shutdownHolders();
  assert.deepEqual([one.holders, stays.asked, await isOver()], [1, 1, false]);
});

test('work on a stored mail keeps an earlier configuration, and is not asked to end', async () => {
  const { generation: one, isOver } = generation();
  const letGo = one.hold();
  one.retire();
  one.shutdownHolders();
  assert.equal(await isOver(), false);
  letGo();
  letGo();
  assert.equal(await isOver(), true);
});
