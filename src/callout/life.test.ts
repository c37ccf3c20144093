/** Mails that end early, services that are slow, many mails at once. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { Deadlines, silentLog } from '../base/index.ts';
import { ALLOW_NOTHING } from '../profile/index.ts';
import { type AddressVerdict, defineService, edit, keep, refuse, replace, type Service } from './index.ts';
import { ServiceSet } from './server.ts';
import { type TestMail, TestProcessor } from './test-processor.ts';

const URI = 'urn:test';

function connect(
  services: readonly Service[],
  { maxHeldOctets = 1e9, kept = 'structure' as 'structure' | 'off' } = {},
) {
  const deadlines = new Deadlines();
  const set = new ServiceSet(services, { deadlines, log: silentLog, maxHeldOctets });
  const processor = new TestProcessor(
    set,
    services.map(({ uri }) => uri),
    {
      offered: { adaptive: ['RCPT', 'RAWDATA'], informative: ['IP', 'EHLO', 'MAIL'] },
      kept,
      allow: { smtpError: true, addHeader: true, advice: false },
      cut: () => 64 * 1024,
    },
  );
  return { set, processor, deadlines };
}

/** Lets everything that is under way come to rest. */
async function settled(): Promise<void> {
  for (let i = 0; i < 50; i++) await new Promise(setImmediate);
}

const MEGABYTE = Buffer.alloc(1024 * 1024, 'line of text\r\n');

test('a mail that is broken off ends its handler: the signal is aborted, the stream fails', async () => {
  const seen: string[] = [];
  const service = defineService({
    uri: URI,
    wants: { body: 'stream' },
    async message(mail, { signal }) {
      signal.addEventListener('abort', () => seen.push('aborted'));
      try {
        for await (const _ of mail.content) seen.push('octets');
        seen.push('whole');
      } catch (error) {
        seen.push(String(error));
      }
      return keep();
    },
  });
  const { processor, set } = connect([service]);
  const mail = await processor.open();
  await mail.data(Buffer.from('A: b\r\n\r\nbody\r\n'));
  await settled();
  mail.transaction.end();
  await settled();
  assert.deepEqual(seen, ['octets', 'aborted', 'Error: the mail is over']);
  assert.equal(set.heldOctets, 0);
  // The connection lives on.
  const next = processor.mail();
  await next.data(Buffer.from('A: b\r\n\r\nbody\r\n'));
  assert.equal((await next.finish()).result.code, 200);
});

test('the signal tells of the end even where it is asked for only then', async () => {
  const end = Promise.withResolvers<boolean>();
  const service = defineService({
    uri: URI,
    async recipient(_rcpt, _session, context) {
      await settled();
      end.resolve(context.signal.aborted);
      return keep();
    },
  });
  const { processor } = connect([service]);
  const mail = await processor.open();
  const answer = mail.command('RCPT', '<a@b.example>');
  mail.transaction.end();
  assert.equal(await answer, undefined);
  assert.equal(await end.promise, true);
});

test('when the connection goes, every mail on it ends', async () => {
  let aborted = 0;
  const service = defineService({
    uri: URI,
    message: (_mail, { signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          aborted++;
          reject(new Error('stopped'));
        });
      }),
  });
  const { processor } = connect([service]);
  await (await processor.open()).data(MEGABYTE);
  for (let i = 0; i < 9; i++) await processor.mail().data(MEGABYTE);
  await settled();
  processor.callout.transportEnded('gone');
  await settled();
  assert.equal(aborted, 10);
});

test('a service that does not read is not sent more than fits, and others on the connection go on', async () => {
  const release = Promise.withResolvers<void>();
  let read = 0;
  const service = defineService({
    uri: URI,
    wants: { headers: true, body: 'stream' },
    async message(mail) {
      if (!mail.headers.has('X-Slow')) return keep();
      await release.promise;
      for await (const chunk of mail.content) read += chunk.length;
      return keep();
    },
  });
  const { processor } = connect([service]);
  const slow = await processor.open();
  const content = Buffer.concat([Buffer.from('X-Slow: yes\r\n\r\n'), ...Array.from({ length: 25 }, () => MEGABYTE)]);
  const sending = slow.data(content).then(() => slow.finish());
  await settled();
  assert.ok(processor.sentOctets < 2 * 1024 * 1024, `${processor.sentOctets} octets were sent although nobody reads`);
  assert.ok(slow.transaction.isPaused);
  const quick = processor.mail();
  await quick.data(MEGABYTE);
  assert.equal((await quick.finish()).result.code, 200);
  assert.ok(slow.transaction.isPaused);
  release.resolve();
  assert.equal((await sending).result.code, 200);
  assert.equal(read, content.length);
});

test('a reader that leaves early gets nothing more, and the mail goes on', async () => {
  const service = defineService({
    uri: URI,
    wants: { body: 'stream' },
    async message(mail) {
      for await (const _ of mail.body) break;
      await settled();
      return keep();
    },
  });
  const { processor } = connect([service]);
  const mail = await processor.open();
  for (let i = 0; i < 5; i++) await mail.data(MEGABYTE);
  assert.equal((await mail.finish()).result.code, 200);
});

test('a new message is made no faster than it can be sent', async () => {
  let made = 0;
  const service = defineService({
    uri: URI,
    message: () =>
      replace(
        (function* () {
          for (; made < 400; made++) yield MEGABYTE.subarray(0, 64 * 1024);
        })(),
      ),
  });
  const { processor } = connect([service]);
  const mail = await processor.open();
  mail.transaction.wantPause();
  await mail.data(Buffer.from('A: b\r\n\r\n'));
  await settled();
  assert.ok(made < 20, `${made} pieces were made although none can be sent`);
  mail.transaction.wantMore();
  assert.equal((await mail.finish()).result.code, 200);
  assert.deepEqual(mail.disposed, { offset: 0, size: 0 }, 'the processor may let go of its copy');
  assert.equal(
    mail.pieces.reduce((sum, piece) => sum + mail.octetsOf(piece).length, 0),
    400 * 64 * 1024,
  );
});

test('a maker of new content is told to stop when its mail is over', async () => {
  let isClosed = false;
  const service = defineService({
    uri: URI,
    message: () =>
      replace(
        (async function* () {
          try {
            for (;;) yield MEGABYTE;
          } finally {
            isClosed = true;
          }
        })(),
      ),
  });
  const { processor } = connect([service]);
  const mail = await processor.open();
  mail.transaction.wantPause();
  await mail.data(Buffer.from('A: b\r\n\r\n'));
  await settled();
  mail.transaction.end();
  await settled();
  assert.ok(isClosed);
});

/** Gives `count` mails of `megabytes` at once, and the most octets that were held meanwhile. */
async function manyLargeMails(
  service: Service,
  count: number,
  megabytes: number,
  kept: 'structure' | 'off' = 'structure',
) {
  const { processor, set } = connect([service], { kept, maxHeldOctets: 64 * 1024 * 1024 });
  const first = await processor.open();
  const mails: TestMail[] = [first, ...Array.from({ length: count - 1 }, () => processor.mail())];
  let heldMost = 0;
  const header = Buffer.from('Subject: large\r\n\r\n');
  for (const mail of mails) await mail.data(header);
  for (let i = 0; i < megabytes; i++) {
    for (const mail of mails) await mail.data(MEGABYTE);
    heldMost = Math.max(heldMost, set.heldOctets);
  }
  const ends = await Promise.all(mails.map((mail) => mail.finish()));
  return { heldMost, ends: ends.map(({ result }) => result), set };
}

test('fifty large mails at once: a service of headers or streams holds nothing of them', {
  timeout: 120_000,
}, async () => {
  const byHeaders = defineService({
    uri: URI,
    wants: { headers: true },
    message: async () => edit({ headers: { remove: ['Subject'] } }),
  });
  const byStream = defineService({
    uri: URI,
    wants: { body: 'stream' },
    async message(mail) {
      let size = 0;
      for await (const chunk of mail.content) size += chunk.length;
      return edit({ headers: { add: [['X-Size', String(size)]] } });
    },
  });
  const plain = await manyLargeMails(byHeaders, 50, 4);
  assert.equal(plain.heldMost, 0);
  assert.ok(plain.ends.every(({ code }) => code === 200));
  const streamed = await manyLargeMails(byStream, 50, 4);
  assert.equal(streamed.heldMost, 0);
  assert.ok(streamed.ends.every(({ code }) => code === 200));
});

test('what must be held is bounded: mails that find no room fail, the others do not', {
  timeout: 120_000,
}, async () => {
  const service = defineService({ uri: URI, wants: { whole: { maxOctets: 1e9 } }, message: () => keep() });
  const { heldMost, ends, set } = await manyLargeMails(service, 5, 25);
  assert.ok(heldMost <= 64 * 1024 * 1024);
  const failed = ends.filter(({ code }) => code === 400);
  assert.ok(failed.length >= 1 && failed.length < 5, `${failed.length} failed`);
  assert.ok(failed.every(({ reason, cause }) => reason === 'no-memory' && cause === 'overload'));
  assert.equal(set.heldOctets, 0);
});

test('where the processor keeps nothing, decided mails are not held either', { timeout: 120_000 }, async () => {
  const service = defineService({ uri: URI, wants: { headers: true }, message: () => keep() });
  const { heldMost, ends, set } = await manyLargeMails(service, 5, 25, 'off');
  assert.ok(heldMost <= 8 * 1024 * 1024, `${heldMost} held`);
  assert.ok(ends.every(({ code }) => code === 200));
  assert.equal(set.heldOctets, 0);
});

test('a service that is called at once and answers at once makes no promise', async () => {
  const { processor } = connect([
    defineService({ uri: URI, wants: { envelope: true }, message: () => edit({ headers: { add: [['X-A', 'b']] } }) }),
  ]);
  const mail = await processor.open();
  await mail.command('MAIL', '<a@b.example>');
  await mail.data(Buffer.from('A: b\r\n\r\nbody\r\n'));
  const before = mail.pieces.length;
  mail.transaction.endMessage();
  processor.pump();
  await new Promise(setImmediate);
  assert.equal(before, 0);
  assert.deepEqual(
    mail.pieces.map(({ kind, answer }) => [kind, answer.addHeaders]),
    [['use', ['X-A: b']]],
  );
  assert.ok(mail.isEnded);
});

test('handlers of pipelined recipients run at once, and are answered in order', async () => {
  const running: string[] = [];
  const gates = new Map<string, () => void>();
  const service = defineService({
    uri: URI,
    async recipient({ local }) {
      running.push(local);
      await new Promise<void>((resolve) => gates.set(local, resolve));
      return keep();
    },
    message: () => keep(),
  });
  const { processor } = connect([service]);
  const mail = await processor.open();
  const answered: string[] = [];
  const answers = ['a', 'b', 'c'].map((local) =>
    mail.command('RCPT', `<${local}@x.example>`).then(() => answered.push(local)),
  );
  // The message may come before they are answered: it waits.
  await mail.data(Buffer.from('A: b\r\n\r\nbody\r\n'));
  await settled();
  assert.deepEqual(running, ['a', 'b', 'c']);
  gates.get('c')?.();
  gates.get('b')?.();
  await settled();
  assert.deepEqual(answered, []);
  gates.get('a')?.();
  await Promise.all(answers);
  assert.deepEqual(answered, ['a', 'b', 'c']);
  assert.equal((await mail.finish()).result.code, 200);
});

test('the time limit counts only while the handler owes something', async () => {
  const service = defineService({
    uri: URI,
    timeoutMs: 1000,
    wants: { body: 'stream' },
    async message(mail) {
      for await (const _ of mail.content);
      await new Promise(() => {});
      return keep();
    },
  });
  const { processor, deadlines } = connect([service]);
  const mail = await processor.open();
  for (let i = 1; i <= 10; i++) {
    await mail.data(Buffer.from('A: b\r\n\r\n'));
    await settled();
    deadlines.tick(i * 5000);
    assert.ok(!mail.isEnded, 'the client is slow, not the service');
  }
  mail.transaction.endMessage();
  await settled();
  deadlines.tick(50_500);
  await settled();
  assert.ok(!mail.isEnded);
  deadlines.tick(51_100);
  assert.equal((await mail.ended).result.reason, 'time-limit');
});

test('a processor that takes no refusal of the message gets a failure', async () => {
  const { refuse } = await import('./index.ts');
  const set = new ServiceSet([defineService({ uri: URI, message: () => refuse(550, '5.7.1', 'no') })], {
    deadlines: new Deadlines(),
  });
  const processor = new TestProcessor(set, [URI], {
    offered: { adaptive: ['RAWDATA'], informative: [] },
    kept: 'structure',
    allow: ALLOW_NOTHING,
    cut: () => 1000,
  });
  const mail = await processor.open();
  await mail.data(MEGABYTE);
  assert.equal((await mail.ended).result.reason, 'refusal-not-allowed');
});

test('a message that is too large is answered behind the commands, like every other', async () => {
  const answers: ((verdict: AddressVerdict) => void)[] = [];
  const service = defineService({
    uri: URI,
    wants: { whole: { maxOctets: 10, beyond: refuse(552, '5.3.4') } },
    recipient: () => new Promise((resolve) => answers.push(resolve)),
    message: () => keep(),
  });
  const { processor } = connect([service]);
  const mail = await processor.open();
  const recipient = mail.command('RCPT', '<a@b.example>');
  await mail.data(Buffer.from('A: b\r\n\r\nmore than ten\r\n'));
  await mail.data(Buffer.from('x'));
  await settled();
  assert.equal(mail.isEnded, false);
  answers[0]?.(keep());
  assert.equal((await recipient)?.kind, 'use');
  assert.equal((await mail.ended).result.code, 200);
  assert.deepEqual(
    mail.pieces.map(({ answer }) => answer.refusal?.code),
    [552],
  );
});
