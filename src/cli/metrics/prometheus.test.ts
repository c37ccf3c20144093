import assert from 'node:assert/strict';
import { test } from 'vitest';
import type { MetricDefinition } from '../../gateway/index.ts';
import { Figures } from './figures.ts';
import { Prometheus } from './prometheus.ts';

const DEFINITIONS: Record<string, MetricDefinition> = {
  mails_total: { kind: 'counter', help: 'Mails', labels: ['outcome'] },
  open: { kind: 'gauge', help: 'Open', labels: [] },
  mail_seconds: { kind: 'histogram', help: 'Time', labels: [], buckets: [0.1, 1] },
};

const linesOf = async (metrics: Figures, accept = '*/*') => {
  const { text } = await new Prometheus(metrics.families).text(accept);
  return text.split('\n');
};

test('counters, gauges and histograms in the Prometheus format', async () => {
  const metrics = new Figures(DEFINITIONS);
  const relayed = metrics.counter('mails_total', { outcome: 'relayed' });
  relayed.add();
  relayed.add(2);
  metrics.count('mails_total', { outcome: 'refused' });
  assert.equal(metrics.counter('mails_total', { outcome: 'relayed' }), relayed, 'the same line');
  metrics.gauge('open', () => 7);
  const time = metrics.histogram('mail_seconds');
  for (const seconds of [0.05, 0.1, 0.5, 3]) time.observe(seconds, `mail-${seconds}`);
  const { text, contentType } = await new Prometheus(metrics.families).text('text/plain');
  assert.equal(contentType, 'text/plain; version=0.0.4; charset=utf-8');
  const ours = text.slice(0, text.indexOf('\n# HELP process_'));
  assert.equal(
    ours,
    `# HELP mails_total Mails
# TYPE mails_total counter
mails_total{outcome="relayed"} 3
mails_total{outcome="refused"} 1

# HELP open Open
# TYPE open gauge
open 7

# HELP mail_seconds Time
# TYPE mail_seconds histogram
mail_seconds_bucket{le="0.1"} 2
mail_seconds_bucket{le="1"} 3
mail_seconds_bucket{le="+Inf"} 4
mail_seconds_sum 3.65
mail_seconds_count 4
`,
  );
});

test('OpenMetrics where it is asked for: the last mail of each bucket as its exemplar; asking changes nothing', async () => {
  const metrics = new Figures(DEFINITIONS);
  metrics.count('mails_total', { outcome: 'relayed' });
  const time = metrics.histogram('mail_seconds');
  time.observe(0.05, 'first');
  time.observe(0.06, 'second');
  time.observe(3);
  const before = await linesOf(metrics);
  const open = await linesOf(metrics, 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5');
  assert.ok(open.includes('# TYPE mails counter') && open.includes('mails_total{outcome="relayed"} 1'));
  assert.match(open.find((line) => line.includes('le="0.1"')) ?? '', /^\S+ 2 # \{mail="second"\} 0\.06 \d+(?:\.\d+)?$/);
  assert.ok(open.includes('mail_seconds_bucket{le="+Inf"} 3'), 'without a mail there is no exemplar');
  assert.deepEqual(open.slice(-2), ['# EOF', '']);
  const ours = (line: string): boolean => !/^(?:# (?:HELP|TYPE) )?(?:process|nodejs)_/.test(line);
  assert.deepEqual((await linesOf(metrics)).filter(ours), before.filter(ours));
});

test('what is read by a function is gone when taken away, unless another took its place', async () => {
  const metrics = new Figures(DEFINITIONS);
  const has = async (line: string) => (await linesOf(metrics)).includes(line);
  const forget = metrics.gauge('open', () => 1);
  assert.ok(await has('open 1'));
  metrics.gauge('open', () => 2);
  forget();
  assert.ok(await has('open 2'));
});

test('a name or label that nobody defined is a bug', () => {
  const metrics = new Figures(DEFINITIONS);
  assert.throws(() => metrics.count('other_total'), /there is no metric other_total/);
  assert.throws(() => metrics.count('mails_total', { colour: 'red' }), /has the labels outcome, not colour/);
  assert.throws(() => metrics.count('mails_total'), /has the labels outcome, not $/);
  assert.throws(() => metrics.histogram('mails_total', { outcome: 'x' }), /mails_total is no histogram/);
  assert.throws(() => metrics.count('open'), /open is no counter/);
});

test('the figures of the process, in both formats', async () => {
  const metrics = new Figures(DEFINITIONS);
  const plain = await linesOf(metrics);
  for (const name of ['process_cpu_seconds_total', 'nodejs_eventloop_lag_p99_seconds', 'process_resident_memory_bytes'])
    assert.equal(plain.filter((line) => line.startsWith(`# TYPE ${name} `)).length, 1, name);
  const open = await linesOf(metrics, 'application/openmetrics-text');
  assert.ok(open.includes('# TYPE process_cpu_seconds counter'));
});
