/** Services as their authors test them. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import {
  type DelayWish,
  defineService,
  delay,
  edit,
  keep,
  quarantine,
  refuse,
  replace,
  rewrite,
  tempfail,
} from './index.ts';
import { run } from './testing.ts';

const URI = 'https://opes.example/test';

test('a service that keeps everything sends nothing back', async () => {
  const service = defineService({ uri: URI, message: () => keep() });
  const result = await run(service, { mail: 'Subject: Hello\n\nHi!\n' });
  assert.equal(result.message.toString(), 'Subject: Hello\r\n\r\nHi!\r\n');
  assert.deepEqual([result.outcome, result.byReference, result.sentBack], ['kept', 23, 0]);
  assert.deepEqual(result.edits, []);
});

test('a field is added by the processor, without touching the message', async () => {
  const service = defineService({
    uri: URI,
    wants: { envelope: true },
    message: (mail) => edit({ headers: { add: [['X-Sender', mail.sender.address]] } }),
  });
  const result = await run(service, { mail: 'Received: by x\nSubject: Hello\n\nHi!\n', from: 'ann@a.example' });
  assert.deepEqual(result.added, ['X-Sender: ann@a.example']);
  assert.equal(result.message.toString(), 'Received: by x\r\nX-Sender: ann@a.example\r\nSubject: Hello\r\n\r\nHi!\r\n');
  assert.equal(result.sentBack, 0);
});

test('where the processor adds no fields, they are put in below the trace', async () => {
  const service = defineService({
    uri: URI,
    message: () =>
      edit({
        headers: {
          add: [
            ['X-A', '1'],
            ['X-B', '2'],
          ],
        },
      }),
  });
  const result = await run(service, {
    mail: 'Received: by x\n by y\nOPES-System: http://x\nSubject: Hello\n\nHi!\n',
    allow: { addHeader: false },
  });
  assert.equal(
    result.message.toString(),
    'Received: by x\r\n by y\r\nOPES-System: http://x\r\nX-A: 1\r\nX-B: 2\r\nSubject: Hello\r\n\r\nHi!\r\n',
  );
  assert.equal(result.sentBack, 'X-A: 1\r\nX-B: 2\r\n'.length);
});

const TRACE = 'Received: by x\r\n by y\r\nOPES-System: http://x\r\n';
const TRACED = `${TRACE}Subject: Hello\r\n\r\nHi!\r\n`;

test.each([
  ['removed', () => edit({ headers: { remove: ['OPES-System'] } })],
  ['replaced', () => edit({ headers: { replace: [['Received', 'by z']] } })],
  ['added', () => edit({ headers: { add: [['Received', 'by z']] } })],
  ['overwritten by its place', () => edit({ ranges: [{ start: 40, end: 44, data: '' }] })],
  ['split', () => edit({ ranges: [{ start: 4, end: 4, data: 'X' }] })],
])('a trace field is not %s: the service fails, and its author learns why', async (_how, message) => {
  const result = await run(defineService({ uri: URI, wants: { headers: true }, message }), { mail: TRACED });
  assert.equal(result.outcome, 'failed');
  assert.match(JSON.stringify(result.log), /services may not touch (?:Received|OPES-System)/);
});

test('beside the trace a range may be changed', async () => {
  const message = () =>
    edit({
      ranges: [
        { start: 0, end: 0, data: 'X-Top: 1\r\n' },
        { start: TRACE.length, end: TRACE.length, data: 'X-Below: 2\r\n' },
      ],
    });
  const result = await run(defineService({ uri: URI, wants: { headers: true }, message }), { mail: TRACED });
  assert.equal(result.message.toString(), `X-Top: 1\r\n${TRACE}X-Below: 2\r\n${TRACED.slice(TRACE.length)}`);
});

test('fields are removed and replaced where they stand', async () => {
  const service = defineService({
    uri: URI,
    wants: { headers: true },
    message: (mail) =>
      edit({
        headers: {
          remove: ['x-old'],
          replace: [
            ['Subject', `[ext] ${mail.headers.text('subject')}`],
            ['X-New', 'yes'],
          ],
        },
      }),
  });
  const result = await run(service, { mail: 'X-Old: 1\nsubject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\nX-OLD: 2\n\nHi!\n' });
  assert.equal(result.message.toString(), 'X-New: yes\r\nsubject: [ext] =?utf-8?B?R3LDvMOfZQ==?=\r\n\r\nHi!\r\n');
  assert.deepEqual(
    result.edits.map(({ start, end }) => [start, end]),
    [[0, 58]],
  );
});

test('recipients are refused, rewritten and kept, one by one', async () => {
  const service = defineService({
    uri: URI,
    async recipient({ local }, session) {
      assert.equal(session.sender?.address, 'steve@example.org');
      if (local === 'nobody') return refuse(550, '5.1.1', 'No such user here');
      if (local === 'later') return tempfail(450, '4.7.1', 'Greylisted', 'Please come again');
      return local === 'old' ? rewrite('<new@example.com>') : keep();
    },
  });
  const to = ['nobody@x.example', 'old@x.example', 'later@x.example', 'paul@x.example', '<old@x.example> NOTIFY=NEVER'];
  for (const pipelined of [false, true]) {
    const result = await run(service, { to, pipelined });
    assert.deepEqual(result.recipients, [
      { to: to[0], path: undefined, reply: '550 5.1.1 No such user here' },
      { to: to[1], path: '<new@example.com>', reply: undefined },
      { to: to[2], path: undefined, reply: '450-4.7.1 Greylisted\r\n450 4.7.1 Please come again' },
      { to: to[3], path: '<paul@x.example>', reply: undefined },
      { to: to[4], path: '<new@example.com> NOTIFY=NEVER', reply: undefined },
    ]);
    assert.equal(result.outcome, 'kept');
  }
});

test('a message sees the recipients as they go on, and the session', async () => {
  const service = defineService({
    uri: URI,
    wants: { envelope: true, recipients: true },
    recipient: ({ local }) =>
      local === 'a' ? refuse(550, '5.7.1', 'no') : local === 'b' ? rewrite('<c@x.example>') : keep(),
    message: ({ recipients, session, sender }) =>
      edit({
        headers: {
          add: [['X-Seen', `${session.ip} ${session.helo} ${sender.path} ${recipients.map((r) => r.address).join()}`]],
        },
      }),
  });
  const result = await run(service, {
    to: ['a@x.example', 'b@x.example', 'd@x.example'],
    from: '<>',
    ip: 'IPv6:2001:db8::1',
  });
  assert.deepEqual(result.added, ['X-Seen: 2001:db8::1 client.example.org <> c@x.example,d@x.example']);
});

test('senders can be refused and rewritten', async () => {
  const service = defineService({
    uri: URI,
    wants: { envelope: true },
    sender: ({ domain }) =>
      domain === 'bad.example' ? refuse(553, '5.7.1', 'Not from there') : rewrite('<bounce@us.example>'),
    message: ({ sender }) => edit({ headers: { add: [['X-S', sender.address]] } }),
  });
  assert.deepEqual((await run(service, { from: 'x@bad.example' })).reply, '553 5.7.1 Not from there');
  const result = await run(service, { from: '<x@good.example> SIZE=10' });
  assert.equal(result.sender, '<bounce@us.example> SIZE=10');
  assert.deepEqual(result.added, ['X-S: bounce@us.example']);
});

test('a message is refused with the words of the service', async () => {
  const service = defineService({
    uri: URI,
    wants: { headers: true },
    message: () => refuse(550, '5.7.1', 'Content refused', 'Policy P-12'),
  });
  const result = await run(service);
  assert.deepEqual([result.outcome, result.reply], ['refused', '550-5.7.1 Content refused\r\n550 5.7.1 Policy P-12']);
});

test('a message is kept aside, with the reason for the operator', async () => {
  const service = defineService({
    uri: URI,
    wants: { headers: true },
    message: async () => quarantine({ reason: 'score 12\r\nX: caf\u{e9}' }),
  });
  for (const kept of ['structure', 'off'] as const) {
    const { outcome, advice, message, sentBack } = await run(service, { kept });
    assert.deepEqual([outcome, message.length, sentBack], ['quarantined', 0, 0]);
    assert.deepEqual(advice, { kind: 'quarantine', reason: 'score 12??X: caf?' });
  }
});

test('a message is put off, for a while or until a time', async () => {
  const waits = (wish: DelayWish) => defineService({ uri: URI, message: () => delay(wish) });
  const reason = 'outbreak';
  const short = await run(waits({ forMs: 1500, reason }));
  assert.deepEqual([short.outcome, short.advice], ['delayed', { kind: 'delay', seconds: 2, reason }]);
  const past = await run(waits({ until: new Date(0), reason }));
  assert.deepEqual(past.advice, { kind: 'delay', seconds: 1, reason });
  const far = await run(waits({ until: new Date(8.64e15), reason }));
  assert.equal(far.advice?.kind === 'delay' ? far.advice.seconds : 0, 31_536_000);
  for (const forMs of [0, -1, Number.NaN]) {
    const none = await run(waits({ forMs, reason }));
    assert.deepEqual([none.outcome, none.failure], ['failed', 'service-failed']);
  }
});

test('where the processor would not follow the advice, the mail fails rather than pass', async () => {
  for (const message of [() => quarantine({ reason: 'x' }), () => delay({ forMs: 1, reason: 'x' })]) {
    const { outcome, failure, log } = await run(defineService({ uri: URI, message }), { allow: { advice: false } });
    assert.deepEqual([outcome, failure], ['failed', 'advice-not-allowed']);
    assert.deepEqual([log.length, log[0]?.event], [1, 'service-failed']);
    assert.match(String(log[0]?.fields['error']), /may: \[quarantine\], or \[delay\]/);
  }
});

test('of two services the first one has a message kept aside, and the second has no say', async () => {
  const first = defineService({ uri: URI, message: () => quarantine({ reason: 'first' }) });
  const second = defineService({ uri: `${URI}/2`, message: () => keep() });
  const { outcome, advice } = await run([first, second]);
  assert.deepEqual([outcome, advice?.reason], ['quarantined', 'first']);
});

test('a message is replaced while it is read', async () => {
  const service = defineService({
    uri: URI,
    wants: { body: 'stream' },
    message(mail) {
      async function* upper() {
        for await (const chunk of mail.content)
          yield Buffer.from(Buffer.from(chunk).toString('latin1').toUpperCase(), 'latin1');
      }
      return replace(upper());
    },
  });
  const result = await run(service, { mail: `Subject: x\n\n${'abc\n'.repeat(100_000)}`, fragmentOctets: 10_000 });
  assert.equal(result.message.toString(), `SUBJECT: X\r\n\r\n${'ABC\r\n'.repeat(100_000)}`);
  assert.equal(result.byReference, 0);
});

test('a whole message can be had, up to a cap', async () => {
  const whole = defineService({
    uri: URI,
    wants: { whole: { maxOctets: 1000, beyond: refuse(552, '5.3.4', 'Too large to be checked') } },
    message: ({ octets }) => edit({ headers: { add: [['X-Size', String(octets.length)]] } }),
  });
  assert.deepEqual((await run(whole, { mail: `A: b\n\n${'x'.repeat(990)}\n`, fragmentOctets: 7 })).added, [
    'X-Size: 1000',
  ]);
  assert.equal(
    (await run(whole, { mail: `A: b\n\n${'x'.repeat(991)}\n`, fragmentOctets: 7 })).reply,
    '552 5.3.4 Too large to be checked',
  );
  const strict = defineService({ uri: URI, wants: { whole: { maxOctets: 10 } }, message: () => keep() });
  assert.equal((await run(strict)).failure, 'message-too-large');
});

test('a handler that throws fails its mail and says so in the log, not on the wire', async () => {
  const boom = new Error('no such table: secrets');
  const services = [
    defineService({
      uri: URI,
      message: () => {
        throw boom;
      },
    }),
    defineService({
      uri: URI,
      message: async () => {
        throw boom;
      },
    }),
    defineService({
      uri: URI,
      recipient: () => {
        throw boom;
      },
    }),
    defineService({
      uri: URI,
      recipient: async () => {
        throw boom;
      },
    }),
    defineService({
      uri: URI,
      sender: async () => {
        throw boom;
      },
    }),
    defineService({
      uri: URI,
      message: () =>
        replace(
          (function* () {
            yield Buffer.from('a');
            throw boom;
          })(),
        ),
    }),
  ];
  for (const service of services) {
    const result = await run(service);
    assert.deepEqual([result.outcome, result.failure], ['failed', 'service-failed']);
    assert.equal(result.log.length, 1);
    assert.equal(result.log[0]?.fields['error'], boom.message);
  }
});

test('a handler that takes too long fails its mail', async () => {
  const never = new Promise<never>(() => {});
  const result = await run(defineService({ uri: URI, timeoutMs: 10, message: () => never }));
  assert.deepEqual([result.outcome, result.failure], ['failed', 'time-limit']);
  const second = await run(defineService({ uri: URI, timeoutMs: 10, recipient: () => never }));
  assert.deepEqual([second.outcome, second.failure], ['failed', 'time-limit']);
});

test('where the processor keeps nothing, octets are sent back and the result is the same', async () => {
  const service = defineService({
    uri: URI,
    wants: { headers: true },
    recipient: () => keep(),
    message: async () => edit({ headers: { remove: ['Subject'] } }),
  });
  const mail = `Subject: x\nTo: y\n\n${'0123456789\n'.repeat(20_000)}`;
  const kept = await run(service, { mail });
  const sent = await run(service, { mail, kept: 'off' });
  assert.deepEqual(sent.message, kept.message);
  assert.deepEqual([kept.sentBack, sent.byReference], [0, 0]);
  const pair = await run(service, { mail, kept: 'pair' });
  assert.equal(pair.sentBack, 0);
});

test('new content may be made of the whole message later on', async () => {
  const service = defineService({
    uri: URI,
    wants: { whole: { maxOctets: 1000 } },
    message: (mail) =>
      replace(
        (async function* () {
          await new Promise(setImmediate);
          yield mail.octets.subarray(0, 6);
          yield mail.octets.subarray(6);
        })(),
      ),
  });
  assert.equal((await run(service, { mail: 'A: b\n\nbody\n' })).message.toString(), 'A: b\r\n\r\nbody\r\n');
});

test('in a header too large to be seen whole, fields are not searched for', async () => {
  const service = defineService({
    uri: URI,
    wants: { headers: true },
    message: () => edit({ headers: { remove: ['X-B'] } }),
  });
  const mail = `${'X-A: 1234567890\n'.repeat(30_000)}X-B: 1\n\nbody\n`;
  assert.equal((await run(service, { mail })).failure, 'service-failed');
});

test('a handler that answers with something else fails its mail', async () => {
  const nothing = (() => undefined) as unknown as () => ReturnType<typeof keep>;
  for (const service of [
    defineService({ uri: URI, message: nothing }),
    defineService({ uri: URI, message: async () => nothing() }),
    defineService({ uri: URI, recipient: nothing }),
    defineService({ uri: URI, recipient: async () => nothing() }),
    defineService({
      uri: URI,
      message: () =>
        edit({
          ranges: [
            { start: 0, end: 5, data: '' },
            { start: 4, end: 6, data: '' },
          ],
        }),
    }),
    defineService({ uri: URI, message: () => edit({ ranges: [{ start: 5000, end: 5001, data: '' }] }) }),
    defineService({ uri: URI, recipient: () => rewrite('<a@b@c>') }),
    defineService({ uri: URI, message: () => replace(['text' as unknown as Uint8Array]) }),
    defineService({ uri: URI, message: () => edit({ headers: { add: [['X-A', 'x'.repeat(1200)]] } }) }),
  ]) {
    const result = await run(service);
    assert.deepEqual([result.failure, result.log.length], ['service-failed', 1]);
  }
});
