import assert from 'node:assert/strict';
import { test } from 'vitest';
import { ProcessorBench } from '../../../test/support/ocp-agents.ts';
import { octets } from '../../../test/vectors/ocp/vectors.ts';
import { MAX_NUMBER, PARTIAL, ProcessorAgent, type ProcessorOptions, structure, uriOf } from '../index.ts';

const READY = 'CS;\r\nNR;\r\n';

/** An agent that is ready; what it sent up to then is forgotten. */
function ready(options: Partial<ProcessorOptions> = {}): ProcessorBench {
  const bench = new ProcessorBench(options);
  bench.agent.start();
  bench.feed(READY);
  bench.sent = '';
  return bench;
}

/** A transaction with its message started, by the next xid. */
function started(bench: ProcessorBench, xid = 1) {
  bench.act(`TS ${xid} 1;\r\n`);
  bench.act(`AMS ${xid};\r\n`);
  bench.sent = '';
  const tx = bench.transactions.get(xid);
  assert.ok(tx);
  return tx;
}

const last = (bench: ProcessorBench) => bench.log.at(-1);

test('CS and the offer leave back to back; transactions have to wait for the answer and the group', () => {
  const bench = new ProcessorBench({ offer: [structure(['http://f.example/x'])] });
  bench.agent.start();
  bench.agent.start();
  bench.pump();
  assert.equal(bench.sent, 'CS;\r\nNO ({"18:http://f.example/x"});\r\n');
  assert.equal(bench.agent.isReady, false);
  assert.throws(() => bench.act('TS 1 1;\r\n'));
  bench.feed('CS;\r\nCS;\r\nNR {"18:http://f.example/x" 1};\r\n');
  assert.equal(bench.agent.isReady, true);
  bench.act('TS 1 1;\r\n');
  assert.match(bench.sent, /SGC 1 \(\{"24:http:\/\/svc.example\/upper"\}\);\r\nTS 1 1;\r\n$/);
  assert.equal(bench.transactions.get(1)?.features.length, 1);
});

test('its owner may refuse what was selected', () => {
  const bench = new ProcessorBench();
  bench.displeased = 'no profile';
  bench.agent.start();
  bench.feed(READY);
  assert.match(bench.sent, /CE \{400 "10:no profile"\};\r\n$/);
  assert.deepEqual(bench.log, ['selected nothing', 'end by us 400 no profile (no profile)']);
});

test('output is announced once before it is there, and again when it was taken', () => {
  let told = 0;
  const agent = new ProcessorAgent(
    { offer: [], services: [], kept: 'off' },
    {
      onSelected: () => undefined,
      onReady: () => undefined,
      onOutput: () => {
        told++;
      },
      onEnd: () => undefined,
    },
  );
  agent.start();
  agent.ping();
  assert.equal(told, 1);
  agent.outbox.take();
  agent.ping();
  agent.close();
  assert.equal(told, 2);
});

test('one transaction at a time for each xid, and TE never answers TE (A-05)', () => {
  const bench = ready();
  started(bench);
  bench.feed('TE 1;\r\nTE 1;\r\nAMS 1;\r\nDUM 1 0\r\n1:x\r\n;\r\nPR 1;\r\n');
  assert.equal(bench.sent, '');
  assert.equal(last(bench), '1 end by peer 200');
  started(bench, 2);
  bench.feed('DUY 7 0 1;\r\nDUY 7 0 1;\r\n');
  assert.equal(bench.sent, 'TE 7 {400 xid-never-created};\r\n');
  for (let xid = 3; xid < 7; xid++) started(bench, xid);
  assert.equal(bench.agent.startTransaction(neverTold)?.xid, 8, 'an xid that TE named is used up');
});

const fail = () => assert.fail('told');
const neverTold = {
  onAdaptedStart: fail,
  onData: fail,
  onDataOctets: fail,
  onDataEnd: fail,
  onUseYours: fail,
  onDisposable: fail,
  onAdaptedEnd: fail,
  onTurn: fail,
  onEnd: () => undefined,
};

test('success while the adapted flow is open is no whole message (A-21)', () => {
  const bench = ready();
  started(bench);
  bench.feed('AMS 1;\r\nTE 1;\r\n');
  assert.equal(last(bench), '1 end by peer 200 incomplete');
  started(bench, 2);
  bench.feed('AMS 2;\r\nTE 2 {400};\r\n');
  assert.equal(last(bench), '2 end by peer 400');
});

test('an unknown code in AME is a failure, with or without a message before it (A-16)', () => {
  const bench = ready();
  started(bench);
  bench.feed('AME 1 {503 busy};\r\n');
  assert.equal(last(bench), '1 message end 503 busy');
  started(bench, 2);
  bench.feed('AME 2;\r\n');
  assert.match(bench.sent, /^TE 2 \{400 message-not-started\};\r\n$/);
});

test('invalid As-is is ignored; Kept from a server means nothing', () => {
  const bench = ready();
  started(bench);
  bench.feed('AMS 1;\r\nDUM 1 0\r\nAs-is: never\r\nKept: {5 5}\r\n\r\n1:x\r\n;\r\n');
  assert.equal(last(bench), '1 data x');
});

test('requests to stop early are heard and not granted; what goes the other way only is ignored', () => {
  const bench = ready();
  const tx = started(bench);
  bench.feed('AMS 1;\r\nDWSS 1;\r\nDWSR 1 0;\r\nTS 9 1;\r\nDSS 1;\r\nTS;\r\nx-unknown 1;\r\nAA true;\r\nPA;\r\n');
  assert.equal(bench.sent, '');
  tx.sendData('', [octets('abc')], 3);
  tx.endMessage(PARTIAL);
  bench.pump();
  assert.equal(bench.sent, 'DUM 1 0\r\n3:abc\r\n;\r\nAME 1 {206 partial};\r\n');
});

test('Kept is written as the peer reads it, and only while it says something new', () => {
  for (const [kept, lines] of [
    ['structure', ['Kept: {0 2}\r\n', 'Kept: {0 4}\r\n', '']],
    ['pair', ['Kept: 0 2\r\n', 'Kept: 0 4\r\n', '']],
    ['off', ['', '', '']],
  ] as const) {
    const bench = ready({ kept });
    const tx = started(bench);
    tx.sendData('Part: a\r\n', [octets('ab')], 2, { offset: 0, size: 2 });
    tx.sendData('', [octets('cd')], 2, { offset: 0, size: 4 });
    tx.sendData('', [], 0, { offset: 0, size: 4 });
    bench.pump();
    const [a, b] = lines;
    const second = b === '' ? '' : `${b}\r\n`;
    assert.equal(
      bench.sent,
      `DUM 1 0\r\nPart: a\r\n${a}\r\n2:ab\r\n;\r\nDUM 1 2\r\n${second}2:cd\r\n;\r\nDUM 1 4\r\n0:\r\n;\r\n`,
    );
    bench.feed('AMS 1;\r\nDUY 1 0 4;\r\n');
    assert.equal(last(bench), kept === 'off' ? '1 end by us 400 use-outside-kept (use-outside-kept)' : '1 yours 0 4');
  }
});

test('DWP stops data at its offset, DPM follows at once, and what was sent nevertheless waits for DWM', () => {
  const bench = ready();
  const tx = started(bench);
  bench.feed('DWP 1 4;\r\nDWP 1 8;\r\n');
  assert.equal(tx.isPaused, false);
  tx.sendData('', [octets('abc')], 3);
  assert.equal(tx.isPaused, false);
  tx.sendData('', [octets('def')], 3);
  assert.equal(tx.isPaused, true);
  tx.sendData('', [octets('ghi')], 3, { offset: 0, size: 9 });
  assert.equal(tx.orgOffset, 9);
  tx.requestTurn();
  tx.endMessage();
  bench.pump();
  assert.equal(bench.sent, 'DUM 1 0\r\n3:abc\r\n;\r\nDUM 1 3\r\n3:def\r\n;\r\nDPM 1;\r\n');
  bench.sent = '';
  bench.feed('PQ 1;\r\nDWP 1 0;\r\nDWM 1\r\nSize-request: 5\r\n;\r\nPQ 1;\r\n');
  assert.equal(
    bench.sent,
    'PA 1\r\nOrg-Data: 6\r\n;\r\nDUM 1 6\r\nKept: {0 9}\r\n\r\n3:ghi\r\n;\r\nAME 1;\r\nPA 1;\r\n',
  );
  assert.equal(last(bench), '1 turn');
});

test('a clean end behind waiting data waits too; a failure does not', () => {
  const bench = ready();
  const paused = (xid: number) => {
    const tx = started(bench, xid);
    bench.feed(`DWP ${xid} 0;\r\n`);
    tx.sendData('', [octets('x')], 1);
    tx.endMessage();
    bench.sent = '';
    return tx;
  };
  paused(1).end();
  assert.equal(last(bench), '1 end by us 200');
  bench.feed('AMS 1;\r\nDUM 1 0\r\n1:y\r\n;\r\n');
  assert.equal(bench.sent, '');
  bench.feed('DWM 1;\r\n');
  assert.equal(bench.sent, 'DUM 1 0\r\n1:x\r\n;\r\nAME 1;\r\nTE 1;\r\n');
  paused(2).end({ code: 400, reason: 'no' });
  bench.pump();
  assert.equal(bench.sent, 'TE 2 {400 no};\r\n');
  bench.feed('DWM 2;\r\n');
  assert.equal(bench.agent.liveTransactions, 0);
});

test('DWP and DWM of ours name the offset reached, once', () => {
  const bench = ready();
  const tx = started(bench);
  bench.feed('AMS 1;\r\nDUM 1 0\r\n5:hello\r\n;\r\n');
  tx.wantMore();
  tx.wantPause();
  tx.wantPause();
  bench.feed('DPM 1;\r\n');
  tx.wantMore();
  tx.wantMore();
  bench.feed('DPM 1;\r\n');
  tx.wantMore();
  bench.feed('AME 1;\r\n');
  tx.wantPause();
  bench.pump();
  assert.equal(bench.sent, 'DWP 1 5;\r\nDWM 1;\r\nDWM 1;\r\n');
});

test('after its end a transaction does nothing, whatever is called', () => {
  const bench = ready();
  const tx = started(bench);
  tx.requestTurn();
  bench.feed('TE 1 {400 gone};\r\n');
  tx.startMessage();
  tx.sendData('', [octets('x')], 1);
  tx.endMessage();
  tx.end();
  tx.requestTurn();
  tx.wantPause();
  tx.wantMore();
  bench.pump();
  assert.equal(bench.sent, '');
  assert.equal(bench.log.filter((line) => line.startsWith('1 end')).length, 1);
  assert.deepEqual([tx.isEnded, bench.agent.liveTransactions], [true, 0]);
});

test('misuse is a bug and throws; a flow too long is not', () => {
  const bench = ready();
  const tx = started(bench);
  assert.throws(() => tx.startMessage(), Error);
  assert.throws(() => tx.sendData('', [Buffer.alloc(65_537)], 65_537), RangeError);
  assert.throws(() => tx.sendData('', [octets('ab')], 3), RangeError);
  tx.endMessage();
  assert.throws(() => tx.sendData('', [octets('ab')], 2), Error);
  assert.throws(() => tx.endMessage(), Error);
});

test("the server's offers are declined or answered, crossing ones disregarded", () => {
  const bench = new ProcessorBench({ offer: [structure(['http://f.example/x'])] });
  bench.agent.start();
  bench.feed('CS;\r\nNO ({"18:http://f.example/y"})\r\nOffer-Pending: true\r\n;\r\nNR;\r\n');
  assert.equal(bench.agent.isReady, true);
  assert.ok(!bench.sent.includes('NR'));
  bench.sent = '';
  bench.feed('SGC 3 ();\r\nNO ({"18:http://f.example/y"})\r\nSG: 3\r\n;\r\n');
  assert.equal(bench.sent, 'NR\r\nSG: 3\r\n;\r\n');
});

test('conflicting offers are neither made nor accepted, in any scope', () => {
  const x = structure(['http://f.example/x']);
  const y = structure(['http://f.example/y']);
  const bench = new ProcessorBench({ offer: [x], conflict: () => true });
  bench.answers.push(y);
  bench.agent.start();
  bench.feed('CS;\r\nNR {"18:http://f.example/x"};\r\n');
  bench.sent = '';
  assert.equal(bench.agent.offer([y]), false);
  assert.equal(bench.agent.offer([y], { sg: 1 }), false);
  bench.feed('NO ({"18:http://f.example/y"});\r\n');
  assert.equal(bench.sent, 'NR\r\nRejects: ({"18:http://f.example/y"})\r\n;\r\n');
});

test('scopes do not shadow each other: what is in force for a group stands against the whole connection', () => {
  const x = structure(['http://f.example/x']);
  const y = structure(['http://f.example/y']);
  const bench = ready({ conflict: () => true });
  assert.equal(bench.agent.offer([x], { sg: 1 }), true);
  bench.feed('NR {"18:http://f.example/x"}\r\nSG: 1\r\n;\r\n');
  assert.equal(bench.agent.offer([y]), false);
  bench.sent = '';
  bench.feed('NO ({"18:http://f.example/y"});\r\n');
  assert.match(bench.sent, /^NR\r\nRejects: /);
});

test('details of an answer are told, with a choice and without', () => {
  const told: unknown[] = [];
  const agent = new ProcessorAgent(
    { offer: [structure(['a']), structure(['b'])], services: [], kept: 'off' },
    {
      onSelected: (feature, { rejects, unknowns }) => {
        told.push([feature?.anonymous, rejects.map(uriOf), unknowns.map(uriOf)]);
        return undefined;
      },
      onReady: () => undefined,
      onOutput: () => undefined,
      onEnd: () => undefined,
    },
  );
  agent.recv(octets('CS;\r\nNR {a}\r\nUnknowns: ({b})\r\nRejects: ()\r\n;\r\n'));
  assert.equal(agent.offer([structure(['b'])]), true);
  agent.recv(octets('NR\r\nRejects: ({b})\r\n;\r\n'));
  assert.deepEqual(told, [
    [['a'], [], ['b']],
    [undefined, ['b'], []],
  ]);
});

test('a feature for a group is in force for its next transaction, and only there', () => {
  const x = structure(['http://f.example/x']);
  const bench = ready();
  const before = started(bench);
  assert.equal(bench.agent.offer([x], { sg: 1 }), false, 'transactions use the group');
  before.end();
  assert.equal(bench.agent.offer([x], { sg: 9 }), false);
  assert.equal(bench.agent.offer([x], { sg: 1 }), true);
  assert.equal(bench.agent.offer([x], { sg: 1 }), false, 'one at a time');
  bench.feed('NR {"18:http://f.example/x"}\r\nSG: 1\r\n;\r\n');
  assert.deepEqual([before.features.length, started(bench, 2).features.length], [0, 1]);
});

test('in a later phase everything but negotiation waits, in order (A-25)', () => {
  const bench = ready();
  const tx = started(bench);
  const other = started(bench, 2);
  assert.equal(bench.agent.offer([], { mayOfferMore: true }), true);
  tx.sendData('', [octets('x')], 1);
  other.end();
  bench.feed('AMS 1;\r\nPQ;\r\n');
  bench.pump();
  assert.equal(bench.sent, 'NO ()\r\nOffer-Pending: true\r\n;\r\nPA;\r\n');
  bench.sent = '';
  bench.feed('NR;\r\n');
  tx.endMessage();
  bench.pump();
  assert.equal(bench.sent, '');
  assert.equal(bench.agent.offer([]), true);
  bench.feed('NR;\r\n');
  assert.equal(bench.sent, 'NO ();\r\nDUM 1 0\r\n1:x\r\n;\r\nTE 2;\r\nAME 1;\r\n');
});

test('a peer that has answered in an open phase may only negotiate; before that it could not know (A-03)', () => {
  const bench = ready();
  started(bench);
  bench.agent.offer([], { mayOfferMore: true });
  bench.feed('AMS 1;\r\n');
  assert.equal(last(bench), '1 start');
  bench.feed('NR;\r\nx-unknown;\r\nCS;\r\nDUM 1 0\r\n1:x\r\n;\r\n');
  assert.match(bench.sent, /CE \{400 not-a-negotiation-message\};\r\n$/);
});

test('abilities are told truthfully', () => {
  const bench = ready({ supports: (feature) => feature.anonymous[0] === 'http://f.example/x' });
  bench.feed('AQ {"18:http://f.example/x"};\r\nAQ {"18:http://f.example/y"};\r\n');
  assert.equal(bench.sent, 'AA true;\r\nAA false;\r\n');
});

test('abilities of the peer: asked when ready, told in order, and nothing that was not asked for', () => {
  const x = structure(['http://f.example/x']);
  const bench = new ProcessorBench();
  bench.agent.start();
  bench.agent.queryAbility(x);
  bench.feed(READY);
  assert.doesNotMatch(bench.sent, /AQ/);
  bench.sent = '';
  bench.feed('AA true;\r\n');
  bench.agent.queryAbility(x, 'Y: 1\r\n');
  bench.agent.queryAbility(x);
  bench.feed('AA false\r\nZ: 2\r\n;\r\nAA true;\r\nAA true;\r\n');
  assert.equal(bench.sent, 'AQ {"18:http://f.example/x"}\r\nY: 1\r\n;\r\nAQ {"18:http://f.example/x"};\r\n');
  assert.deepEqual(bench.log.slice(-2), ['ability false Z', 'ability true ']);
  bench.feed('CE;\r\n');
  bench.sent = '';
  bench.agent.queryAbility(x);
  bench.pump();
  assert.equal(bench.sent, '');
});

test('when the identifiers are used up the connection ends behind the last transaction', () => {
  const bench = ready({ firstXid: MAX_NUMBER });
  const tx = started(bench, MAX_NUMBER);
  assert.equal(bench.agent.startTransaction(neverTold), undefined);
  assert.equal(bench.agent.isReady, false);
  tx.end();
  bench.pump();
  assert.equal(bench.sent, `TE ${MAX_NUMBER};\r\nCE;\r\n`);
  assert.deepEqual(bench.log.slice(-2), [`${MAX_NUMBER} end by us 200`, 'end by us 200']);
});

test('no more transactions than the limit, or while draining', () => {
  const bench = ready({ limits: { maxTransactions: 1 } });
  const tx = started(bench);
  assert.equal(bench.agent.startTransaction(neverTold), undefined);
  bench.agent.drain();
  assert.equal(bench.agent.isReady, false);
  tx.end();
  assert.equal(bench.agent.isEnded, true);
});

test('strange identifiers are answered up to a limit', () => {
  const bench = ready({ limits: { maxStrays: 2 } });
  bench.feed('PR 100;\r\nTE 101;\r\nPA 102;\r\nPQ 103;\r\n');
  assert.match(bench.sent, /^TE 100 \{.*\};\r\nTE 101 \{.*\};\r\nCE \{400 too-many-unknown-xids\};\r\n$/);
});

test('time: no answer to the offer, no answer in a later phase', () => {
  const bench = new ProcessorBench();
  bench.agent.start();
  bench.agent.onTimer('negotiation');
  assert.equal(last(bench), 'end by us 400 negotiation-timeout (negotiation-timeout)');
  const later = ready();
  later.agent.onTimer('negotiation');
  later.agent.offer([]);
  later.agent.onTimer('negotiation');
  assert.equal(later.agent.isEnded, false, 'the phase may have begun just now');
  later.feed('NR;\r\n');
  later.agent.offer([]);
  later.agent.onTimer('negotiation');
  assert.equal(later.agent.isEnded, false, 'another phase');
  later.agent.onTimer('negotiation');
  assert.equal(last(later), 'end by us 400 negotiation-timeout (negotiation-timeout)');
});

test('time: a connection nobody uses is asked whether it lives, too (REQ-222)', () => {
  const bench = ready();
  const { agent } = bench;
  for (let i = 0; i < 3; i++) {
    agent.onTimer('silence'); // it was heard since the last look
    agent.onTimer('silence');
    bench.pump();
    assert.equal(bench.sent, 'PQ;\r\n');
    bench.sent = '';
    bench.feed('PA;\r\n');
  }
  agent.onTimer('silence');
  agent.onTimer('silence');
  assert.equal(agent.isEnded, false);
  agent.onTimer('silence');
  assert.equal(last(bench), 'end by us 400 silence (silence)');
});

test('time: a peer that never answered a PQ is asked, and kept while nothing waits for it', () => {
  const bench = ready();
  const { agent } = bench;
  for (let i = 0; i < 10; i++) agent.onTimer('silence');
  bench.pump();
  assert.equal(bench.sent, 'PQ;\r\n'.repeat(9), 'it was heard before the first look');
  assert.equal(agent.isEnded, false);
  started(bench);
  agent.onTimer('silence');
  assert.equal(agent.isEnded, false, 'the questions of an idle time are no question of this transaction');
  agent.onTimer('silence');
  assert.equal(last(bench), 'end by us 400 silence (silence)');
});

test('time: a peer that said nothing to a transaction is given up, though that has ended meanwhile', () => {
  const bench = ready();
  const { agent } = bench;
  agent.onTimer('silence'); // it was heard since the last look
  started(bench).end();
  assert.equal(agent.liveTransactions, 0);
  agent.onTimer('silence');
  assert.equal(agent.isEnded, false);
  agent.onTimer('silence');
  assert.equal(last(bench), 'end by us 400 silence (silence)');
});

test('time: each silence has its question, though the one before was answered by something else', () => {
  const bench = ready();
  const { agent } = bench;
  agent.onTimer('silence'); // it was heard since the last look
  started(bench);
  for (let i = 0; i < 3; i++) {
    agent.onTimer('silence');
    bench.feed('PR 1;\r\n');
    agent.onTimer('silence');
  }
  agent.onTimer('silence');
  assert.equal(agent.isEnded, false);
  agent.onTimer('silence');
  assert.equal(last(bench), 'end by us 400 silence (silence)');
});

test('time: a slow start is a matter of negotiation alone', () => {
  const bench = new ProcessorBench();
  bench.agent.start();
  for (let i = 0; i < 3; i++) bench.agent.onTimer('silence');
  assert.equal(bench.agent.isEnded, false);
});

test('time: silence with live transactions is asked about once, and then is the end', () => {
  const bench = ready();
  const { agent } = bench;
  agent.onTimer('silence'); // it was heard since the last look
  started(bench);
  agent.onTimer('silence');
  bench.pump();
  assert.equal(bench.sent, 'PQ;\r\n');
  bench.feed('PA;\r\n');
  agent.onTimer('silence');
  agent.onTimer('silence');
  assert.equal(agent.isEnded, false);
  agent.onTimer('silence');
  assert.deepEqual(bench.log.slice(-2), ['1 end by connection 400 silence', 'end by us 400 silence (silence)']);
});

test('time: a transaction nothing happens in is ended, others are not; queries are nothing', () => {
  const bench = ready();
  started(bench);
  const busy = started(bench, 2);
  for (let i = 0; i < 3; i++) {
    bench.feed('PQ 1;\r\nPR 1;\r\n');
    busy.sendData('', [octets('x')], 1);
    bench.agent.onTimer('stall');
  }
  assert.equal(last(bench), '1 end by us 400 no-progress (no-progress)');
  assert.equal(bench.agent.liveTransactions, 1);
});

test('time: what its owner ends beside a transaction that is given up is not ended a second time', () => {
  const bench = ready();
  const { agent } = bench;
  const first = agent.startTransaction({ ...neverTold, onEnd: () => second?.end() });
  const second = agent.startTransaction(neverTold);
  assert.deepEqual([first?.xid, second?.xid], [1, 2]);
  bench.pump();
  bench.sent = '';
  for (let i = 0; i < 3; i++) agent.onTimer('stall');
  bench.pump();
  assert.equal(bench.sent, 'TE 1 {400 no-progress};\r\nTE 2;\r\n');
});

test('time: a connection nobody uses', () => {
  const bench = ready();
  started(bench).end();
  bench.agent.onTimer('idle');
  assert.equal(bench.agent.isEnded, false, 'it was used since the last look');
  bench.agent.onTimer('idle');
  assert.equal(last(bench), 'end by us 200 idle');
});

test('a handler may end everything from within', () => {
  const bench = new ProcessorBench();
  bench.agent.start();
  bench.feed(READY);
  const told: string[] = [];
  const tx = bench.agent.startTransaction({
    ...neverTold,
    onAdaptedStart: () => bench.agent.close({ code: 400, reason: 'enough' }),
    onEnd: (end) => told.push(end.by),
  });
  assert.ok(tx);
  bench.feed('AMS 1;\r\nDUM 1 0\r\n1:x\r\n;\r\nCE;\r\n');
  assert.deepEqual(told, ['connection']);
  assert.match(bench.sent, /CE \{400 enough\};\r\n$/);
});
