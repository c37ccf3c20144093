import assert from 'node:assert/strict';
import { test } from 'vitest';
import { MailRig } from '../../../test/support/mail-rig.ts';
import { type GotPart, MemoryCallouts, type Script, serviceOptions } from '../../../test/support/memory-callout.ts';
import { ALL, body, finish, keepAll, keepData, MAIL, rigWith } from '../../../test/support/scripted-services.ts';
import { answerBlock } from '../../profile/index.ts';
import { reply } from '../../smtp/index.ts';
import type { MailRecord } from '../options.ts';

test('without services a mail passes with our trace on top and is otherwise untouched', async () => {
  const { rig } = rigWith([]);
  const { rcpts, final } = await rig.send(MAIL);
  assert.deepEqual(
    rcpts.map((one) => one.code),
    [250],
  );
  assert.equal(final?.text[0], 'queued as 1');
  const got = body(rig.delivered[0]);
  assert.ok(got.endsWith(MAIL));
  assert.match(
    got.slice(0, -MAIL.length),
    /^Received: from client\.example \(\[192\.0\.2\.1\]\)[\s\S]+\r\nOPES-System: https:\/\/mail\.example\.com\/opes\?id=session\.1\r\n$/,
  );
});

for (const chunk of [1 << 20, 7, 1]) {
  test(`a service that keeps everything changes nothing but the trace (octets in pieces of ${chunk})`, async () => {
    const { rig, callouts } = rigWith([keepAll(['RCPT', 'RAWDATA'])], { chunk });
    const { final } = await rig.send(MAIL);
    assert.equal(final?.code, 250);
    assert.ok(
      body(rig.delivered[0]).endsWith(
        `OPES-Via: https://mail.example.com/opes?id=session.1,\r\n\thttp://svc.example/s1;outcome=unchanged\r\n${MAIL}`,
      ),
    );
    const parts = callouts.seen[0]?.map(({ part, octets }) => `${part} ${part === 'RAWDATA' ? '' : octets.toString()}`);
    assert.deepEqual(parts, [
      'IP [192.0.2.1]',
      'EHLO client.example',
      'MAIL <a@src.example>',
      'RCPT <b@dst.example>',
      'RAWDATA ',
    ]);
    assert.match(
      callouts.seen[0]?.[4]?.octets.toString() ?? '',
      /^Received: [\s\S]+OPES-System: [\s\S]+outcome=pending/,
    );
  });
}

test("a refused recipient gets the service's reply with our trace; the others go on", async () => {
  const script: Script = {
    ...keepAll(['RCPT', 'RAWDATA']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part !== 'RCPT') return;
      if (part.octets.includes('bad'))
        tx.sendData(answerBlock('RCPT', { smtpError: '550 5.1.1 No such user here' }), [], 0);
      else tx.useYours(part.offset, part.octets.length);
    },
  };
  const { rig } = rigWith([script]);
  const { rcpts, final } = await rig.send(MAIL, ['bad@dst.example', 'b@dst.example']);
  assert.deepEqual(rcpts[0], {
    code: 550,
    enhanced: '5.1.1',
    text: ['No such user here', 'OPES-System: https://mail.example.com/opes?id=session.1'],
  });
  assert.equal(rcpts[1]?.code, 250);
  assert.equal(final?.code, 250);
  assert.deepEqual(rig.delivered[0]?.rcpts, ['<b@dst.example>']);
});

test('a rewritten recipient is the one the next hop is told', async () => {
  const script: Script = {
    ...keepAll(['RCPT']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part === 'RCPT') tx.sendData(answerBlock('RCPT', {}), [Buffer.from('<new@dst.example>')], 17);
    },
    onOriginalEnd: finish,
  };
  const { rig } = rigWith([script]);
  const { final } = await rig.send(MAIL);
  assert.equal(final?.code, 250);
  assert.deepEqual(rig.delivered[0]?.rcpts, ['<new@dst.example>']);
  assert.match(body(rig.delivered[0]), /outcome=envelope-edited/);
});

test('refused data: the lines of the service with our trace before the last', async () => {
  const script: Script = {
    ...keepAll(['RAWDATA']),
    onOriginalEnd(tx) {
      tx.sendData(answerBlock('RAWDATA', { smtpError: '550-5.7.1 Content refused\r\n550 5.7.1 Policy P-12' }), [], 0);
      finish(tx);
    },
  };
  const { rig } = rigWith([script]);
  const { final } = await rig.send(MAIL);
  assert.deepEqual(final?.text, [
    'Content refused',
    'OPES-System: https://mail.example.com/opes?id=session.1',
    'Policy P-12',
  ]);
  assert.equal(rig.delivered[0]?.isComplete, false);
});

test('a refusal that comes while the content is still coming is given at its end', async () => {
  const script: Script = {
    ...keepAll(['RAWDATA']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part === 'RAWDATA' && part.offset < 1000)
        tx.sendData(answerBlock('RAWDATA', { smtpError: '550 5.7.1 no' }), [], 0);
    },
    onOriginalEnd() {},
  };
  const { rig } = rigWith([script]);
  const { mail } = await rig.begin();
  await mail.rcpt('b@dst.example');
  const final = await mail.content(`${MAIL}${'x'.repeat(78)}\r\n`.repeat(4000), 40);
  assert.equal(final.code, 550);
});

test('added headers stand below our trace, changed content is what is delivered', async () => {
  const adds: Script = {
    ...keepAll(['RAWDATA']),
    onOriginalEnd(tx, all) {
      keepData(tx, all, answerBlock(undefined, { addHeaders: ['X-Spam: no', 'X-Two: folded\r\n\tline'] }));
      finish(tx);
    },
  };
  const edits: Script = {
    ...keepAll(['RAWDATA']),
    onOriginalEnd(tx, all) {
      const data = all.find((part) => part.part === 'RAWDATA') as GotPart;
      const at = data.octets.indexOf('Hello');
      tx.useYours(data.offset, at);
      tx.sendData(answerBlock('RAWDATA', {}), [Buffer.from('Goodbye')], 7);
      tx.useYours(data.offset + at + 5, data.octets.length - at - 5);
      finish(tx);
    },
  };
  const { rig } = rigWith([adds, edits]);
  const { final } = await rig.send(MAIL);
  assert.equal(final?.code, 250);
  const got = body(rig.delivered[0]);
  assert.ok(got.endsWith(`X-Spam: no\r\nX-Two: folded\r\n\tline\r\n${MAIL.replace('Hello', 'Goodbye')}`), got);
  assert.match(got, /s1;outcome=header-added,[\s]+http:\/\/svc\.example\/s2;outcome=edited/);
});

test('what nobody may touch is put back, and the incident is logged', async () => {
  const script: Script = {
    ...keepAll(['RAWDATA']),
    onOriginalEnd(tx) {
      const forged = Buffer.from('OPES-System: http://evil.example/\r\nSubject: new\r\n\r\nHello\r\n');
      tx.sendData(answerBlock('RAWDATA', {}), [forged], forged.length);
      finish(tx);
    },
  };
  const { rig } = rigWith([script]);
  await rig.send(`Received: from x\r\nOPES-Via: http://old.example/\r\n${MAIL}`);
  const got = body(rig.delivered[0]);
  assert.ok(!got.includes('evil'));
  assert.ok(got.endsWith('Received: from x\r\nOPES-Via: http://old.example/\r\nSubject: new\r\n\r\nHello\r\n'), got);
  assert.ok(rig.logged.some(({ event }) => event === 'trace.repaired'));
});

for (const [may, breaks] of [
  [['add-header'], 'edit-content'],
  [['edit-content'], 'edit-header'],
] as const) {
  test(`an answer beyond what the service may do (${breaks}) counts as a failure, whole`, async () => {
    const script: Script = {
      ...keepAll(['RAWDATA']),
      onOriginalEnd(tx, all) {
        const data = all.find((part) => part.part === 'RAWDATA') as GotPart;
        const changed =
          breaks === 'edit-content'
            ? data.octets.toString().replace('Hello', 'Bye')
            : data.octets.toString().replace('test', 'x');
        tx.sendData(answerBlock('RAWDATA', {}), [Buffer.from(changed)], changed.length);
        finish(tx);
      },
    };
    const { rig } = rigWith([script], { may });
    const { final } = await rig.send(MAIL);
    assert.equal(final?.code, 451);
    assert.equal(rig.delivered[0]?.isComplete, false);
    const { rig: skipping } = rigWith([script], { may, onFailure: 'skip' });
    assert.equal((await skipping.send(MAIL)).final?.code, 250);
    assert.ok(body(skipping.delivered[0]).endsWith(`;outcome=skipped;reason=invalid\r\n${MAIL}`));
  });
}

for (const [what, content] of [
  ['a bare LF', 'A: b\r\n\r\nHello\n.\r\nMAIL FROM:<x@y>\r\n'],
  ['a bare CR', 'A: b\r\n\r\nHello\r.\r\n'],
  ['a CR at the end', 'A: b\r\n\r\nHello\r'],
] as const) {
  test(`new content with ${what} is a failure of the service: nobody smuggles past the next hop`, async () => {
    const script: Script = {
      ...keepAll(['RAWDATA']),
      onOriginalEnd(tx) {
        tx.sendData(answerBlock('RAWDATA', {}), [Buffer.from(content)], content.length);
        finish(tx);
      },
    };
    const { rig } = rigWith([script]);
    assert.equal((await rig.send(MAIL)).final?.code, 451);
    assert.equal(rig.delivered[0]?.isComplete, false);
  });
}

test('a CRLF that an edit parts is a bare CR too', async () => {
  const script: Script = {
    ...keepAll(['RAWDATA']),
    onOriginalEnd(tx, all) {
      const data = all.find((part) => part.part === 'RAWDATA') as GotPart;
      const at = data.octets.indexOf('\r\n\r\n') + 1;
      tx.useYours(data.offset, at);
      tx.sendData(answerBlock('RAWDATA', {}), [Buffer.from('x')], 1);
      tx.useYours(data.offset + at, data.octets.length - at);
      finish(tx);
    },
  };
  const { rig } = rigWith([script]);
  assert.equal((await rig.send(MAIL)).final?.code, 451);
});

test('a bare peer that echoes what it was sent changes nothing', async () => {
  const script: Script = {
    ...keepAll(['RAWDATA']),
    onOriginalEnd(tx, all) {
      for (const part of all)
        if (part.part === 'RAWDATA') tx.sendData(answerBlock('RAWDATA', {}), [part.octets], part.octets.length);
      finish(tx);
    },
  };
  const { rig } = rigWith([script], { may: ['add-header'] });
  assert.equal((await rig.send(MAIL)).final?.code, 250);
  assert.match(body(rig.delivered[0]), /outcome=unchanged\r\n/);
});

test('a failure by what a service may not do says what to permit, and one of its handler where to look', async () => {
  const details: (readonly [reason: string, detail: RegExp])[] = [
    ['refusal-not-allowed', /^TE 400 refusal-not-allowed: .*may: \[refuse\]/],
    ['service-failed', /^TE 400 service-failed: .* its own log/],
    ['any other', /^TE 400 any other$/],
  ];
  for (const [reason, detail] of details) {
    const { rig } = rigWith([{ ...keepAll(['RAWDATA']), refuse: { code: 400, reason } }]);
    await rig.send(MAIL);
    const failed = rig.logged.find(({ event }) => event === 'callout.failed');
    assert.match(String(failed?.fields['detail']), detail);
  }
});

const failures: readonly [string, Partial<Script>, string][] = [
  ['says TE 400 to the transaction', { refuse: { code: 400, reason: 'busy' } }, 'crash'],
  ['gives a cause nobody knows', { refuse: { code: 400, reason: 'busy', cause: 'moon' } }, 'crash'],
  ['refuses for load', { refuse: { code: 400, reason: 'busy', cause: 'overload' } }, 'overload'],
  ['has no room left', { onOriginalEnd: (tx) => tx.end({ code: 400, reason: 'full', cause: 'overload' }) }, 'overload'],
  [
    'was too slow for its server',
    { onOriginalEnd: (tx) => tx.end({ code: 400, reason: '', cause: 'timeout' }) },
    'timeout',
  ],
  [
    'has no room left at its answer',
    { onOriginalEnd: (tx) => tx.endMessage({ code: 400, reason: '', cause: 'overload' }) },
    'overload',
  ],
  ['is not there', { refuse: { code: 400, reason: 'who?', cause: 'service-unknown' } }, 'unreachable'],
  ['dies in its handler', { onOriginalEnd: (tx) => tx.end({ code: 400, reason: 'bug' }) }, 'crash'],
  ['ends without an answer', { onOriginalEnd: finish }, 'invalid'],
  ['ends its answer with a failure', { onOriginalEnd: (tx) => tx.endMessage({ code: 400, reason: 'no' }) }, 'crash'],
  [
    'refers to octets that are no part of the data',
    {
      ...keepAll(['RCPT', 'RAWDATA']),
      onOriginalEnd: (tx, all) => tx.useYours(all[3]?.offset ?? 0, 1),
    },
    'invalid',
  ],
  [
    'ends the transaction before its answer',
    {
      onOriginalEnd: (tx, all) => {
        keepData(tx, all);
        tx.end();
      },
    },
    'invalid',
  ],
  [
    'answers with a part nobody asked about',
    { onOriginalEnd: (tx) => tx.sendData(answerBlock('MAIL', {}), [], 0) },
    'invalid',
  ],
];

for (const [what, misbehaviour, reason] of failures) {
  for (const onFailure of ['tempfail', 'skip', 'reject'] as const) {
    test(`a service that ${what} is a failure by ${reason}; ${onFailure} follows`, async () => {
      const { rig } = rigWith(
        [keepAll(['RAWDATA']), { ...keepAll(['RAWDATA']), ...misbehaviour }, keepAll(['RAWDATA'])],
        { onFailure },
      );
      const { final } = await rig.send(MAIL);
      assert.equal(final?.code, { tempfail: 451, skip: 250, reject: 554 }[onFailure]);
      assert.equal(rig.delivered[0]?.isComplete, onFailure === 'skip');
      if (onFailure === 'skip')
        assert.match(body(rig.delivered[0]), new RegExp(`s2;outcome=skipped;reason=${reason},`));
      else assert.match(final?.text.join() ?? '', /OPES-System: /);
      assert.ok(rig.logged.some(({ event, fields }) => event === 'callout.failed' && fields['reason'] === reason));
    });
  }
}

test('a service nobody serves is unreachable', async () => {
  const callouts = new MemoryCallouts();
  const rig = new MailRig(callouts, [{ options: serviceOptions('s', new Set(ALL), [9]) }]);
  const { rcpts } = await rig.send(MAIL);
  assert.equal(rcpts[0]?.code, 451);
  assert.ok(rig.logged.some(({ event, fields }) => event === 'callout.failed' && fields['reason'] === 'unreachable'));
});

test('a service that stays silent runs out of its time', async () => {
  const { rig, callouts } = rigWith([{ ...keepAll(['RAWDATA']), onOriginalEnd() {} }], { timeoutMs: 100 });
  const sent = rig.send(MAIL);
  const ticks = setInterval(() => callouts.deadlines.tick(performance.now()), 20);
  const { final } = await sent;
  clearInterval(ticks);
  assert.equal(final?.code, 451);
  assert.ok(rig.logged.some(({ event, fields }) => event === 'callout.failed' && fields['reason'] === 'timeout'));
});

test('a mail whose connection dies is run again once, with its answered commands as replays', async () => {
  let kills = 0;
  const script: Script = {
    ...keepAll(['RCPT', 'RAWDATA']),
    onOriginalEnd(tx, all) {
      if (kills++ === 0) callouts.kill();
      else {
        keepData(tx, all);
        finish(tx);
      }
    },
  };
  const { rig, callouts } = rigWith([script]);
  const { final } = await rig.send(MAIL);
  assert.equal(final?.code, 250);
  assert.equal(callouts.seen.length, 2);
  assert.deepEqual(
    callouts.seen.map((parts) => parts[3]?.replayed),
    [false, true],
  );
  assert.deepEqual(
    callouts.seen.map((parts) => parts[3]?.mayRefuse),
    [true, false],
  );
});

test('a server that leaves replays unanswered, as told, is run again as well', async () => {
  let kills = 0;
  const script: Script = {
    ...keepAll(['RCPT', 'RAWDATA']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part === 'RCPT' && !part.replayed) tx.useYours(part.offset, part.octets.length);
    },
    onOriginalEnd(tx, all) {
      if (kills++ === 0) callouts.kill();
      else {
        keepData(tx, all);
        finish(tx);
      }
    },
  };
  const { rig, callouts } = rigWith([script]);
  assert.equal((await rig.send(MAIL)).final?.code, 250);
  assert.match(body(rig.delivered[0]), /s1;outcome=unchanged/);
});

test('a mail that was on two connections when they died is not run a third time', async () => {
  const script: Script = { ...keepAll(['RAWDATA']), onOriginalEnd: () => callouts.kill() };
  const { rig, callouts } = rigWith([script]);
  const { final } = await rig.send(MAIL);
  assert.equal(final?.code, 451);
  assert.equal(callouts.seen.length, 2);
});

test('a rule on the recipient decides per recipient; the other group is sent again by the client', async () => {
  const { rig } = rigWith([keepAll(['RAWDATA'])], { when: "recipient.domain == 'dst.example'" });
  const { rcpts, final } = await rig.send(MAIL, ['b@dst.example', 'c@other.example']);
  assert.deepEqual(
    rcpts.map((one) => one.code),
    [250, 452],
  );
  assert.equal(final?.code, 250);
});

test('a rule on the message is judged when the message is there', async () => {
  const when = "message.headers['subject'] == 'test'";
  const called = rigWith([keepAll(['RCPT', 'RAWDATA'])], { when });
  assert.equal((await called.rig.send(MAIL)).final?.code, 250);
  assert.match(body(called.rig.delivered[0]), /s1;outcome=unchanged/);
  assert.deepEqual(
    called.callouts.seen[0]?.map((part) => part.replayed),
    [false, false, true, true, false],
  );
  const spared = rigWith([keepAll(['RCPT', 'RAWDATA'])], { when });
  assert.equal((await spared.rig.send(MAIL.replace('test', 'other'))).final?.code, 250);
  assert.ok(!body(spared.rig.delivered[0]).includes('OPES-Via'));
});

test('MAIL refused by a leading service is refused at MAIL, by a later one at RCPT', async () => {
  const refuses: Script = {
    ...keepAll(['MAIL', 'RAWDATA']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part === 'MAIL') tx.sendData(answerBlock('MAIL', { smtpError: '550 5.1.8 go away' }), [], 0);
    },
  };
  const leading = rigWith([refuses]);
  for (const service of leading.rig.services) service.start();
  while (!leading.rig.services.every((service) => service.isReady)) await new Promise(setImmediate);
  assert.equal((await leading.rig.begin()).reply.enhanced, '5.1.8');
  const late = rigWith([refuses], { when: "recipient.local == 'b'" });
  const { rcpts } = await late.rig.send(MAIL);
  assert.equal(rcpts[0]?.enhanced, '5.1.8');
});

test('a mail that went in circles is refused', async () => {
  const { rig } = rigWith([]);
  const { final } = await rig.send('Received: from x\r\n'.repeat(6) + MAIL);
  assert.deepEqual([final?.code, final?.enhanced], [554, '5.4.6']);
});

test('a header section beyond its cap is refused', async () => {
  const { rig } = rigWith([]);
  const { mail } = await rig.begin();
  await mail.rcpt('b@dst.example');
  assert.equal((await mail.content(`X-Long: ${'x'.repeat(70)}\r\n`.repeat(2000), 10)).code, 552);
});

test('the deadline ends a mail whose services and hop take too long together', async () => {
  const { rig, callouts } = rigWith([{ ...keepAll(['RAWDATA']), onOriginalEnd() {} }], { timeoutMs: 1_000_000 });
  const sent = rig.send(MAIL);
  for (let i = 0; i < 20; i++) await new Promise(setImmediate);
  callouts.deadlines.tick(performance.now() + 120_000);
  const { final } = await sent;
  assert.deepEqual([final?.code, final?.enhanced], [451, '4.4.7']);
});

test('a service that judges the client or its greeting refuses at MAIL, with an id and a trace (decision 0044)', async () => {
  for (const [part, value] of [
    ['IP', '[192.0.2.1]'],
    ['EHLO', 'client.example'],
  ] as const) {
    const judges: Script = {
      ...keepAll(['MAIL', 'RAWDATA']),
      onPart(tx, { part: now, offset, octets }, all) {
        if (all.length === 1) tx.startMessage();
        if (now !== 'MAIL') return;
        const isBad = all.some((one) => one.part === part && one.octets.toString() === value);
        if (isBad) tx.sendData(answerBlock('MAIL', { smtpError: `550 5.7.1 not from ${value}` }), [], 0);
        else tx.useYours(offset, octets.length);
      },
    };
    const { rig } = rigWith([judges]);
    for (const service of rig.services) service.start();
    while (!rig.services.every((service) => service.isReady)) await new Promise(setImmediate);
    const { reply } = await rig.begin();
    assert.deepEqual(
      [reply.code, reply.text],
      [550, [`not from ${value}`, 'OPES-System: https://mail.example.com/opes?id=session.1']],
    );
  }
});

test('a mail whose recipients were all refused was refused, however its client leaves', async () => {
  for (const [code, outcome] of [
    [550, 'refused'],
    [451, 'tempfailed'],
  ] as const) {
    const refuses: Script = {
      ...keepAll(['RCPT']),
      onPart(tx, part, all) {
        if (all.length === 1) tx.startMessage();
        if (part.part === 'RCPT') tx.sendData(answerBlock('RCPT', { smtpError: `${code} no` }), [], 0);
      },
    };
    const { rig } = rigWith([refuses]);
    const { mail } = await rig.begin();
    await mail.rcpt('b@dst.example');
    mail.reset();
    assert.deepEqual(
      rig.records.map((record) => record.outcome),
      [outcome],
    );
  }
});

test('a client that goes away leaves nothing behind: no delivery, one record', async () => {
  const { rig } = rigWith([keepAll(['RCPT', 'RAWDATA'])]);
  const { mail } = await rig.begin();
  await mail.rcpt('b@dst.example');
  mail.reset();
  assert.equal(rig.delivered[0]?.isComplete, false);
  assert.deepEqual(
    rig.records.map((record) => record.outcome),
    ['aborted'],
  );
});

test('what the hop says of us and not of the mail becomes 451: the client has not failed to log in (design D13)', async () => {
  const { rig } = rigWith([]);
  rig.hopRefuses.set('<no@dst.example>', reply(530, '5.7.0', 'Authentication required'));
  const { rcpts, final } = await rig.send(MAIL, ['no@dst.example', 'b@dst.example']);
  assert.deepEqual([rcpts[0]?.code, rcpts[0]?.enhanced, final?.code], [451, '4.4.0', 250]);
  rig.hopFinals.set('hop', reply(535, '5.7.8', 'secret.internal says no'));
  const { final: refused } = await rig.send(MAIL);
  assert.deepEqual([refused?.code, refused?.enhanced], [451, '4.4.0']);
  assert.doesNotMatch(refused?.text.join() ?? '', /internal/);
  // Codes that strict clients do not know are as good as the plain ones of their kind.
  rig.hopFinals.set('hop', reply(571, '5.7.1', 'Delivery not authorized'));
  assert.deepEqual((await rig.send(MAIL)).final, reply(550, '5.7.1', 'Delivery not authorized'));
});

test('a record of a mail whose content is not to be shown has none of it, not an empty one', async () => {
  for (const keepOctets of [0, 10]) {
    const { rig } = rigWith([keepAll(['RAWDATA'])]);
    const kept: MailRecord[] = [];
    Object.assign(rig.world, { keepOctets, keep: (record: MailRecord) => kept.push(record) });
    await rig.send(MAIL);
    assert.deepEqual(
      kept.map(({ before, after }) => [before?.length, after?.length]),
      [keepOctets === 0 ? [undefined, undefined] : [10, 10]],
    );
  }
});
