import assert from 'node:assert/strict';
import { test } from 'vitest';
import { SentMail, type TestMail } from '../../../../test/support/outbound.ts';
import { type Outbound, type OutboundEvents, type OutboundFailure, type Reply, reply } from '../../../smtp/index.ts';
import { MxOutbound } from './mx-outbound.ts';
import type { Destination } from './plan.ts';

/** A transaction that does nothing by itself: what it was asked stands in `calls`, and the test tells its events. */
class Scripted implements Outbound {
  readonly passesDsn = true;
  readonly address: string;
  readonly events: OutboundEvents;
  readonly calls: string[] = [];

  constructor(address: string, events: OutboundEvents) {
    this.address = address;
    this.events = events;
  }

  rcpt(argument: string): void {
    this.calls.push(`rcpt ${argument}`);
  }
  data(options?: { exact: boolean }): void {
    this.calls.push(options?.exact === true ? 'data exact' : 'data');
  }
  content(chunks: readonly Uint8Array[], last: boolean): boolean {
    this.calls.push(`content ${Buffer.concat(chunks).length}${last ? ' last' : ''}`);
    return true;
  }
  abort(): void {
    this.calls.push('abort');
  }

  fail(stage: OutboundFailure['stage'], reason: OutboundFailure['reason'], sent = false): void {
    this.events.onFailed({ stage, reason, sent });
  }
  /** As `NextHop` does: MAIL's reply goes to every recipient, unless the mail was given up meanwhile. */
  refuseMail(refusal: Reply): void {
    this.events.onMailRefused?.(refusal);
    const rcpts = this.calls.filter((call) => call.startsWith('rcpt')).length;
    for (let i = 0; i < rcpts && !this.calls.includes('abort'); i++) this.events.onRcptReply(i, refusal);
  }
}

const OK = reply(250, '2.1.5', 'OK');
const GO = reply(354, undefined, 'Go');
const NO = reply(550, '5.1.1', 'No such user');
const LATER = reply(450, '4.2.1', 'Later');

const TWO_HOSTS: Destination = {
  kind: 'hosts',
  hosts: [
    {
      host: 'a.example',
      addresses: ['2001:db8::1', '192.0.2.1'],
      port: 25,
      tlsName: 'a.example',
      tls: { kind: 'may' },
    },
    { host: 'b.example', addresses: ['192.0.2.2'], port: 25, tlsName: 'b.example', tls: { kind: 'require' } },
  ],
  skipped: [],
  notes: [],
};

function rig(destination: Destination | Promise<Destination> = TWO_HOSTS, mail: TestMail = {}) {
  const opened: Scripted[] = [];
  const left: string[] = [];
  const clock = { nowMs: 0 };
  let found: Destination | undefined;
  const out: { mx?: MxOutbound } = {};
  const sent = new SentMail(
    {
      open(envelope, events) {
        out.mx = new MxOutbound(Promise.resolve(destination), envelope, events, {
          openHost(target, given, attempt) {
            assert.equal(given, envelope);
            const scripted = new Scripted(target.address, attempt);
            opened.push(scripted);
            return scripted;
          },
          clock: () => clock.nowMs,
          tryForMs: 1000,
          onFound: (what) => {
            found = what;
          },
          onNextHost: ({ host, address }, why) =>
            left.push(`${host} ${address} ${'code' in why ? why.code : why.reason}`),
        });
        return out.mx;
      },
    },
    mail,
  );
  const use = (index: number): Scripted => {
    const one = opened[index];
    assert.ok(one, `host ${index} was not tried`);
    return one;
  };
  return { sent, opened, left, clock, use, found: () => found, mx: () => out.mx as MxOutbound };
}

/** Until promises that are settled have told it. */
const settled = () => new Promise(setImmediate);

test('a mail goes to the best host, whole', async () => {
  const { sent, opened, use, mx, found } = rig(TWO_HOSTS, { rcpts: ['<1@d>', '<2@d>'], content: [Buffer.from('abc')] });
  assert.deepEqual(opened, []);
  await settled();
  assert.equal(found(), TWO_HOSTS);
  assert.deepEqual(mx().target, {
    host: 'a.example',
    address: '2001:db8::1',
    port: 25,
    tlsName: 'a.example',
    tls: { kind: 'may' },
  });
  use(0).events.onRcptReply(0, OK);
  use(0).events.onRcptReply(1, NO);
  use(0).events.onDataReply(GO);
  use(0).events.onDrain();
  use(0).events.onFinalReply(OK);
  assert.deepEqual(use(0).calls, ['rcpt <1@d>', 'rcpt <2@d>', 'data', 'content 3 last']);
  assert.deepEqual(sent.events, ['rcpt 0 250', 'rcpt 1 550', 'data 354', 'final 250']);
  assert.equal(sent.drains, 1);
  assert.equal(opened.length, 1);
  assert.equal(mx().target, undefined);
});

test('recipients that come after the host was found go there, too', async () => {
  const { sent, use } = rig(TWO_HOSTS, { rcpts: ['<1@d>'] });
  await settled();
  sent.out.rcpt('<2@d>');
  assert.deepEqual(use(0).calls, ['rcpt <1@d>', 'rcpt <2@d>']);
});

/** What a host may do before it answered a recipient, so that the next one is tried. */
const GOES_ON: Readonly<Record<string, (host: Scripted) => void>> = {
  'no connection': (host) => host.fail('connect', 'unreachable'),
  'a full pool': (host) => host.fail('connect', 'busy'),
  'a greeting of 554': (host) => host.fail('hello', 'refused'),
  'a failed TLS': (host) => host.fail('hello', 'tls'),
  '421 to EHLO': (host) => host.fail('hello', 'closing'),
  'an end behind MAIL': (host) => host.fail('envelope', 'lost'),
  'a 4yz to MAIL': (host) => host.refuseMail(LATER),
};

for (const [why, does] of Object.entries(GOES_ON)) {
  test(`the next address, then the next host: ${why}`, async () => {
    const { sent, opened, use, left } = rig(TWO_HOSTS, { rcpts: ['<1@d>', '<2@d>'] });
    await settled();
    does(use(0));
    does(use(1));
    assert.deepEqual(
      opened.map(({ address }) => address),
      ['2001:db8::1', '192.0.2.1', '192.0.2.2'],
    );
    assert.deepEqual(use(2).calls, ['rcpt <1@d>', 'rcpt <2@d>']);
    assert.deepEqual(sent.events, []);
    assert.equal(left.length, 2);
    assert.match(left[0] ?? '', /^a\.example 2001:db8::1 \w/);
    use(2).events.onRcptReply(0, OK);
    use(2).events.onRcptReply(1, OK);
    assert.deepEqual(sent.events, ['rcpt 0 250', 'rcpt 1 250']);
    assert.equal(use(2).calls.at(-1), 'data');
  });
}

test('a 4yz to MAIL: the host is left in order, and nothing of it is heard any more', async () => {
  const { sent, use } = rig();
  await settled();
  use(0).refuseMail(LATER);
  assert.deepEqual(use(0).calls, ['rcpt <b@example.com>', 'abort']);
  use(0).events.onRcptReply(0, NO);
  use(0).fail('envelope', 'lost');
  use(0).events.onDataReply(GO);
  use(0).events.onFinalReply(OK);
  use(0).events.onDrain();
  assert.deepEqual(sent.events, []);
  assert.equal(sent.drains, 0);
});

test('the last host has the last word', async () => {
  for (const [does, want] of [
    [(host: Scripted) => host.fail('connect', 'unreachable'), ['failed connect unreachable']],
    [(host: Scripted) => host.refuseMail(LATER), ['rcpt 0 450']],
  ] as const) {
    const { sent, opened, use } = rig();
    await settled();
    for (let i = 0; i < 3; i++) does(use(i));
    assert.deepEqual(sent.events, want);
    assert.equal(opened.length, 3);
    assert.ok(!use(2).calls.includes('data'));
  }
});

/** What is an answer, or not about the host: no other is tried. */
const ENDS: Readonly<Record<string, readonly [(host: Scripted) => void, readonly string[]]>> = {
  'a 5yz to MAIL': [(host) => host.refuseMail(NO), ['rcpt 0 550']],
  'a recipient accepted, then lost': [
    (host) => {
      host.events.onRcptReply(0, OK);
      host.fail('envelope', 'lost');
    },
    ['rcpt 0 250', 'failed envelope lost'],
  ],
  'a recipient put off': [(host) => host.events.onRcptReply(0, LATER), ['rcpt 0 450']],
  'lost behind the dot': [
    (host) => {
      host.events.onRcptReply(0, OK);
      host.events.onDataReply(GO);
      host.fail('final', 'lost', true);
    },
    ['rcpt 0 250', 'data 354', 'failed final lost sent'],
  ],
  'DATA refused': [
    (host) => {
      host.events.onRcptReply(0, OK);
      host.events.onDataReply(LATER);
    },
    ['rcpt 0 250', 'data 450'],
  ],
  'the mail needs what the host lacks': [
    (host) => host.fail('envelope', 'cannot-carry'),
    ['failed envelope cannot-carry'],
  ],
  'we close': [(host) => host.fail('connect', 'shutdown'), ['failed connect shutdown']],
};

for (const [why, [does, want]] of Object.entries(ENDS)) {
  test(`no other host is tried: ${why}`, async () => {
    const { sent, opened, use } = rig();
    await settled();
    does(use(0));
    assert.deepEqual(sent.events, want);
    assert.equal(opened.length, 1);
  });
}

test('behind one recipient that was answered even a 4yz to MAIL changes nothing', async () => {
  const { sent, opened, use } = rig(TWO_HOSTS, { rcpts: ['<1@d>', '<2@d>'] });
  await settled();
  use(0).events.onRcptReply(0, OK);
  use(0).refuseMail(LATER);
  assert.deepEqual(sent.events.slice(0, 2), ['rcpt 0 250', 'rcpt 0 450']);
  assert.equal(opened.length, 1);
});

test('no further host is begun when the time is over', async () => {
  const { sent, opened, use, clock } = rig();
  await settled();
  clock.nowMs = 999;
  use(0).fail('connect', 'timeout');
  assert.equal(opened.length, 2);
  clock.nowMs = 1000;
  use(1).fail('connect', 'timeout');
  assert.equal(opened.length, 2);
  assert.deepEqual(sent.events, ['failed connect timeout']);
});

test('where there is nowhere to go, every recipient has that reply, whenever it came', async () => {
  const refused: Destination = { kind: 'refused', reply: reply(556, '5.1.10', 'No mail'), why: 'null-mx' };
  const { sent, opened } = rig(refused, { rcpts: ['<1@d>', '<2@d>'], onEnvelope: () => {} });
  assert.deepEqual(sent.events, []);
  await settled();
  assert.deepEqual(sent.events, ['rcpt 0 556', 'rcpt 1 556']);
  sent.out.rcpt('<3@d>');
  assert.equal(sent.events.length, 2, 'never from within the call');
  await settled();
  assert.deepEqual(sent.events.slice(2), ['rcpt 2 556']);
  sent.out.data();
  assert.equal(sent.events.length, 3);
  await settled();
  assert.deepEqual(sent.events.slice(3), ['data 554']);
  assert.deepEqual(opened, []);
});

test('data() asked before there is a host goes with the mail, also to the next', async () => {
  const { sent, use } = rig();
  sent.out.data({ exact: true });
  await settled();
  assert.deepEqual(use(0).calls, ['rcpt <b@example.com>', 'data exact']);
  use(0).fail('hello', 'lost');
  assert.deepEqual(use(1).calls, ['rcpt <b@example.com>', 'data exact']);
  const refused: Destination = { kind: 'refused', reply: NO, why: 'no-domain' };
  const nowhere = rig(refused, { onEnvelope: () => {} });
  nowhere.sent.out.data();
  await settled();
  assert.deepEqual(nowhere.sent.events, ['rcpt 0 550', 'data 554']);
});

test('a mail given up says nothing more, wherever it was', async () => {
  const waiting = Promise.withResolvers<Destination>();
  const early = rig(waiting.promise);
  early.sent.out.abort();
  waiting.resolve(TWO_HOSTS);
  await settled();
  assert.deepEqual([early.opened, early.sent.events], [[], []]);

  const late = rig();
  await settled();
  late.sent.out.abort();
  late.use(0).fail('connect', 'unreachable');
  assert.deepEqual(late.use(0).calls, ['rcpt <b@example.com>', 'abort']);
  assert.deepEqual([late.opened.length, late.sent.events], [1, []]);

  const nowhere = rig({ kind: 'refused', reply: NO, why: 'x' }, { onEnvelope: () => {} });
  await settled();
  nowhere.sent.out.rcpt('<2@d>');
  nowhere.sent.out.abort();
  await settled();
  assert.deepEqual(nowhere.sent.events, ['rcpt 0 550']);
});

test('a look-up that breaks is a failure of the mail, not silence', async () => {
  const { sent } = rig(Promise.reject(new Error('a bug')));
  await sent.done;
  assert.deepEqual(sent.events, ['failed connect unreachable']);
  assert.equal(sent.failure?.detail, 'Error: a bug');
});
