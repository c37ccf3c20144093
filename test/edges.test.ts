/** The corners of a mail's way, each of which went wrong once: hangs, crashes, wrong policy, growth. */
import assert from 'node:assert/strict';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { test } from 'vitest';
import { AdaptedData, MAX_EDITS } from '../src/gateway/callouts/adapted-data.ts';
import { Content, MemoryBudget, OctetStore, type SpillFile, type SpillSpace } from '../src/gateway/content/index.ts';
import { SpillDirectory } from '../src/gateway/fs/spill-files.ts';
import { answerBlock } from '../src/profile/index.ts';
import { type OutboundEvents, reply } from '../src/smtp/index.ts';
import { MailRig, RigMail } from './support/mail-rig.ts';
import { type GotPart, MemoryCallouts, type Script, serviceOptions } from './support/memory-callout.ts';
import { ALL, body, finish, keepAll, keepData, MAIL, rigWith } from './support/scripted-services.ts';

async function turns(n = 50): Promise<void> {
  for (let i = 0; i < n; i++) await new Promise(setImmediate);
}

/** The value, or 'pending' where it did not come within some turns of the loop. */
async function soon<T>(promise: Promise<T>, n = 100): Promise<T | 'pending'> {
  let got: T | 'pending' = 'pending';
  void promise.then((value) => {
    got = value;
  });
  for (let i = 0; i < n && got === 'pending'; i++) await new Promise(setImmediate);
  return got;
}

// --- hangs ----------------------------------------------------------------------------------------------------------

test('hang: a RCPT that is at a service when the hop is lost is answered', async () => {
  let late: (() => void) | undefined;
  const script: Script = {
    ...keepAll(['RCPT']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part !== 'RCPT') return;
      if (part.octets.includes('slow')) late = () => tx.useYours(part.offset, part.octets.length);
      else tx.useYours(part.offset, part.octets.length);
    },
  };
  const { rig } = rigWith([script]);
  let hop: OutboundEvents | undefined;
  const world = {
    ...rig.world,
    relay: {
      open: (_route: unknown, _envelope: unknown, events: OutboundEvents) => {
        hop = events;
        let n = 0;
        return {
          rcpt: () => {
            const index = n++;
            setImmediate(() => events.onRcptReply(index, reply(250, '2.1.5', 'ok')));
          },
          data: () => {},
          content: () => true,
          abort: () => {},
          passesDsn: true,
        };
      },
    },
  };
  const mail = new RigMail(world, 1, '<a@src.example>', null);
  await mail.began;
  assert.equal((await mail.rcpt('b@dst.example')).code, 250);
  const slow = mail.rcpt('slow@dst.example');
  await turns(20);
  hop?.onFailed({ stage: 'envelope', reason: 'lost', sent: false } as never);
  late?.();
  const answer = await soon(slow);
  assert.notEqual(answer, 'pending', 'the RCPT is never answered');
});

class HeldMail extends RigMail {
  static held = false;
  override pauseContent(): void {
    HeldMail.held = true;
  }
  override resumeContent(): void {
    HeldMail.held = false;
  }
}

/** Takes commands, and of the data as little as it can. */
const SLOW: Script = {
  ...keepAll(['RAWDATA']),
  onPart(tx, part, all) {
    if (all.length === 1) tx.startMessage();
    if (part.part === 'RAWDATA') tx.wantPause();
  },
  onOriginalEnd() {},
};

/** A mail of 2 MB for which memory is no bound, sent in 40 pieces until the client is held back. */
async function holdClient(rig: MailRig, turnsUntilHeld: number): Promise<void> {
  HeldMail.held = false;
  const world = { ...rig.world, budget: new MemoryBudget(64 << 20, 64 << 20) };
  const mail = new HeldMail(world, 1, '<a@src.example>', null);
  await mail.began;
  await mail.rcpt('b@dst.example');
  void mail.content(`${MAIL}${`${'x'.repeat(78)}\r\n`.repeat(25_000)}`, 40);
  await turns(turnsUntilHeld);
  assert.equal(HeldMail.held, true, 'precondition: the client is held back');
}

test('hang: a client held back for a slow service goes on when that service is skipped', async () => {
  const { rig, callouts } = rigWith([SLOW], { onFailure: 'skip', timeoutMs: 100 });
  await holdClient(rig, 60);
  callouts.deadlines.tick(callouts.deadlines.nowMs + 1000);
  await turns(20);
  assert.ok(
    rig.logged.some(({ event }) => event === 'callout.failed'),
    'precondition: the service was skipped',
  );
  assert.equal(HeldMail.held, false, 'the client stays held for ever');
});

test('hang: a service that wants no data (DWP) while a RCPT is to be sent runs out of its time', async () => {
  const script: Script = {
    ...keepAll(['RCPT']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part !== 'RCPT') return;
      tx.useYours(part.offset, part.octets.length);
      tx.wantPause();
    },
  };
  const { rig, callouts } = rigWith([script], { timeoutMs: 100 });
  const { mail } = await rig.begin();
  assert.equal((await mail.rcpt('b@dst.example')).code, 250);
  await turns(10);
  const second = mail.rcpt('c@dst.example');
  await turns(10);
  callouts.deadlines.tick(performance.now() + 60_000);
  callouts.deadlines.tick(performance.now() + 600_000);
  assert.notEqual(await soon(second), 'pending', 'nobody times the service: the RCPT is never answered');
});

// --- crashes --------------------------------------------------------------------------------------------------------

/** A disk that answers reads when told to. */
class SlowDisk implements SpillSpace {
  readonly isFull = false;
  readonly reads: (() => void)[] = [];
  open(): SpillFile {
    const kept: Buffer[] = [];
    let size = 0;
    return {
      append: (octets, done) => {
        kept.push(octets);
        const at = size;
        size += octets.length;
        setImmediate(() => done(undefined));
        return at;
      },
      read: (offset, length, done) => {
        this.reads.push(() => done(undefined, Buffer.concat(kept).subarray(offset, offset + length)));
      },
      close: () => {},
    };
  }
}

test('crash: reading a disposed store gives an error, not an exception', () => {
  const store = new OctetStore(new MemoryBudget(0, 0), new SlowDisk(), {
    onCaughtUp() {},
    onFailed() {},
    onFault() {},
  });
  store.append(Buffer.from('octets'));
  store.dispose();
  assert.doesNotThrow(() => store.load(0, 6, () => {}));
});

test('crash: a client that goes away while spilled content is compared', async () => {
  const disk = new SlowDisk();
  const script: Script = {
    ...keepAll(['RAWDATA']),
    onOriginalEnd(tx, all) {
      for (const part of all)
        if (part.part === 'RAWDATA') {
          const changed = Buffer.from(part.octets.toString('latin1').replace('Hello', 'Howdy'), 'latin1');
          tx.sendData(answerBlock('RAWDATA', {}), [changed], changed.length);
        }
      finish(tx);
    },
  };
  const { rig } = rigWith([script]);
  const world = { ...rig.world, budget: new MemoryBudget(0, 0), spill: disk };
  const mail = new RigMail(world, 1, '<a@src.example>', null);
  await mail.began;
  await mail.rcpt('b@dst.example');
  const errors: unknown[] = [];
  const before = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => errors.push(error));
  try {
    void mail.content(MAIL);
    await turns(20);
    // First the service's input is read from the disk; then the comparison waits for the next read.
    while (disk.reads.length === 1 && !rig.logged.some(({ event }) => event === 'mail')) {
      disk.reads.shift()?.();
      await turns(1);
      if (disk.reads.length > 0) break;
      await turns(20);
    }
    await turns(20);
    assert.ok(disk.reads.length > 0, 'precondition: a read is under way');
    mail.reset();
    for (const read of disk.reads.splice(0)) {
      try {
        read();
      } catch (error) {
        errors.push(error);
      }
    }
    await turns(20);
  } finally {
    process.removeAllListeners('uncaughtException');
    for (const listener of before) process.on('uncaughtException', listener);
  }
  assert.deepEqual(errors, [], 'an exception out of a disk callback ends the whole gateway');
});

// --- leaks ----------------------------------------------------------------------------------------------------------

test('leak: nothing of a mail that is over stays among the deadlines', async () => {
  const { rig, callouts } = rigWith([keepAll(['RCPT', 'RAWDATA'])]);
  await rig.send(MAIL);
  const before = callouts.deadlines.size;
  for (let i = 0; i < 300; i++) assert.equal((await rig.send(MAIL)).final?.code, 250);
  const live = callouts.deadlines.size - before;
  // Released entries are swept at 256; armed ones hold their mail until the deadline (4 minutes).
  assert.ok(live < 300, `${live} entries after 300 mails that are over`);
});

// --- policy, trace ----------------------------------------------------------------------------------------------------

test('policy: a rule on recipient and message is judged for every recipient, not for the first', async () => {
  const { rig } = rigWith([keepAll(['RAWDATA'])], {
    when: "recipient.address == 'c@dst.example' && message.size > 0",
  });
  const { rcpts, final } = await rig.send(MAIL, ['b@dst.example', 'c@dst.example']);
  if (rcpts[1]?.code === 250) {
    assert.equal(final?.code, 250);
    assert.deepEqual(rig.delivered[0]?.rcpts, ['<b@dst.example>', '<c@dst.example>']);
    assert.match(body(rig.delivered[0]), /svc\.example\/s1/, "c's mail was to be scanned and was not");
  }
});

test('policy: a rule on the message is not judged on a recipient that the hop refused', async () => {
  const { rig } = rigWith([keepAll(['RAWDATA'])], {
    when: "recipient.address == 'c@dst.example' && message.size > 0",
  });
  rig.hopRefuses.set('<b@dst.example>', reply(550, '5.1.1', 'no such user'));
  const { rcpts, final } = await rig.send(MAIL, ['b@dst.example', 'c@dst.example']);
  assert.deepEqual(
    rcpts.map(({ code }) => code),
    [550, 250],
  );
  assert.equal(final?.code, 250);
  assert.match(body(rig.delivered[0]), /svc\.example\/s1/, 'the only recipient was to be scanned and was not');
});

test('replay: a late service is told of accepted recipients only', async () => {
  const { rig, callouts } = rigWith([keepAll(['RCPT', 'RAWDATA'])], { when: 'message.size > 0' });
  rig.hopRefuses.set('<b@dst.example>', reply(550, '5.1.1', 'no such user'));
  await rig.send(MAIL, ['b@dst.example', 'c@dst.example']);
  const told = callouts.seen[0]?.filter(({ part }) => part === 'RCPT').map(({ octets }) => octets.toString());
  assert.deepEqual(told, ['<c@dst.example>']);
});

test('policy: a service that refused MAIL late and then ended is not skipped over', async () => {
  const script: Script = {
    ...keepAll(['MAIL', 'RCPT', 'RAWDATA']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part !== 'MAIL') return;
      tx.sendData(answerBlock('MAIL', { smtpError: '550 5.1.8 go away' }), [], 0);
      finish(tx);
    },
    onOriginalEnd() {},
  };
  const { rig } = rigWith([script], { when: "recipient.domain == 'dst.example'", onFailure: 'skip' });
  const { rcpts, final } = await rig.send(MAIL);
  assert.equal(rcpts[0]?.code, 550, `RCPT got ${rcpts[0]?.code}, the content ${final?.code}`);
});

test('policy: a MAIL refused late stays refused for the next RCPT although the service died meanwhile', async () => {
  const script: Script = {
    ...keepAll(['MAIL', 'RCPT', 'RAWDATA']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part === 'MAIL') tx.sendData(answerBlock('MAIL', { smtpError: '550 5.1.8 go away' }), [], 0);
      if (part.part === 'RCPT') {
        tx.useYours(part.offset, part.octets.length);
        tx.end({ code: 400, reason: 'done' });
      }
    },
    onOriginalEnd() {},
  };
  const { rig } = rigWith([script], { when: "recipient.domain == 'dst.example'", onFailure: 'skip' });
  const { mail } = await rig.begin();
  assert.equal((await mail.rcpt('b@dst.example')).code, 550);
  await turns(10);
  assert.equal((await mail.rcpt('c@dst.example')).code, 550);
});

test('trace: a MAIL rewritten with the first RCPT is told as an edit', async () => {
  const script: Script = {
    ...keepAll(['MAIL', 'RAWDATA']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part === 'MAIL') tx.sendData(answerBlock('MAIL', {}), [Buffer.from('<new@src.example>')], 17);
    },
  };
  const { rig } = rigWith([script], { when: "recipient.domain == 'dst.example'" });
  assert.equal((await rig.send(MAIL)).final?.code, 250);
  assert.equal(rig.delivered[0]?.mail, '<new@src.example>');
  assert.match(body(rig.delivered[0]), /outcome=envelope-edited/);
});

test('policy: the time of a service is that of one answer, not the sum of a pipeline of them', async () => {
  const waiting: (() => void)[] = [];
  const script: Script = {
    ...keepAll(['RCPT']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part === 'RCPT') waiting.push(() => tx.useYours(part.offset, part.octets.length));
    },
  };
  const { rig, callouts } = rigWith([script], { timeoutMs: 1000 });
  callouts.deadlines.tick(1);
  const { mail } = await rig.begin();
  const answers = ['b', 'c', 'd'].map((local) => mail.rcpt(`${local}@dst.example`));
  await turns(20);
  for (let i = 0; i < 3; i++) {
    callouts.deadlines.tick(1 + (i + 1) * 600); // each answer comes 600 ms after the one before
    waiting[i]?.();
    await turns(10);
  }
  assert.deepEqual(
    (await Promise.all(answers)).map(({ code }) => code),
    [250, 250, 250],
  );
});

test('policy: a client that idles does not turn a service that owes nothing into a failure (and its mail into a skipped one)', async () => {
  const { rig, agents } = rigWith([keepAll(['RCPT', 'RAWDATA'])], { onFailure: 'skip' });
  const { mail } = await rig.begin();
  await mail.rcpt('b@dst.example');
  await turns(10);
  for (let i = 0; i < 4; i++) for (const agent of agents) agent.onTimer('stall'); // NOOPs for more than 15 minutes
  await turns(10);
  assert.equal((await mail.content(MAIL)).code, 250);
  assert.match(body(rig.delivered[0]), /outcome=unchanged/, 'the mail passed unscanned, by the doing of the client');
});

test('trace: a forged field behind filler is found', async () => {
  const script: Script = {
    ...keepAll(['RAWDATA']),
    onOriginalEnd(tx, all) {
      const data = all.find((part) => part.part === 'RAWDATA') as GotPart;
      const at = data.octets.indexOf('From: ');
      const filler = Buffer.from(`X-Filler: ${'x'.repeat(70)}\r\n`.repeat(700));
      tx.useYours(data.offset, at);
      for (let i = 0; i < 3; i++) tx.sendData(answerBlock('RAWDATA', {}), [filler], filler.length);
      const forged = Buffer.from('OPES-System: http://evil.example/\r\nReceived: from evil\r\n');
      tx.sendData(answerBlock('RAWDATA', {}), [forged], forged.length);
      tx.useYours(data.offset + at, data.octets.length - at);
      finish(tx);
    },
  };
  const { rig } = rigWith([script]);
  const { final } = await rig.send(MAIL);
  if (final?.code === 250) assert.ok(!body(rig.delivered[0]).includes('evil'), 'forged trace fields were delivered');
});

test('record: a mail refused at DATA by `reject` is refused, not tempfailed', async () => {
  const script: Script = {
    ...keepAll(['RCPT', 'RAWDATA']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part !== 'RCPT') return;
      tx.useYours(part.offset, part.octets.length);
      tx.end({ code: 400, reason: 'bug' });
    },
  };
  const { rig } = rigWith([script], { onFailure: 'reject' });
  const { final } = await rig.send(MAIL);
  assert.equal(final?.code, 554);
  assert.equal(rig.records[0]?.outcome, 'refused');
});

// --- growth -----------------------------------------------------------------------------------------------------------

test('growth: a server that negotiates and then hangs up is not connected to without a pause', async () => {
  const { rig, callouts, agents } = rigWith([keepAll(['RAWDATA'])]);
  for (const service of rig.services) service.start();
  for (let i = 0; i < 400; i++) {
    if (rig.services.every((service) => service.isReady)) callouts.kill();
    await new Promise(setImmediate);
  }
  assert.ok(agents.length < 10, `${agents.length} connections in a moment, no deadline having passed`);
});

test('growth: added headers count towards the size of an answer', async () => {
  const script: Script = {
    ...keepAll(['RAWDATA']),
    onOriginalEnd(tx, all) {
      const block = answerBlock('RAWDATA', { addHeaders: [`X-Fill: ${`${'x'.repeat(900)}\r\n `.repeat(8)}x`] });
      for (let i = 0; i < 500; i++) tx.sendData(block, [], 0);
      keepData(tx, all);
      finish(tx);
    },
  };
  const { rig } = rigWith([script], { may: ['add-header'] });
  const { final } = await rig.send(MAIL);
  const size = rig.delivered[0]?.content.length ?? 0;
  assert.ok(final?.code !== 250 || size < 2 * 1024 * 1024, `${final?.code}, delivered with ${size} octets of header`);
});

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function heapAfterCollection(): number {
  collect();
  return process.memoryUsage().heapUsed;
}

test('growth: octets inserted one by one do not cost a hundred times their size', () => {
  const budget = new MemoryBudget();
  const store = new OctetStore(budget, new SlowDisk(), { onCaughtUp() {}, onFailed() {}, onFault() {} });
  const data = new AdaptedData(new Content(), () => store, 1 << 30);
  const before = heapAfterCollection();
  const one = Buffer.from('x');
  for (let i = 0; i < 400_000; i++) assert.equal(data.insert(one), undefined);
  const perOctet = (heapAfterCollection() - before) / 400_000;
  assert.ok(
    MAX_EDITS > 0 && perOctet < 20,
    `${perOctet.toFixed(0)} octets of heap for each; budget says ${budget.used}`,
  );
  store.dispose();
});

test('policy: new mail is told at MAIL that the spill space is spent', async () => {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'opes-review-'));
  try {
    const space = new SpillDirectory({ directory, maxOctets: 100_000 });
    const file = space.open();
    let failed = false;
    for (let i = 0; i < 3 && !failed; i++)
      await new Promise<void>((resolve) => {
        file.append(Buffer.alloc(40_000), (error) => {
          failed = error !== undefined;
          resolve();
        });
      });
    assert.equal(failed, true);
    assert.equal(space.isFull, true, `${space.used} of 100000 used, the last append refused, and not full`);
    file.close();
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
});

test('replay: an answer to a replayed RCPT is not taken for the answer to the next one', async () => {
  let first = true;
  const script: Script = {
    ...keepAll(['RCPT', 'RAWDATA']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part !== 'RCPT') return;
      if (part.octets.includes('c@') && first) {
        first = false;
        callouts.kill();
        return;
      }
      // A server that does not know the mark answers every RCPT, by echo.
      tx.sendData(answerBlock('RCPT', {}), [part.octets], part.octets.length);
    },
    onOriginalEnd(tx, all) {
      for (const part of all)
        if (part.part === 'RAWDATA') tx.sendData(answerBlock('RAWDATA', {}), [part.octets], part.octets.length);
      finish(tx);
    },
  };
  const { rig, callouts } = rigWith([script]);
  const { mail } = await rig.begin();
  assert.equal((await mail.rcpt('b@dst.example')).code, 250);
  const second = await mail.rcpt('c@dst.example');
  const told = callouts.seen.map((parts) =>
    parts.map((one) => `${one.part}${one.replayed ? '*' : ''} ${one.octets.toString()}`),
  );
  assert.equal(second.code, 250, JSON.stringify([second, told, rig.logged]));
  assert.equal(callouts.seen.length, 2, JSON.stringify(told));
  assert.deepEqual(rig.delivered[0]?.rcpts, ['<b@dst.example>', '<c@dst.example>']);
});

test('policy: a recipient rewritten to UTF-8 in a mail without SMTPUTF8 is not passed on', async () => {
  const utf8 = Buffer.from('<jürgen@dst.example>', 'utf8');
  const script: Script = {
    ...keepAll(['RCPT']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part === 'RCPT') tx.sendData(answerBlock('RCPT', {}), [utf8], utf8.length);
    },
    onOriginalEnd: finish,
  };
  const { rig } = rigWith([script]);
  const { rcpts } = await rig.send(MAIL);
  assert.notEqual(rcpts[0]?.code, 250, `the hop was told ${String(rig.delivered[0]?.rcpts)}`);
});

test('policy: a bare LF that a service inserted is never passed on (D11)', async () => {
  const script: Script = {
    ...keepAll(['RAWDATA']),
    onOriginalEnd(tx, all) {
      keepData(tx, all);
      const bare = Buffer.from('one\ntwo\rthree\r\n');
      tx.sendData(answerBlock('RAWDATA', {}), [bare], bare.length);
      finish(tx);
    },
  };
  const { rig } = rigWith([script]);
  const { final } = await rig.send(MAIL);
  if (final?.code === 250) assert.doesNotMatch(body(rig.delivered[0]), /[^\r]\n|\r[^\n]/);
});

test('trace: a header section that a service ends by a bare LF hides nothing', async () => {
  const script: Script = {
    ...keepAll(['RAWDATA']),
    onOriginalEnd(tx, all) {
      const data = all.find((part) => part.part === 'RAWDATA') as GotPart;
      const at = data.octets.indexOf('From: ');
      tx.useYours(data.offset, at);
      const bare = Buffer.from('X: y\rReceived: forged\n\n');
      tx.sendData(answerBlock('RAWDATA', {}), [bare], bare.length);
      tx.useYours(data.offset + at, data.octets.length - at);
      finish(tx);
    },
  };
  const { rig } = rigWith([script]);
  const { final } = await rig.send(`Received: old\r\n${MAIL}`);
  if (final?.code === 250) assert.doesNotMatch(body(rig.delivered[0]), /forged/);
});

test('growth: recipients refused for now do not pile up in a mail and in its log line', async () => {
  const { rig } = rigWith([keepAll(['RAWDATA'])], { when: "recipient.domain == 'dst.example'" });
  const { mail } = await rig.begin();
  await mail.rcpt('b@dst.example');
  for (let i = 0; i < 3000; i++) await mail.rcpt(`x${i}@other.example`); // 452 each; a session may send 100,000
  mail.reset();
  const line = rig.logged.find(({ event }) => event === 'mail')?.fields['to'] as string[];
  assert.ok(line.length <= 200, `${line.length} recipients in one log line (the listener takes 100)`);
});

test('trace: a field added to a mail that begins with a fold is in the header', async () => {
  const script: Script = {
    ...keepAll(['RAWDATA']),
    onOriginalEnd(tx, all) {
      keepData(tx, all, answerBlock(undefined, { addHeaders: ['X-Spam: no'] }));
      finish(tx);
    },
  };
  const { rig } = rigWith([script]);
  assert.equal((await rig.send(` folded\r\n${MAIL}`)).final?.code, 250);
  const got = body(rig.delivered[0]);
  assert.ok(got.slice(0, got.indexOf('\r\n\r\n')).includes('X-Spam'), got);
});

test('hang: the time of a service also runs for data it was ready to take and then did not (DWP late)', async () => {
  const script: Script = {
    ...keepAll(['RAWDATA']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part === 'MAIL') tx.wantPause();
    },
    onOriginalEnd() {},
  };
  const { rig, callouts } = rigWith([script], { onFailure: 'skip', timeoutMs: 100 });
  const { mail } = await rig.begin();
  await mail.rcpt('b@dst.example');
  await turns(10);
  const final = mail.content(MAIL);
  await turns(10);
  callouts.deadlines.tick(callouts.deadlines.nowMs + 1000);
  const answer = await soon(final);
  assert.equal(answer === 'pending' ? 'pending' : answer.code, 250);
});

test('replay: a server that knows the mark may refuse the next RCPT behind a replay', async () => {
  let first = true;
  const script: Script = {
    ...keepAll(['RCPT', 'RAWDATA']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part !== 'RCPT' || part.replayed) return;
      if (!part.octets.includes('c@')) {
        tx.useYours(part.offset, part.octets.length);
        return;
      }
      if (first) {
        first = false;
        callouts.kill();
      } else tx.sendData(answerBlock('RCPT', { smtpError: '550 5.1.1 no' }), [], 0);
    },
  };
  const { rig, callouts } = rigWith([script]);
  const { mail } = await rig.begin();
  assert.equal((await mail.rcpt('b@dst.example')).code, 250);
  assert.equal((await mail.rcpt('c@dst.example')).code, 550);
});

test('replay: the same recipient once more behind its replay has its answer', async () => {
  let first = true;
  const script: Script = {
    ...keepAll(['RCPT', 'RAWDATA']),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part !== 'RCPT' || part.replayed) return;
      if (all.filter((one) => one.part === 'RCPT').length === 2 && first) {
        first = false;
        callouts.kill();
      } else tx.sendData(answerBlock('RCPT', {}), [part.octets], part.octets.length);
    },
  };
  const { rig, callouts } = rigWith([script]);
  const { mail } = await rig.begin();
  assert.equal((await mail.rcpt('b@dst.example')).code, 250);
  const again = await soon(mail.rcpt('b@dst.example'));
  assert.equal(again === 'pending' ? 'pending' : again.code, 250);
});

test('hang: a client held back for a slow service goes on when it is skipped and the next one waits for the whole message', async () => {
  // The second service begins only when the message is whole.
  const callouts = new MemoryCallouts();
  callouts.servers.set(1, SLOW);
  callouts.servers.set(2, keepAll(['RAWDATA']));
  const rig = new MailRig(callouts, [
    { options: serviceOptions('s1', new Set(ALL), [1]), onFailure: 'skip', timeoutMs: 100 },
    { options: serviceOptions('s2', new Set(ALL), [2]), when: 'message.size > 10' },
  ]);
  await holdClient(rig, 35);
  callouts.deadlines.tick(callouts.deadlines.nowMs + 1000);
  await turns(2);
  assert.equal(HeldMail.held, false);
});
