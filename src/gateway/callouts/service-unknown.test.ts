/** A server that says it has no service of our URI (decision 0061): told once, not ready, and well again by itself. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { MemoryCallouts, type Script, serviceOptions } from '../../../test/support/memory-callout.ts';
import { keepAll, MAIL, rigWith } from '../../../test/support/scripted-services.ts';
import { type Log, silentLog } from '../../base/index.ts';
import type { CalloutChannel } from './callout-channel.ts';
import { CalloutService } from './callout-service.ts';

const UNKNOWN = { code: 400, reason: 'service not here', cause: 'service-unknown' };
const FIX =
  'the server at ocp://127.0.0.1:1 knows no service http://svc.example/s1: the uri of services.s1 must be the one the service names';

/** A mail service whose server lacks it, until its script is changed; what its channels log. */
function lacking() {
  const script: Script = { ...keepAll(['RAWDATA']), refuse: UNKNOWN };
  const { rig, callouts } = rigWith([script]);
  const logged: { readonly event: string }[] = [];
  const note = (event: string, fields = {}): number => logged.push({ event, ...fields });
  const log: Log = { ...silentLog, info: note, warn: note };
  Object.assign(callouts.world, { log });
  const [service] = rig.services;
  assert.ok(service);
  const said = () => logged.filter(({ event }) => event.startsWith('callout.service-'));
  return { rig, callouts, script, service, said };
}

test('not ready, and one warning for any number of mails; the next that is served makes it ready', async () => {
  const { rig, script, service, said } = lacking();
  for (let mail = 0; mail < 3; mail++) assert.equal((await rig.send(MAIL)).final?.code, 451);
  assert.deepEqual([service.isReady, service.readyChannels, service.trouble], [false, 1, `ocp://127.0.0.1:1: ${FIX}`]);
  const at = { service: 's1', endpoint: 'ocp://127.0.0.1:1', uri: 'http://svc.example/s1' };
  assert.deepEqual(said(), [{ event: 'callout.service-unknown', ...at, fix: FIX }]);
  // The line of the mail names the transaction as the server's log does.
  const failed = rig.logged.filter(({ event }) => event === 'callout.failed').map(({ fields }) => fields);
  assert.deepEqual(
    failed.map(({ endpoint, xid, reason }) => [endpoint, xid, reason]),
    [1, 2, 3].map((xid) => [at.endpoint, xid, 'unreachable']),
  );

  delete script.refuse;
  assert.equal((await rig.send(MAIL)).final?.code, 250);
  assert.equal(service.isReady, true);
  assert.deepEqual(said().slice(1), [{ event: 'callout.service-known', ...at }]);
});

test('another failure, or another connection, is no word that it is missing', async () => {
  const { rig, callouts, script, service, said } = lacking();
  await rig.send(MAIL);
  assert.equal(service.isReady, false);
  for (const cause of ['overload', 'timeout'] as const) {
    script.refuse = { ...UNKNOWN, cause };
    await rig.send(MAIL);
    assert.equal(service.isReady, false, `${cause} says nothing of the service`);
  }
  script.refuse = { code: 400, reason: 'service-failed' };
  await rig.send(MAIL);
  assert.equal(service.isReady, true);

  script.refuse = UNKNOWN;
  await rig.send(MAIL);
  assert.equal(service.isReady, false);
  callouts.live[0]?.cut('restarted');
  while (!service.isReady) await new Promise(setImmediate);
  await rig.send(MAIL);
  assert.equal(
    said().filter(({ event }) => event === 'callout.service-unknown').length,
    3,
    'a new channel says it anew',
  );
});

test('of two servers the one that has the service is asked, however busy', async () => {
  const callouts = new MemoryCallouts();
  for (const port of [1, 2]) callouts.servers.set(port, keepAll(['RAWDATA']));
  const service = new CalloutService(serviceOptions('s1', new Set(), [1, 2]), callouts.world);
  service.start();
  while (service.readyChannels < 2) await new Promise(setImmediate);
  const channels: CalloutChannel[] = [];
  const take = (avoid?: CalloutChannel): string => {
    service.take({ onChannel: (channel) => channels.push(channel), onNoChannel: assert.fail }, avoid);
    return channels.at(-1)?.name ?? '';
  };
  assert.equal(take(), 'ocp://127.0.0.1:1');
  channels[0]?.serves(false);
  take();
  channels[1]?.agent?.startTransaction({ onEnd() {} } as never);
  assert.equal(take(), 'ocp://127.0.0.1:2');
  assert.equal(service.isReady, true, 'one that has it is enough');
  assert.equal(take(channels[1]), 'ocp://127.0.0.1:1', 'better than none');
  service.close();
});
