/** Figures and health of a running gateway: what clients meet is what is counted; what is missing is told by name. */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, test } from 'vitest';
import { Draft00 } from '../support/draft00.ts';
import { config, Gateway } from '../support/gateway.ts';
import { NextHop } from '../support/next-hop.ts';
import { eventually } from '../support/scratch.ts';
import { SmtpTalk, verdict } from '../support/smtp-talk.ts';

let hop: NextHop;
let filter: Draft00;
let gateway: Gateway;

beforeAll(async () => {
  hop = await NextHop.listen({ replies: { RCPT: (to) => (to.includes('nobody') ? '550 5.1.1 who?' : undefined) } });
  filter = await Draft00.start({
    rules: [
      { part: 'RAWDATA', match: 'bad', error: '550 5.7.1 no' },
      { part: 'RAWDATA', addHeader: ['X-Scan: 1'] },
    ],
  });
  gateway = await Gateway.start(
    config(
      hop.url,
      { filter: { connect: filter.endpoint, onFailure: { crash: 'skip', '*': 'tempfail' } } },
      { metrics: { address: '127.0.0.1:0' } },
    ),
  );
});
afterAll(async () => {
  await gateway.stop();
  await filter.stop();
  await hop.close();
});

async function get(path: string, accept = '*/*'): Promise<{ status: number; text: string }> {
  const response = await fetch(new URL(path, gateway.ready.metrics), { headers: { accept } });
  return { status: response.status, text: await response.text() };
}

async function figures(): Promise<Map<string, number>> {
  const { text } = await get('/metrics');
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

test('each mail is counted once, by what became of it', async () => {
  const mail = (subject: string, ...to: string[]) => ({
    from: 'a@src.test',
    to,
    content: Buffer.from(`Subject: ${subject}\r\n\r\nHello\r\n`),
  });
  const talk = await SmtpTalk.hello(gateway.port());
  assert.equal(verdict(await talk.mail(mail('good', 'b@dst.test', 'nobody@dst.test'))), 250);
  assert.equal(verdict(await talk.mail(mail('bad', 'b@dst.test'))), 550);
  assert.equal((await talk.say('MAIL FROM:<a@src.test>')).code, 250);
  assert.equal((await talk.say('RSET')).code, 250);
  await filter.script({ rules: [], fault: { kind: 'die', on: 'AME', times: 2 } });
  assert.equal(verdict(await talk.mail(mail('skipped', 'b@dst.test'))), 250);

  const now = await figures();
  const expected: readonly (readonly [string, number])[] = [
    ['opes_mails_total{outcome="relayed"}', 2],
    ['opes_mails_total{outcome="refused"}', 1],
    ['opes_mails_total{outcome="aborted"}', 1],
    ['opes_mail_seconds_count{outcome="relayed"}', 2],
    ['opes_recipients_total{class="2xx"}', 3],
    ['opes_recipients_total{class="5xx"}', 1],
    ['opes_callouts_total{service="filter",verdict="changed"}', 1],
    ['opes_callouts_total{service="filter",verdict="refused"}', 1],
    ['opes_callouts_total{service="filter",verdict="skipped"}', 1],
    ['opes_callout_failures_total{service="filter",reason="crash",action="skip"}', 1],
    ['opes_callout_seconds_count{service="filter"}', 3],
    ['opes_sessions_total{listener="mx"}', 1],
    ['opes_sessions{listener="mx"}', 1],
    ['opes_replies_total{listener="mx",class="3xx"}', 3],
    ['opes_next_hop_connections', 1],
    ['opes_content_memory_octets', 0],
    ['opes_configurations', 1],
  ];
  assert.deepEqual(
    expected.filter(([name, value]) => now.get(name) !== value).map(([name]) => `${name} ${now.get(name)}`),
    [],
  );
  const relayed = now.get('opes_mail_octets_total{direction="relayed"}') ?? 0;
  assert.equal(
    relayed,
    hop.mails.reduce((sum, { octets }) => sum + octets, 0),
  );
  await talk.quit();
});

test('an exemplar leads to the mail in the log', async () => {
  const { text } = await get('/metrics', 'application/openmetrics-text; version=1.0.0');
  const ids = [...text.matchAll(/opes_mail_seconds_bucket\{outcome="relayed".* # \{mail="([^"]+)"\}/g)].map(
    ([, id]) => id,
  );
  const logged = gateway.logs().filter(({ event, outcome }) => event === 'mail' && outcome === 'relayed');
  assert.ok(ids.length > 0);
  for (const id of ids)
    assert.ok(
      logged.some(({ mail }) => mail === id),
      id,
    );
});

test('ready while the callout server is there, and else not: it says which is missing and why', async () => {
  await eventually(async () => (await get('/readyz')).status === 200, 'ready');
  await filter.stop();
  await eventually(async () => (await get('/readyz')).status === 503, 'not ready');
  const { text } = await get('/readyz');
  assert.match(text, /^not ready\nservice filter is not connected: ocp:\/\/127\.0\.0\.1:\d+: \S/);
  assert.equal((await figures()).get('opes_ready'), 0);
  assert.equal((await get('/healthz')).status, 200);
});
