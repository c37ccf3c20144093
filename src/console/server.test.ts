import assert from 'node:assert/strict';
import { get } from 'node:http';
import { onTestFinished, test } from 'vitest';
import type { MailRecord } from '../gateway/options.ts';
import { openConsole } from './index.ts';
import { makeApp } from './server.ts';
import type { ConsoleOptions } from './view.ts';

const BEFORE = 'Subject: <b>lunch</b>\r\nFrom: a@b\r\n\r\n<script>alert(1)</script>\r\nexe.\u202egnp\r\n';
const AFTER =
  'OPES-System: x\r\nSubject: [EXTERNAL] <b>lunch</b>\r\nFrom: a@b\r\n\r\n<script>alert(1)</script>\r\nexe.\u202egnp\r\n';

const MAIL: MailRecord = {
  id: 'abc.1',
  atMs: 0,
  tookMs: 12,
  listener: 'mx',
  side: 'recipient',
  client: { address: '192.0.2.1', helo: '<i>helo</i>', tls: true },
  sender: 'a"<b>"@example.org',
  relayedSender: undefined,
  recipients: [
    { address: 'c@example.com', relayedAs: 'd@example.com', reply: { code: 250, enhanced: '2.1.5', text: ['ok'] } },
  ],
  sizeBefore: 100,
  sizeAfter: 120,
  before: Buffer.from(BEFORE),
  after: Buffer.from(AFTER),
  calls: [
    {
      service: 'banner',
      uri: 'https://x/banner',
      verdict: 'changed',
      detail: 'inserted <b>',
      endpoint: 'unix:/x',
      parts: ['RAWDATA'],
      tookMs: 3,
      octetsSent: 10,
      octetsReceived: 5,
    },
  ],
  edits: [{ service: 'banner', part: 'HEADER', what: 'changed <Subject>' }],
  trace: ['OPES-System: https://x/?id=abc.1'],
  nextHop: {
    address: '10.0.0.5:25',
    reply: { code: 250, enhanced: '2.0.0', text: ['queued'] },
    wasSent: true,
    tookMs: 4,
  },
  reply: { code: 250, enhanced: '2.0.0', text: ['ok'] },
  outcome: 'relayed',
  deliveries: [],
};

function options(mails: readonly MailRecord[] = [MAIL]): ConsoleOptions {
  return {
    host: '127.0.0.1',
    port: 0,
    showMail: true,
    hostname: 'mx.example.com',
    system: { uri: 'https://x/', contact: undefined, privacyPolicy: undefined },
    services: [
      {
        name: 'banner',
        uri: 'https://x/banner',
        may: new Set(['edit-content']),
        bypassable: 'allowed',
        neverBecause: undefined,
        consent: 'operator',
        from: { kind: 'builtin', name: 'banner' },
      },
    ],
    recent: { list: () => mails, find: (id) => mails.find((mail) => mail.id === id) },
    now: () => 60_000,
  };
}

async function ask(path: string, init: RequestInit & { host?: string } = {}, mails?: readonly MailRecord[]) {
  const app = makeApp(options(mails), () => 8025);
  const headers = { host: init.host ?? '127.0.0.1:8025' };
  const response = await app.request(path, { ...init, headers });
  return { status: response.status, headers: response.headers, text: await response.text() };
}

test('mail is shown as text: nothing of it becomes markup, nothing of it hides', async () => {
  const { text, status } = await ask('/mail/abc.1');
  assert.equal(status, 200);
  for (const markup of ['<script', '<i>helo', '<b>lunch', 'inserted <b>', '"<b>"@', '<Subject>', '\u202e']) {
    assert.ok(!text.includes(markup), markup);
  }
  assert.ok(text.includes('&lt;script&gt;alert(1)&lt;/script&gt;'));
  assert.ok(text.includes('⟨U+202E⟩'));
  assert.ok(text.includes('<ins>[EXTERNAL] </ins>'), 'the change is marked');
  for (const shown of ['10.0.0.5:25', '250 2.0.0 queued', 'd@example.com', '3 ms'])
    assert.ok(text.includes(shown), shown);
});

test('the list leads to each mail, and a trace URI to its mail', async () => {
  const list = await ask('/');
  assert.ok(list.text.includes('href="/mail/abc.1"') && list.text.includes('&lt;b&gt;lunch&lt;/b&gt;'));
  const trace = await ask('/?id=abc.1');
  assert.deepEqual([trace.status, trace.headers.get('location')], [302, '/mail/abc.1']);
  assert.ok((await ask('/', {}, [])).text.includes('bin/opes send'));
  assert.ok((await ask('/services/banner')).text.includes('edit-content'));
});

test('a service says whether it can be left out, and why not', async () => {
  assert.match((await ask('/services/banner')).text, /<dt>Can be left out<\/dt><dd>on request<\/dd>/);
  const all = options();
  const services = all.services.map((one) => ({ ...one, bypassable: 'never' as const, neverBecause: 'law <7>' }));
  const app = makeApp({ ...all, services }, () => 8025);
  const response = await app.request('/services/banner', { headers: { host: '127.0.0.1:8025' } });
  assert.match(await response.text(), /<dt>Can be left out<\/dt><dd>never: law &lt;7&gt;<\/dd>/);
});

test('what became of a stored mail is shown, and no answer of a hop that was not sent it', async () => {
  const [to] = MAIL.recipients;
  const delivery = {
    id: 'abc.1#0',
    to: to?.address ?? '',
    nextHop: '10.0.0.5:25',
    atMs: 20,
    nextMs: undefined,
  } as const;
  const stored: MailRecord = {
    ...MAIL,
    outcome: 'stored',
    nextHop: { address: '10.0.0.5:25', wasSent: false, reply: undefined, tookMs: 0 },
  };
  const before = await ask('/mail/abc.1', {}, [stored]);
  assert.ok(before.text.includes('>stored<') && before.text.includes('not sent the content'));
  assert.ok(!before.text.includes('no answer'));
  const ends = [
    [{ ...delivery, state: 'delivered', said: '250 2.0.0 <took> it' }, '>delivered<', '250 2.0.0 &lt;took&gt; it'],
    [{ ...delivery, state: 'reported', said: '550 5.1.1 no' }, '>not delivered<', 'its sender is told'],
    [{ ...delivery, state: 'held', said: 'by av (verdict)' }, '>kept aside<', 'by av (verdict)'],
    [{ ...delivery, state: 'queued', said: '451 4.2.1 later', nextMs: 9 }, '>stored<', '451 4.2.1 later'],
  ] as const;
  for (const [end, badge, words] of ends) {
    const mails = [{ ...stored, deliveries: [end] }];
    assert.ok((await ask('/', {}, mails)).text.includes(badge), badge);
    const { text } = await ask('/mail/abc.1', {}, mails);
    assert.ok(text.includes(badge) && text.includes(words), words);
  }
});

test('without showMail no content is there to be shown, and the page says what switches it on', async () => {
  const bare = { ...MAIL, before: undefined, after: undefined };
  const app = makeApp({ ...options([bare]), showMail: false }, () => 8025);
  const page = async (path: string): Promise<string> =>
    await (await app.request(path, { headers: { host: '127.0.0.1:8025' } })).text();
  const text = await page('/mail/abc.1');
  assert.ok(!text.includes('lunch') && !text.includes('octets are kept'));
  assert.ok(text.includes('Content is not shown: write showMail: true below console:'), text);
  assert.ok(!(await page('/')).includes('no subject'));
});

test('what is not here is not found', async () => {
  for (const path of ['/mail/none', '/services/none', '/..%2f', '/x'])
    assert.equal((await ask(path)).status, 404, path);
});

test('every answer forbids scripts, frames and sniffing', async () => {
  for (const path of ['/', '/mail/abc.1', '/none', '/style.css', '/icon.svg', '/?id=x']) {
    const { headers } = await ask(path);
    assert.match(headers.get('content-security-policy') ?? '', /^default-src 'none'; style-src 'self';/, path);
    assert.equal(headers.get('x-content-type-options'), 'nosniff', path);
    assert.equal(headers.get('cache-control'), 'no-store', path);
  }
});

test('no inline style or script, which the policy would drop', async () => {
  for (const path of ['/', '/mail/abc.1', '/services'])
    assert.doesNotMatch((await ask(path)).text, /<script|<style| style=| on\w+=/);
});

test('only our own names may ask (DNS rebinding), and only to read', async () => {
  for (const host of ['127.0.0.1:8025', 'localhost:8025', '[::1]:8025', 'LOCALHOST:8025']) {
    assert.equal((await ask('/', { host })).status, 200, host);
  }
  for (const host of ['evil.example:8025', '127.0.0.1', '127.0.0.1:80', 'localhost:8025.evil.example', '']) {
    const { status, text, headers } = await ask('/mail/abc.1', { host });
    assert.equal(status, 421, host);
    assert.ok(!text.includes('lunch') && headers.get('content-security-policy') !== null);
  }
  assert.equal((await ask('/', { method: 'POST' })).status, 405);
});

test('it listens, serves and closes, also with a connection kept open', async () => {
  const console = await openConsole(options());
  onTestFinished(() => console.close());
  assert.match(console.url, /^http:\/\/127\.0\.0\.1:\d+\/$/);
  const status = await new Promise((resolve, reject) =>
    get(console.url, (r) => resolve(r.resume().statusCode)).on('error', reject),
  );
  assert.equal(status, 200);
  await console.close();
  await assert.rejects(openConsole({ ...options(), host: '192.0.2.1' }), { code: 'EADDRNOTAVAIL' });
});
