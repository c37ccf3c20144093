/** What one mail asks for, at MAIL, at each RCPT and in its header, by whom. Made where something is asked, and not before. */
import type { Dispatcher, PipelineStep, Plan } from '../dispatch/dispatcher.ts';
import { Agents, joinNamed, type Named } from './agents.ts';
import { type AgentUris, joinAsked, showAsked } from './asked.ts';
import { type JudgeBypass, judgeBypass, withBypass } from './fate.ts';
import type { Requester } from './requester.ts';

export class MailBypass {
  readonly requester: Requester;
  readonly #agents: Agents;
  /** For all recipients. */
  #named: Named | undefined;
  /** Plans with that in them, by the plan without: a mail may have many recipients, and few plans. */
  readonly #plans = new Map<Plan, Plan>();
  /** For the log: what was asked for all, or first for one. */
  #shown: AgentUris | undefined;

  /** `asked`: at MAIL. */
  constructor(system: string, dispatcher: Dispatcher, requester: Requester, asked: AgentUris | undefined) {
    this.requester = requester;
    this.#agents = agentsOf(system, dispatcher);
    this.#named = asked && this.#agents.named(asked);
    this.#shown = asked;
  }

  /** The steps that are taken; at MAIL. */
  remaining(steps: readonly PipelineStep[]): readonly PipelineStep[] {
    const judge = this.#judge(this.#named);
    return judge === undefined ? steps : steps.filter(({ service }) => judge(service.options) !== 'honoured');
  }

  /** `asked`: for this recipient alone. */
  plan(plan: Plan, asked?: AgentUris): Plan {
    if (asked !== undefined) {
      this.#shown ??= asked;
      return this.#with(plan, joinNamed(this.#named, this.#agents.named(asked)));
    }
    const known = this.#plans.get(plan);
    if (known !== undefined) return known;
    const made = this.#with(plan, this.#named);
    this.#plans.set(plan, made);
    return made;
  }

  /** The message asks, too, when services are planned: the caller tells each chain. */
  addHeader(asked: AgentUris): { readonly judge: JudgeBypass; readonly by: string } {
    this.#shown = joinAsked(this.#shown, asked);
    const judge = judgeBypass(this.#agents.named(asked), this.requester);
    return { judge, by: this.#by('OPES-Bypass') };
  }

  /** For the log line: who asked for what, and may. */
  get text(): string | undefined {
    if (this.#shown === undefined) return undefined;
    const { who, isAuthorised } = this.requester;
    return `${showAsked(this.#shown)} by ${who}${isAuthorised ? '' : ', who may not'}`;
  }

  #with(plan: Plan, named: Named | undefined): Plan {
    const judge = this.#judge(named);
    return judge === undefined ? plan : withBypass(plan, judge, this.#by('OPESBYPASS'));
  }

  #by(form: 'OPESBYPASS' | 'OPES-Bypass'): string {
    return `${form} of ${this.requester.who}`;
  }

  #judge(named: Named | undefined): JudgeBypass | undefined {
    return named && judgeBypass(named, this.requester);
  }
}

/** Made once for each configuration: anybody may ask, with every mail. */
const agents = new WeakMap<Dispatcher, Agents>();

function agentsOf(system: string, dispatcher: Dispatcher): Agents {
  let found = agents.get(dispatcher);
  if (found === undefined) {
    const uris = dispatcher.services.map(({ uri }) => uri);
    found = new Agents(system, uris, dispatcher.builtOn);
    agents.set(dispatcher, found);
  }
  return found;
}
