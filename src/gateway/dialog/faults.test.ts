/**
 * Exceptions thrown on purpose, at each place where something from elsewhere enters a mail: that mail hears 451 and nothing of
 * it is delivered, and neither the process nor any other mail hears of it. Behind a hop's answer, or the store's, the client
 * hears that one.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'vitest';
import { LISTENER, type MailRig, RigMail } from '../../../test/support/mail-rig.ts';
import type { Script } from '../../../test/support/memory-callout.ts';
import { RecordingSpool } from '../../../test/support/recording-spool.ts';
import { plainRoute } from '../../../test/support/routes.ts';
import { finish, keepAll, MAIL, rigWith } from '../../../test/support/scripted-services.ts';
import { answerBlock } from '../../profile/index.ts';
import { makeServerOptions, type Outbound, reply, ServerSession } from '../../smtp/index.ts';
import { MemoryBudget, type SpillFile, type SpillSpace } from '../content/index.ts';
import { Dialog } from './dialog.ts';
import type { MailWorld } from './world.ts';

// What nobody caught would end the gateway; here it ends the test.
const escaped: unknown[] = [];
const note = (error: unknown): void => {
  escaped.push(error);
};
let before: NodeJS.UncaughtExceptionListener[] = [];
beforeEach(() => {
  before = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', note);
});
afterEach(() => {
  process.removeListener('uncaughtException', note);
  for (const listener of before) process.on('uncaughtException', listener);
  assert.deepEqual(escaped.splice(0), []);
});

const turns = async (n: number): Promise<void> => {
  for (let i = 0; i < n; i++) await new Promise(setImmediate);
};

function fail(): never {
  throw new Error('on purpose');
}

/** A mail in a world that differs for it alone. */
async function begun(rig: MailRig, world: Partial<MailWorld> | MailWorld, n = 77): Promise<RigMail> {
  const mail = new RigMail(
    Object.create(rig.world, Object.getOwnPropertyDescriptors(world)) as MailWorld,
    n,
    '<a@src.example>',
    null,
  );
  assert.equal((await mail.began).code, 250);
  return mail;
}

function assertFault(rig: MailRig, n = 77): void {
  const faults = rig.logged.filter(({ event }) => event === 'mail.fault');
  assert.ok(faults.length > 0, 'no line');
  for (const { fields } of faults) {
    assert.equal(fields['mail'], `session.${n}`);
    assert.match(String(fields['error']), /on purpose\n +at /);
  }
  assert.deepEqual(
    rig.delivered.filter(({ isComplete, mail }) => isComplete && mail !== OTHER),
    [],
  );
}

const FAULT = { code: 451, enhanced: '4.3.0', text: ['Internal fault; try again later'] };
const OTHER = '<other@src.example>';

/** Whatever became of one mail, the next on the same connections passes. */
async function assertOthersGoOn(rig: MailRig): Promise<void> {
  const { final } = await rig.send(MAIL);
  assert.equal(final?.code, 250);
}

/** A world whose system is asked for what stands in traces, and throws once it is armed. */
function trapped(rig: MailRig): { readonly world: Partial<MailWorld>; arm(): void } {
  let isArmed = false;
  const { system } = rig.world;
  return {
    world: {
      get system() {
        return isArmed ? fail() : system;
      },
    },
    arm: () => {
      isArmed = true;
    },
  };
}

for (const [whose, timeoutMs] of [
  ['a mail', 600_000],
  ['a service at a mail', 5000],
] as const)
  test(`out of the deadline of ${whose}`, async () => {
    const { rig } = rigWith([{ ...keepAll(['RAWDATA']), onOriginalEnd() {} }], { timeoutMs });
    const trap = trapped(rig);
    const mail = await begun(rig, trap.world);
    await mail.rcpt('b@dst.example');
    const final = mail.content(MAIL);
    await turns(20);
    trap.arm();
    rig.world.deadlines.tick(rig.world.deadlines.nowMs + 61_000);
    assert.deepEqual(await final, FAULT);
    assertFault(rig);
  });

test('out of an answer of a callout server: its connection and the mails of others on it go on', async () => {
  const kept = keepAll(['RAWDATA']);
  const script: Script = {
    ...kept,
    onOriginalEnd(tx, all) {
      trap.arm();
      kept.onOriginalEnd?.(tx, all);
    },
  };
  const { rig, callouts } = rigWith([script]);
  const trap = trapped(rig);
  const mail = await begun(rig, trap.world);
  await mail.rcpt('b@dst.example');
  const { mail: other } = await rig.begin('other@src.example');
  await other.rcpt('c@dst.example');
  const [final, others] = await Promise.all([mail.content(MAIL), other.content(MAIL)]);
  assert.deepEqual([final.code, final.enhanced, others.code], [451, '4.3.0', 250]);
  assertFault(rig);
  assert.deepEqual(
    rig.logged.filter(({ event }) => event === 'callout.down' || event === 'callout.again'),
    [],
  );
  assert.equal(callouts.seen.length, 2);
});

test('out of what the hop says of a recipient: the client hears 451, and again for its content', async () => {
  const { rig } = rigWith([]);
  const mail = await begun(rig, {});
  let isFirst = true;
  const answer = mail.answer.bind(mail);
  mail.answer = (ticket, reply) => {
    if (reply.code === 250 && isFirst) {
      isFirst = false;
      fail();
    }
    answer(ticket, reply);
  };
  const hung = mail.rcpt('b@dst.example');
  await turns(5);
  assert.equal((await mail.rcpt('c@dst.example')).code, 451);
  assert.equal((await mail.content(MAIL)).code, 451);
  assertFault(rig);
  void hung;
  await assertOthersGoOn(rig);
});

test('out of the way of content to the hop: it is given up before its end', async () => {
  const { rig } = rigWith([]);
  const open = rig.open.bind(rig);
  let isAborted = false;
  rig.open = (...args) => {
    const out = open(...args);
    return {
      ...out,
      content: fail,
      abort: () => {
        isAborted = true;
        out.abort();
      },
    } satisfies Outbound;
  };
  const mail = await begun(rig, {});
  await mail.rcpt('b@dst.example');
  assert.equal((await mail.content(MAIL)).code, 451);
  assert.equal(isAborted, true);
  assertFault(rig);
});

/** Told 451, the client would send again what the hop has, or what it does not want. */
for (const [what, said] of [
  ['a hop took it', undefined],
  ['a hop refused it', reply(554, '5.7.1', 'No')],
] as const)
  test(`out of the end itself, behind the answer of a hop: ${what}, and the client hears that`, async () => {
    const { rig } = rigWith([]);
    if (said !== undefined) rig.hopFinals.set('hop', said);
    const mail = await begun(rig, { keep: fail });
    await mail.rcpt('b@dst.example');
    const final = await mail.content(MAIL);
    assert.deepEqual([final.code, final.text], said === undefined ? [250, ['queued as 1']] : [554, ['No']]);
    assert.ok(rig.logged.some(({ event }) => event === 'mail.fault'));
    const lines = rig.logged.filter(({ event }) => event === 'mail');
    assert.deepEqual(
      lines.map(({ fields }) => fields['outcome']),
      [said === undefined ? 'relayed' : 'refused'],
    );
  });

for (const hears of ['lmtp', 'prdr'] as const)
  test(`out of the end itself, where the client hears each recipient (${hears}): each hears what its hop said`, async () => {
    const routes = [plainRoute('one.example', 'one', 25), plainRoute('two.example', 'two', 25)];
    const { rig } = rigWith([], { routes, spool: new RecordingSpool() });
    rig.hears = hears;
    rig.hopFinals.set('two', reply(452, '4.2.2', 'Full'));
    Object.assign(rig.world, { keep: fail });
    const { each } = await rig.send(MAIL, ['a@two.example', 'b@one.example']);
    assert.deepEqual(
      each?.map(({ code }) => code),
      [452, 250],
    );
    assert.ok(rig.logged.some(({ event }) => event === 'mail.fault'));
  });

test('out of the news that it is stored: it is ours, and the client hears so', async () => {
  const spool = new RecordingSpool('spool');
  const { rig } = rigWith([], { spool });
  const mail = await begun(rig, { keep: fail });
  await mail.rcpt('b@dst.example');
  assert.equal((await mail.content(MAIL)).code, 250);
  assert.equal(spool.taken.length, 1);
  await turns(3);
  assert.equal(spool.disposed, 1);
  assertFault(rig);
});

test('with one of several hops: who was delivered hears it, and the others 451', async () => {
  const routes = [plainRoute('one.example', 'one', 25), plainRoute('two.example', 'two', 25)];
  const { rig } = rigWith([], { routes, spool: new RecordingSpool() });
  rig.hears = 'lmtp';
  const open = rig.open.bind(rig);
  rig.open = (route, ...rest) => {
    const out = open(route, ...rest);
    if (route !== routes[1]) return out;
    return { ...out, data: () => void turns(20).then(() => out.data()), content: fail };
  };
  const { each } = await rig.send(MAIL, ['a@two.example', 'b@one.example']);
  assert.deepEqual(
    each?.map(({ code }) => code),
    [451, 250],
  );
  assert.deepEqual(
    rig.delivered.filter(({ isComplete }) => isComplete).map(({ rcpts }) => rcpts),
    [['<b@one.example>']],
  );
  assert.deepEqual(
    rig.records.map(({ outcome, recipients }) => [outcome, recipients.map((one) => one.reply?.code)]),
    [['relayed', [451, 250]]],
  );
});

/** Takes everything, and says so when it is told to. */
class Disk implements SpillSpace {
  isFull = false;
  readonly written: (() => void)[] = [];

  open(): SpillFile {
    const kept: Buffer[] = [];
    let size = 0;
    return {
      append: (octets, done) => {
        const at = size;
        kept.push(octets);
        size += octets.length;
        this.written.push(() => done(undefined));
        return at;
      },
      read: (offset, length, done) =>
        setImmediate(() => done(undefined, Buffer.concat(kept).subarray(offset, offset + length))),
      close: () => {},
    };
  }
}

test('out of the disk that has caught up', async () => {
  const { rig } = rigWith([]);
  const disk = new Disk();
  const mail = await begun(rig, { budget: new MemoryBudget(0, 0), spill: disk });
  await mail.rcpt('b@dst.example');
  mail.resumeContent = fail;
  const final = mail.content(`${MAIL}${'x'.repeat(600_000)}\r\n`, 4);
  await mail.paused();
  for (const done of disk.written.splice(0)) done();
  assert.equal((await final).code, 451);
  assertFault(rig);
});

test('out of a read from the disk', async () => {
  const { rig } = rigWith([]);
  const disk = new Disk();
  const mail = await begun(rig, { budget: new MemoryBudget(0, 0), spill: disk });
  await mail.rcpt('b@dst.example');
  const open = rig.open.bind(rig);
  rig.open = (...args) => ({ ...open(...args), content: fail });
  // The hop is asked at RCPT; this one's recipient comes late.
  const late = await begun(rig, { budget: new MemoryBudget(0, 0), spill: disk });
  await late.rcpt('b@dst.example');
  const final = late.content(MAIL);
  await turns(1);
  for (const done of disk.written.splice(0)) done();
  assert.deepEqual(await final, FAULT);
  assertFault(rig);
});

test('out of what follows from comparing what a service made', async () => {
  const script: Script = {
    ...keepAll(['RAWDATA']),
    onOriginalEnd(tx, all) {
      for (const { part, octets } of all) {
        if (part !== 'RAWDATA') continue;
        const changed = Buffer.from(octets.toString('latin1').replace('Hello', 'Howdy'), 'latin1');
        tx.sendData(answerBlock('RAWDATA', {}), [changed], changed.length);
      }
      finish(tx);
      trap.arm();
    },
  };
  const { rig } = rigWith([script]);
  const trap = trapped(rig);
  const mail = await begun(rig, trap.world);
  await mail.rcpt('b@dst.example');
  assert.deepEqual(await mail.content(MAIL), FAULT);
  assertFault(rig);
});

test('out of a connection that comes up for several mails: the others get it', async () => {
  const { rig } = rigWith([keepAll(['RCPT', 'RAWDATA'])]);
  const { clock } = rig.world;
  let isArmed = false;
  const mail = await begun(rig, { clock: () => (isArmed ? fail() : clock()) });
  const { mail: other } = await rig.begin('other@src.example');
  const both = [mail.rcpt('b@dst.example'), other.rcpt('c@dst.example')];
  isArmed = true;
  const codes = (await Promise.all(both)).map(({ code }) => code);
  assert.deepEqual(codes, [451, 250]);
  assert.equal((await other.content(MAIL)).code, 250);
  assertFault(rig);
});

/** A whole session in such a world, and the first nine characters of each of its replies. */
function sessionIn(
  rig: MailRig,
  world: Partial<MailWorld>,
): { readonly session: ServerSession; readonly said: string[] } {
  const said: string[] = [];
  const session: ServerSession = new ServerSession(
    makeServerOptions({ hostname: 'mx.example.com' }),
    new Dialog(
      Object.create(rig.world, Object.getOwnPropertyDescriptors(world)) as MailWorld,
      LISTENER,
      {
        remoteAddress: '192.0.2.1',
        isSecure: false,
        user: '',
        client: new Map(),
        forwarded: new Map(),
        pauseContent() {},
        resumeContent() {},
        answer: (ticket, reply) => session.answer(ticket, reply),
        answerEach: (ticket, each) => session.answerEach(ticket, each),
        answerHello: (ticket) => session.answerHello(ticket),
        answerAuth: (ticket, answer) => session.answerAuth(ticket, answer),
        go: (ticket) => session.go(ticket),
      },
      'session',
    ),
    { write: (text) => said.push(text.slice(0, 9)), startTls() {}, close() {}, pauseInput() {}, resumeInput() {} },
  );
  return { session, said };
}

test('under a command of the client: it has its answer, and the session goes on', async () => {
  const { rig } = rigWith([]);
  const { dispatcher } = rig.world;
  let isArmed = true;
  const faulty = {
    asks: () => false,
    atMail: () => [],
    atRecipient: () => (isArmed ? fail() : undefined),
  } as unknown as typeof dispatcher;
  const { session, said } = sessionIn(rig, { dispatcher: faulty });
  session.greet();
  for (const line of ['EHLO a', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>', 'RSET', 'MAIL FROM:<a@b>', 'RCPT TO:<c@d>']) {
    if (line === 'RSET') isArmed = false;
    session.recv(Buffer.from(`${line}\r\n`));
  }
  assert.deepEqual(said.slice(2), ['250 2.1.0', '451 4.3.0', '250 2.0.0', '250 2.1.0', '550 5.7.1']);
  assert.equal(rig.logged.filter(({ event }) => event === 'mail.fault').length, 1);
});

test('under DATA: it has one answer, the mail has its line, and the session goes on', async () => {
  const { rig } = rigWith([]);
  let isArmed = false;
  const { session, said } = sessionIn(rig, {
    get spool() {
      return isArmed ? fail() : undefined;
    },
  });
  session.greet();
  const envelope = ['MAIL FROM:<a@b>', 'RCPT TO:<c@d>'];
  for (const line of ['EHLO a', ...envelope, 'DATA', ...envelope]) {
    isArmed = line === 'DATA';
    session.recv(Buffer.from(`${line}\r\n`));
    await turns(3);
  }
  assert.deepEqual(said.slice(2), ['250 2.1.0', '250 2.1.5', '451 4.3.0', '250 2.1.0', '250 2.1.5']);
  assert.deepEqual(
    rig.logged.filter(({ event }) => event === 'mail').map(({ fields }) => fields['outcome']),
    ['tempfailed'],
  );
});
