/** Rules that read recipient and message: recipients are taken apart when the message is there, as little as needed. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import type { Script } from '../../../test/support/memory-callout.ts';
import { RecordingSpool } from '../../../test/support/recording-spool.ts';
import { body, finish, keepAll, keepData, MAIL, rigWith } from '../../../test/support/scripted-services.ts';
import { answerBlock } from '../../profile/index.ts';

const VIP = "recipient.local == 'vip' && message.headers['subject'] == 'test'";
const LARGE = "recipient.local == 'vip' && message.size > 1000";

/** Adds a field to what it sees; `saw` gets a line for each mail: its recipients, and how they were told. */
function adds(field: string, saw: string[] = []): Script {
  return {
    ...keepAll(['RCPT', 'RAWDATA']),
    onOriginalEnd(tx, all) {
      const rcpts = all.filter(({ part }) => part === 'RCPT');
      saw.push(rcpts.map(({ octets, replayed }) => `${octets.toString()}${replayed ? ' replayed' : ''}`).join(', '));
      keepData(tx, all, answerBlock(undefined, { addHeaders: [field] }));
      finish(tx);
    },
  };
}

const refuses: Script = {
  ...keepAll(['RAWDATA']),
  onOriginalEnd(tx) {
    tx.sendData(answerBlock('RAWDATA', { smtpError: '550 5.7.1 no' }), [], 0);
    finish(tx);
  },
};

const outcomes = (octets: Buffer | undefined): string =>
  [...(octets?.toString() ?? '').matchAll(/svc\.example\/(s\d);outcome=([a-z-]+)/g)]
    .map((m) => `${m[1]} ${m[2]}`)
    .join(', ');

const byText = (a: string, b: string): number => (a < b ? -1 : 1);

test('the service is called for those its rule is true for, and the others get what the ones before it made', async () => {
  const first: string[] = [];
  const vip: string[] = [];
  const last: string[] = [];
  const spool = new RecordingSpool();
  const { rig } = rigWith([adds('X-1: 1', first), adds('X-Vip: 1', vip), adds('X-3: 1', last)], {
    each: [{}, { when: VIP }],
    spool,
  });
  const { final } = await rig.send(MAIL, ['plain@dst.example', 'vip@dst.example', 'other@dst.example']);
  assert.equal(final?.code, 250);
  assert.deepEqual(
    spool.taken.map(({ to, lane }) => [to, lane]),
    [
      [['<plain@dst.example>', '<other@dst.example>'], 'relay'],
      [['<vip@dst.example>'], 'relay'],
    ],
  );
  const [plain, alone] = spool.taken.map(({ octets }) => octets);
  assert.equal(outcomes(plain), 's1 header-added, s3 header-added');
  assert.equal(outcomes(alone), 's1 header-added, s2 header-added, s3 header-added');
  assert.ok(plain?.toString().endsWith(`X-3: 1\r\nX-1: 1\r\n${MAIL}`));
  assert.ok(alone?.toString().endsWith(`X-3: 1\r\nX-Vip: 1\r\nX-1: 1\r\n${MAIL}`));
  for (const octets of [plain, alone]) assert.ok(!/vip@|plain@|other@|\bfor </.test(octets?.toString() ?? ''));
  // What came before the split ran once, and told to the second group are its recipients only, for information (D4).
  const all = '<plain@dst.example>, <vip@dst.example>, <other@dst.example>';
  assert.deepEqual(first, [all]);
  assert.deepEqual(vip, ['<vip@dst.example> replayed']);
  assert.deepEqual(last.toSorted(), [all, '<vip@dst.example> replayed'].toSorted());
  assert.ok(
    rig.delivered.every(({ isComplete }) => !isComplete),
    'the hop was asked, and got nothing before it was stored',
  );
});

test('where the rule says the same for all, nobody is taken apart and the mail is relayed inline', async () => {
  for (const [to, isCalled] of [
    [['vip@a.example', 'vip@b.example'], true],
    [['x@a.example', 'y@b.example'], false],
  ] as const) {
    const spool = new RecordingSpool();
    const { rig } = rigWith([adds('X-Vip: 1')], { each: [{ when: VIP }], spool });
    assert.equal((await rig.send(MAIL, to)).final?.text[0], 'queued as 1');
    assert.equal(body(rig.delivered[0]).includes('X-Vip'), isCalled);
    assert.equal(spool.taken.length, 0);
  }
});

test('a rule on the size is judged when the size is known', async () => {
  for (const [content, variants] of [
    [MAIL, 0],
    [`${MAIL}${'0123456789\r\n'.repeat(1000)}`, 2],
  ] as const) {
    const spool = new RecordingSpool();
    const { rig } = rigWith([adds('X-Large: 1')], { each: [{ when: LARGE }], spool });
    const { mail } = await rig.begin();
    await Promise.all([mail.rcpt('vip@dst.example'), mail.rcpt('plain@dst.example')]);
    assert.equal((await mail.content(content, 5)).code, 250);
    assert.deepEqual(
      spool.taken.map(({ to, octets }) => [to[0], octets.includes('X-Large'), octets.toString().endsWith(content)]),
      variants === 0
        ? []
        : [
            ['<vip@dst.example>', true, true],
            ['<plain@dst.example>', false, true],
          ],
    );
  }
});

test('two such rules take recipients apart twice', async () => {
  const spool = new RecordingSpool();
  const a = "recipient.local.startsWith('a') && message.size > 0";
  const b = "recipient.local.endsWith('b') && message.size > 0";
  const { rig } = rigWith([adds('X-A: 1'), adds('X-B: 1')], { each: [{ when: a }, { when: b }], spool });
  await rig.send(MAIL, ['ab@x.example', 'ax@x.example', 'xb@x.example', 'x@x.example', 'azb@y.example']);
  assert.deepEqual(spool.taken.map(({ to, octets }) => `${to.join()}: ${outcomes(octets)}`).toSorted(byText), [
    '<ab@x.example>,<azb@y.example>: s1 header-added, s2 header-added',
    '<ax@x.example>: s1 header-added',
    '<x@x.example>: ',
    '<xb@x.example>: s2 header-added',
  ]);
});

test('beyond the variants a mail may have, a service is called for more than its own, and never for fewer', async () => {
  const spool = new RecordingSpool();
  const bits = ['a', 'b', 'c', 'd', 'e'];
  const each = bits.map((bit) => ({ when: `recipient.local.contains('${bit}') && message.size > 0` }));
  const { rig } = rigWith(
    bits.map((bit) => adds(`X-${bit}: 1`)),
    { each, spool },
  );
  const to = Array.from({ length: 32 }, (_, n) => `x${bits.filter((_, i) => (n >> i) % 2 === 1).join('')}@dst.example`);
  await rig.send(MAIL, to);
  assert.equal(spool.taken.length, 16);
  assert.deepEqual(spool.taken.flatMap((one) => one.to).toSorted(byText), to.map((one) => `<${one}>`).toSorted(byText));
  for (const one of spool.taken)
    for (const argument of one.to)
      for (const bit of bits)
        if (argument.slice(0, argument.indexOf('@')).includes(bit))
          assert.ok(one.octets.includes(`X-${bit}: 1`), `${argument} ${bit}`);
});

test('refused for some: each group has its own result', async () => {
  const spool = new RecordingSpool();
  const { rig } = rigWith([adds('X-1: 1'), refuses], { each: [{}, { when: VIP }], spool });
  const { final } = await rig.send(MAIL, ['vip@dst.example', 'plain@dst.example']);
  assert.equal(final?.code, 250);
  assert.deepEqual(
    spool.taken.map(({ to, fates, octets }) => [to, fates, octets.toString().endsWith(`X-1: 1\r\n${MAIL}`)]),
    [
      [['<vip@dst.example>'], ['hold'], false],
      [['<plain@dst.example>'], ['deliver'], true],
    ],
  );
  const [vip] = spool.taken;
  assert.equal(vip?.octets.toString(), MAIL);
});

test('a service behind the split that fails for one group puts that aside, with the trace of all before it', async () => {
  const dies: Script = {
    ...keepAll(['RAWDATA']),
    onOriginalEnd(tx) {
      tx.end({ code: 400, reason: 'broken' });
    },
  };
  const spool = new RecordingSpool();
  const each = [
    {},
    { when: VIP },
    { when: "recipient.local == 'vip' && message.size > 0", onFailure: 'spool' as const },
  ];
  const { rig } = rigWith([adds('X-1: 1'), adds('X-Vip: 1'), dies], { each, spool });
  const { final } = await rig.send(MAIL, ['plain@dst.example', 'vip@dst.example']);
  assert.equal(final?.code, 250);
  const vip = spool.taken[1];
  assert.deepEqual([vip?.lane, vip?.resume?.service], ['adapt', 's3']);
  assert.deepEqual(
    vip?.resume?.via.map(({ uri, outcome }) => `${uri.slice(-2)} ${outcome}`),
    ['s1 header-added', 's2 header-added'],
  );
  assert.equal(vip?.octets.toString(), `X-Vip: 1\r\nX-1: 1\r\n${MAIL}`);
});

test('recipients at two next hops are taken apart across them', async () => {
  const spool = new RecordingSpool();
  const { rig } = rigWith([adds('X-Vip: 1')], { each: [{ when: VIP }], spool });
  await rig.send(MAIL, ['vip@a.example', 'x@a.example', 'vip@b.example']);
  assert.deepEqual(
    spool.taken.map(({ to }) => to),
    [['<vip@a.example>', '<vip@b.example>'], ['<x@a.example>']],
  );
});

test('a refused recipient is in no group', async () => {
  const spool = new RecordingSpool();
  const { rig } = rigWith([adds('X-Vip: 1')], { each: [{ when: VIP }], spool });
  rig.hopRefuses.set('<vip@no.example>', { code: 550, enhanced: '5.1.1', text: ['no'] });
  const { final } = await rig.send(MAIL, ['vip@no.example', 'x@dst.example']);
  assert.equal(final?.text[0], 'queued as 1');
  assert.ok(!body(rig.delivered[0]).includes('X-Vip'));
});

test('without a spool there is one group: the service is called for all rather than for none', async () => {
  const { rig } = rigWith([adds('X-Vip: 1')], { each: [{ when: VIP }] });
  const { final } = await rig.send(MAIL, ['plain@dst.example', 'vip@dst.example']);
  assert.equal(final?.text[0], 'queued as 1');
  assert.ok(body(rig.delivered[0]).includes('X-Vip: 1'));
});

test('the log line and the record name each service once for each group it ran for', async () => {
  const { rig } = rigWith([adds('X-1: 1'), adds('X-Vip: 1')], {
    each: [{}, { when: VIP }],
    spool: new RecordingSpool(),
  });
  await rig.send(MAIL, ['plain@dst.example', 'vip@dst.example']);
  assert.deepEqual(
    rig.records[0]?.calls.map(({ service, verdict }) => `${service} ${verdict}`),
    ['s1 changed', 's2 not-called', 's2 changed'],
  );
  const services = rig.logged.find(({ event }) => event === 'mail')?.fields['services'] as readonly string[];
  assert.match(services.join('; '), /^1 to: s1 changed \S+, s2 not-called \S+; 1 to: s2 changed \S+$/);
});

for (const hears of ['lmtp', 'prdr'] as const)
  test(`${hears}: who was taken apart is not sent what the first group has: all of it is stored`, async () => {
    const spool = new RecordingSpool();
    const { rig } = rigWith([adds('X-Vip: 1')], { each: [{ when: VIP }], spool });
    rig.hears = hears;
    const { each } = await rig.send(MAIL, ['plain@dst.example', 'vip@dst.example', 'other@dst.example']);
    assert.deepEqual(
      each?.map(({ code, text }) => `${code} ${text[0]}`),
      Array.from({ length: 3 }, () => '250 OK, message accepted as session.1'),
    );
    assert.deepEqual(
      spool.taken.map(({ to, octets }) => [to, octets.includes('X-Vip')]),
      [
        [['<plain@dst.example>', '<other@dst.example>'], false],
        [['<vip@dst.example>'], true],
      ],
    );
    assert.ok(rig.delivered.every(({ isComplete }) => !isComplete));
  });

test('lmtp: who was taken apart is refused alone, and the others are stored', async () => {
  const spool = new RecordingSpool();
  const { rig } = rigWith([refuses], { each: [{ when: VIP }], spool });
  rig.hears = 'lmtp';
  const { each } = await rig.send(MAIL, ['vip@dst.example', 'plain@dst.example']);
  assert.deepEqual(
    each?.map(({ code }) => code),
    [550, 250],
  );
  assert.deepEqual(
    spool.taken.map(({ to, fates }) => [to, fates]),
    [[['<plain@dst.example>'], ['deliver']]],
  );
  assert.ok(rig.delivered.every(({ isComplete }) => !isComplete));
});
