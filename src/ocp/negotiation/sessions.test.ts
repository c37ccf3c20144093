import assert from 'node:assert/strict';
import { test } from 'vitest';
import { CalloutBench, type Line, ProcessorBench } from '../../../test/support/ocp-agents.ts';
import { octets, samples } from '../../../test/vectors/ocp/vectors.ts';
import { type Structure, structure } from '../index.ts';

/**
 * The sessions of section 22.2 of the OCP reference, played against each agent with the other side's octets cut at every
 * place. What an agent says otherwise than the printed session stands in `OTHERWISE`, with the reason.
 */
const SESSIONS = ['T1', 'T2', 'T3', 'T4', 'T5', 'T6', 'T7'];

const CS: readonly Line[] = [
  { by: 'P', wire: 'CS;\r\n' },
  { by: 'S', wire: 'CS;\r\n' },
];

function linesOf(session: string): Line[] {
  const lines = samples.flatMap(({ id, by, wire }): Line[] =>
    by !== undefined && id.startsWith(`${session}.`) ? [{ by, wire }] : [],
  );
  // T3 is printed without its beginning; its crossing offers leave at the same time.
  if (session !== 'T3') return lines;
  return [...CS, ...lines];
}

const feature = (uri: string): Structure => structure([uri]);
const SGC = 'SGC 1 ({"24:http://svc.example/upper"});\r\n';

/** Lines by number from 1, as the agent says them; '' where it says nothing. */
const OTHERWISE: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  // No details of a refusal are given; the phase is closed then, so the group follows.
  'P T2': { 8: `NR;\r\n${SGC}` },
  'P T3': { 7: `NR {"24:http://feature.example/y"};\r\n${SGC}` },
  // DSS is not granted, so the server's 206 has no permission and ends the transaction.
  'P T5': { 14: '', 17: 'TE 3 {400 partial-without-permission};\r\n' },
  // Questions about progress are asked for a whole connection only.
  'P T6': { 17: '', 22: '' },
  // Abilities are not asked, groups last as long as the connection.
  'P T7': { 13: '', 15: '' },
  'S T2': { 7: 'NO ({"30:ocp://example/storage/volatile"});\r\n' },
  // DWSS and DWSR are not sent, so DSS comes unasked.
  'S T5': { 11: '', 12: '', 14: 'TE 3 {400 stop-sending-unasked};\r\n', 16: '', 17: '', 18: '' },
  // A pause is asked for at the offset reached; no size is suggested.
  'S T6': { 9: 'DWP 4 0;\r\n', 12: '', 14: 'DWM 4;\r\n' },
};

/** In T3 the server's offer leaves before it has seen the processor's. */
function inOrderOf(by: 'P' | 'S', session: string, lines: Line[]): Line[] {
  const [p, s, po, so, ...rest] = lines;
  if (session !== 'T3' || by === 'P' || !p || !s || !po || !so) return lines;
  return [p, s, so, po, ...rest];
}

function benchFor(by: 'P' | 'S', session: string): ProcessorBench | CalloutBench {
  if (by === 'P') {
    const offer = { T2: ['ocp://example/encryption/weak'], T3: ['http://feature.example/x'] }[session] ?? [];
    const firstXid = { T4: 2, T5: 3, T6: 4, T7: 5 }[session] ?? 1;
    const bench = new ProcessorBench({ offer: offer.map(feature), firstXid });
    if (session === 'T2') bench.answers.push(feature('ocp://example/encryption/strongB'), undefined);
    if (session === 'T3') bench.answers.push(feature('http://feature.example/y'));
    return bench;
  }
  const bench = new CalloutBench();
  if (session === 'T2') {
    bench.answers.push({ feature: undefined, pending: true });
    bench.displeased = 'lack of VolStore protocol support';
  }
  if (session === 'T3') bench.answers.push({ feature: feature('http://feature.example/x'), pending: false });
  if (session === 'T7') bench.refusals.set(5, { code: 400, reason: 'too many transactions' });
  return bench;
}

type Cut = number | 'octets';

/** Plays the session; the peer's octets are cut behind the `cut`th, or everywhere. */
function play(by: 'P' | 'S', session: string, cut: Cut): ProcessorBench | CalloutBench {
  const bench = benchFor(by, session);
  let from = 0;
  for (const line of inOrderOf(by, session, linesOf(session))) {
    if (line.by === by) {
      bench.act(line.wire);
      continue;
    }
    const wire = octets(line.wire);
    if (cut === 'octets') for (let i = 0; i < wire.length; i++) bench.feed(wire.subarray(i, i + 1));
    else {
      const at = Math.min(Math.max(cut - from, 0), wire.length);
      bench.feed(wire.subarray(0, at));
      bench.feed(wire.subarray(at));
    }
    from += wire.length;
  }
  return bench;
}

function expected(by: 'P' | 'S', session: string): string {
  const otherwise = OTHERWISE[`${by} ${session}`] ?? {};
  return linesOf(session)
    .map((line, i) => otherwise[i + 1] ?? (line.by === by ? line.wire : ''))
    .join('');
}

for (const session of SESSIONS) {
  for (const by of ['P', 'S'] as const) {
    test(`${session} at ${by === 'P' ? 'the processor' : 'the callout server'}, whole and at every cut`, () => {
      const whole = play(by, session, 0);
      assert.equal(whole.sent, expected(by, session));
      const size = linesOf(session).reduce((sum, line) => sum + (line.by === by ? 0 : line.wire.length), 0);
      for (const cut of ['octets' as const, ...Array.from({ length: size }, (_, i) => i)]) {
        const { sent, log } = play(by, session, cut);
        assert.deepEqual({ sent, log }, { sent: whole.sent, log: whole.log }, `cut at ${cut}`);
      }
    });
  }
}

const told = (by: 'P' | 'S', session: string): readonly string[] => play(by, session, 0).log;

test('T1: each side is told the other side of it', () => {
  assert.deepEqual(told('P', 'T1'), [
    'selected nothing',
    'ready',
    '1 start',
    '1 data HELLO ',
    '1 data WORLD',
    '1 message end 200',
    '1 end by peer 200',
    'end by us 200',
  ]);
  assert.deepEqual(told('S', 'T1'), [
    '1 begin 1',
    '1 start',
    '1 data hello ',
    '1 data world',
    '1 message end 200',
    '1 end by us 200',
    'end by peer 200',
  ]);
});

test('T2: the processor takes what it likes of the offers, and hears why that was not enough', () => {
  assert.deepEqual(told('P', 'T2'), ['selected nothing', 'ready', 'end by peer 400 lack of VolStore protocol support']);
});

test('T4: data used by reference, and released', () => {
  assert.deepEqual(told('P', 'T4').slice(2), [
    '2 start',
    '2 yours 0 6',
    '2 reusable 6 5',
    '2 data WORLD',
    '2 reusable 6 0',
    '2 message end 200',
    '2 end by peer 200',
  ]);
});

test('T5: a flow cut short without permission is no message', () => {
  assert.deepEqual(told('P', 'T5').slice(-2), [
    '3 data <body>',
    '3 end by us 400 partial-without-permission (partial-without-permission)',
  ]);
});

test('T7: refusals reach whoever asked', () => {
  assert.deepEqual(told('P', 'T7').slice(2), [
    '5 end by peer 400 too many transactions',
    '6 message end 400 message type not handled',
    '6 end by us 400',
    'end by us 200 done',
  ]);
  assert.deepEqual(told('S', 'T7'), [
    '5 begin 1',
    '6 begin 1',
    '6 start',
    '6 message end 400',
    '6 end by peer 400',
    'end by peer 200 done',
  ]);
});
