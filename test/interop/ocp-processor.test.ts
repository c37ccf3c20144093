/**
 * Our processor's end of OCP against the callout server that was written independently of it: a mail's transaction with each
 * kind of answer, then the server's death, silence or nonsense after every single octet of its answer, and every lie it knows.
 * Each transaction gets exactly one end, nothing after it, and success only for an answer that is whole.
 */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, test } from 'vitest';
import {
  type ConnectionEnd,
  isFailure,
  type ProcessorTransaction,
  type ProcessorTransactionEvents,
  type Result,
  type TransactionEnd,
} from '../../src/ocp/index.ts';
import { ProcessorChannel } from '../../src/ocp/net/index.ts';
import { type Answer, dataBlock, makeOffer, readAnswer, readSelection } from '../../src/profile/index.ts';
import { Draft00, type Draft00Script } from '../support/draft00.ts';

const OFFERED = { adaptive: ['RCPT', 'RAWDATA'], informative: ['IP', 'HELO', 'MAIL'] } as const;
const CONTENT = Buffer.from('Subject: x\r\n\r\nthe quick brown fox\r\n');
const BOTH = { smtpError: true, addHeader: true, advice: false };

let server: Draft00;
beforeAll(async () => {
  server = await Draft00.start();
});
afterAll(async () => {
  await server.stop();
});

interface Told {
  /** What the server made of the mail, as ranges of the original and as new octets. */
  readonly answers: readonly string[];
  readonly message: 'none' | 'open' | 'ended' | 'void';
  readonly end: TransactionEnd;
}

/** One mail: RCPT, and when that is answered the data; collects everything the agent says. */
class Mail implements ProcessorTransactionEvents {
  readonly told: Promise<Told>;
  readonly #tell: (told: Told) => void;
  readonly #answers: string[] = [];
  #transaction: ProcessorTransaction | undefined;
  #message: Told['message'] = 'none';
  #payload = '';
  #over = false;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<Told>();
    this.told = promise;
    this.#tell = resolve;
  }

  start(transaction: ProcessorTransaction): void {
    this.#transaction = transaction;
    transaction.startMessage();
    this.#send('IP', '[192.0.2.1]', false);
    this.#send('MAIL', '<a@src.test>', false);
    this.#send('RCPT', '<b@dst.test>', true);
  }
  #send(part: 'IP' | 'MAIL' | 'RCPT' | 'RAWDATA', text: string, kept: boolean): void {
    const tx = this.#transaction;
    if (tx === undefined || tx.isEnded) return;
    const from = 11 + 12; // what stands before RCPT is not kept
    const size = tx.orgOffset + text.length - from;
    const block = dataBlock(part, kept ? BOTH : { smtpError: false, addHeader: false, advice: false });
    tx.sendData(block, [Buffer.from(text)], text.length, kept ? { offset: from, size } : undefined);
  }

  #alive(): void {
    assert.ok(!this.#over, 'an event after the end');
  }
  onAdaptedStart(): void {
    this.#alive();
    assert.equal(this.#message, 'none');
    this.#message = 'open';
  }
  onData(): void {
    this.#alive();
    this.#payload = '';
  }
  onDataOctets(octets: Buffer): void {
    this.#alive();
    this.#payload += octets.toString('latin1');
  }
  onDataEnd(named: Parameters<ProcessorTransactionEvents['onDataEnd']>[0]): void {
    this.#alive();
    this.#take(`mine ${this.#payload}`, readAnswer(named));
  }
  onUseYours(offset: number, size: number, named: Parameters<ProcessorTransactionEvents['onUseYours']>[2]): void {
    this.#alive();
    this.#take(`yours ${offset} ${size}`, readAnswer(named));
  }
  #take(what: string, answer: Answer | { readonly error: string }): void {
    if ('error' in answer) {
      this.#transaction?.end({ code: 400, reason: answer.error });
      return;
    }
    const more = [answer.smtpError, ...answer.addHeaders].filter((x) => x !== undefined);
    this.#answers.push([what, ...more].join(' | '));
    if (this.#answers.length > 1) return;
    this.#send('RAWDATA', CONTENT.toString('latin1'), true);
    this.#transaction?.endMessage();
  }
  onDisposable(): void {
    this.#alive();
  }
  onAdaptedEnd(result: Result): void {
    this.#alive();
    assert.equal(this.#message, 'open');
    this.#message = isFailure(result, 'AME') ? 'void' : 'ended';
  }
  onTurn(): void {
    this.#alive();
  }
  onEnd(end: TransactionEnd): void {
    this.#alive();
    this.#over = true;
    this.#tell({ answers: this.#answers, message: this.#message, end });
  }
}

class Line {
  readonly channel: ProcessorChannel;
  readonly ready: Promise<void>;
  readonly ended: Promise<ConnectionEnd>;
  constructor() {
    const ready = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<ConnectionEnd>();
    this.ready = ready.promise;
    this.ended = ended.promise;
    this.channel = ProcessorChannel.open(
      { kind: 'tcp', host: '127.0.0.1', port: server.port },
      {
        offer: [makeOffer(OFFERED)],
        services: [{ anonymous: ['http://svc.test/x'], named: new Map() }],
        kept: 'structure',
        timeouts: { stallMs: 500, silenceMs: 500, negotiationMs: 500 },
      },
      {
        onSelected: (feature) => {
          if (feature === undefined) return 'nothing selected';
          const read = readSelection(feature, OFFERED);
          return 'error' in read ? read.error : undefined;
        },
        onReady: () => ready.resolve(),
        onEnd: (end) => ended.resolve(end),
      },
    );
  }

  mail(): Promise<Told> {
    const mail = new Mail();
    const transaction = this.channel.agent.startTransaction(mail);
    assert.ok(transaction !== undefined);
    mail.start(transaction);
    return mail.told;
  }
}

async function one(script: Draft00Script): Promise<Told> {
  await server.script(script);
  const line = new Line();
  await line.ready;
  const told = await Promise.race([line.mail(), lateEnd(line)]);
  line.channel.close();
  await line.channel.closed;
  return told;
}

/** A server that says nothing more is the caller's to give up: here after a while. */
async function lateEnd(line: Line): Promise<Told> {
  await new Promise((resolve) => setTimeout(resolve, 900));
  line.channel.close();
  return await new Promise<never>(() => undefined);
}

const isWhole = (told: Told): boolean =>
  told.message === 'ended' &&
  told.end.by === 'peer' &&
  !isFailure(told.end.result, 'TE') &&
  told.end.incomplete !== true;

const answers: readonly (readonly [string, Draft00Script, readonly string[]])[] = [
  ['by reference', { yours: true }, ['yours 23 12', 'yours 35 35']],
  ['sent back', {}, ['mine <b@dst.test>', `mine ${CONTENT.toString()}`]],
  [
    'refused recipient, refused data',
    {
      rules: [
        { part: 'RCPT', error: '550 5.1.1 no' },
        { part: 'RAWDATA', error: '550-5.7.1 a\r\n550 5.7.1 b' },
      ],
    },
    ['mine  | 550 5.1.1 no', 'mine  | 550-5.7.1 a\r\n550 5.7.1 b'],
  ],
  [
    'rewritten, with headers as a list',
    {
      addHeaderForm: 'list',
      rules: [
        { part: 'RCPT', rewrite: '<c@dst.test>' },
        { part: 'RAWDATA', replace: ['brown', 'red'], addHeader: ['X-A: 1', 'X-B: 2'] },
      ],
    },
    ['mine <c@dst.test>', `mine ${CONTENT.toString().replace('brown', 'red')} | X-A: 1 | X-B: 2`],
  ],
  [
    'one header by reference',
    { yours: true, rules: [{ part: 'RAWDATA', addHeader: ['X-A: 1'] }] },
    ['yours 23 12', 'yours 35 35 | X-A: 1'],
  ],
];
for (const [name, script, expected] of answers) {
  test(name, async () => {
    const told = await one(script);
    assert.ok(isWhole(told), JSON.stringify(told));
    assert.deepEqual(told.answers, expected);
  });
}

test('many transactions at once on one connection', async () => {
  await server.script({ yours: true });
  const line = new Line();
  await line.ready;
  const all = await Promise.all(Array.from({ length: 500 }, () => line.mail()));
  assert.ok(all.every(isWhole));
  assert.ok(all.every((t) => t.answers.join() === 'yours 23 12,yours 35 35'));
  line.channel.close();
  await line.channel.closed;
});

test('the server dies after each octet of its answer: whole only if all of it was said', async () => {
  const length = 'AMS 1;\r\nDUY 1 23 12;\r\nDUY 1 35 35;\r\nAME 1;\r\nTE 1;\r\n'.length;
  for (const kind of ['die', 'reset'] as const) {
    for (let sent = 0; sent <= length; sent++) {
      const told = await one({ yours: true, fault: { kind, sent, times: 1 } });
      if (sent < length) assert.ok(!isWhole(told), `${kind} after ${sent}: ${JSON.stringify(told)}`);
      // With the last octet said the answer is whole; a reset may still have overtaken it.
      else if (kind === 'die') assert.ok(isWhole(told), JSON.stringify(told));
    }
  }
});

test('nonsense and silence after some octets', async () => {
  for (const sent of [0, 3, 8, 20, 31, 44]) {
    const nonsense = await one({ yours: true, fault: { kind: 'garbage', sent, times: 1 } });
    assert.ok(!isWhole(nonsense), `garbage after ${sent}`);
  }
  for (const sent of [1, 25]) {
    const silence = await one({ yours: true, fault: { kind: 'mute', sent, times: 1 } });
    assert.ok(!isWhole(silence), `silence after ${sent}`);
  }
});

/** Lies about content and replies are for the gateway to judge; these break OCP itself. */
const broken =
  'gap overlap offset-of-original yours-outside yours-beyond yours-huge dpi-grows yours-disposed no-payload duplicate-name partial-206 partial-te message-400 transaction-400 code-unknown second-start rcpt-yours-outside rcpt-gap rcpt-te-400'.split(
    ' ',
  );
for (const lie of broken) {
  test(`the lie ${lie} is no success`, async () => {
    const told = await one({ yours: true, fault: { lie, times: 1 } });
    assert.ok(!isWhole(told), JSON.stringify(told));
  });
}

for (const lie of [
  'nr-part-not-offered',
  'nr-both-lists',
  'nr-feature-not-offered',
  'nr-unexpected-sg',
  'nr-negative',
  'nr-never',
]) {
  test(`the answer ${lie} ends the connection`, async () => {
    await server.script({ fault: { lie, times: 1 } });
    const line = new Line();
    const end = await line.ended;
    assert.equal(end.by, 'us');
    assert.notEqual(end.result.code, 200);
    await line.channel.closed;
  });
}
