/** What a service advises in place of passing a mail on: followed where the operator lets it, and else a failure. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import type { Script } from '../../../test/support/memory-callout.ts';
import { RecordingSpool } from '../../../test/support/recording-spool.ts';
import {
  adds,
  advises,
  body,
  finish,
  keepAll,
  keepData,
  MAIL,
  rigWith,
} from '../../../test/support/scripted-services.ts';
import { type Advice, answerBlock } from '../../profile/index.ts';
import type { Permission } from '../options.ts';

const QUARANTINE: Advice = { kind: 'quarantine', reason: 'score 12' };
const DELAY: Advice = { kind: 'delay', seconds: 600, reason: 'outbreak' };
const MAY: readonly Permission[] = ['quarantine', 'delay', 'add-header', 'refuse', 'rewrite-recipient'];
const VIP = { when: "recipient.local == 'vip'" };

const addsFirst = adds('X-First: 1');

test('quarantine: taken as it came, held for its recipients, not passed on; log and record say who and why', async () => {
  const spool = new RecordingSpool();
  const { rig } = rigWith([addsFirst, advises(QUARANTINE), addsFirst], { may: MAY, spool });
  const { final } = await rig.send(MAIL, ['b@dst.example', 'c@dst.example']);
  assert.equal(final?.code, 250);
  const [taken] = spool.taken;
  const fate = { kind: 'hold', service: 's2', reason: 'verdict', words: 'score 12' };
  assert.deepEqual(
    taken?.recipients.map((one) => one.fate),
    [fate, fate],
  );
  assert.equal(taken?.octets.toString(), MAIL);
  assert.ok(rig.delivered.every(({ isComplete }) => !isComplete));
  assert.deepEqual(
    rig.records[0]?.calls.map(({ service, verdict, detail }) => [service, verdict, detail]),
    [
      ['s1', 'changed', ''],
      ['s2', 'quarantined', 'score 12'],
      ['s3', 'not-called', ''],
    ],
  );
  const said = rig.logged.find(({ event }) => event === 'callout.advised')?.fields;
  assert.deepEqual([said?.['service'], said?.['advice'], said?.['reason']], ['s2', 'quarantine', 'score 12']);
});

test('quarantine where nobody is told: refused, with our trace, and the copy is kept', async () => {
  const spool = new RecordingSpool();
  spool.hasNotice = false;
  const { rig } = rigWith([advises(QUARANTINE)], { may: MAY, spool });
  const { final } = await rig.send(MAIL);
  assert.equal(final?.code, 554);
  assert.match(final?.text.join('\n') ?? '', /OPES-System: https:\/\/mail\.example\.com\/opes\?id=session\.1/);
  assert.equal(spool.taken[0]?.octets.toString(), MAIL);
});

test('quarantine for some recipients only: the others get the mail', async () => {
  const spool = new RecordingSpool();
  const { rig } = rigWith([advises(QUARANTINE)], { may: MAY, each: [VIP], spool });
  const { final } = await rig.send(MAIL, ['vip@dst.example', 'plain@dst.example']);
  assert.equal(final?.code, 250);
  assert.deepEqual(
    spool.taken.map(({ to, fates, lane }) => [to, fates, lane]),
    [
      [['<vip@dst.example>'], ['hold'], 'adapt'],
      [['<plain@dst.example>'], ['deliver'], 'relay'],
    ],
  );
});

test('delay: stored with what earlier services did, to go on with the one that said it, and not before', async () => {
  const spool = new RecordingSpool();
  const { rig } = rigWith([addsFirst, advises(DELAY)], { may: MAY, spool });
  const { final } = await rig.send(MAIL);
  assert.equal(final?.code, 250);
  const [taken] = spool.taken;
  assert.equal(taken?.lane, 'adapt');
  assert.deepEqual(taken?.recipients[0]?.fate, { kind: 'delay', forMs: 600_000 });
  assert.equal(taken?.resume?.service, 's2');
  assert.deepEqual(
    taken?.resume?.via.map(({ uri, outcome }) => [uri, outcome]),
    [
      ['http://svc.example/s1', 'header-added'],
      ['http://svc.example/s2', 'delayed'],
    ],
  );
  assert.equal(taken?.octets.toString(), `X-First: 1\r\n${MAIL}`);
  assert.deepEqual(rig.records[0]?.calls[1]?.verdict, 'delayed');
});

test('advice on a reference to the original, as draft-00 has it, voids the rest of the answer', async () => {
  const spool = new RecordingSpool();
  const script: Script = {
    ...keepAll(['RAWDATA']),
    onOriginalEnd(tx, all) {
      keepData(tx, all, 'Add-Header: "4:X: 1"\r\nAdvice: Quarantine\r\n');
      finish(tx);
    },
  };
  const { rig } = rigWith([script], { may: MAY, spool });
  assert.equal((await rig.send(MAIL)).final?.code, 250);
  assert.deepEqual(spool.taken[0]?.recipients[0]?.fate, { kind: 'hold', service: 's1', reason: 'verdict', words: '' });
  assert.equal(spool.taken[0]?.octets.toString(), MAIL);
});

test('advice while the content still comes is followed when all of it is there', async () => {
  const spool = new RecordingSpool();
  const script: Script = {
    ...keepAll(['RAWDATA']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part !== 'RAWDATA' || all.filter((one) => one.part === 'RAWDATA').length > 1) return;
      tx.sendData(answerBlock('RAWDATA', { advice: QUARANTINE }), [], 0);
      finish(tx);
    },
  };
  const { rig } = rigWith([script, addsFirst], { may: MAY, spool });
  const { mail } = await rig.begin();
  await mail.rcpt('b@dst.example');
  const large = `${MAIL}${'0123456789\r\n'.repeat(20_000)}`;
  assert.equal((await mail.content(large, 9)).code, 250);
  assert.equal(spool.taken[0]?.octets.toString(), large);
  assert.deepEqual(spool.taken[0]?.fates, ['hold']);
});

test('without the permission the answer is a failure, and its policy decides', async () => {
  for (const [advice, may] of [
    [QUARANTINE, ['delay', 'refuse']],
    [DELAY, ['quarantine', 'refuse']],
    [{ ...QUARANTINE, delay: DELAY }, ['quarantine', 'refuse']],
  ] as const) {
    const spool = new RecordingSpool();
    const { rig } = rigWith([advises(advice)], { may, onFailure: 'reject', spool });
    assert.equal((await rig.send(MAIL)).final?.code, 554);
    assert.equal(spool.taken.length, 0);
    const { detail } = rig.records[0]?.calls[0] ?? { detail: '' };
    assert.equal(detail, `invalid: no permission: ${may[0] === 'delay' ? 'quarantine' : 'delay'}`);
  }
});

test('advice that would throw the mail away is a failure too', async () => {
  const script: Script = {
    ...keepAll(['RAWDATA']),
    onOriginalEnd(tx, all) {
      keepData(tx, all, 'Advice: Discard\r\n');
      finish(tx);
    },
  };
  const { rig } = rigWith([script], { may: MAY, spool: new RecordingSpool() });
  assert.equal((await rig.send(MAIL)).final?.code, 451);
  assert.equal(rig.records[0]?.calls[0]?.detail, 'invalid: advice-discard');
});

test('unknown advice is not carried out, and the log says so', async () => {
  const script: Script = {
    ...keepAll(['RAWDATA']),
    onOriginalEnd(tx, all) {
      for (const part of all)
        if (part.part === 'RAWDATA')
          tx.sendData('AM-Part: RAWDATA\r\nAdvice: ({split x})\r\n', [part.octets], part.octets.length);
      finish(tx);
    },
  };
  const { rig } = rigWith([script], { may: MAY, spool: new RecordingSpool() });
  assert.equal((await rig.send(MAIL)).final?.text[0], 'queued as 1');
  assert.ok(body(rig.delivered[0]).endsWith(MAIL));
  const flaw = rig.logged.find(({ event }) => event === 'callout.reply')?.fields['flaw'];
  assert.equal(flaw, 'advice-unknown');
});

/** Advice on RCPT, by the way it comes. */
const ON_RCPT: Readonly<Record<string, NonNullable<Script['onPart']>>> = {
  reference: (tx, part) => tx.useYours(part.offset, part.octets.length, 'Advice: Quarantine\r\n'),
  'our words': (tx) => tx.sendData(answerBlock('RCPT', { advice: QUARANTINE }), [], 0),
  'words of draft-00': (tx, part) =>
    tx.sendData('AM-Part: RCPT\r\nAdvice: Quarantine\r\n', [part.octets], part.octets.length),
};

/** There is no mail yet that could be kept; and where the command is told as a replay, nobody waits for a word on it. */
for (const [what, when, hears] of [
  ['at RCPT', undefined, 'RCPT'],
  ['on a command that is told as a replay', 'message.size > 0', 'content'],
] as const)
  for (const [how, advise] of Object.entries(ON_RCPT))
    test(`advice ${what}, by ${how}, is a failure, and not passed over`, async () => {
      const script: Script = {
        ...keepAll(['RCPT', 'RAWDATA']),
        onPart(tx, part, all) {
          if (all.length === 1) tx.startMessage();
          if (part.part === 'RCPT') advise(tx, part, all);
        },
      };
      const rule = when === undefined ? {} : { when };
      const { rig } = rigWith([script], { may: MAY, ...rule, spool: new RecordingSpool() });
      const { rcpts, final } = await rig.send(MAIL);
      assert.equal(hears === 'RCPT' ? rcpts[0]?.code : final?.code, 451);
      assert.ok(rig.logged.some(({ fields }) => fields['detail'] === 'advice-on-command'));
    });

test('a service that may do nothing but quarantine is offered the content to answer, and may not change it', async () => {
  const { rig } = rigWith([addsFirst], { may: ['quarantine'], spool: new RecordingSpool() });
  assert.equal((await rig.send(MAIL)).final?.code, 451);
  assert.equal(rig.records[0]?.calls[0]?.detail, 'invalid: no permission: add-header');
});

test('without a spool nothing is taken that could not be kept', async () => {
  for (const advice of [QUARANTINE, DELAY]) {
    const { rig } = rigWith([advises(advice)], { may: MAY });
    assert.equal((await rig.send(MAIL)).final?.code, 452);
    assert.ok(rig.delivered.every(({ isComplete }) => !isComplete));
  }
});

test('who waits is judged by the message as it came, whatever services made of it: nobody is left out by that', async () => {
  const renames: Script = {
    ...keepAll(['RAWDATA']),
    onOriginalEnd(tx, all) {
      for (const { part, octets } of all) {
        if (part !== 'RAWDATA') continue;
        const changed = Buffer.from(octets.toString('latin1').replace('Subject: test', 'Subject: other'), 'latin1');
        tx.sendData(answerBlock('RAWDATA', {}), [changed], changed.length);
      }
      finish(tx);
    },
  };
  const when = "message.headers['subject'] == 'test'";
  const spool = new RecordingSpool();
  const { rig } = rigWith([renames, advises(DELAY), addsFirst], {
    may: [...MAY, 'edit-header', 'edit-content'],
    each: [{}, {}, { when }],
    spool,
  });
  assert.equal((await rig.send(MAIL)).final?.code, 250);
  assert.match(spool.taken[0]?.octets.toString() ?? '', /^Subject: other\r\n/m);
  assert.deepEqual(spool.taken[0]?.recipients[0]?.judged, { [`s3 ${when}`]: true });
});

test('of content that nobody changed nothing is noted: it can be judged again', async () => {
  const spool = new RecordingSpool();
  const { rig } = rigWith([advises(DELAY), addsFirst], { may: MAY, each: [{}, { when: 'message.size > 10' }], spool });
  await rig.send(MAIL);
  assert.equal(spool.taken[0]?.recipients[0]?.judged, undefined);
});
