/** A hop that dies at every octet of a dialog, read or written, on a new connection and on a pooled one. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { type HopTestOptions, type SentMail, sendMail, withHop } from '../../../test/support/outbound.ts';
import type { Sink, SinkOptions } from '../../../test/support/sink.ts';

const NAME = '<second@c>';
const CONTENT = [Buffer.from('a\r\n.b\r\nlast\r\n')];

/** The rules that hold wherever it dies. */
function check(sent: SentMail, sink: Sink, where: string): void {
  const copies = sink.mails.filter((mail) => mail.rcpts[0] === NAME);
  const { failure, result } = sent;
  if (result === 250) assert.equal(copies.length, 1, `${where}: 250 for ${copies.length} copies`);
  else {
    assert.ok(failure !== undefined, `${where}: no end`);
    assert.ok(failure.sent || copies.length === 0, `${where}: not sent, yet there`);
    assert.ok(copies.length <= 1, `${where}: sent twice`);
    if (failure.sent) assert.equal(failure.stage, 'final');
  }
  for (const copy of copies) assert.equal(copy.content.toString(), CONTENT.join(''));
}

interface Variant {
  readonly how: string;
  readonly script: SinkOptions;
  readonly options?: HopTestOptions;
  readonly exact?: boolean;
  readonly ahead?: boolean;
  readonly pooled?: readonly boolean[];
}

const USER = { user: 'u', password: 'p' };
const CLIENT = { address: '192.0.2.7', helo: 'h.example', protocol: 'ESMTP' } as const;
const LMTP: HopTestOptions = { kind: 'lmtp' };

const VARIANTS: readonly Variant[] = [
  { how: 'pipelined', script: { offers: ['PIPELINING'] } },
  { how: 'pipelined, DATA ahead', script: { offers: ['PIPELINING'] }, ahead: true },
  { how: 'in lock step', script: { offers: [] } },
  { how: 'by BDAT', script: { offers: ['PIPELINING', 'CHUNKING'] }, exact: true },
  { how: 'LMTP', script: { lmtp: true, offers: ['PIPELINING'] }, options: LMTP, pooled: [false] },
  { how: 'LMTP, DATA ahead', script: { lmtp: true, offers: ['PIPELINING'] }, options: LMTP, ahead: true },
  { how: 'LMTP by BDAT', script: { lmtp: true, offers: ['PIPELINING', 'CHUNKING'] }, options: LMTP, exact: true },
  {
    how: 'with XCLIENT and a login',
    script: { offers: ['XCLIENT ADDR HELO', 'AUTH PLAIN'], user: USER },
    options: { identity: 'xclient', auth: USER },
    pooled: [false],
  },
  {
    how: 'with XFORWARD',
    script: { offers: ['PIPELINING', 'XFORWARD ADDR HELO'] },
    options: { identity: 'xforward' },
    pooled: [true],
  },
  { how: 'with PROXY', script: { proxy: true, offers: [] }, options: { identity: 'proxy' }, pooled: [false] },
];

for (const {
  how,
  script: base,
  options = {},
  exact = false,
  ahead = false,
  pooled: both = [false, true],
} of VARIANTS) {
  for (const pooled of both) {
    for (const side of ['dieAfterRead', 'dieAfterWritten'] as const) {
      test(`${how}, ${pooled ? 'pooled' : 'new'} connection, ${side} at every octet`, async () => {
        const outcomes = new Set<string>();
        let isWhole = false;
        let octets = 0;
        for (let at = 0; !isWhole; at++) {
          octets = at;
          // Where the first mail is over, the second one begins; the death is counted from there.
          let from = pooled ? Number.POSITIVE_INFINITY : 0;
          const script: SinkOptions = {
            ...base,
            [side]: (connection: number) => (connection === 0 ? from + at : undefined),
          };
          await withHop(script, options, async (hop, sink) => {
            if (pooled) {
              assert.equal((await sendMail(hop, { client: CLIENT })).result, 250);
              const first = sink.connections[0];
              from = first?.[side === 'dieAfterRead' ? 'readOctets' : 'writtenOctets'] ?? 0;
            }
            const sent = await sendMail(hop, { rcpts: [NAME], content: CONTENT, exact, ahead, client: CLIENT });
            check(sent, sink, `octet ${at}`);
            outcomes.add(
              sent.failure === undefined ? String(sent.result) : `${sent.failure.stage} ${sent.failure.reason}`,
            );
            // One that is dead from the start is never used; a pooled one that is dead has the mail sent anew.
            if (pooled && sent.failure !== undefined)
              assert.equal(sent.failure.sent, true, `octet ${at}: no second try`);
            isWhole = at > 0 && sink.connections.length === 1 && sent.result === 250;
          });
        }
        assert.ok(outcomes.has('250'));
        assert.ok(octets > 50, `only ${octets} octets`);
        if (!pooled) assert.ok(outcomes.size >= 3, [...outcomes].join());
      });
    }
  }
}
