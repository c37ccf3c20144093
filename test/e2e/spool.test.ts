/**
 * Mail the gateway answers for: what one next hop cannot serve, and everything in `queue: { mode: spool }`. It is stored
 * before its 250, survives a kill at any moment, is tried again while its next hop is away, and arrives whole.
 */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { afterEach, test } from 'vitest';
import { Child } from '../support/child.ts';
import { config, Gateway, OPES, serve, withoutTrace } from '../support/gateway.ts';
import { NextHop } from '../support/next-hop.ts';
import { SmtpTalk, verdict } from '../support/smtp-talk.ts';

const MAIL = Buffer.from('From: <a@src.test>\r\nTo: <b@one.test>\r\nSubject: hello\r\n\r\nHi there.\r\n.dot\r\n');

const open: { stop?: () => Promise<unknown>; close?: () => Promise<unknown> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await (one.stop ?? one.close)?.call(one);
});

async function openHop(): Promise<NextHop> {
  const hop = await NextHop.listen();
  open.push(hop);
  return hop;
}

async function start(configuration: Parameters<typeof Gateway.start>[0], folder?: string): Promise<Gateway> {
  const gateway = await Gateway.start(configuration, folder);
  open.push(gateway);
  return gateway;
}

async function send(gateway: Gateway, to: readonly string[], content = MAIL): Promise<ReturnType<typeof verdict>> {
  const talk = await SmtpTalk.hello(gateway.port());
  const outcome = await talk.mail({ from: 'a@src.test', to, content });
  await talk.quit();
  return verdict(outcome);
}

test('recipients at two next hops are served by one mail: each hop gets its own, once', async () => {
  const [one, two] = [await openHop(), await openHop()];
  const gateway = await start(
    config(
      one.url,
      {},
      {
        routes: [
          { to: 'one.test', nextHop: one.url },
          { to: 'two.test', nextHop: two.url },
        ],
      },
    ),
  );
  assert.equal(await send(gateway, ['x@one.test', 'y@two.test', 'z@one.test']), 250);
  await gateway.child.until(() => (one.mails.length > 0 && two.mails.length > 0 ? true : undefined), 'both deliveries');
  assert.deepEqual(
    one.mails.map(({ rcpts }) => rcpts),
    [['<x@one.test>', '<z@one.test>']],
  );
  assert.deepEqual(
    two.mails.map(({ rcpts }) => rcpts),
    [['<y@two.test>']],
  );
  for (const hop of [one, two]) {
    const { rest, trace } = withoutTrace(hop.mails[0]?.content ?? Buffer.alloc(0));
    assert.deepEqual(rest, MAIL);
    assert.ok(
      !trace.join().includes('two.test') && !trace.join().includes('one.test'),
      'no recipient is told to another',
    );
  }
});

test('spool mode: 250 while the next hop is away, delivery when it is back', async () => {
  const hop = await openHop();
  await hop.close();
  const gateway = await start(config(hop.url, {}, { queue: { mode: 'spool', retry: ['1s'] } }));
  assert.equal(await send(gateway, ['b@dst.test']), 250);
  await gateway.child.until(
    () => gateway.logs().find((line) => line['event'] === 'delivery' && line['later'] !== undefined),
    'a first try in vain',
  );
  await hop.open();
  await gateway.stop();
  // The pause of a place that was down does not outlive a start.
  const again = await start(config(hop.url, {}, { queue: { mode: 'spool', retry: ['1s'] } }), gateway.folder);
  await again.child.until(() => (hop.mails.length > 0 ? true : undefined), 'delivery');
  assert.deepEqual(withoutTrace(hop.mails[0]?.content ?? Buffer.alloc(0)).rest, MAIL);
  assert.equal(hop.mails.length, 1);
});

test('spool mode: what had its 250 is delivered after kill -9', async () => {
  const hop = await openHop();
  await hop.close();
  const configuration = config(hop.url, {}, { queue: { mode: 'spool', retry: ['1s'] } });
  const gateway = await start(configuration);
  const large = Buffer.concat([MAIL, Buffer.from('large mail, line after line\r\n'.repeat(100_000))]);
  assert.equal(await send(gateway, ['b@dst.test']), 250);
  assert.equal(await send(gateway, ['c@dst.test'], large), 250);
  await gateway.stop('SIGKILL');
  await hop.open();
  const again = await start(configuration, gateway.folder);
  await again.child.until(() => (hop.mails.length > 1 ? true : undefined), 'both deliveries');
  const [small, big] = hop.mails.toSorted((a, b) => a.content.length - b.content.length);
  assert.deepEqual(withoutTrace(small?.content ?? Buffer.alloc(0)).rest, MAIL);
  assert.ok(withoutTrace(big?.content ?? Buffer.alloc(0)).rest.equals(large));
});

test('every callout server dead to the end of the mail: its sender is told that OPES processing stopped it, and by what', async () => {
  const hop = await openHop();
  const { child, endpoint } = await serve(fileURLToPath(new URL('services/banners.ts', import.meta.url)));
  open.push(child);
  await child.stop('SIGKILL');
  const gateway = await start(
    config(
      hop.url,
      { scanner: { connect: endpoint, onFailure: 'spool', timeout: '200ms' } },
      { queue: { retry: ['500ms'], lifetime: '2s' } },
    ),
  );
  assert.equal(await send(gateway, ['b@dst.test']), 250);
  const [report] = await hop.waitForMails(1);
  assert.match(report?.mail ?? '', /^<>/);
  assert.deepEqual(report?.rcpts, ['<a@src.test>']);
  const text = report?.content.toString('latin1') ?? '';
  assert.match(text, /^Action: failed\r\n/m);
  assert.match(text, /^OPES-Cause: failed; ?https:\/\/gw\.test\/opes\/scanner/m);
  assert.match(text, /^OPES-System: https:\/\/gw\.test\/opes\?id=\S+\r\n/m);
  assert.ok(
    hop.mails.every(({ rcpts }) => !rcpts.includes('<b@dst.test>')),
    'nothing unscanned went on',
  );
});

test('a second gateway in the same data directory ends with 1: a service manager may try again', async () => {
  const hop = await openHop();
  const first = await start(config(hop.url));
  const second = new Child(OPES, ['start', '--config', first.file]);
  const { code } = await second.exited;
  assert.equal(code, 1);
  assert.match(
    second.stderr.join('\n'),
    new RegExp(`another gateway \\(process ${first.ready.pid}\\) works in .*: stop it`),
  );
  assert.equal(await send(first, ['b@dst.test']), 250);
});

/** The first thread of the process is the store's; SIGUSR2 ends it. */
const ENDS_THREAD = `--import data:text/javascript,${encodeURIComponent(
  "process.once('worker', (one) => process.on('SIGUSR2', () => one.terminate()))",
)}`;

test('the thread of the store ends: clients are sent away, the process ends with 1, and the next one has the queue', async () => {
  const hop = await openHop();
  await hop.close();
  const setting = config(hop.url, {}, { queue: { mode: 'spool', retry: ['1s'] } });
  process.env['NODE_OPTIONS'] = ENDS_THREAD;
  const gateway = await start(setting).finally(() => delete process.env['NODE_OPTIONS']);
  assert.equal(await send(gateway, ['b@dst.test']), 250);
  const idle = await SmtpTalk.hello(gateway.port());
  const busy = await SmtpTalk.hello(gateway.port());
  for (const line of ['MAIL FROM:<a@src.test>', 'RCPT TO:<c@dst.test>', 'DATA']) await busy.say(line);
  process.kill(gateway.child.pid, 'SIGUSR2');
  assert.equal((await idle.hear()).code, 421);
  busy.send(Buffer.concat([MAIL.subarray(0, -6), Buffer.from('\r\n.\r\n')]));
  const answer = await busy.hear();
  assert.ok([421, 452].includes(answer.code), `${answer.code}: nothing is taken that cannot be stored`);
  const { code } = await gateway.child.exited;
  assert.equal(code, 1);
  const line = gateway.logs().find(({ event }) => event === 'store.lost');
  assert.match(`${String(line?.['error'])} ${String(line?.['fix'])}`, /thread .* ended.*starts the program again/);
  await hop.open();
  const next = await start(setting, gateway.folder);
  await next.child.until(() => hop.mails[0], 'the mail that was taken');
  assert.deepEqual(withoutTrace(hop.mails[0]?.content ?? Buffer.alloc(0)).rest, MAIL);
}, 120_000);
