import assert from 'node:assert/strict';
import { test } from 'vitest';
import { MemoryCallouts, serviceOptions } from '../../../test/support/memory-callout.ts';
import { keepAll } from '../../../test/support/scripted-services.ts';
import type { CalloutChannel } from './callout-channel.ts';
import { CalloutService } from './callout-service.ts';

const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 5));

/** What a mail hears that asks for a channel now; it waits for as long as it has to. */
function ask(service: CalloutService): Promise<string> {
  return new Promise((resolve) => {
    const waiter = { onChannel: () => resolve('a channel'), onNoChannel: (detail: string) => resolve(detail) };
    service.take(waiter, undefined);
  });
}

test('a service that failed rests, unless an operator says it is mended', async () => {
  const callouts = new MemoryCallouts();
  const service = new CalloutService(serviceOptions('av', new Set(['refuse']), [1]), callouts.world);
  service.start();
  await settled();
  assert.match(await ask(service), /nobody listens/);

  callouts.servers.set(1, keepAll(['RAWDATA']));
  assert.match(await ask(service), /nobody listens/, 'it rests: no mail waits for it');
  service.revive();
  assert.equal(await ask(service), 'a channel');
  assert.equal(service.isReady, true);
  service.revive();
  assert.equal(service.readyChannels, 1, 'one that works is left alone');
  service.close();
});

test('mended too early: it is tried once more, and rests again', async () => {
  const callouts = new MemoryCallouts();
  const service = new CalloutService(serviceOptions('av', new Set(['refuse']), [1]), callouts.world);
  service.start();
  await settled();
  service.revive();
  assert.match(await ask(service), /nobody listens/);
  assert.equal(callouts.live.length, 2);
  service.close();
  service.revive();
  assert.equal(callouts.live.length, 2, 'nothing is begun after the end');
});

test('of two servers the one that is left serves, and both again when the other is back (REQ-177)', async () => {
  const callouts = new MemoryCallouts();
  for (const port of [1, 2]) callouts.servers.set(port, keepAll(['RAWDATA']));
  const service = new CalloutService(serviceOptions('av', new Set(['refuse']), [1, 2]), callouts.world);
  service.start();
  await settled();
  assert.equal(service.readyChannels, 2);

  callouts.servers.delete(1);
  callouts.live[0]?.cut('killed');
  await settled();
  const given: string[] = [];
  const waiter = { onChannel: ({ name }: CalloutChannel) => given.push(name), onNoChannel: assert.fail };
  for (let i = 0; i < 3; i++) service.take(waiter, undefined);
  assert.deepEqual(given, Array(3).fill('ocp://127.0.0.1:2'));

  callouts.servers.set(1, keepAll(['RAWDATA']));
  callouts.deadlines.tick(60_000);
  await settled();
  assert.equal(service.readyChannels, 2);
  service.close();
});

test('a server that says nothing on two connections in a row is told of, once', async () => {
  const callouts = new MemoryCallouts();
  callouts.servers.set(1, keepAll(['RAWDATA']));
  const service = new CalloutService(serviceOptions('av', new Set(['refuse']), [1]), callouts.world);
  service.start();
  await settled();
  const mute = async (kind: 'silence' | 'negotiation'): Promise<void> => {
    const connection = callouts.live.at(-1);
    connection?.beQuiet();
    await settled();
    connection?.fallMute(kind);
    // As long as a channel that failed rests at most.
    callouts.deadlines.tick(callouts.deadlines.nowMs + 60_000);
    await settled();
  };
  await mute('silence');
  assert.equal(service.readyChannels, 1, 'it was only busy');
  await mute('silence');
  assert.deepEqual(callouts.silent, [], 'it answered in between');
  callouts.isMute = true;
  await mute('silence');
  await mute('negotiation');
  assert.deepEqual(callouts.silent, [1]);
  service.close();
});
