/** A real HAProxy before the gateway, with both versions of the PROXY header: the client is the one behind it. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, test } from 'vitest';
import { config, Gateway, withoutTrace } from '../support/gateway.ts';
import { Haproxy } from '../support/haproxy.ts';
import { scratchFolder } from '../support/scratch.ts';
import { SINK_CERT, SINK_KEY, Sink } from '../support/sink.ts';
import { swaks } from '../support/swaks.ts';

const CONTENT = Buffer.from('Subject: by proxy\r\n\r\nbody\r\n');
/** All of 127/8 is this machine: HAProxy sees another client than itself. */
const CLIENT = '127.0.0.2';

const place = join(scratchFolder('socket'), 's');

let sink: Sink;
let gateway: Gateway;

beforeAll(async () => {
  sink = await Sink.listen();
  const folder = scratchFolder('certificate');
  const tls = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  writeFileSync(tls.cert, SINK_CERT);
  writeFileSync(tls.key, SINK_KEY);
  const proxied = { address: '127.0.0.1:0', side: 'recipient', proxy: 'required', proxyFrom: ['127.0.0.1'] };
  gateway = await Gateway.start(
    config(
      `smtp://127.0.0.1:${sink.port}`,
      {},
      {
        listeners: [
          { name: 'mx', ...proxied, tls, maxConnectionsPerPeer: 2 },
          { name: 'smtps', ...proxied, tls: { ...tls, implicit: true } },
          { name: 'relay', ...proxied, relayFrom: [CLIENT] },
          { name: 'socket', ...proxied, address: `unix:${place}`, proxyFrom: ['unix'], relayFrom: [CLIENT] },
        ],
        routes: [{ to: '*', nextHop: `smtp://127.0.0.1:${sink.port}` }],
      },
    ),
  );
});
afterAll(async () => {
  await gateway.stop();
  await sink.close();
});

async function through(name: string, header: 'send-proxy' | 'send-proxy-v2', options: readonly string[]) {
  const proxy = await Haproxy.start({ to: name === 'socket' ? place : gateway.port(name), header });
  try {
    const mail = { port: proxy.port, from: 'a@src.test', to: ['b@dst.test'], content: CONTENT };
    return await swaks({ ...mail, options: ['--local-interface', CLIENT, ...options] });
  } finally {
    await proxy.stop();
  }
}

for (const header of ['send-proxy', 'send-proxy-v2'] as const) {
  for (const [name, options] of [
    ['relay', []],
    ['socket', []],
    ['mx', ['--tls']],
    ['smtps', ['--tls-on-connect']],
  ] as const) {
    test(`${header} to ${name}: the client is the one behind the proxy`, async () => {
      const before = sink.mails.length;
      const result = await through(name, header, options);
      assert.equal(result.code, 0, result.transcript.join('\n'));
      const mails = await sink.mailsOf(before + 1);
      const { trace, rest } = withoutTrace(mails.at(-1)?.content ?? Buffer.alloc(0));
      assert.deepEqual(rest, CONTENT);
      assert.match(trace[0] ?? '', /^Received: from swaks\.test \(\[127\.0\.0\.2\]\)/);
      assert.match(trace[0] ?? '', options.length === 0 ? /with ESMTP id/ : /with ESMTPS id/);
    });
  }
}

test('whoever comes without a header gets not a word', async () => {
  const heard = await new Promise<string>((resolve) => {
    let text = '';
    const socket = connect(gateway.port('mx'), '127.0.0.1', () => socket.write('EHLO me\r\n'));
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(text));
  });
  assert.equal(heard, '');
});

test('health checks of HAProxy are no mail and no trouble', async () => {
  const proxy = await Haproxy.start({ to: gateway.port('mx'), header: 'send-proxy-v2' });
  const before = gateway.child.stderr.length;
  // A mail behind some checks: were the checks' connections kept, the two allowed for a peer would be used up.
  await setTimeout(2000);
  await proxy.stop();
  const result = await through('mx', 'send-proxy-v2', ['--tls']);
  assert.equal(result.code, 0, result.transcript.join('\n'));
  const logs = gateway.child.stderr.slice(before).join('\n');
  assert.doesNotMatch(logs, /handler-failed|"rule":"(?!gone)/);
});
