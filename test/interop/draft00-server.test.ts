/**
 * The independent callout server itself: the sessions of `ocp-core.md`, section 22.2, octet by octet, and one session of
 * the mail profile with each of its answers. A peer that proves others must be proved first.
 */
import assert from 'node:assert/strict';
import net from 'node:net';
import { afterAll, beforeAll, test } from 'vitest';
import { Draft00, type Draft00Script } from '../support/draft00.ts';

const GROUP = 'SGC 1 ({"24:http://svc.example/upper"});\r\n';
const URI = '"38:http://iana.org/opes/ocp/SMTP/receiver"';
const OFFER = `CS;\r\nNO ({${URI}\r\nAdaptive-Parts: (MAIL,RCPT,RAWDATA)\r\nInformative-Parts: (IP,EHLO,HELO)\r\n});\r\n${GROUP}`;

let server: Draft00;
beforeAll(async () => {
  server = await Draft00.start();
});
afterAll(async () => {
  await server.stop();
});

/** Says all of `wire`, in pieces of `step` octets, and returns what came back until the server closed or `last` was seen. */
async function session(script: Draft00Script, wire: string, last: string, step = wire.length): Promise<string> {
  await server.script(script);
  const socket = net.connect(server.port, '127.0.0.1');
  socket.setNoDelay(true);
  let heard = '';
  const done = new Promise<void>((resolve, reject) => {
    socket.on('data', (chunk) => {
      heard += chunk.toString('latin1');
      if (heard.endsWith(last)) resolve();
    });
    socket.on('close', () => resolve());
    socket.on('error', reject);
  });
  for (let at = 0; at < wire.length; at += step) socket.write(Buffer.from(wire.slice(at, at + step), 'latin1'));
  await done;
  socket.destroy();
  return heard;
}

const T1 = {
  script: { rules: [{ part: 'RAWDATA', upper: true }] },
  wire: `CS;\r\nNO ();\r\n${GROUP}TS 1 1;\r\nAMS 1;\r\nDUM 1 0\r\n6:hello \r\n;\r\nDUM 1 6\r\n5:world\r\n;\r\nAME 1;\r\n`,
  answer:
    'CS;\r\nNR;\r\nAMS 1;\r\nDUM 1 0\r\nModp: 100\r\n\r\n6:HELLO \r\n;\r\nDUM 1 6\r\n5:WORLD\r\n;\r\nAME 1;\r\nTE 1;\r\n',
} as const;

test('T1, the smallest complete adaptation, whole and octet by octet', async () => {
  for (const step of [T1.wire.length, 1, 7]) {
    assert.equal(await session(T1.script, T1.wire, 'TE 1;\r\n', step), T1.answer);
  }
});

test('T4: one chunk is returned by reference, the other changed, and interest in both is given up', async () => {
  const wire =
    `CS;\r\nNO ();\r\n${GROUP}TS 2 1;\r\nAMS 2;\r\nDUM 2 0\r\nKept: {0 6}\r\n\r\n6:hello \r\n;\r\n` +
    'DUM 2 6\r\nKept: {0 11}\r\n\r\n5:world\r\n;\r\nAME 2;\r\n';
  const answer =
    'CS;\r\nNR;\r\nAMS 2;\r\nDUY 2 0 6;\r\nDPI 2 6 5;\r\nDUM 2 6\r\nModp: 100\r\n\r\n5:WORLD\r\n;\r\nDPI 2 6 0;\r\nAME 2;\r\nTE 2;\r\n';
  const script: Draft00Script = {
    eager: true,
    yours: true,
    rules: [{ part: 'RAWDATA', match: '^world$', upper: true }],
  };
  assert.equal(await session(script, wire, 'TE 2;\r\n'), answer);
});

test('T6: a pause asked for before the answer holds the data back; queries are answered before, between and after', async () => {
  const wire =
    `CS;\r\nNO ();\r\n${GROUP}TS 4 1;\r\nAMS 4;\r\nPQ 4;\r\nDUM 4 0\r\n4:abcd\r\n;\r\nPQ 4;\r\nDWP 4 0;\r\nDUM 4 4\r\n4:efgh\r\n;\r\n` +
    'AME 4;\r\nPQ 4;\r\nDWM 4\r\nSize-request: 4\r\n;\r\nPQ 4;\r\n';
  const answer =
    'CS;\r\nNR;\r\nPA 4\r\nOrg-Data: 0\r\n;\r\nPA 4\r\nOrg-Data: 4\r\n;\r\nDPM 4;\r\nAMS 4;\r\nPA 4;\r\n' +
    'DUM 4 0\r\nModp: 100\r\n\r\n4:ABCD\r\n;\r\nDUM 4 4\r\n4:EFGH\r\n;\r\nAME 4;\r\nTE 4;\r\nPA;\r\n';
  assert.equal(await session(T1.script, wire, 'PA;\r\n'), answer);
});

test('T7: unknown abilities are denied, unknown groups refuse a transaction, a group may go', async () => {
  const wire = `CS;\r\nNO ();\r\n${GROUP}TS 5 9;\r\nAQ {"24:http://feature.example/x"};\r\nSGD 1;\r\nCE {200 done};\r\n`;
  assert.equal(await session({}, wire, 'the close'), 'CS;\r\nNR;\r\nTE 5 {400 "13:no such group"};\r\nAA false;\r\n');
});

const ENVELOPE =
  'TS 72 1;\r\nAMS 72;\r\nDUM 72 0\r\nAM-Part: IP\r\n\r\n13:[192.0.2.138]\r\n;\r\n' +
  'DUM 72 13\r\nAM-Part: MAIL\r\n\r\n19:<steve@example.org>\r\n;\r\n';
const rcpt = (offset: number, address: string): string =>
  `DUM 72 ${offset}\r\nKept: {32 ${offset - 32 + address.length}}\r\nAM-Part: RCPT\r\nAllow: (SMTP-Error,Add-Header)\r\n\r\n${address.length}:${address}\r\n;\r\n`;
const data = (offset: number, text: string): string =>
  `DUM 72 ${offset}\r\nKept: {32 ${offset - 32 + text.length}}\r\nAM-Part: RAWDATA\r\nAllow: (SMTP-Error,Add-Header)\r\n\r\n${text.length}:${text}\r\n;\r\n`;
const NR = `NR {${URI}\r\nAdaptive-Parts: (RCPT,RAWDATA)\r\nInformative-Parts: (IP,EHLO,HELO,MAIL)\r\n};\r\n`;
const MAIL = 'Subject: Test\r\n\r\nHi, this is a test!\r\n';

test('a mail: each RCPT answered at once, the data after AME, by DUM or by DUY', async () => {
  const wire = `${OFFER}${ENVELOPE}${rcpt(32, '<no@example.com>')}${rcpt(48, '<yes@example.com>')}${data(65, MAIL)}AME 72;\r\n`;
  const rules = [
    { part: 'RCPT', match: '^<no@', error: '550 5.1.1 No such user here' },
    { part: 'RCPT', match: '^<yes@', rewrite: '<other@example.com>' },
    { part: 'RAWDATA', addHeader: ['X-Spam-Score: 1.2'] },
  ] as const;
  const refused = 'DUM 72 0\r\nAM-Part: RCPT\r\nSMTP-Error: "27:550 5.1.1 No such user here"\r\n\r\n0:\r\n;\r\n';
  const rewritten = 'DUM 72 0\r\nAM-Part: RCPT\r\n\r\n19:<other@example.com>\r\n;\r\n';
  const head = `CS;\r\n${NR}AMS 72;\r\n${refused}${rewritten}`;
  const end = 'AME 72;\r\nTE 72;\r\n';
  assert.equal(
    await session({ yours: true, rules }, wire, 'TE 72;\r\n'),
    `${head}DUY 72 65 38\r\nAdd-Header: "17:X-Spam-Score: 1.2"\r\n;\r\n${end}`,
  );
  assert.equal(
    await session({ rules, addHeaderForm: 'list' }, wire, 'TE 72;\r\n', 11),
    `${head}DUM 72 19\r\nAM-Part: RAWDATA\r\nAs-is: 65\r\nAdd-Header: ("17:X-Spam-Score: 1.2")\r\n\r\n38:${MAIL}\r\n;\r\n${end}`,
  );
});

test('data refused with two lines; the same with the part list under its older name', async () => {
  const wire = `${OFFER}${ENVELOPE}${rcpt(32, '<no@example.com>')}${data(48, MAIL)}AME 72;\r\n`;
  const script: Draft00Script = {
    alias: true,
    yours: true,
    rules: [{ part: 'RAWDATA', error: '550-5.7.1 Content refused\r\n550 5.7.1 Policy P-12' }],
  };
  assert.equal(
    await session(script, wire, 'TE 72;\r\n'),
    `CS;\r\n${NR.replaceAll('-Parts', '-Commands')}AMS 72;\r\nDUY 72 32 16;\r\nDUM 72 16\r\nAM-Part: RAWDATA\r\nSMTP-Error: "48:550-5.7.1 Content refused\r\n550 5.7.1 Policy P-12"\r\n\r\n0:\r\n;\r\nAME 72;\r\nTE 72;\r\n`,
  );
});

const mistakes: readonly (readonly [string, string, string])[] = [
  [
    'a gap in the offsets',
    'TS 72 1;\r\nAMS 72;\r\nDUM 72 1\r\nAM-Part: IP\r\n\r\n1:x\r\n;\r\n',
    'TE 72 {400 "20:offset 1, expected 0"};\r\n',
  ],
  [
    'a part not selected',
    'TS 72 1;\r\nAMS 72;\r\nDUM 72 0\r\nAM-Part: BODY\r\n\r\n1:x\r\n;\r\n',
    'TE 72 {400 "26:part BODY was not selected"};\r\n',
  ],
  ['data before its message', 'TS 72 1;\r\nDUM 72 0\r\n0:\r\n;\r\n', 'TE 72 {400 "24:DUM outside of a message"};\r\n'],
  [
    'Kept as a bare pair',
    'TS 72 1;\r\nAMS 72;\r\nDUM 72 0\r\nKept: 0 1\r\nAM-Part: IP\r\n\r\n1:x\r\n;\r\n',
    'CE {400 "',
  ],
  [
    'two parameters of one name',
    'TS 72 1;\r\nAMS 72;\r\nDUM 72 0\r\nAM-Part: IP\r\nAM-Part: IP\r\n\r\n1:x\r\n;\r\n',
    'CE {400 "22:two parameters AM-Part"};\r\n',
  ],
];
for (const [name, wire, end] of mistakes) {
  test(`the peer's mistake is seen: ${name}`, async () => {
    const heard = await session({}, `${OFFER}${wire}`, end.startsWith('CE') ? 'the close' : end);
    assert.ok(heard.includes(end), heard);
  });
}

test('faults of the wire strike at the octet they were set for', async () => {
  const after = T1.answer.indexOf('AMS 1');
  for (const sent of [0, 1, 10, 60]) {
    const heard = await session({ ...T1.script, fault: { kind: 'die', sent, times: 1 } }, T1.wire, 'the close');
    assert.equal(heard, T1.answer.slice(0, after + sent));
  }
  const heard = await session({ ...T1.script, fault: { kind: 'die', on: 'AME' } }, T1.wire, 'the close');
  assert.equal(heard, T1.answer.slice(0, after));
  assert.equal(await session(T1.script, T1.wire, 'TE 1;\r\n'), T1.answer);
});
