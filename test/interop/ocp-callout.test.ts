/**
 * Our callout server, with services of the SDK, against a processor spoken by hand: octets written from the specifications and
 * answers read by the independent reader. Honest sessions in any cut; then a processor that lies, vanishes or talks nonsense,
 * which must cost nobody else anything.
 */
import assert from 'node:assert/strict';
import net from 'node:net';
import { afterAll, beforeAll, test } from 'vitest';
import { type CalloutServer, defineService, edit, keep, refuse, rewrite, serve } from '../../src/callout/index.ts';
import { number, Reader, type WireMessage, write } from '../support/draft00/wire.mjs';

const SERVICE = 'http://svc.test/all';
const URI = 'http://iana.org/opes/ocp/SMTP/receiver';
const service = defineService({
  uri: SERVICE,
  wants: { envelope: true, headers: true },
  recipient(to) {
    if (to.address.startsWith('no@')) return refuse(550, '5.1.1', 'No such user here');
    return to.address.startsWith('old@') ? rewrite('<new@dst.test>') : keep();
  },
  message(mail) {
    if (mail.headers.has('X-Bad')) return refuse(550, '5.7.1', 'Content refused', 'Policy P-12');
    return mail.headers.has('X-Mark') ? edit({ headers: { add: [['X-Seen', 'yes']] } }) : keep();
  },
});

let server: CalloutServer;
beforeAll(async () => {
  server = await serve([service], { listen: 'ocp://127.0.0.1:0' });
});
afterAll(async () => {
  await server.close(1000);
});

const quoted = (text: string): string => `"${Buffer.byteLength(text, 'latin1')}:${text}"`;
const START = `CS;\r\nNO ({${quoted(URI)}\r\nAdaptive-Parts: (MAIL,RCPT,RAWDATA)\r\nInformative-Parts: (IP,EHLO,HELO)\r\n});\r\n`;
const GROUP = `SGC 3 ({${quoted(SERVICE)}});\r\n`;

/** A mail's messages, `kept` from RCPT on or not at all. */
function mail(xid: number, to: string, content: string, kept = true): string {
  const allow = '\r\nAllow: (SMTP-Error,Add-Header)';
  const from = '<a@src.test>';
  const rcptAt = 11 + from.length;
  const dataAt = rcptAt + to.length;
  const keeps = (end: number): string => (kept ? `Kept: {${rcptAt} ${end - rcptAt}}\r\n` : '');
  const dum = (at: number, head: string, text: string): string =>
    `DUM ${xid} ${at}\r\n${head}\r\n\r\n${text.length}:${text}\r\n;\r\n`;
  const half = content.length >> 1;
  return (
    `TS ${xid} 3;\r\nAMS ${xid};\r\n` +
    dum(0, 'AM-Part: IP', '[192.0.2.1]') +
    dum(11, 'AM-Part: MAIL', from) +
    dum(rcptAt, `${keeps(dataAt)}AM-Part: RCPT${allow}`, to) +
    dum(dataAt, `${keeps(dataAt + half)}AM-Part: RAWDATA${allow}`, content.slice(0, half)) +
    dum(dataAt + half, `${keeps(dataAt + content.length)}AM-Part: RAWDATA${allow}`, content.slice(half)) +
    `AME ${xid};\r\n`
  );
}

interface Session {
  readonly messages: WireMessage[];
}

/** Sends `wire` in pieces and listens until `last` transactions have ended or the server closed. */
async function session(
  wire: string,
  last: number,
  options: { step?: number; vanish?: boolean } = {},
): Promise<Session> {
  const { endpoint } = server;
  assert.ok(endpoint.kind === 'tcp');
  const socket = net.connect(endpoint.port, '127.0.0.1');
  socket.setNoDelay(true);
  const reader = new Reader();
  const messages: WireMessage[] = [];
  const done = new Promise<void>((resolve, reject) => {
    socket.on('data', (chunk: Buffer) => {
      for (const m of reader.feed(chunk)) messages.push(m);
      if (messages.filter((m) => m.name === 'TE').length >= last && last > 0) resolve();
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      resolve();
    });
    setTimeout(() => reject(new Error(`silence after ${messages.map(brief).join(' ')}`)), 10_000).unref();
  });
  const step = options.step ?? wire.length;
  for (let at = 0; at < wire.length; at += step) socket.write(Buffer.from(wire.slice(at, at + step), 'latin1'));
  if (options.vanish === true) socket.end(() => socket.destroy());
  await done;
  socket.destroy();
  return { messages };
}

const brief = (m: WireMessage): string => [m.name, ...m.anonymous.map((v) => write(v))].join(' ');
const answers = (s: Session): string[] =>
  s.messages
    .filter((m) => !['CS', 'NR', 'PA', 'PR', 'DPI'].includes(m.name))
    .map((m) => {
      const reply = m.named.get('SMTP-Error') ?? m.named.get('Add-Header');
      return [
        brief(m),
        ...(m.payload === undefined ? [] : [Buffer.from(m.payload).toString('latin1')]),
        ...(reply === undefined ? [] : [write(reply)]),
      ].join(' | ');
    });
const codeOf = (m: WireMessage | undefined): number => {
  const result = m?.anonymous[m.name === 'CE' ? 0 : 1];
  if (result === undefined) return 200;
  return typeof result === 'object' && 'anonymous' in result ? (number(result.anonymous[0]) ?? -1) : -1;
};

const PLAIN = 'Subject: x\r\n\r\nHello.\r\n';

test('the offer: parts as the service wishes them, nothing more, on connection scope', async () => {
  const { messages } = await session(`${START}${GROUP}${mail(1, '<b@dst.test>', PLAIN)}`, 1);
  assert.deepEqual(
    messages.slice(0, 2).map((m) => m.name),
    ['CS', 'NR'],
  );
  const [feature] = messages[1]?.anonymous ?? [];
  assert.ok(typeof feature === 'object' && 'anonymous' in feature);
  assert.equal(feature.anonymous[0], URI);
  assert.deepEqual(feature.named.get('Adaptive-Parts'), ['RCPT', 'RAWDATA']);
  assert.equal(messages[1]?.named.has('SG'), false);
});

test('kept by reference, in every cut', async () => {
  const wire = `${START}${GROUP}${mail(1, '<b@dst.test>', PLAIN)}`;
  for (const step of [wire.length, 1, 2, 17, 64]) {
    const all = answers(await session(wire, 1, { step }));
    assert.equal(all[0], 'AMS 1');
    assert.deepEqual(all.slice(-2), ['AME 1', 'TE 1']);
    assert.equal(all[1], 'DUY 1 23 12');
    // One DUY or several: together the whole of the data, once.
    const ranges = all.slice(2, -2).map((a) => a.split(' ').map(Number));
    let next = 35;
    for (const [, , at = -1, size = -1] of ranges) {
      assert.equal(at, next);
      next += size;
    }
    assert.equal(next, 35 + PLAIN.length);
  }
});

test('a processor that keeps nothing gets its octets back', async () => {
  const { messages } = await session(`${START}${GROUP}${mail(1, '<b@dst.test>', PLAIN, false)}`, 1);
  const data = messages.filter((m) => m.name === 'DUM');
  assert.ok(!messages.some((m) => m.name === 'DUY'));
  let next = 0;
  for (const m of data) {
    assert.equal(number(m.anonymous[1]), next);
    next += m.payload?.length ?? 0;
  }
  assert.equal(Buffer.concat(data.map((m) => m.payload ?? Buffer.alloc(0))).toString(), `<b@dst.test>${PLAIN}`);
});

test('refusals, a rewritten recipient, an added header', async () => {
  const refused = answers(await session(`${START}${GROUP}${mail(4, '<no@dst.test>', PLAIN)}`, 1));
  assert.equal(refused[1], 'DUM 4 0 |  | "27:550 5.1.1 No such user here"');
  const rewritten = answers(await session(`${START}${GROUP}${mail(5, '<old@dst.test>', PLAIN)}`, 1));
  assert.equal(rewritten[1], 'DUM 5 0 | <new@dst.test>');
  const marked = answers(await session(`${START}${GROUP}${mail(6, '<b@dst.test>', `X-Mark: 1\r\n${PLAIN}`)}`, 1));
  assert.ok(
    marked.some((a) => a.startsWith('DUY 6 35') && /13:X-Seen: yes|11:X-Seen: yes/.test(a)),
    marked.join('\n'),
  );
  const bad = answers(await session(`${START}${GROUP}${mail(7, '<b@dst.test>', `X-Bad: 1\r\n${PLAIN}`)}`, 1));
  const reply = '550-5.7.1 Content refused\r\n550 5.7.1 Policy P-12';
  assert.ok(bad.includes(`DUM 7 12 |  | ${quoted(reply)}`), bad.join('\n'));
});

test('many transactions interleaved on one connection', async () => {
  const mails = Array.from({ length: 50 }, (_, i) =>
    mail(i + 1, '<b@dst.test>', PLAIN).split(/(?<=;\r\n)(?=[A-Z]+ \d)/),
  );
  let wire = '';
  for (let i = 0; mails.some((m) => i < m.length); i++) for (const m of mails) wire += m[i] ?? '';
  const { messages } = await session(`${START}${GROUP}${wire}`, 50);
  assert.ok(messages.filter((m) => m.name === 'TE').every((m) => codeOf(m) === 200));
  assert.equal(new Set(messages.filter((m) => m.name === 'TE').map((m) => m.anonymous[0])).size, 50);
});

const good = mail(1, '<b@dst.test>', PLAIN);
/** What breaks a transaction, and what the whole connection (RFC 4037, section 5). */
const lies: readonly (readonly [string, string, 'TE' | 'CE'])[] = [
  ['a gap', good.replace('DUM 1 11', 'DUM 1 12'), 'TE'],
  ['an overlap', good.replace('DUM 1 11', 'DUM 1 10'), 'TE'],
  ['data before AMS', good.replace('AMS 1;\r\n', ''), 'TE'],
  ['AMS twice', good.replace('AMS 1;\r\n', 'AMS 1;\r\nAMS 1;\r\n'), 'TE'],
  ['no such group', good.replace('TS 1 3', 'TS 1 4'), 'TE'],
  ['DUM without payload', good.replace('\r\n11:[192.0.2.1]\r\n', ''), 'TE'],
  ['DUM without AM-Part', good.replace('AM-Part: IP\r\n', 'X: y\r\n'), 'TE'],
  ['two parameters of one name', good.replace('AM-Part: IP\r\n', 'AM-Part: IP\r\nAM-Part: IP\r\n'), 'TE'],
  ['the message given up', good.replace('AME 1;', 'AME 1 {400};'), 'TE'],
  ['an xid again', `${good}${good}`, 'CE'],
  ['a group again', `${GROUP}${good}`, 'CE'],
  ['an NR nobody asked for', `NR;\r\n${good}`, 'CE'],
  ['a wrong size', good.replace('11:[192', '12:[192'), 'CE'],
  ['a size with a leading zero', good.replace('11:[192', '011:[192'), 'CE'],
  ['blanks in a structure', good.replace('Kept: {', 'Kept: { '), 'CE'],
  ['a name that is none', `1${good}`, 'CE'],
  ['LF alone', good.replaceAll('\r\n', '\n'), 'CE'],
  ['not OCP at all', 'EHLO mail.test\r\n', 'CE'],
];
for (const [name, wire, end] of lies) {
  test(`a processor's mistake ends what it has to, with 400: ${name}`, async () => {
    for (const step of [wire.length + 1000, 1]) {
      const { messages } = await session(`${START}${GROUP}${wire}`, 1, { step });
      const [last] = messages.filter((m) => m.name === 'TE' || m.name === 'CE').slice(-1);
      const found = end === 'CE' ? messages.find((m) => m.name === 'CE') : last;
      // A transaction finished before the connection broke keeps its end.
      if (end === 'CE' && found === undefined) assert.equal(codeOf(messages.find((m) => m.name === 'TE')), 200);
      else assert.deepEqual([found?.name, codeOf(found)], [end, 400], messages.map(brief).join(' '));
    }
  });
}

test('a processor that vanishes at any octet costs nobody else anything', async () => {
  const wire = `${START}${GROUP}${mail(1, '<old@dst.test>', `X-Mark: 1\r\n${PLAIN}`)}`;
  for (let n = 0; n < wire.length; n += 3) await session(wire.slice(0, n), 0, { vanish: true });
  const all = answers(await session(`${START}${GROUP}${good}`, 1));
  assert.deepEqual(all.slice(-2), ['AME 1', 'TE 1']);
  await new Promise((resolve) => setTimeout(resolve, 200));
  assert.equal(server.connections, 0, 'no connection is left behind');
});

test('floods: endless heads, endless nesting, endless queries end in CE 400 or are answered, never in growth', async () => {
  const endless = await session(`${START}DUM ${'x'.repeat(5_000_000)}`, 0);
  assert.equal(codeOf(endless.messages.find((m) => m.name === 'CE')), 400);
  const nested = await session(`${START}X ${'('.repeat(100_000)}`, 0);
  assert.equal(codeOf(nested.messages.find((m) => m.name === 'CE')), 400);
  const queries = await session(`${START}${GROUP}${'PQ;\r\n'.repeat(20_000)}${good}`, 1);
  assert.equal(queries.messages.filter((m) => m.name === 'PA').length, 20_000);
  assert.equal(answers(queries).at(-1), 'TE 1');
});
