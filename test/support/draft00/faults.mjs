// What a callout server must not do, done on purpose. Two kinds:
//
// - faults of the wire (die, exit, mute, slow, garbage, end): at the n-th octet sent or received since the transaction
//   (or the connection) began, or in place of the answer to a message;
// - lies: wrong messages sent in place of the answer to RCPT or to the data.
//
// A lie is a function (transaction, part, payload, offset) that sends what it likes and says whether it took the place of the
// honest answer.

import { compose, result } from './wire.mjs';

const EMPTY = Buffer.alloc(0);

/** Sends the whole data back as one DUM, with these deviations. */
function back(tx, change = {}) {
  const octets = change.octets ?? tx.content();
  tx.send('DUM', [tx.xid, change.offset ?? tx.adp.next], { 'AM-Part': 'RAWDATA', ...change.named }, octets);
  tx.adp.next += octets.length;
}

const dataStart = (tx) => tx.pieces[0]?.at ?? 0;
const dataSize = (tx) => tx.pieces.reduce((n, p) => n + p.octets.length, 0);

/** Answers to the data part. */
export const dataLies = {
  // Offsets (RFC 4037 section 11.9: no gap, no overlap).
  gap: (tx) => back(tx, { offset: tx.adp.next + 1 }),
  overlap: (tx) => {
    back(tx);
    tx.adp.next -= 1;
    back(tx, { octets: Buffer.from('x') });
  },
  'offset-of-original': (tx) => back(tx, { offset: 2147483646 }),
  // References (sections 11.10, 11.11).
  'yours-outside': (tx) => tx.yours(dataStart(tx), dataSize(tx) + 1),
  'yours-beyond': (tx) => tx.yours(tx.org.next, 10),
  'yours-huge': (tx) => tx.yours(0, 2147483647),
  'dpi-grows': (tx) => {
    tx.send('DPI', [tx.xid, 0, 0]);
    tx.send('DPI', [tx.xid, 0, tx.org.next]);
    tx.yours(dataStart(tx), dataSize(tx));
  },
  'yours-disposed': (tx) => {
    tx.send('DPI', [tx.xid, tx.org.next, 0]);
    tx.yours(dataStart(tx), dataSize(tx));
  },
  // Parts and parameters.
  'part-not-selected': (tx) => {
    tx.send('DUM', [tx.xid, tx.adp.next], { 'AM-Part': 'MAIL' }, Buffer.from('<evil@example.net>'));
    tx.adp.next += 18;
    back(tx);
  },
  'part-unknown': (tx) => back(tx, { named: { 'AM-Part': 'BODY' } }),
  'part-missing': (tx) => {
    tx.send('DUM', [tx.xid, tx.adp.next], {}, tx.content());
    tx.adp.next += dataSize(tx);
  },
  'allow-from-server': (tx) => back(tx, { named: { Allow: ['SMTP-Error'] } }),
  'no-payload': (tx) => {
    tx.send('DUM', [tx.xid, tx.adp.next], { 'AM-Part': 'RAWDATA' });
    back(tx);
  },
  'duplicate-name': (tx) => {
    const line = `DUM ${tx.xid} ${tx.adp.next}\r\nAM-Part: RAWDATA\r\nAM-Part: RAWDATA\r\n\r\n0:\r\n;\r\n`;
    tx.connection.raw(Buffer.from(line));
  },
  // Ends.
  unanswered: () => undefined,
  'partial-206': (tx) => {
    back(tx, { octets: tx.content().subarray(0, dataSize(tx) >> 1) });
    tx.send('AME', [tx.xid, result(206)]);
    tx.adp.at = 'ended';
  },
  'partial-te': (tx) => {
    back(tx, { octets: tx.content().subarray(0, dataSize(tx) >> 1) });
    tx.connection.endTransaction(tx);
  },
  'message-400': (tx) => {
    back(tx);
    tx.send('AME', [tx.xid, result(400, 'changed my mind')]);
    tx.adp.at = 'ended';
  },
  'transaction-400': (tx) => {
    back(tx);
    tx.endMessage();
    tx.connection.endTransaction(tx, result(400, 'changed my mind'));
  },
  'code-unknown': (tx) => {
    back(tx);
    tx.send('AME', [tx.xid, result(299, 'what is this')]);
    tx.adp.at = 'ended';
  },
  'data-after-end': (tx) => {
    back(tx);
    tx.send('AME', [tx.xid]);
    tx.send('DUM', [tx.xid, tx.adp.next], { 'AM-Part': 'RAWDATA' }, Buffer.from('and more'));
  },
  'second-start': (tx) => {
    tx.send('AMS', [tx.xid]);
    back(tx);
  },
  // Replies that are none: only 4yz and 5yz may refuse.
  'error-2yz': (tx) => back(tx, { octets: EMPTY, named: { 'SMTP-Error': '250 2.0.0 all is well' } }),
  'error-3yz': (tx) => back(tx, { octets: EMPTY, named: { 'SMTP-Error': '354 send it again' } }),
  'error-text': (tx) => back(tx, { octets: EMPTY, named: { 'SMTP-Error': 'no' } }),
  'error-mixed': (tx) => back(tx, { octets: EMPTY, named: { 'SMTP-Error': '550-5.7.1 no\r\n250 2.0.0 yes' } }),
  'error-injected': (tx) =>
    back(tx, { octets: EMPTY, named: { 'SMTP-Error': '550 5.7.1 no\r\n250 2.0.0 but the next one is fine\r\n' } }),
  'error-number': (tx) => {
    const line = `DUM ${tx.xid} ${tx.adp.next}\r\nAM-Part: RAWDATA\r\nSMTP-Error: 550\r\n\r\n0:\r\n;\r\n`;
    tx.connection.raw(Buffer.from(line));
  },
  // Advice that is not his to give, or none that could be followed.
  'advice-unpermitted': (tx) => back(tx, { named: { Advice: 'Quarantine' } }),
  'advice-discard': (tx) => back(tx, { named: { Advice: 'Discard' } }),
  'advice-no-time': (tx) => back(tx, { named: { Advice: 'delay' } }),
  'advice-and-error': (tx) =>
    back(tx, { octets: EMPTY, named: { Advice: 'Quarantine', 'SMTP-Error': '550 5.7.1 no' } }),
  'advice-unknown': (tx) => back(tx, { named: { Advice: 'Split' } }),
  // Content that is no mail, or forged.
  'bare-lf': (tx) => back(tx, { octets: Buffer.from('Subject: x\r\n\r\none\ntwo\r\n') }),
  'bare-cr': (tx) => back(tx, { octets: Buffer.from('Subject: x\r\n\r\none\rtwo\r\n') }),
  'smuggled-end': (tx) =>
    back(tx, { octets: Buffer.from('Subject: x\r\n\r\none\n.\r\nMAIL FROM:<evil@example.net>\r\n') }),
  'trace-forged': (tx) =>
    back(tx, {
      octets: Buffer.concat([Buffer.from('OPES-System: http://evil.example/opes\r\n'), tx.content()]),
    }),
  'trace-stripped': (tx) =>
    back(tx, {
      octets: Buffer.from(
        tx
          .content()
          .toString('latin1')
          .replace(/^(OPES-|Received:)[^\r]*\r\n([ \t][^\r]*\r\n)*/gm, ''),
        'latin1',
      ),
    }),
  'trace-changed': (tx) =>
    back(tx, {
      octets: Buffer.from(
        tx
          .content()
          .toString('latin1')
          .replace(/^(OPES-System: )/gm, '$1http://evil.example, '),
        'latin1',
      ),
    }),
  'header-injected': (tx) => back(tx, { named: { 'Add-Header': 'X-A: b\r\n\r\nevil body' } }),
  'header-forbidden': (tx) => back(tx, { named: { 'Add-Header': 'OPES-Via: http://evil.example' } }),
  'header-broken': (tx) => back(tx, { named: { 'Add-Header': 'no colon here' } }),
  // Too much of it.
  oversized: (tx) => {
    const chunk = Buffer.alloc(65536, 'A'.repeat(62).concat('\r\n'));
    for (let n = 0; n < (tx.connection.script.fault.octets ?? 64 << 20); n += chunk.length) back(tx, { octets: chunk });
  },
  amplified: (tx) => {
    for (let n = 0; n < (tx.connection.script.fault.count ?? 100_000); n++) tx.yours(dataStart(tx), dataSize(tx));
  },
  'empty-flood': (tx) => {
    for (let n = 0; n < (tx.connection.script.fault.count ?? 100_000); n++) back(tx, { octets: EMPTY });
    back(tx);
  },
};

/** Answers to a RCPT part; `offset` is the original offset of its payload. */
export const rcptLies = {
  'rcpt-unanswered': () => undefined,
  'rcpt-twice': (tx, payload) => {
    for (let i = 0; i < 2; i++) tx.data(payload, { 'AM-Part': 'RCPT' });
  },
  'rcpt-advice': (tx, payload) => tx.data(payload, { 'AM-Part': 'RCPT', Advice: 'Quarantine' }),
  'rcpt-empty': (tx) => tx.data(EMPTY, { 'AM-Part': 'RCPT' }),
  'rcpt-injected': (tx) => tx.data(Buffer.from('<a@dst.test>\r\nRCPT TO:<evil@dst.test>'), { 'AM-Part': 'RCPT' }),
  'rcpt-no-path': (tx) => tx.data(Buffer.from('nobody at all'), { 'AM-Part': 'RCPT' }),
  'rcpt-null-path': (tx) => tx.data(Buffer.from('<>'), { 'AM-Part': 'RCPT' }),
  'rcpt-data': (tx) => tx.data(Buffer.from('Subject: early\r\n\r\n'), { 'AM-Part': 'RAWDATA' }),
  'rcpt-2yz': (tx) => tx.data(EMPTY, { 'AM-Part': 'RCPT', 'SMTP-Error': '250 2.1.5 fine' }),
  'rcpt-yours-outside': (tx, payload, offset) => tx.yours(offset, payload.length + 1),
  'rcpt-gap': (tx, payload) => {
    tx.adp.next += 3;
    tx.data(payload, { 'AM-Part': 'RCPT' });
  },
  'rcpt-message-end': (tx) => tx.endMessage(),
  'rcpt-te': (tx) => tx.connection.endTransaction(tx),
  'rcpt-te-400': (tx) => tx.connection.endTransaction(tx, result(400, 'no thanks')),
};

/** Wrong answers to the offer: each gets the honest NR's structure and gives the octets to send. */
export const offerLies = {
  'nr-part-not-offered': (f) => nr(f, (m) => m.set('Adaptive-Parts', [...(m.get('Adaptive-Parts') ?? []), 'SECTIONS'])),
  'nr-both-lists': (f) => nr(f, (m) => m.set('Informative-Parts', [...(m.get('Informative-Parts') ?? []), 'RCPT'])),
  'nr-feature-not-offered': () => compose('NR', [{ anonymous: ['http://example.net/none'], named: new Map() }]),
  'nr-unexpected-sg': (f) => compose('NR', [f], { SG: 1 }),
  'nr-twice': (f) => Buffer.concat([compose('NR', [f]), compose('NR', [f])]),
  'nr-negative': () => compose('NR'),
  'nr-without-parts': (f) => compose('NR', [{ anonymous: f.anonymous, named: new Map() }]),
  'nr-never': () => EMPTY,
};

function nr(feature, change) {
  const named = new Map(feature.named);
  change(named);
  return compose('NR', [{ anonymous: feature.anonymous, named }]);
}

/** Octets that are no OCP: the same every time. */
export function garbage(size = 4096) {
  const out = Buffer.alloc(size);
  let x = 12345;
  for (let i = 0; i < size; i++) {
    x = (x * 1103515245 + 12345) & 0x7fffffff;
    out[i] = x >> 16;
  }
  return out;
}
