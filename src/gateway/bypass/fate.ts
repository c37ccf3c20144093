/** What becomes of a request at one service, and at the services of a recipient. */
import type { Plan, PlannedCall } from '../dispatch/dispatcher.ts';
import type { ServiceRules } from '../options.ts';
import type { BypassFate } from '../trace/index.ts';
import type { Named } from './agents.ts';
import type { Requester } from './requester.ts';

/** `undefined`: the service was not asked away. */
export type JudgeBypass = (service: Pick<ServiceRules, 'uri' | 'bypassable'>) => BypassFate | undefined;

/** `never` wins over every authority (D8): that is told even to one who has none. */
export function judgeBypass(named: Named, { isAuthorised }: Requester): JudgeBypass {
  return ({ uri, bypassable }) => {
    if (named !== '*' && !named.has(uri)) return undefined;
    if (bypassable === 'never') return 'never';
    return isAuthorised ? 'honoured' : 'authority';
  };
}

/**
 * The plan with the request in it. Recipients for whom other services are left out are another variant; for whom a request is
 * refused, they are not: a request that is not honoured costs nothing but its mark.
 */
export function withBypass(plan: Plan, judge: JudgeBypass, by: string): Plan {
  let services = plan.services;
  let isMarked = false;
  const calls = plan.calls.map((call): PlannedCall => {
    const fate = judge(call.step.service.options);
    if (fate === undefined) return call;
    isMarked = true;
    if (fate !== 'honoured') return { ...call, bypass: fate };
    const at = call.step.index;
    services = `${services.slice(0, at)}${call.isOpen ? 'B' : 'b'}${services.slice(at + 1)}`;
    return { ...call, bypass: fate, bypassedBy: by };
  });
  return isMarked ? { ...plan, calls, services } : plan;
}
