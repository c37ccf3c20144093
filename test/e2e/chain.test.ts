/**
 * Two gateways of two Systems in a chain, each with a service of its own (RFC 4496 section 3.1): the traces of both in order, an id of
 * each, each service once, and a refusal of the second that reaches the client with one trace, its own.
 */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, beforeEach, test } from 'vitest';
import { Draft00, type Draft00Rule, type Draft00Script } from '../support/draft00.ts';
import { config, Gateway, withoutTrace } from '../support/gateway.ts';
import { NextHop } from '../support/next-hop.ts';
import { SmtpTalk, verdict } from '../support/smtp-talk.ts';
import { loggedIn, usersFile } from '../support/users.ts';

const HEADER = 'From: <a@src.test>\r\nTo: <b@dst.test>\r\nSubject: chain\r\n';
const BODY = '\r\nHello\r\n.dot\r\n';
const MAIL = (more = ''): Buffer => Buffer.from(`${more}${HEADER}${BODY}`);

const USER = 'a@src.test';

let hop: NextHop;
const services: Draft00[] = [];
/** The one the client speaks to comes first. */
const gateways: Gateway[] = [];

/** `one` and `two` are their names in everything. */
async function gatewayOf(name: 'one' | 'two', nextHop: string, listeners?: readonly object[]): Promise<Gateway> {
  const service = await Draft00.start();
  services.push(service);
  const uri = `https://${name}.test/opes`;
  const base = config(
    nextHop,
    { stamp: { uri: `${uri}/stamp`, connect: service.endpoint } },
    { system: { uri, contact: `postmaster@${name}.test` }, hostname: `${name}.test` },
  );
  // The same embedded service on both: it finds its notice there. It may not be left out.
  const banner = {
    uri: `${uri}/banner`,
    run: 'builtin:banner',
    may: ['edit-content', 'edit-header', 'add-header'],
    bypassable: 'never',
  };
  return await Gateway.start({
    ...base,
    ...(listeners && { listeners }),
    services: { ...(base['services'] as object), banner },
    pipeline: [...(base['pipeline'] as object[]), { service: 'banner', onFailure: 'tempfail' }],
  });
}

beforeAll(async () => {
  hop = await NextHop.listen();
  const mx = { name: 'mx', address: '127.0.0.1:0', side: 'recipient' };
  // The second one believes the first where that says it authorised a request; the first one knows a user.
  const two = await gatewayOf('two', hop.url, [{ ...mx, bypassFrom: ['127.0.0.1'] }]);
  const submission = {
    name: 'sub',
    address: '127.0.0.1:0',
    side: 'sender',
    auth: await usersFile(USER),
    requireTls: false,
  };
  const one = await gatewayOf('one', `smtp://127.0.0.1:${two.port()}`, [mx, submission]);
  gateways.push(one, two);
  services.reverse();
});
afterAll(async () => {
  for (const gateway of gateways) await gateway.stop();
  for (const service of services) await service.stop();
  await hop.close();
});

/** What the services do, that of the first gateway first. */
async function scripted(
  first: readonly Draft00Rule[],
  second: readonly Draft00Rule[],
  more: Draft00Script = {},
): Promise<void> {
  await Promise.all(
    [first, second].map(async (rules, at) => {
      await services[at]?.script({ ...more, rules });
      await services[at]?.renegotiate();
    }),
  );
}
const STAMPS: readonly [readonly Draft00Rule[], readonly Draft00Rule[]] = [
  [{ part: 'RAWDATA', addHeader: ['X-One: yes'] }],
  [{ part: 'RAWDATA', match: 'X-One: yes', addHeader: ['X-Two: saw one'] }],
];
beforeEach(async () => {
  await scripted(STAMPS[0], STAMPS[1]);
});

async function send(content = MAIL(), to: readonly string[] = ['b@dst.test']) {
  const talk = await SmtpTalk.hello(gateways[0]?.port() ?? 0);
  const outcome = await talk.mail({ from: 'a@src.test', to, content });
  await talk.quit();
  return outcome;
}

/** Lines of the trace, unfolded. */
const unfolded = (lines: readonly string[]): string[] => lines.map((line) => line.replaceAll(/\r\n[ \t]+/g, ' '));

/** The id that a gateway gave its last mail. */
async function lastId(gateway: Gateway | undefined, since: number): Promise<string> {
  const mails = (): Record<string, unknown>[] => gateway?.logs().filter(({ event }) => event === 'mail') ?? [];
  await gateway?.child.until(() => mails()[since], 'the line of the mail');
  return String(mails().at(-1)?.['mail']);
}
const counted = (gateway: Gateway | undefined): number =>
  gateway?.logs().filter(({ event }) => event === 'mail').length ?? 0;

test('both traces, the later on top; an id of each; each service once, on what was made before it', async () => {
  const [before, since] = [services.map((one) => one.transactions().length), gateways.map(counted)];
  assert.equal(verdict(await send()), 250);
  const mail = (await hop.waitForMails(1)).at(-1);
  const { trace, rest } = withoutTrace(mail?.content ?? Buffer.alloc(0));
  const second = unfolded(trace);
  // What the second gateway's services made stands below its own lines, and above those it found.
  const text = rest.toString('latin1');
  const inner = text.slice(text.indexOf('Received: '));
  assert.match(
    text.slice(0, text.indexOf('Received: ')),
    /^X-External-Banner: not added \(there already\)\r\nX-Two: saw one\r\n$/,
  );
  const { trace: found, rest: below } = withoutTrace(Buffer.from(inner, 'latin1'));
  const first = unfolded(found);
  const ids = [await lastId(gateways[0], since[0] ?? 0), await lastId(gateways[1], since[1] ?? 0)];
  assert.notEqual(ids[0], ids[1]);
  for (const [lines, name, id, banner] of [
    [second, 'two', ids[1], 'header-added'],
    [first, 'one', ids[0], 'edited'],
  ] as const) {
    const uri = `https://${name}.test/opes`;
    assert.match(lines[0] ?? '', new RegExp(`^Received: from .* by ${name}\\.test with ESMTP id ${id}`));
    assert.deepEqual(lines.slice(1), [
      `OPES-System: ${uri}?id=${id}`,
      `OPES-Via: ${uri}?id=${id}, ${uri}/stamp;outcome=header-added, ${uri}/banner;outcome=${banner}`,
    ]);
  }
  const delivered = below.toString('latin1');
  assert.equal(delivered.match(/^X-One: yes\r$/gm)?.length, 1);
  assert.equal(delivered.match(/CAUTION: /g)?.length, 1, 'one banner');
  assert.ok(delivered.endsWith('Hello\r\n.dot\r\n'));
  assert.deepEqual(
    services.map((one, at) => one.transactions().length - (before[at] ?? 0)),
    [1, 1],
  );
});

test('many hops before are no loop, as long as both together stay below the limit; beyond it the mail is refused once', async () => {
  const mails = hop.mails.length;
  const hops = (count: number): string =>
    'Received: from x.test by y.test; Sun, 22 Nov 2026 10:00:00 +0000\r\n'.repeat(count);
  assert.equal(verdict(await send(MAIL(hops(20)))), 250);
  assert.equal((await hop.waitForMails(mails + 1)).length, mails + 1);
  const outcome = await send(MAIL(hops(200)));
  assert.equal(verdict(outcome), 554);
  assert.match(outcome.content?.lines.join('\n') ?? '', /Too many hops/);
});

test("a refusal of the second gateway's service is the client's reply, with its trace and no other", async () => {
  await scripted(
    [],
    [
      { part: 'RCPT', match: 'nobody', error: '550 5.1.1 no such user' },
      { part: 'RAWDATA', match: 'forbidden', error: '554 5.7.1 not this content' },
    ],
  );
  const since = gateways.map(counted);
  const { rcpts, content } = await send(MAIL('X-Is: forbidden\r\n'), ['nobody@dst.test', 'b@dst.test']);
  const id = await lastId(gateways[1], since[1] ?? 0);
  const line = `OPES-System: https://two.test/opes?id=${id}`;
  assert.deepEqual(rcpts[0]?.lines, ['5.1.1 no such user', `5.1.1 ${line}`]);
  assert.equal(rcpts[1]?.code, 250);
  assert.deepEqual(content?.lines, ['5.7.1 not this content', `5.7.1 ${line}`]);
});

test("a refusal of the first gateway's service is its own, and the second hears of no content", async () => {
  await scripted([{ part: 'RAWDATA', match: 'chain', error: '554 5.7.1 not by us' }], []);
  const [since, mails] = [gateways.map(counted), hop.mails.length];
  const { content } = await send();
  const id = await lastId(gateways[0], since[0] ?? 0);
  assert.deepEqual(content?.lines, ['5.7.1 not by us', `5.7.1 OPES-System: https://one.test/opes?id=${id}`]);
  assert.equal(hop.mails.length, mails);
});

/** What each System's trace says of its services, the first System's first; and what stands above all of it. */
function bypasses(content: Buffer): { readonly above: string; readonly one: string; readonly two: string } {
  const text = content.toString('latin1');
  const via = (name: string): string => {
    const line = unfolded(text.match(/^OPES-Via: (?:.*\r\n[ \t])*.*/gm) ?? []).find((one) =>
      one.includes(`${name}.test`),
    );
    return [...(line ?? '').matchAll(/opes\/(\w+);([^,]*)/g)].map((m) => `${m[1]} ${m[2]}`).join(', ');
  };
  return { above: text.slice(0, text.indexOf('Received: ')), one: via('one'), two: via('two') };
}

/** Sends one mail with these parameters of MAIL; what arrived at the end. `user`: who logs in, if anybody. */
async function asked(params: string, { user = '', content = MAIL() } = {}): Promise<Buffer> {
  const mails = hop.mails.length;
  const [one] = gateways;
  const port = one?.port(user === '' ? 'mx' : 'sub') ?? 0;
  const talk = user === '' ? await SmtpTalk.hello(port) : await loggedIn(port, user);
  assert.equal(verdict(await talk.mail({ from: 'a@src.test', to: ['b@dst.test'], content, params })), 250);
  await talk.quit();
  return (await hop.waitForMails(mails + 1)).at(-1)?.content ?? Buffer.alloc(0);
}

const BANNERS = {
  one: 'banner outcome=edited;bypass=refused;why=never',
  two: /banner outcome=[a-z-]+;bypass=refused;why=never/,
};

test('a request at MAIL reaches both Systems whole; each leaves out what it may, and says what it may not (REQ-069, REQ-076)', async () => {
  const before = services.map((one) => one.transactions().length);
  for (const params of ['OPESBYPASS=*', 'OPESBYPASS=https://one.test/opes,https://two.test/opes?id+3Dx']) {
    const { above, one, two } = bypasses(await asked(params, { user: USER }));
    assert.equal(one, `stamp outcome=bypassed;bypass=honoured, ${BANNERS.one}`);
    assert.match(two, /^stamp outcome=bypassed;bypass=honoured, /);
    assert.match(two, BANNERS.two);
    // The last hop knows no OPES: the request stays with the mail as a field (REQ-091).
    const kept = params.endsWith('*') ? '*' : 'https://one.test/opes,\r\n\thttps://two.test/opes?id=x';
    assert.equal(above, `OPES-Bypass: ${kept}\r\n`);
  }
  assert.deepEqual(
    services.map((one, at) => one.transactions().length - (before[at] ?? 0)),
    [0, 0],
    'neither callout server heard of these mails',
  );
});

test('a request of a stranger is told by both, and honoured by neither: passing it on lends it no authority (REQ-074, REQ-263)', async () => {
  for (const params of ['OPESBYPASS=*', 'OPESBYPASS=* OPESAUTH']) {
    const { one, two } = bypasses(await asked(params));
    for (const via of [one, two]) {
      assert.match(via, /^stamp outcome=header-added;bypass=refused;why=authority, /);
      assert.match(via, BANNERS.two);
    }
  }
});

test('a request in the message stays in it for the next System, which honours it where the first says who asked', async () => {
  const content = MAIL('OPES-Bypass: *\r\n');
  const late = bypasses(await asked('OPESAUTH', { user: USER, content }));
  for (const via of [late.one, late.two])
    assert.match(via, /^stamp outcome=header-added;bypass=late/, 'it had a say in RCPT');
  await scripted(STAMPS[0], STAMPS[1], { adaptive: ['RAWDATA'], informative: [] });
  const alone = await asked('', { user: USER, content });
  assert.ok(alone.includes('OPES-Bypass: *\r\nFrom:'));
  const first = bypasses(alone);
  assert.match(first.one, /^stamp outcome=bypassed;bypass=honoured/);
  // The first had spoken to the second before it saw the message.
  assert.match(first.two, /^stamp outcome=[a-z-]+;bypass=refused;why=authority/);
  const second = bypasses(await asked('OPESAUTH', { user: USER, content }));
  for (const via of [second.one, second.two]) assert.match(via, /^stamp outcome=bypassed;bypass=honoured/);
});
