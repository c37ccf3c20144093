/** Recipients that differ in next hop or services: each gets what its own policy says, and the client one true answer. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { LISTENER } from '../../../test/support/mail-rig.ts';
import type { Script } from '../../../test/support/memory-callout.ts';
import { RecordingSpool } from '../../../test/support/recording-spool.ts';
import { plainRoute } from '../../../test/support/routes.ts';
import { adds, body, dies, finish, keepAll, MAIL, refuses, rigWith } from '../../../test/support/scripted-services.ts';
import { answerBlock } from '../../profile/index.ts';
import { reply } from '../../smtp/index.ts';
import type { RouteOptions } from '../options.ts';
import { makeSessionView, spooledSession } from './session-view.ts';

const ROUTES: readonly RouteOptions[] = [plainRoute('one.example', 'one', 25), plainRoute('two.example', 'two', 25)];
const VIP = { when: "recipient.local == 'vip'" };

test('without a spool a recipient of another group is put off', async () => {
  const { rig } = rigWith([], { routes: ROUTES });
  const { rcpts, final } = await rig.send(MAIL, ['a@one.example', 'b@two.example']);
  assert.deepEqual(
    rcpts.map(({ code }) => code),
    [250, 452],
  );
  assert.equal(final?.code, 250);
});

test('two next hops: both are asked about their recipients, none gets the content before it is stored', async () => {
  const spool = new RecordingSpool();
  const { rig } = rigWith([], { routes: ROUTES, spool });
  rig.hopRefuses.set('<no@two.example>', reply(550, '5.1.1', 'No such user'));
  const { rcpts, final } = await rig.send(MAIL, ['a@one.example', 'b@two.example', 'no@two.example']);
  assert.deepEqual(
    rcpts.map(({ code }) => code),
    [250, 250, 550],
  );
  assert.equal(rcpts[2]?.text[0], 'No such user');
  assert.match(final?.text[0] ?? '', /accepted as session\.1/);
  assert.deepEqual(
    rig.delivered.map(({ hop, isComplete }) => [hop, isComplete]),
    [
      ['one', false],
      ['two', false],
    ],
  );
  assert.deepEqual(
    spool.taken.map(({ to, fates, lane }) => [to, fates, lane]),
    [[['<a@one.example>', '<b@two.example>'], ['deliver', 'deliver'], 'relay']],
  );
  assert.ok(spool.taken[0]?.octets.toString().endsWith(MAIL));
  assert.ok(!/\bfor </.test(spool.taken[0]?.octets.toString() ?? ''), 'no recipient is named to another');
  assert.equal(rig.records[0]?.outcome, 'stored');
});

test('where one hop refuses all of its recipients, what is left is relayed inline', async () => {
  const spool = new RecordingSpool();
  const { rig } = rigWith([], { routes: ROUTES, spool });
  rig.hopRefuses.set('<no@two.example>', reply(550, '5.1.1', 'No such user'));
  const { final } = await rig.send(MAIL, ['a@one.example', 'no@two.example']);
  assert.equal(final?.text[0], 'queued as 1');
  assert.equal(spool.taken.length, 0);
  assert.equal(rig.delivered[0]?.isComplete, true);
});

test('different services: each variant has its own trace and content, and neither shows the other', async () => {
  const spool = new RecordingSpool();
  const { rig } = rigWith([adds('X-Vip: yes'), adds('X-All: yes')], { each: [VIP], spool });
  const { final } = await rig.send(MAIL, ['vip@dst.example', 'plain@dst.example']);
  assert.equal(final?.code, 250);
  assert.deepEqual(
    spool.taken.map(({ to }) => to),
    [['<vip@dst.example>'], ['<plain@dst.example>']],
  );
  const [vip, plain] = spool.taken.map(({ octets }) => octets.toString());
  assert.match(vip ?? '', /s1;outcome=header-added[\s\S]*s2;outcome=header-added[\s\S]*X-All: yes\r\nX-Vip: yes\r\n/);
  assert.match(plain ?? '', /s2;outcome=header-added/);
  assert.ok(!plain?.includes('s1') && !plain?.includes('X-Vip') && !plain?.includes('vip@'));
  assert.equal(spool.disposed, 1);
});

test('recipients with the same services share one variant, in whatever order they come', async () => {
  const spool = new RecordingSpool();
  const { rig, callouts } = rigWith([adds('X-Vip: yes')], { each: [VIP], spool });
  await rig.send(MAIL, ['vip@a.example', 'x@b.example', 'vip@c.example', 'y@d.example']);
  assert.deepEqual(
    spool.taken.map(({ to }) => to),
    [
      ['<vip@a.example>', '<vip@c.example>'],
      ['<x@b.example>', '<y@d.example>'],
    ],
  );
  assert.equal(callouts.seen.length, 1, 'one transaction with the service');
});

test('refused for some and not for others: an unknown sender gets no report, the copy is kept aside', async () => {
  const spool = new RecordingSpool();
  const { rig } = rigWith([refuses('550 5.7.1 no')], { each: [VIP], spool });
  const { final } = await rig.send(MAIL, ['vip@dst.example', 'plain@dst.example']);
  assert.equal(final?.code, 250);
  const [vip, plain] = spool.taken;
  assert.deepEqual(vip?.fates, ['hold']);
  assert.equal(vip?.lane, 'adapt');
  assert.equal(vip?.octets.toString(), MAIL, 'what is kept aside is the mail as it came');
  assert.deepEqual(vip?.recipients[0]?.fate, { kind: 'hold', service: 's1', reason: 'refused' });
  assert.deepEqual(plain?.fates, ['deliver']);
});

test('refused for some and not for others: a sender who logged in is told by a report', async () => {
  const spool = new RecordingSpool();
  const { rig } = rigWith([refuses('550 5.7.1 no')], { each: [VIP], spool });
  rig.user = 'a';
  const { final } = await rig.send(MAIL, ['vip@dst.example', 'plain@dst.example']);
  assert.equal(final?.code, 250);
  const fate = spool.taken[0]?.recipients[0]?.fate;
  assert.equal(fate?.kind === 'refused' ? fate.reply.code : 0, 550);
});

test('refused for some because a service does not work: no verdict on its content, so the sender is told', async () => {
  const spool = new RecordingSpool();
  const { rig } = rigWith([dies], { each: [{ ...VIP, onFailure: 'reject' }], spool });
  const { mail } = await rig.begin();
  for (const recipient of ['vip@dst.example', 'plain@dst.example']) await mail.rcpt(recipient);
  assert.equal((await mail.content(`${MAIL}${'line\r\n'.repeat(1000)}`, 7)).code, 250);
  const fate = spool.taken[0]?.recipients[0]?.fate;
  assert.deepEqual(fate?.kind === 'refused' && [fate.service, fate.because, fate.reply.code], ['s1', 'failure', 554]);
});

test('refused for all: the client is told, and nothing is stored', async () => {
  const spool = new RecordingSpool();
  const { rig } = rigWith([refuses('550 5.7.1 no'), refuses('554 5.7.1 never')], {
    each: [VIP, { when: "recipient.local != 'vip'" }],
    spool,
  });
  const { final } = await rig.send(MAIL, ['vip@dst.example', 'plain@dst.example']);
  assert.equal(final?.code, 550);
  assert.equal(spool.taken.length, 0);
  assert.ok(rig.delivered.every(({ isComplete }) => !isComplete));
});

test('refused for now for some: the client keeps the whole mail, so that nobody gets it twice', async () => {
  const spool = new RecordingSpool();
  const { rig } = rigWith([refuses('451 4.7.1 later')], { each: [VIP], spool });
  const { final } = await rig.send(MAIL, ['vip@dst.example', 'plain@dst.example']);
  assert.equal(final?.code, 451);
  assert.equal(spool.taken.length, 0);
});

test('onFailure quarantine: taken, whole and as it came, and not passed on', async () => {
  const spool = new RecordingSpool();
  const { rig } = rigWith([adds('X-First: 1'), dies], { each: [{}, { onFailure: 'quarantine' }], spool });
  const { mail } = await rig.begin();
  await mail.rcpt('b@dst.example');
  const final = await mail.content(`${MAIL}${'line\r\n'.repeat(1000)}`, 7);
  assert.equal(final.code, 250);
  assert.deepEqual(spool.taken[0]?.recipients[0]?.fate, { kind: 'hold', service: 's2', reason: 'crash' });
  assert.equal(spool.taken[0]?.octets.toString(), `${MAIL}${'line\r\n'.repeat(1000)}`);
  assert.ok(rig.delivered.every(({ isComplete }) => !isComplete));
});

test('onFailure quarantine where nobody is told: the copy is kept, and the client refused', async () => {
  const spool = new RecordingSpool();
  spool.hasNotice = false;
  const { rig } = rigWith([dies], { onFailure: 'quarantine', spool });
  const { final } = await rig.send(MAIL);
  assert.deepEqual([final?.code, final?.text.length], [554, 2]);
  assert.equal(spool.taken[0]?.octets.toString(), MAIL);
});

test('onFailure spool: taken with what earlier services did, to go on with the one that failed', async () => {
  const spool = new RecordingSpool();
  const { rig } = rigWith([adds('X-First: 1'), dies], { each: [{}, { onFailure: 'spool' }], spool });
  const { final } = await rig.send(MAIL);
  assert.equal(final?.code, 250);
  const [taken] = spool.taken;
  assert.equal(taken?.lane, 'adapt');
  assert.equal(taken?.resume?.service, 's2');
  assert.deepEqual(
    taken?.resume?.via.map(({ uri, outcome }) => [uri, outcome]),
    [['http://svc.example/s1', 'header-added']],
  );
  assert.equal(taken?.octets.toString(), `X-First: 1\r\n${MAIL}`);
});

test('onFailure spool where the server is gone before RCPT: the recipient is taken, the service is to see it later', async () => {
  const spool = new RecordingSpool();
  const { rig, callouts } = rigWith([keepAll(['RCPT', 'RAWDATA'])], { onFailure: 'spool', timeoutMs: 50, spool });
  callouts.servers.clear();
  const sent = rig.send(MAIL);
  for (let i = 0; i < 50; i++) {
    await new Promise(setImmediate);
    callouts.deadlines.tick(i * 1000);
  }
  const { rcpts, final } = await sent;
  assert.deepEqual([rcpts[0]?.code, final?.code], [250, 250]);
  assert.equal(spool.taken[0]?.resume?.service, 's1');
  assert.equal(body(rig.delivered[0]), '');
});

test('mode spool: no hop is asked, and the mail is stored before its 250', async () => {
  const spool = new RecordingSpool('spool');
  const { rig } = rigWith([], { spool });
  const { final } = await rig.send(MAIL);
  assert.equal(final?.code, 250);
  assert.deepEqual(rig.delivered, []);
  assert.equal(spool.taken.length, 1);
});

test('what cannot be stored is not accepted', async () => {
  const spool = new RecordingSpool('spool');
  spool.fails = new Error('disk full');
  const { rig } = rigWith([], { spool });
  const { final } = await rig.send(MAIL);
  assert.equal(final?.code, 452);
  assert.equal(rig.records[0]?.outcome, 'tempfailed');
  spool.isFull = true;
  assert.equal((await rig.begin()).reply.code, 452);
});

test('a rewritten recipient does not go where its client may not send', async () => {
  const anywhere: RouteOptions = { ...plainRoute('*', 'any', 25), nextHop: { kind: 'mx' } };
  const rewrites: Script = {
    ...keepAll(['RCPT']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part === 'RCPT') tx.sendData(answerBlock('RCPT', {}), [Buffer.from('<new@far.example>')], 17);
    },
    onOriginalEnd: finish,
  };
  for (const [user, code] of [
    ['', 451],
    ['ann', 250],
  ] as const) {
    const { rig } = rigWith([rewrites], { routes: [...ROUTES, anywhere], spool: new RecordingSpool() });
    rig.user = user;
    const { rcpts } = await rig.send(MAIL, ['a@one.example']);
    assert.equal(rcpts[0]?.code, code, user);
  }
});

test('a rewritten recipient may go to another next hop where there is a spool', async () => {
  const rewrites: Script = {
    ...keepAll(['RCPT']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part === 'RCPT') tx.sendData(answerBlock('RCPT', {}), [Buffer.from('<new@two.example>')], 17);
    },
    onOriginalEnd: finish,
  };
  const { rig } = rigWith([rewrites], { routes: ROUTES, spool: new RecordingSpool() });
  const { final } = await rig.send(MAIL, ['a@one.example']);
  assert.equal(final?.text[0], 'queued as 1');
  assert.deepEqual(
    rig.delivered.map(({ hop, rcpts }) => [hop, rcpts]),
    [['two', ['<new@two.example>']]],
  );
});

test('a variant that was refused early holds nobody back', async () => {
  // Stops reading, and refuses only when the client was held for it.
  const held: (() => void)[] = [];
  const stalls: Script = {
    ...keepAll(['RAWDATA']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part !== 'RAWDATA' || held.length > 0) return;
      tx.wantPause();
      held.push(() => {
        tx.sendData(answerBlock('RAWDATA', { smtpError: '550 5.7.1 no' }), [], 0);
        finish(tx);
      });
    },
  };
  const { rig } = rigWith([stalls], { each: [VIP], spool: new RecordingSpool() });
  const { mail } = await rig.begin();
  await Promise.all([mail.rcpt('vip@dst.example'), mail.rcpt('plain@dst.example')]);
  const final = mail.content(MAIL + `${'x'.repeat(62)}\r\n`.repeat(40_000), 10);
  await mail.paused();
  held[0]?.();
  await mail.resumed();
  assert.equal((await final).code, 250);
});

test('a service that takes no more of the content holds the client back for its timeout, and no longer', async () => {
  const stalls: Script = {
    ...keepAll(['RAWDATA']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part === 'RAWDATA') tx.wantPause();
    },
  };
  const { rig } = rigWith([stalls], { timeoutMs: 5000 });
  const { mail } = await rig.begin();
  await mail.rcpt('b@dst.example');
  void mail.content(MAIL + `${'x'.repeat(62)}\r\n`.repeat(40_000), 10);
  await mail.paused();
  rig.world.deadlines.tick(rig.world.deadlines.nowMs + 6000);
  // Held longer, it could be gone without anybody knowing.
  await mail.resumed();
});

test('a report on success is asked for: the mail takes the way on which one is made', async () => {
  const spool = new RecordingSpool();
  const { rig } = rigWith([], { spool });
  const { mail } = await rig.begin();
  await mail.rcpt('b@dst.example', 'NOTIFY=SUCCESS');
  assert.match((await mail.content(MAIL)).text[0] ?? '', /accepted as/);
  assert.deepEqual(spool.taken[0]?.to, ['<b@dst.example> NOTIFY=SUCCESS']);
});

test('a service that refused all of its recipients stands in the record, and is counted', async () => {
  const script: Script = {
    ...keepAll(['RCPT']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part === 'RCPT') tx.sendData(answerBlock('RCPT', { smtpError: '550 5.7.1 no' }), [], 0);
    },
  };
  const { rig } = rigWith([script], { each: [VIP], spool: new RecordingSpool() });
  const { rcpts, final } = await rig.send(MAIL, ['vip@dst.example', 'plain@dst.example']);
  assert.deepEqual([rcpts.map(({ code }) => code), final?.text[0]], [[550, 250], 'queued as 1']);
  assert.deepEqual(
    rig.records[0]?.calls.map(({ service, verdict }) => [service, verdict]),
    [['s1', 'refused']],
  );
});

test('a rewritten sender is stored beside the one the client named, and the client with its name', async () => {
  const spool = new RecordingSpool('spool');
  const script: Script = {
    ...keepAll(['MAIL']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part === 'MAIL') tx.sendData(answerBlock('MAIL', {}), [Buffer.from('<z@src.example>')], 15);
    },
  };
  const { rig } = rigWith([script], { spool });
  assert.equal((await rig.send(MAIL)).final?.code, 250);
  const [taken] = spool.taken;
  assert.deepEqual([taken?.reversePath, taken?.namedSender], ['<z@src.example>', '<a@src.example>']);
  const origin = {
    id: 's',
    listener: LISTENER,
    clientAddress: '192.0.2.1',
    verb: 'EHLO',
    helo: 'h',
    tls: false,
  } as const;
  const view = makeSessionView('mx.example.com', { ...origin, clientName: 'c.example.org' });
  assert.equal(
    makeSessionView('mx.example.com', { ...spooledSession(view), listener: LISTENER }).facts.client.name,
    'c.example.org',
  );
});
