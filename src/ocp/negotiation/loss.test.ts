import assert from 'node:assert/strict';
import { test } from 'vitest';
import { CalloutBench, type Line, ProcessorBench } from '../../../test/support/ocp-agents.ts';
import { octets, samples } from '../../../test/vectors/ocp/vectors.ts';

/** Sessions with data kept and released (T4), and with pauses (T6), lost behind each octet of the peer. */
for (const [session, xid] of [
  ['T4', 2],
  ['T6', 4],
] as const) {
  const lines = samples.flatMap(({ id, by, wire }): Line[] =>
    by !== undefined && id.startsWith(`${session}.`) ? [{ by, wire }] : [],
  );
  for (const to of ['P', 'S'] as const) {
    const size = lines.reduce((sum, { by, wire }) => sum + (by === to ? 0 : wire.length), 0);
    for (const how of ['lost', 'CE'] as const) {
      test(`${session} ${how} behind each octet ${to} gets: one end for the transaction, one for the connection`, () => {
        for (let octet = 0; octet <= size; octet++) {
          const bench = to === 'P' ? new ProcessorBench({ firstXid: xid }) : new CalloutBench();
          let left = octet;
          for (const { by, wire } of lines) {
            if (by === to) bench.act(wire);
            else {
              bench.feed(octets(wire).subarray(0, left));
              left -= wire.length;
              if (left <= 0) break;
            }
          }
          const wasLive = bench.agent.liveTransactions;
          if (how === 'lost') bench.agent.transportEnded('reset');
          else bench.agent.close({ code: 400, reason: 'enough' });
          bench.agent.transportEnded('again');
          bench.feed('TE 2;\r\nCE;\r\n');
          const ends = bench.log.filter((line) => / end by /.test(line));
          const begun = bench.log.some((line) => line.includes('begin')) || bench.sent.includes('TS ');
          assert.equal(ends.length, begun ? 1 : 0, bench.log.join());
          if (wasLive > 0) assert.equal(ends[0]?.startsWith(`${xid} end by connection 400`), true);
          assert.equal(bench.log.filter((line) => line.startsWith('end by ')).length, 1);
          assert.equal(bench.log.at(-1), how === 'lost' ? 'end by transport 400 reset' : 'end by us 400 enough');
          assert.equal(bench.agent.liveTransactions, 0);
          assert.equal(bench.agent.outbox.pendingOctets, how === 'lost' ? 0 : bench.agent.outbox.pendingOctets);
        }
      });
    }
  }
}
