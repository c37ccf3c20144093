import assert from 'node:assert/strict';
import { onTestFinished, test } from 'vitest';
import { Figures } from './figures.ts';
import { Health } from './health.ts';
import { Prometheus } from './prometheus.ts';
import { openMetrics } from './server.ts';

async function open() {
  const health = new Health();
  const metrics = new Figures({ mails_total: { kind: 'counter', help: 'Mails', labels: [] } });
  const server = await openMetrics({ host: '127.0.0.1', port: 0 }, new Prometheus(metrics.families), health);
  onTestFinished(() => server.close());
  const get = async (path: string, init: RequestInit = {}) => {
    const response = await fetch(new URL(path, server.url), init);
    return { status: response.status, text: await response.text(), type: response.headers.get('content-type') };
  };
  return { health, metrics, get };
}

test('alive, ready, and what is wrong', async () => {
  const { health, get } = await open();
  let problems: string[] = [];
  health.add('gateway', () => problems);
  health.add('store', () => []);
  assert.deepEqual(await get('/readyz'), { status: 200, text: 'ready\n', type: 'text/plain; charset=utf-8' });
  problems = ['service av is not connected: nobody listens'];
  const { status, text } = await get('/readyz');
  assert.deepEqual([status, text], [503, 'not ready\nservice av is not connected: nobody listens\n']);
  health.add('store', () => ['the store cannot be written']);
  assert.ok((await get('/readyz')).text.endsWith('\nthe store cannot be written\n'));
  assert.deepEqual((await get('/healthz')).text, 'alive\n', 'alive all the same');
});

test('figures, in the format that is asked for', async () => {
  const { metrics, get } = await open();
  metrics.count('mails_total');
  const plain = await get('/metrics?name=x');
  assert.deepEqual([plain.status, plain.type], [200, 'text/plain; version=0.0.4; charset=utf-8']);
  assert.ok(plain.text.includes('mails_total 1\n'));
  const asked = await get('/metrics', { headers: { accept: 'application/openmetrics-text; version=1.0.0' } });
  assert.equal(asked.type, 'application/openmetrics-text; version=1.0.0; charset=utf-8');
  assert.ok(asked.text.endsWith('# EOF\n'));
});

test('nothing else is there, and nothing can be changed', async () => {
  const { get } = await open();
  assert.equal((await get('/')).status, 404);
  assert.equal((await get('/metrics', { method: 'POST', body: 'x' })).status, 405);
  assert.deepEqual(await get('/healthz', { method: 'HEAD' }), {
    status: 200,
    text: '',
    type: 'text/plain; charset=utf-8',
  });
});
