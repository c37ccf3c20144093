/**
 * The services still to run for mail that one of them stopped, or that an operator let go: which of today's plan they are, and
 * with what say. Between the stop and now the pipeline may have become another.
 */
import type { Plan, PlannedCall } from '../dispatch/dispatcher.ts';
import type { ViaEntry } from '../trace/index.ts';
import type { DeliveryNotes } from './rows.ts';

const NOTHING: readonly ViaEntry[] = [];

/**
 * One that is gone from the pipeline means all of them, and one that stands before it now but did nothing then is new there, or
 * was behind it: none is left out by a guess. One that failed then and was skipped has another chance where one of those still
 * to run counts on it (decision 0058).
 */
export function stillToRun(
  plan: Plan,
  { service, via = NOTHING, late, isReleased, releasedFrom }: DeliveryNotes,
): Plan {
  const at = plan.calls.findIndex(({ step }) => step.service.name === service);
  const left = at <= 0 ? plan.calls : callsLeft(plan.calls, at, via);
  const calls =
    late === undefined ? left : left.map((call) => (late.includes(call.step.service.name) ? kept(call) : call));
  return { ...plan, calls: isReleased === true ? calls.map((call) => onRelease(call, releasedFrom)) : calls };
}

/** From the last one: whatever an entry counts on stands before it. */
function callsLeft(calls: readonly PlannedCall[], at: number, via: readonly ViaEntry[]): readonly PlannedCall[] {
  // Of several entries the last one counts.
  const outcomes = new Map(via.map(({ uri, outcome }) => [uri, outcome]));
  const needed = new Set<string>();
  const left: PlannedCall[] = [];
  for (const [i, call] of [...calls.entries()].toReversed()) {
    const { entry, service } = call.step;
    const outcome = outcomes.get(service.options.uri);
    const isAgain = outcome === 'skipped' && needed.has(service.name);
    if (i < at && outcome !== undefined && !isAgain) continue;
    for (const name of entry.buildsOn) needed.add(name);
    left.unshift(call);
  }
  return left;
}

/** The request came too late for it when the mail was taken; what it said of the envelope then stands. */
function kept(call: PlannedCall): PlannedCall {
  if (call.bypassedBy === undefined) return call;
  const { bypassedBy: _by, ...rest } = call;
  return { ...rest, bypass: 'late' };
}

/** An operator lets the mail out: what may be bypassed is; what may not has its say, but does not hold it a second time. */
function onRelease(call: PlannedCall, releasedFrom: readonly string[] | undefined): PlannedCall {
  const { service } = call.step;
  if (call.bypassedBy !== undefined) return call;
  if (service.options.bypassable !== 'never') {
    const { step, isOpen } = call;
    return { step, isOpen, bypassedBy: 'released from quarantine by an operator' };
  }
  return releasedFrom?.includes(service.name) === true ? { ...call, mayNotHold: true } : call;
}
