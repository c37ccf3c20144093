/** The callout server behind real sockets, as a gateway meets it. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'vitest';
import { silentLog } from '../../base/index.ts';
import { type Endpoint, ProcessorChannel } from '../../ocp/net/index.ts';
import { dataBlock, makeOffer, makeService, readAnswer } from '../../profile/index.ts';
import { defineService, edit, serve, withUri } from '../index.ts';

const service = defineService({
  uri: 'urn:example:count',
  wants: { whole: { maxOctets: 1000 } },
  message: ({ octets }) => edit({ headers: { add: [['X-Size', String(octets.length)]] } }),
});

/** One mail through a channel: the fields the server asks to add, or why the transaction ended. */
function ask(endpoint: Endpoint, uri: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const offer = makeOffer({ adaptive: ['RAWDATA'], informative: [] });
    let said = '';
    const channel = ProcessorChannel.open(
      endpoint,
      { offer: [offer], services: [makeService(uri)], kept: 'structure' },
      {
        onSelected: () => undefined,
        onEnd: (end) => reject(new Error(end.result.reason)),
        onReady: () => {
          const transaction = channel.agent.startTransaction({
            onAdaptedStart() {},
            onData() {},
            onDataOctets() {},
            onDataEnd() {},
            onUseYours: (_offset, _size, named) => {
              const answer = readAnswer(named, 'DUY');
              said = 'error' in answer ? answer.error : answer.addHeaders.join();
            },
            onDisposable() {},
            onAdaptedEnd() {},
            onTurn() {},
            onEnd: ({ result }) => {
              resolve(result.code === 200 ? said : result.reason);
              channel.close();
            },
          });
          const octets = Buffer.from('A: b\r\n\r\n');
          transaction?.startMessage();
          transaction?.sendData(
            dataBlock('RAWDATA', { smtpError: true, addHeader: true, advice: false }),
            [octets],
            8,
            {
              offset: 0,
              size: 8,
            },
          );
          transaction?.endMessage();
        },
      },
    );
  });
}

test('behind a port: several services by their names, and no other', async () => {
  const server = await serve([service, withUri(service, 'https://mail.example.com/opes/count')], {
    listen: 'ocp://127.0.0.1:0',
  });
  try {
    assert.ok(server.endpoint.kind === 'tcp' && server.endpoint.port > 0);
    assert.equal(await ask(server.endpoint, 'urn:example:count'), 'X-Size: 8');
    assert.equal(await ask(server.endpoint, 'https://mail.example.com/opes/count'), 'X-Size: 8');
    assert.equal(await ask(server.endpoint, 'urn:example:other'), 'service not here');
  } finally {
    await server.close(1000);
  }
  assert.equal(server.connections, 0);
});

test('a service it does not have: the log says what was asked for, and what is here', async () => {
  const logged: { readonly event: string; readonly asked?: unknown; readonly here?: unknown }[] = [];
  const log = { ...silentLog, warn: (event: string, fields = {}) => logged.push({ event, ...fields }) };
  const server = await serve([service, withUri(service, 'urn:example:too')], { listen: 'ocp://127.0.0.1:0', log });
  assert.equal(await ask(server.endpoint, 'urn:example:other'), 'service not here');
  await server.close(1000);
  assert.deepEqual(logged, [
    { event: 'service-unknown', asked: 'urn:example:other', here: 'urn:example:count urn:example:too' },
  ]);
});

test('behind a Unix socket', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'opes-'));
  try {
    const server = await serve([service], { listen: `ocp+unix:${join(folder, 's')}` });
    assert.equal(await ask(server.endpoint, service.uri), 'X-Size: 8');
    await server.close(1000);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('what cannot be served is said at the start', async () => {
  await assert.rejects(serve([service], { listen: 'http://127.0.0.1' }), /ocp:\/\//);
  await assert.rejects(serve([service], { listen: 'ocp://0.0.0.0:0' }), /insecure/);
  await assert.rejects(serve([service, service], { listen: 'ocp://127.0.0.1:0' }), /two services/);
});
