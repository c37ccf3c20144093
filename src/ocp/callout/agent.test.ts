import assert from 'node:assert/strict';
import { test } from 'vitest';
import { CalloutBench } from '../../../test/support/ocp-agents.ts';
import { octets } from '../../../test/vectors/ocp/vectors.ts';
import { type CalloutOptions, OK, structure } from '../index.ts';

const GREETING = 'CS;\r\nNO ();\r\nSGC 1 ({"24:http://svc.example/upper"});\r\n';

/** An agent a processor has greeted; what it sent up to then is forgotten. */
function greeted(options: CalloutOptions = {}): CalloutBench {
  const bench = new CalloutBench(options);
  bench.feed(GREETING);
  assert.equal(bench.sent, 'CS;\r\nNR;\r\n');
  bench.sent = '';
  return bench;
}

function started(bench: CalloutBench, xid = 1) {
  bench.feed(`TS ${xid} 1;\r\nAMS ${xid};\r\n`);
  const tx = bench.transactions.get(xid);
  assert.ok(tx);
  return tx;
}

const last = (bench: CalloutBench) => bench.log.at(-1);

test('the processor has to offer at once; groups that serve the offer may come before it (A-12)', () => {
  const bench = new CalloutBench();
  bench.answers.push({ feature: structure(['http://f.example/x']), pending: false });
  bench.feed('CS;\r\nCS;\r\nSGC 5 ();\r\nNO ({"18:http://f.example/x"})\r\nSG: 5\r\n;\r\nTS 1 5;\r\n');
  assert.equal(bench.sent, 'CS;\r\nNR {"18:http://f.example/x"}\r\nSG: 5\r\n;\r\n');
  assert.equal(bench.transactions.get(1)?.features.length, 1);
  for (const first of ['x-unknown;\r\n', 'PQ;\r\n', 'TS 1 1;\r\n', 'DUY 1 0 1;\r\n']) {
    const other = new CalloutBench();
    other.feed(`CS;\r\n${first}`);
    assert.equal(other.sent, 'CS;\r\nCE {400 no-offer-after-connection-start};\r\n');
  }
  const gone = new CalloutBench();
  gone.feed('CS;\r\nCE {400 sorry};\r\n');
  assert.deepEqual([gone.sent, last(gone)], ['', 'end by peer 400 sorry'], 'nobody reads it any more');
});

test('an offer for a group that is not there ends the connection', () => {
  const bench = greeted();
  bench.feed('NO ()\r\nSG: 2\r\n;\r\n');
  assert.equal(bench.sent, 'CE {400 inactive-group};\r\n');
});

test('groups: kept until destroyed, running transactions keep theirs (A-19), their number is bounded', () => {
  const bench = greeted({ limits: { maxGroups: 2 } });
  const tx = started(bench);
  bench.feed('SGD 1;\r\nTS 2 1;\r\nDUM 1 0\r\n1:x\r\n;\r\n');
  assert.equal(bench.sent, 'TE 2 {400 unknown-group};\r\n');
  assert.equal(last(bench), '1 data x');
  assert.equal(tx.isEnded, false);
  bench.feed('SGC 2 ();\r\nSGC 3 ();\r\nSGC 4 ();\r\n');
  assert.match(bench.sent, /CE \{400 too-many-groups\};\r\n$/);
});

test('refusals: by the handler, by the limit, while draining', () => {
  const bench = greeted({ limits: { maxTransactions: 1 } });
  bench.refusals.set(1, { code: 400, reason: 'not today' });
  bench.feed('TS 1 1;\r\nAMS 1;\r\nDUM 1 0\r\n1:x\r\n;\r\nAME 1;\r\n');
  const tx = started(bench, 2);
  bench.feed('TS 3 1;\r\n');
  bench.agent.drain();
  tx.startMessage();
  tx.endMessage();
  tx.end(OK);
  bench.feed('TS 4 1;\r\n');
  bench.pump();
  assert.equal(
    bench.sent,
    'TE 1 {400 "9:not today"};\r\nTE 3 {400 too-many-transactions\r\nCause: overload\r\n};\r\nAMS 2;\r\nAME 2;\r\nTE 2 {200};\r\nCE;\r\n',
  );
});

test('a handler that ends its transaction before it was given still hears the end', () => {
  const told: string[] = [];
  const fail = () => assert.fail('told');
  const early = new CalloutBench();
  early.onBegin = (tx) => {
    tx.startMessage();
    tx.requestTurn();
    tx.end({ code: 400, reason: 'no' });
    return {
      onOriginalStart: fail,
      onData: fail,
      onDataOctets: fail,
      onDataEnd: fail,
      onOriginalEnd: fail,
      onTurn: fail,
      onEnd: (end) => told.push(`${end.by} ${end.result.code}`),
    };
  };
  early.feed(`${GREETING}TS 1 1;\r\nAMS 1;\r\n`);
  assert.deepEqual(told, ['us 400']);
  assert.equal(early.agent.liveTransactions, 0);
});

test('a turn asked for while the handler is made comes when it is there', () => {
  const bench = new CalloutBench();
  const told: string[] = [];
  bench.onBegin = (tx) => {
    tx.requestTurn();
    return {
      onOriginalStart: () => told.push('start'),
      onData: () => undefined,
      onDataOctets: () => undefined,
      onDataEnd: () => undefined,
      onOriginalEnd: () => undefined,
      onTurn: () => told.push('turn'),
      onEnd: () => undefined,
    };
  };
  bench.feed(`${GREETING}TS 1 1;\r\nAMS 1;\r\n`);
  assert.deepEqual(told, ['turn', 'start']);
});

test('xids only grow; a live one that is started again ends', () => {
  const bench = greeted();
  started(bench, 5);
  bench.feed('TS 4 1;\r\nTS 5 1;\r\nTE 5;\r\nTS 5 1;\r\nTS;\r\n');
  assert.equal(
    bench.sent,
    'TE 4 {400 xid-not-greater};\r\nTE 5 {400 xid-not-greater};\r\nTE 5 {400 xid-not-greater};\r\nCE {400 xid-missing};\r\n',
  );
});

test('a broken TS uses its xid up', () => {
  const bench = greeted();
  bench.feed('TS 7;\r\nAMS 7;\r\nTS 7 1;\r\n');
  assert.equal(bench.sent, 'TE 7 {400 sg-id-missing};\r\nTE 7 {400 xid-not-greater};\r\n');
});

test('octets of the original may be named once they are kept and here, until given up', () => {
  const bench = greeted();
  const tx = started(bench);
  tx.startMessage();
  bench.feed('DUM 1 0\r\nKept: {0 100}\r\n\r\n5:hello\r\n;\r\n');
  assert.deepEqual(
    [tx.canUseYours(0, 5), tx.canUseYours(2, 0), tx.canUseYours(0, 6), tx.canUseYours(-1, 2)],
    [true, true, false, false],
  );
  tx.useYours(1, 3, 'X-Part: 1\r\n');
  assert.equal(tx.adpOffset, 3);
  assert.throws(() => tx.useYours(3, 3), RangeError);
  tx.disposeOutside(2, 3);
  assert.throws(() => tx.disposeOutside(1, 3), RangeError);
  assert.deepEqual([tx.canUseYours(2, 3), tx.canUseYours(1, 3)], [true, false]);
  tx.sendData('', [octets('!')], 1);
  bench.pump();
  assert.equal(bench.sent, 'AMS 1;\r\nDUY 1 1 3\r\nX-Part: 1\r\n;\r\nDPI 1 2 3;\r\nDUM 1 3\r\n1:!\r\n;\r\n');
});

test('octets are here only when their message is whole', () => {
  const bench = greeted();
  const tx = started(bench);
  bench.feed('DUM 1 0\r\nKept: {0 5}\r\n\r\n5:hell');
  assert.equal(tx.canUseYours(0, 4), false);
  bench.feed('o\r\n;\r');
  assert.equal(tx.canUseYours(0, 5), false);
  bench.feed('\n');
  assert.equal(tx.canUseYours(0, 5), true);
});

test('the bare pair of Kept is read where it is allowed (A-01)', () => {
  const dum = 'DUM 1 0\r\nKept: 0 5\r\n\r\n5:hello\r\n;\r\n';
  const strict = greeted();
  started(strict);
  strict.feed(dum);
  assert.match(strict.sent, /^CE \{400 /);
  const lenient = greeted({ kept: 'pair' });
  const tx = started(lenient);
  lenient.feed(dum);
  assert.equal(tx.canUseYours(0, 5), true);
});

test('while paused, references and releases wait in their order', () => {
  const bench = greeted();
  const tx = started(bench);
  tx.startMessage();
  bench.feed('DUM 1 0\r\nKept: {0 5}\r\n\r\n5:hello\r\n;\r\nDWP 1 0;\r\n');
  tx.useYours(0, 5);
  tx.disposeOutside(5, 0);
  tx.endMessage();
  tx.end();
  bench.pump();
  assert.equal(bench.sent, 'AMS 1;\r\nDPM 1;\r\n');
  bench.sent = '';
  bench.feed('AME 1;\r\nDWM 1;\r\n');
  assert.equal(bench.sent, 'DUY 1 0 5;\r\nDPI 1 5 0;\r\nAME 1;\r\nTE 1;\r\n');
  assert.equal(bench.agent.liveTransactions, 0);
});

test('our message is not cut short without permission, and DSS is invalid unless it is over', () => {
  const bench = greeted();
  const tx = started(bench);
  tx.startMessage();
  assert.throws(() => tx.endMessage({ code: 206, reason: '' }), RangeError);
  tx.endMessage();
  bench.feed('DSS 1;\r\n');
  assert.equal(tx.isEnded, false);
  const other = started(bench, 2);
  bench.feed('DSS 2;\r\n');
  assert.equal(other.isEnded, true);
  assert.match(bench.sent, /TE 2 \{400 stop-sending-unasked\};\r\n$/);
});

test('an original cut short is told as such; a failure voids it', () => {
  const bench = greeted();
  started(bench);
  bench.feed('AME 1 {206};\r\nDUM 1 0\r\n1:x\r\n;\r\n');
  assert.deepEqual(bench.log.slice(-2), ['1 message end 206', '1 end by us 400 message-ended (message-ended)']);
  started(bench, 2);
  bench.feed('AME 2 {999};\r\n');
  assert.equal(last(bench), '2 message end 999');
});

test('data is tentative: a DUM whose end is broken was never told as whole', () => {
  const bench = greeted();
  started(bench);
  bench.feed('DUM 1 0\r\n5:hello;\r\n');
  assert.deepEqual(bench.log.slice(-2), [
    '1 end by connection 400 message-end',
    'end by us 400 message-end (message-end)',
  ]);
});

test('progress is answered at once, with what is known of the transaction', () => {
  const bench = greeted();
  started(bench);
  bench.feed(
    'PQ;\r\nPQ 1;\r\nDUM 1 0\r\n3:abc\r\n;\r\nPQ 1;\r\nAME 1;\r\nPQ 1;\r\nPQ 9;\r\nTE 1;\r\nPQ 1\r\n4:ping\r\n;\r\n',
  );
  assert.equal(bench.sent, 'PA;\r\nPA 1\r\nOrg-Data: 0\r\n;\r\nPA 1\r\nOrg-Data: 3\r\n;\r\nPA 1;\r\nPA;\r\nPA;\r\n');
});

test("an offer that crosses the processor's is lost, and made again as promised", () => {
  const x = structure(['http://f.example/x']);
  const bench = new CalloutBench({ conflict: (a, b) => a.anonymous[0] === b.anonymous[0] });
  bench.answers.push({ feature: x, pending: false });
  assert.equal(bench.agent.offer([x, structure(['http://f.example/y'])]), true);
  bench.pump();
  bench.sent = '';
  bench.feed('CS;\r\nNO ({"18:http://f.example/x"});\r\n');
  assert.equal(
    bench.sent,
    'NR {"18:http://f.example/x"}\r\nOffer-Pending: true\r\n;\r\nNO ({"18:http://f.example/y"});\r\n',
  );
  bench.feed('NR {"18:http://f.example/y"};\r\nSGC 1 ();\r\nTS 1 1;\r\n');
  assert.equal(bench.transactions.get(1)?.features.length, 2);
});

test('a feature is not in force for transactions that run already (section 11.18)', () => {
  const x = structure(['http://f.example/x']);
  const bench = greeted();
  const before = started(bench);
  bench.answers.push({ feature: x, pending: false });
  bench.feed('NO ({"18:http://f.example/x"});\r\n');
  const after = started(bench, 2);
  assert.deepEqual([before.features.length, after.features.length], [0, 1]);
});

test('time: a processor that says nothing, or not enough', () => {
  for (const said of ['', 'CS;\r\n', 'CS;\r\nNO ()\r\nOffer-Pending: true\r\n;\r\n']) {
    const bench = new CalloutBench();
    bench.agent.start();
    bench.feed(said);
    bench.agent.onTimer('negotiation');
    assert.equal(last(bench), 'end by us 400 negotiation-timeout (negotiation-timeout)');
  }
  const bench = greeted();
  bench.agent.onTimer('negotiation');
  assert.equal(bench.agent.isEnded, false);
});

test('time: a processor nobody hears of is asked whether it lives (REQ-222)', () => {
  const bench = greeted();
  bench.agent.onTimer('silence'); // it was heard since the last look
  bench.agent.onTimer('silence');
  bench.pump();
  assert.match(bench.sent, /PQ;\r\n$/);
  bench.feed('PA;\r\n');
  bench.agent.onTimer('silence');
  bench.agent.onTimer('silence');
  assert.equal(bench.agent.isEnded, false);
  bench.agent.onTimer('silence');
  assert.equal(last(bench), 'end by us 400 silence (silence)');
});

test('nothing is read or said after the end', () => {
  const bench = greeted();
  bench.agent.close();
  bench.agent.close();
  bench.agent.ping();
  bench.agent.onTimer('silence');
  bench.agent.drain();
  assert.equal(bench.agent.offer([]), false);
  bench.feed('PQ;\r\n');
  bench.agent.transportEnded('late');
  assert.equal(bench.sent, 'CE;\r\n');
  assert.deepEqual(bench.log, ['end by us 200']);
});
