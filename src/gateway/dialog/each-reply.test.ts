/** A client that hears each recipient: over LMTP, or by PRDR. Each hears what became of it, and nobody else is told. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { LISTENER } from '../../../test/support/mail-rig.ts';
import type { Script } from '../../../test/support/memory-callout.ts';
import { RecordingSpool } from '../../../test/support/recording-spool.ts';
import { plainRoute } from '../../../test/support/routes.ts';
import { adds, dies, MAIL, type RigOptions, refuses, rigWith } from '../../../test/support/scripted-services.ts';
import { QUEUE } from '../../../test/support/spool-rig.ts';
import { type Reply, reply } from '../../smtp/index.ts';
import { checkMail } from '../check/check-mail.ts';
import type { RouteOptions } from '../options.ts';

const LMTP: RouteOptions = {
  ...plainRoute('box.example', 'box', 24),
  nextHop: { kind: 'lmtp', host: 'box', port: 24 },
};
const ROUTES = [plainRoute('one.example', 'one', 25), plainRoute('two.example', 'two', 25), LMTP];
const VIP = { when: "recipient.local == 'vip'" };
const TEMP = { when: "recipient.local == 'temp'" };

/** A rig with these scripts, the routes above, and a client that hears each. */
function rigThatHears(hears: 'one' | 'lmtp' | 'prdr', scripts: readonly Script[], options: RigOptions = {}) {
  const made = rigWith(scripts, { routes: ROUTES, ...options });
  made.rig.hears = hears;
  return made;
}

const codes = (each: readonly Reply[] | undefined) => each?.map(({ code }) => code);

for (const hears of ['lmtp', 'prdr'] as const) {
  test(`${hears}: three verdicts, three replies, and nothing reported or kept aside`, async () => {
    const spool = new RecordingSpool();
    const { rig } = rigThatHears(hears, [refuses('550 5.7.1 no'), refuses('451 4.7.1 later')], {
      each: [VIP, TEMP],
      spool,
    });
    const { each, final } = await rig.send(MAIL, ['temp@one.example', 'plain@one.example', 'vip@one.example']);
    assert.deepEqual(codes(each), [451, 250, 550]);
    assert.equal(each?.[1]?.text[0], 'queued as 1', "the hop's own word");
    for (const i of [0, 2])
      assert.match(each?.[i]?.text.join(' ') ?? '', /https:\/\/mail\.example\.com\/opes/, 'trace');
    assert.equal(final?.text[0], 'OK, message accepted for some recipients');
    assert.equal(spool.taken.length, 0);
    assert.deepEqual(
      rig.delivered.filter(({ isComplete }) => isComplete).map(({ rcpts }) => rcpts),
      [['<plain@one.example>']],
    );
    const [record] = rig.records;
    assert.equal(record?.outcome, 'relayed');
    assert.deepEqual(
      record?.recipients.map((one) => one.reply?.code),
      [451, 250, 550],
    );
    assert.deepEqual([record?.nextHop?.address, record?.nextHop?.reply], ['one:25', undefined]);
    const line = rig.logged.find(({ event }) => event === 'mail')?.fields;
    assert.deepEqual(line?.['to'], ['temp@one.example 451', 'plain@one.example 250', 'vip@one.example 550']);
    assert.equal(line?.['nextHop'], 'one:25');
  });

  test(`${hears}: all refused, each with its own reply`, async () => {
    const { rig } = rigThatHears(hears, [refuses('550 5.7.1 no'), refuses('451 4.7.1 later')], {
      each: [VIP, TEMP],
      spool: new RecordingSpool(),
    });
    const { each } = await rig.send(MAIL, ['vip@one.example', 'temp@one.example']);
    assert.deepEqual(codes(each), [550, 451]);
    assert.equal(rig.records[0]?.outcome, 'tempfailed');
  });

  test(`${hears}: several next hops are relayed to inline, each with its own answer`, async () => {
    const spool = new RecordingSpool();
    const { rig } = rigThatHears(hears, [], { spool });
    rig.hopFinals.set('two', reply(554, '5.6.0', 'not here'));
    rig.hopRefuses.set('<no@one.example>', reply(550, '5.1.1', 'No such user'));
    const to = ['b@two.example', 'a@one.example', 'no@one.example', 'c@two.example'];
    const { rcpts, each } = await rig.send(MAIL, to);
    assert.deepEqual(codes(rcpts), [250, 250, 550, 250]);
    assert.deepEqual(
      each?.map(({ code, text }) => `${code} ${text[0]}`),
      ['554 not here', '250 queued as 1', '554 not here'],
      'one for each accepted recipient, in order',
    );
    assert.equal(spool.taken.length, 0);
    for (const one of rig.delivered) assert.ok(one.isComplete && one.content.toString().endsWith(MAIL), one.hop);
    assert.equal(rig.records[0]?.nextHop?.address, 'two:25, one:25');
  });

  test(`${hears}: an LMTP hop's answers are passed on one by one`, async () => {
    const spool = new RecordingSpool();
    const { rig } = rigThatHears(hears, [], { spool });
    rig.hopEach.set('<full@box.example>', reply(452, '4.2.2', 'Mailbox full'));
    rig.hopEach.set('<strange@box.example>', reply(530, '5.7.0', 'Authentication required'));
    rig.hopRefuses.set('<no@box.example>', reply(550, '5.1.1', 'No such user'));
    const to = ['no@box.example', 'full@box.example', 'b@box.example', 'strange@box.example'];
    const { each } = await rig.send(MAIL, to);
    assert.deepEqual(codes(each), [452, 250, 451]);
    assert.equal(each?.[0]?.text[0], 'Mailbox full');
    assert.equal(spool.taken.length, 0);
  });
}

test('without a spool, too, each hears the LMTP hop', async () => {
  const { rig } = rigThatHears('lmtp', []);
  rig.hopEach.set('<full@box.example>', reply(452, '4.2.2', 'Mailbox full'));
  assert.deepEqual(codes((await rig.send(MAIL, ['b@box.example', 'full@box.example'])).each), [250, 452]);
});

test('different services: each variant goes out as its services made it', async () => {
  const { rig } = rigThatHears('lmtp', [adds('X-Vip: yes')], { each: [VIP], spool: new RecordingSpool() });
  const { each } = await rig.send(MAIL, ['plain@one.example', 'vip@one.example']);
  assert.deepEqual(codes(each), [250, 250]);
  const vip = rig.delivered.find(({ rcpts }) => rcpts[0] === '<vip@one.example>')?.content.toString();
  const plain = rig.delivered.find(({ rcpts }) => rcpts[0] === '<plain@one.example>')?.content.toString();
  assert.match(vip ?? '', /^X-Vip: yes\r\n/m);
  assert.doesNotMatch(plain ?? '', /X-Vip|vip@/);
});

test('what must be stored takes all who were accepted with it; who was refused hears it and is not stored', async () => {
  const spool = new RecordingSpool();
  const { rig } = rigThatHears('lmtp', [refuses('550 5.7.1 no'), dies], {
    each: [VIP, { ...TEMP, onFailure: 'spool' }],
    spool,
  });
  rig.user = 'ann';
  const { each } = await rig.send(MAIL, ['vip@one.example', 'temp@one.example', 'plain@two.example']);
  assert.deepEqual(codes(each), [550, 250, 250]);
  assert.match(each?.[1]?.text[0] ?? '', /accepted as session\.1/);
  assert.deepEqual(
    spool.taken.map(({ to, fates, lane }) => [to, fates, lane]),
    [
      [['<temp@one.example>'], ['deliver'], 'adapt'],
      [['<plain@two.example>'], ['deliver'], 'relay'],
    ],
  );
  assert.ok(
    rig.delivered.every(({ isComplete }) => !isComplete),
    'nothing is both stored and delivered',
  );
  assert.equal(rig.records[0]?.outcome, 'stored');
});

test('what is held where nobody is told of it is refused to its recipients alone', async () => {
  const spool = new RecordingSpool();
  spool.hasNotice = false;
  const { rig } = rigThatHears('lmtp', [dies], { each: [{ ...VIP, onFailure: 'quarantine' }], spool });
  const { each } = await rig.send(MAIL, ['vip@one.example', 'plain@one.example']);
  assert.deepEqual(codes(each), [554, 250]);
  assert.deepEqual(
    spool.taken.map(({ fates }) => fates),
    [['hold'], ['deliver']],
  );
});

test('what cannot be stored is accepted for nobody, and a refusal stays one', async () => {
  const spool = new RecordingSpool('spool');
  spool.fails = new Error('disk full');
  const { rig } = rigThatHears('prdr', [refuses('550 5.7.1 no')], { each: [VIP], spool });
  const { each } = await rig.send(MAIL, ['plain@one.example', 'vip@one.example', 'other@two.example']);
  assert.deepEqual(codes(each), [452, 550, 452]);
});

test('mode spool: what passed is stored, and what was refused is not', async () => {
  const spool = new RecordingSpool('spool');
  const { rig } = rigThatHears('lmtp', [refuses('550 5.7.1 no')], { each: [VIP], spool });
  const { each } = await rig.send(MAIL, ['vip@one.example', 'plain@one.example']);
  assert.deepEqual(codes(each), [550, 250]);
  assert.deepEqual(
    spool.taken.map(({ to }) => to),
    [['<plain@one.example>']],
  );
  assert.deepEqual(rig.delivered, []);
});

test('a hop that is lost before the content: its recipients come again, the others are delivered', async () => {
  const { rig } = rigThatHears('lmtp', [], { spool: new RecordingSpool() });
  rig.hopLost.add('two');
  for (const isKnown of [true, false]) {
    const { mail } = await rig.begin();
    const rcpts = await Promise.all([mail.rcpt('a@one.example'), mail.rcpt('b@two.example')]);
    if (isKnown) await new Promise(setImmediate);
    await mail.content(MAIL);
    assert.deepEqual(
      [codes(rcpts), codes(mail.each)],
      [
        [250, 250],
        [250, 451],
      ],
      `known: ${isKnown}`,
    );
  }
});

test('no hop is left: the content is not asked for', async () => {
  const { rig } = rigThatHears('lmtp', [], { spool: new RecordingSpool() });
  rig.hopLost.add('one').add('two');
  const { mail } = await rig.begin();
  await Promise.all([mail.rcpt('a@one.example'), mail.rcpt('b@two.example')]);
  await new Promise(setImmediate);
  assert.equal((await mail.content(MAIL)).code, 451);
  assert.equal(mail.each, undefined, 'DATA has one reply');
});

test('the deadline: who has the mail has it, the others come again', async () => {
  const { rig, callouts } = rigThatHears('lmtp', [], { spool: new RecordingSpool() });
  rig.hopFinals.set('two', 'nothing');
  const { mail } = await rig.begin();
  await Promise.all([mail.rcpt('b@two.example'), mail.rcpt('a@one.example')]);
  const final = mail.content(MAIL);
  for (let i = 0; i < 20; i++) await new Promise(setImmediate);
  for (let ms = 0; ms <= 61_000; ms += 1000) callouts.deadlines.tick(performance.now() + ms);
  assert.equal((await final).code, 250);
  assert.deepEqual(codes(mail.each), [451, 250]);
});

test('a mail that is refused as a whole is refused to each', async () => {
  const { rig } = rigThatHears('lmtp', [], { spool: new RecordingSpool() });
  const { each } = await rig.send(`${'Received: x\r\n'.repeat(20)}\r\n`, ['a@one.example', 'b@two.example']);
  assert.deepEqual(codes(each), [554, 554]);
});

test('a report on success is asked for: the mail takes the way on which one is made', async () => {
  const spool = new RecordingSpool();
  const { rig } = rigThatHears('lmtp', [], { spool });
  const { mail } = await rig.begin();
  await mail.rcpt('a@one.example', 'NOTIFY=SUCCESS');
  await mail.rcpt('b@two.example');
  await mail.content(MAIL);
  assert.deepEqual(codes(mail.each), [250, 250]);
  assert.equal(spool.taken.length, 1);
});

test('opes check tells what each recipient would hear', async () => {
  const { rig } = rigThatHears('one', [refuses('550 5.7.1 no')], { each: [VIP] });
  const request = {
    listener: undefined,
    client: '192.0.2.1',
    user: undefined,
    helo: 'c.example',
    from: 'a@src.example',
    to: ['vip@one.example', 'plain@two.example'],
    content: Buffer.from(MAIL),
  };
  const told = async (protocol: 'smtp' | 'lmtp') =>
    await checkMail(rig.world, { listeners: [{ ...LISTENER, protocol }], queue: QUEUE }, request);
  const { each } = await told('lmtp');
  assert.deepEqual(
    each?.map((one) => [one.recipient, one.reply.code]),
    [
      ['vip@one.example', 550],
      ['plain@two.example', 250],
    ],
  );
  assert.equal((await told('smtp')).each, undefined);
});

test('Received says LMTP; PRDR is between the client and us', async () => {
  const { rig } = rigThatHears('lmtp', []);
  await rig.send(MAIL, ['a@one.example']);
  assert.match(rig.delivered[0]?.content.toString() ?? '', /^Received: [^;]*\swith LMTP id session\.1/m);
  const spool = new RecordingSpool('spool');
  const other = rigThatHears('prdr', [], { spool });
  await other.rig.send(MAIL, ['a@one.example']);
  assert.deepEqual([...(spool.taken[0]?.params.keys() ?? [])], []);
});
