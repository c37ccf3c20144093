/** Requests to leave services out, at one mail: who may ask, what is left out, what is told, what goes on (REQ-058 to REQ-092). */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { LISTENER, type MailRig } from '../../../test/support/mail-rig.ts';
import type { MemoryCallouts, Script } from '../../../test/support/memory-callout.ts';
import { RecordingSpool } from '../../../test/support/recording-spool.ts';
import {
  adds,
  dies,
  finish,
  keepAll,
  keepData,
  MAIL,
  type RigOptions,
  rigWith,
} from '../../../test/support/scripted-services.ts';
import { answerBlock } from '../../profile/index.ts';
import { reply } from '../../smtp/index.ts';
import { readBypassFields } from '../bypass/index.ts';

const SYSTEM = 'https://mail.example.com/opes';
const S1 = 'http://svc.example/s1';
const S2 = 'http://svc.example/s2';
const allowed = { bypassable: 'allowed' } as const;

/** Adds a field to the content, and has a say in this command. */
const asksOf = (part: 'MAIL' | 'RCPT', field: string): Script => ({
  ...keepAll([part, 'RAWDATA']),
  onOriginalEnd(tx, all) {
    keepData(tx, all, answerBlock(undefined, { addHeaders: [field] }));
    finish(tx);
  },
});
const onRcpt = asksOf('RCPT', 'X-Rcpt: seen');

/** Of a submitter who logged in where the sender's side is. */
function submission(scripts: readonly Script[], options: RigOptions = {}): { rig: MailRig; callouts: MemoryCallouts } {
  const { rig, callouts } = rigWith(scripts, options);
  rig.user = 'alice';
  rig.listener = { ...LISTENER, side: 'sender' };
  return { rig, callouts };
}

/** `mail` and `rcpt`: parameters. */
async function send(rig: MailRig, { mail = '', rcpt = '', content = MAIL } = {}): Promise<number | undefined> {
  const begun = await rig.begin('a@src.example', mail);
  assert.equal(begun.reply.code, 250);
  const answer = await begun.mail.rcpt('b@dst.example', rcpt);
  if (answer.code !== 250) return answer.code;
  return (await begun.mail.content(content)).code;
}

const text = (rig: MailRig, at = -1): string => rig.delivered.at(at)?.content.toString('latin1') ?? '';
const marks = (octets: string): string[] =>
  [...octets.replaceAll(/\r\n[ \t]/g, ' ').matchAll(/svc\.example\/(s\d);([^,\r]*)/g)].map((m) => `${m[1]} ${m[2]}`);

test('at MAIL: no transaction for what is left out, and the trace, the log and the record say who asked (REQ-061, REQ-090)', async () => {
  const { rig, callouts } = submission([onRcpt, adds('X-2: 1')], { each: [allowed, allowed] });
  assert.equal(await send(rig, { mail: `OPESBYPASS=${S1}` }), 250);
  assert.deepEqual(marks(text(rig)), ['s1 outcome=bypassed;bypass=honoured', 's2 outcome=header-added']);
  assert.equal(callouts.seen.length, 1, 'one service heard of the mail');
  assert.ok(!text(rig).includes('X-Rcpt') && text(rig).includes('X-2: 1'));
  const said = rig.logged.filter(({ event }) => event === 'callout.bypassed').map(({ fields }) => fields);
  assert.deepEqual(said, [{ mail: 'session.1', service: 's1', by: 'OPESBYPASS of login alice' }]);
  assert.equal(rig.logged.find(({ event }) => event === 'mail')?.fields['bypass'], `${S1} by login alice`);
  assert.deepEqual(
    rig.records[0]?.calls.map(({ verdict }) => verdict),
    ['bypassed', 'changed'],
  );
});

test('the System, `*` and a URI nobody knows mean all that may be left out; `never` stays, and says so (REQ-062 to REQ-065, REQ-071 to REQ-073)', async () => {
  for (const asked of ['*', SYSTEM, `${SYSTEM}?id+3Dsession.9`, 'https://elsewhere.example/opes/av', `${S1},urn:x:y`]) {
    const { rig, callouts } = submission([adds('X-1: 1'), adds('X-2: 1'), adds('X-3: 1')], {
      each: [allowed, { bypassable: 'never' }, allowed],
    });
    assert.equal(await send(rig, { mail: `OPESBYPASS=${asked}` }), 250, asked);
    assert.deepEqual(
      marks(text(rig)),
      [
        's1 outcome=bypassed;bypass=honoured',
        's2 outcome=header-added;bypass=refused;why=never',
        's3 outcome=bypassed;bypass=honoured',
      ],
      asked,
    );
    assert.equal(callouts.seen.length, 1);
  }
});

test('in the message: what only looks at content is left out before it sees any; what had a say in RCPT is too late (REQ-084, REQ-085)', async () => {
  const { rig, callouts } = submission([onRcpt, adds('X-2: 1')], { each: [allowed, allowed] });
  const filler = 'X-Filler: some more of the header section\r\n'.repeat(1400);
  assert.equal(await send(rig, { content: `${filler}OPES-Bypass: *\r\n${MAIL}` }), 250);
  assert.deepEqual(marks(text(rig)), ['s1 outcome=header-added;bypass=late', 's2 outcome=bypassed;bypass=honoured']);
  const second = callouts.seen[1] ?? [];
  assert.ok(!second.some(({ part }) => part === 'RAWDATA'), 'it saw no octet of the message');
  assert.ok(text(rig).includes('OPES-Bypass: *\r\nFrom:'), 'the request stays in the message (REQ-068)');
});

test('without authority nothing is left out; the request is told, and goes on as it came (REQ-074, REQ-263)', async () => {
  const cases: { readonly what: string; readonly user: string; readonly side: 'sender' | 'recipient' }[] = [
    { what: 'a stranger', user: '', side: 'sender' },
    { what: 'a login where services act for recipients', user: 'alice', side: 'recipient' },
  ];
  for (const { what, user, side } of cases) {
    const { rig, callouts } = rigWith([adds('X-1: 1'), adds('X-2: 1')], { each: [allowed, { bypassable: 'never' }] });
    rig.user = user;
    rig.listener = { ...LISTENER, side };
    assert.equal(await send(rig, { mail: 'OPESBYPASS=* OPESTRACE OPESAUTH' }), 250, what);
    assert.deepEqual(marks(text(rig)), [
      's1 outcome=header-added;bypass=refused;why=authority',
      's2 outcome=header-added;bypass=refused;why=never',
    ]);
    assert.equal(callouts.seen.length, 2, what);
    assert.deepEqual(Object.fromEntries(rig.delivered[0]?.params ?? []), { OPESBYPASS: '*', OPESTRACE: true });
    const line = rig.logged.find(({ event }) => event === 'mail')?.fields;
    assert.match(String(line?.['bypass']), /^\* by .*, who may not$/);
    assert.match(
      String(line?.['services']),
      /s1 changed .*bypass refused \(no authority\).*bypass refused \(never: mail is not to go unscanned\)/,
    );
  }
});

test('a peer counts where it is named, for what it says it authorised; its word goes on as ours (decision 0049)', async () => {
  const peers: { readonly params: string; readonly from: readonly string[]; readonly honoured: boolean }[] = [
    { params: 'OPESBYPASS=* OPESAUTH', from: ['192.0.2.0/24'], honoured: true },
    { params: 'OPESBYPASS=*', from: ['192.0.2.0/24'], honoured: false },
    { params: 'OPESBYPASS=* OPESAUTH', from: ['198.51.100.1'], honoured: false },
  ];
  for (const { params, from, honoured } of peers) {
    const { rig } = rigWith([adds('X-1: 1')], { each: [allowed] });
    rig.listener = { ...LISTENER, bypassFrom: from };
    assert.equal(await send(rig, { mail: params }), 250);
    assert.deepEqual(marks(text(rig)), [
      honoured ? 's1 outcome=bypassed;bypass=honoured' : 's1 outcome=header-added;bypass=refused;why=authority',
    ]);
    assert.equal(rig.delivered[0]?.params.has('OPESAUTH'), honoured);
  }
});

test('services are not shown a request, and can neither make nor change one (REQ-075)', async () => {
  const shown: string[] = [];
  const rewrites: Script = {
    ...keepAll(['MAIL', 'RCPT']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      shown.push(part.octets.toString());
      const made = part.part === 'MAIL' ? '<n@src.example> OPESBYPASS=* OPESAUTH' : '<n@dst.example> OPESBYPASS=*';
      if (part.part === 'MAIL' || part.part === 'RCPT')
        tx.sendData(answerBlock(part.part, {}), [Buffer.from(made)], made.length);
    },
  };
  const { rig } = rigWith([rewrites], { each: [allowed] });
  assert.equal(await send(rig, { mail: 'OPESBYPASS=urn:x:y', rcpt: `OPESBYPASS=${S2} NOTIFY=NEVER` }), 250);
  assert.ok(shown.includes('<a@src.example>') && shown.includes('<b@dst.example> NOTIFY=NEVER'), shown.join(' | '));
  const [sent] = rig.delivered;
  assert.deepEqual([sent?.mail, ...(sent?.params ?? [])], ['<n@src.example>', ['OPESBYPASS', 'urn:x:y']]);
  assert.equal(rig.logged.find(({ event }) => event === 'mail')?.fields['relayedFrom'], '<n@src.example>');
  assert.deepEqual([sent?.rcpts, ...(sent?.rcptParams[0] ?? [])], [['<n@dst.example>'], ['OPESBYPASS', S2]]);
});

test('for one recipient: a variant of its own, and the other has the service; a refused request costs no variant', async () => {
  const spool = new RecordingSpool();
  const { rig } = submission([adds('X-1: 1')], { each: [allowed], spool });
  const { mail } = await rig.begin();
  await mail.rcpt('b@dst.example', 'OPESBYPASS=*');
  await mail.rcpt('c@dst.example');
  assert.equal((await mail.content(MAIL)).code, 250);
  assert.deepEqual(
    spool.taken.map(({ to, octets }) => [to, marks(octets.toString('latin1'))]),
    [
      [['<b@dst.example> OPESBYPASS=*'], ['s1 outcome=bypassed;bypass=honoured']],
      [['<c@dst.example>'], ['s1 outcome=header-added']],
    ],
  );
  const stranger = rigWith([adds('X-1: 1')], { each: [allowed] }).rig;
  const other = await stranger.begin();
  await other.mail.rcpt('b@dst.example');
  assert.equal((await other.mail.rcpt('c@dst.example', 'OPESBYPASS=*')).code, 250, 'there is no spool, so one variant');
  assert.equal((await other.mail.content(MAIL)).code, 250);
  assert.deepEqual(marks(text(stranger)), ['s1 outcome=header-added;bypass=refused;why=authority']);
});

test('without a spool a recipient who has other services left out is sent again', async () => {
  const { rig } = submission([adds('X-1: 1')], { each: [allowed] });
  const { mail } = await rig.begin();
  assert.equal((await mail.rcpt('b@dst.example')).code, 250);
  assert.equal((await mail.rcpt('c@dst.example', 'OPESBYPASS=*')).code, 452);
});

test('a next hop without OPES gets the request as a field of the message, and only what all recipients ask (REQ-091)', async () => {
  for (const [mail, rcpts, field] of [
    [`OPESBYPASS=${S1},urn:x:a+2Cb`, ['', ''], `OPES-Bypass: ${S1},\r\n\turn:x:a%2Cb\r\nReceived: `],
    ['', ['OPESBYPASS=*', 'OPESBYPASS=*'], 'OPES-Bypass: *\r\nReceived: '],
    [`OPESBYPASS=${S1}`, ['OPESBYPASS=*', ''], `OPES-Bypass: ${S1}\r\nReceived: `],
    ['', ['OPESBYPASS=*', ''], 'Received: '],
    ['OPESTRACE', ['', ''], 'Received: '],
  ] as const) {
    const { rig } = rigWith([adds('X-1: 1')], { each: [allowed] });
    rig.speaksOpes = false;
    const begun = await rig.begin('a@src.example', mail);
    for (const [i, rcpt] of rcpts.entries()) await begun.mail.rcpt(`b${i}@dst.example`, rcpt);
    assert.equal((await begun.mail.content(MAIL)).code, 250);
    assert.ok(text(rig).startsWith(field), text(rig).slice(0, 120));
    assert.ok(text(rig).endsWith(MAIL));
  }
});

test('a field that goes on is not one that the next System cannot read: what is too much is a field of its own', async () => {
  const list = (of: string): string => Array.from({ length: 40 }, (_, i) => `urn:${of}:${i}`).join(',');
  const { rig } = rigWith([adds('X-1: 1')], { each: [allowed] });
  rig.speaksOpes = false;
  assert.equal(await send(rig, { mail: `OPESBYPASS=${list('a')}`, rcpt: `OPESBYPASS=${list('b')}` }), 250);
  const fields = text(rig)
    .split(/\r\n(?![ \t])/)
    .filter((field) => field.startsWith('OPES-Bypass'));
  assert.equal(fields.length, 2);
  assert.deepEqual(readBypassFields(fields.map((field) => Buffer.from(`${field}\r\n`))), {
    asked: list('a').split(','),
    unreadable: 1,
  });
});

test('a next hop with OPES gets the parameters, and the message as it is (REQ-068)', async () => {
  const { rig } = submission([adds('X-1: 1')], { each: [allowed] });
  assert.equal(await send(rig, { mail: `OPESBYPASS=${S1} SIZE=100`, rcpt: 'OPESBYPASS=urn:x:y' }), 250);
  assert.deepEqual(
    [...(rig.delivered[0]?.params ?? [])],
    [
      ['OPESBYPASS', S1],
      ['OPESAUTH', true],
    ],
  );
  assert.deepEqual([...(rig.delivered[0]?.rcptParams[0] ?? [])], [['OPESBYPASS', 'urn:x:y']]);
  assert.ok(text(rig).startsWith('Received: '));
});

test('a field that is no request asks for nothing, harms no mail, and is told in the log (REQ-064, REQ-083)', async () => {
  const { rig } = submission([adds('X-1: 1')], { each: [allowed] });
  assert.equal(await send(rig, { content: `OPES-Bypass: leave me alone\r\nOPES-Bypass:\r\n${MAIL}` }), 250);
  assert.deepEqual(marks(text(rig)), ['s1 outcome=header-added']);
  assert.deepEqual(rig.logged.find(({ event }) => event === 'bypass.unreadable')?.fields, {
    mail: 'session.1',
    fields: 2,
  });
});

test('what is left out is not missed where it is dead; what failed at its command before the message asked is too late', async () => {
  const dead = submission([dies], { each: [{ ...allowed, onFailure: 'reject' }] });
  assert.equal(await send(dead.rig, { mail: 'OPESBYPASS=*' }), 250);
  const late = submission([{ ...keepAll(['RCPT']), refuse: { code: 400, reason: 'no' } }, adds('X-2: 1')], {
    each: [{ ...allowed, onFailure: 'skip' }, allowed],
  });
  assert.equal(await send(late.rig, { content: `OPES-Bypass: *\r\n${MAIL}` }), 250);
  assert.deepEqual(marks(text(late.rig)), [
    's1 outcome=skipped;reason=crash;bypass=late',
    's2 outcome=bypassed;bypass=honoured',
  ]);
});

test('a service whose rule waits for the message is left out where it would be called, and is not spoken of elsewhere', async () => {
  const { rig } = submission([adds('X-1: 1'), adds('X-2: 1')], {
    each: [
      { ...allowed, when: 'message.size > 1' },
      { ...allowed, when: 'message.size > 100000' },
    ],
  });
  assert.equal(await send(rig, { mail: 'OPESBYPASS=*' }), 250);
  assert.deepEqual(marks(text(rig)), ['s1 outcome=bypassed;bypass=honoured']);
});

test('what a service said of MAIL stands, for whoever asks it away at RCPT', async () => {
  const { rig } = submission([asksOf('MAIL', 'X-1: 1')], { each: [allowed] });
  // The second mail finds the selection known: MAIL waits for the service.
  assert.equal(await send(rig), 250);
  assert.equal(await send(rig, { rcpt: 'OPESBYPASS=*' }), 250);
  assert.deepEqual(marks(text(rig)), ['s1 outcome=header-added;bypass=late']);
  assert.equal(await send(rig, { mail: 'OPESBYPASS=*' }), 250);
  assert.deepEqual(marks(text(rig)), ['s1 outcome=bypassed;bypass=honoured']);
});

test('who was told of MAIL and asked nothing yet has had no say, and is left out at RCPT', async () => {
  const { rig } = submission([asksOf('MAIL', 'X-1: 1'), onRcpt], { each: [allowed, allowed] });
  assert.equal(await send(rig), 250);
  assert.equal(await send(rig, { rcpt: 'OPESBYPASS=*' }), 250);
  assert.deepEqual(marks(text(rig)), ['s1 outcome=header-added;bypass=late', 's2 outcome=bypassed;bypass=honoured']);
});

test('a mail that is stored to be adapted later keeps who asked for what', async () => {
  const spool = new RecordingSpool();
  const { rig } = submission([dies, adds('X-2: 1')], { each: [{ onFailure: 'spool' }, allowed], spool });
  assert.equal(await send(rig, { mail: `OPESBYPASS=${S2}`, rcpt: 'OPESBYPASS=urn:x:y' }), 250);
  assert.equal(await send(rig, { content: `OPES-Bypass: ${S2}\r\n${MAIL}` }), 250);
  assert.deepEqual(
    spool.taken.map(({ lane, params, to }) => [lane, Object.fromEntries(params), to]),
    [
      ['adapt', { OPESBYPASS: S2, OPESAUTH: true }, ['<b@dst.example> OPESBYPASS=urn:x:y']],
      ['adapt', { OPESAUTH: true }, ['<b@dst.example>']],
    ],
  );
});

test('a service that the request came too late for is too late for the mail as it is stored, too', async () => {
  const spool = new RecordingSpool();
  const rewrites: Script = {
    ...keepAll(['RCPT', 'RAWDATA']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      const to = '<n@dst.example>';
      if (part.part === 'RCPT') tx.sendData(answerBlock('RCPT', {}), [Buffer.from(to)], to.length);
    },
    onOriginalEnd: (tx) => tx.end({ code: 400, reason: 'broken' }),
  };
  const each = [{ ...allowed, onFailure: 'spool' as const }, allowed];
  const { rig } = submission([rewrites, adds('X-2: 1')], { each, spool });
  assert.equal(await send(rig, { content: `OPES-Bypass: *\r\n${MAIL}` }), 250);
  const [taken] = spool.taken;
  assert.deepEqual([taken?.to, taken?.resume], [['<n@dst.example>'], { service: 's1', via: [], late: ['s1'] }]);
});

test('the reply of a refused mail says nothing of requests', async () => {
  const { rig } = submission([keepAll(['RAWDATA'])], { each: [allowed] });
  rig.hopRefuses.set('<b@dst.example>', reply(550, '5.1.1', 'no such user'));
  assert.equal(await send(rig, { mail: 'OPESBYPASS=*' }), 550);
});

test('what builds on a service is left out with it, whatever is asked of a chain of five, in either form (REQ-079)', async () => {
  const builtOn: readonly (readonly string[])[] = [[], ['s1'], [], ['s2', 's3'], ['s4']];
  const all = builtOn.map((_, i) => `http://svc.example/s${i + 1}`);
  for (let subset = 1; subset < 1 << builtOn.length; subset++) {
    const asked = all.filter((_, i) => (subset & (1 << i)) !== 0).join(',');
    for (const how of [{ mail: `OPESBYPASS=${asked}` }, { content: `OPES-Bypass: ${asked}\r\n${MAIL}` }]) {
      const { rig } = submission(
        all.map((_, i) => adds(`X-${i + 1}: 1`)),
        { each: builtOn.map((buildsOn) => ({ ...allowed, buildsOn })) },
      );
      assert.equal(await send(rig, how), 250);
      const left = new Set(marks(text(rig)).flatMap((mark) => (mark.includes('bypassed') ? [mark.slice(0, 2)] : [])));
      for (const [i, names] of builtOn.entries()) {
        const isAsked = (subset & (1 << i)) !== 0;
        const isUseless = names.some((name) => left.has(name));
        assert.equal(left.has(`s${i + 1}`), isAsked || isUseless, `s${i + 1} of ${asked}`);
      }
    }
  }
});

test('where the request is too late for a service, it is for what that one builds on, and for nothing else', async () => {
  const { rig } = submission([adds('X-1: 1'), adds('X-2: 1'), asksOf('RCPT', 'X-3: 1'), adds('X-4: 1')], {
    each: [allowed, { ...allowed, buildsOn: ['s1'] }, { ...allowed, buildsOn: ['s2'] }, allowed],
  });
  assert.equal(await send(rig, { content: `OPES-Bypass: *\r\n${MAIL}` }), 250);
  const late = 'outcome=header-added;bypass=late';
  assert.deepEqual(marks(text(rig)), [`s1 ${late}`, `s2 ${late}`, `s3 ${late}`, 's4 outcome=bypassed;bypass=honoured']);
});

test('the same of a service that had answered MAIL, when a recipient asks', async () => {
  const { rig } = submission([adds('X-1: 1'), asksOf('MAIL', 'X-2: 1')], {
    each: [allowed, { ...allowed, buildsOn: ['s1'] }],
  });
  assert.equal(await send(rig), 250);
  const begun = await rig.begin();
  for (const to of ['b@dst.example', 'c@dst.example'])
    assert.equal((await begun.mail.rcpt(to, 'OPESBYPASS=*')).code, 250);
  assert.equal((await begun.mail.content(MAIL)).code, 250);
  const late = 'outcome=header-added;bypass=late';
  assert.deepEqual(marks(text(rig)), [`s1 ${late}`, `s2 ${late}`]);
});

test('the log names who asked also where a service before it may not be left out', async () => {
  const { rig } = submission([adds('X-1: 1'), adds('X-2: 1')], { each: [{}, allowed] });
  assert.equal(await send(rig, { mail: 'OPESBYPASS=*' }), 250);
  const line = rig.logged.find(({ event }) => event === 'callout.bypassed')?.fields;
  assert.deepEqual(line, { mail: 'session.1', service: 's2', by: 'OPESBYPASS of login alice' });
});

test('authority is told on also where only a later recipient asks, of a service of another System', async () => {
  const spool = new RecordingSpool('spool');
  const { rig } = submission([adds('X-1: 1')], { each: [{ bypassable: 'never' }], spool });
  const { mail } = await rig.begin();
  await mail.rcpt('b@dst.example');
  await mail.rcpt('c@dst.example', 'OPESBYPASS=urn:x:y');
  assert.equal((await mail.content(MAIL)).code, 250);
  assert.deepEqual(
    spool.taken.map(({ params, to }) => [Object.fromEntries(params), to]),
    [[{ OPESAUTH: true }, ['<b@dst.example>', '<c@dst.example> OPESBYPASS=urn:x:y']]],
  );
});
