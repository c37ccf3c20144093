/** What one mail asks for, at MAIL, at each RCPT and in its header, by whom. Made where something is asked, and not before. */
import type { Dispatcher, PipelineStep, Plan } from '../dispatch/dispatcher.ts';
import { Agents } from './agents.ts';
import { type AgentUris, joinAsked, showAsked } from './asked.ts';
import { type JudgeBypass, judgeBypass, withBypass } from './fate.ts';
import type { Requester } from './requester.ts';

export class MailBypass {
  readonly requester: Requester;
  readonly #agents: Agents;
  /** For all recipients. */
  #asked: AgentUris | undefined;
  /** All that was asked, for the log. */
  #shown: AgentUris | undefined;

  constructor(system: string, dispatcher: Dispatcher, requester: Requester, asked: AgentUris | undefined) {
    this.requester = requester;
    this.#agents = new Agents(
      system,
      dispatcher.services.map(({ uri }) => uri),
    );
    this.#asked = asked;
    this.#shown = asked;
  }

  /** The steps that are taken; at MAIL. */
  remaining(steps: readonly PipelineStep[]): readonly PipelineStep[] {
    const judge = this.#judge(this.#asked);
    return judge === undefined ? steps : steps.filter(({ service }) => judge(service.options) !== 'honoured');
  }

  /** `asked`: for this recipient alone. */
  plan(plan: Plan, asked?: AgentUris): Plan {
    this.#shown = joinAsked(this.#shown, asked);
    const judge = this.#judge(joinAsked(this.#asked, asked));
    return judge === undefined ? plan : withBypass(plan, judge, this.#by('OPESBYPASS'));
  }

  /** The message asks, too. Of services that are planned already the caller tells each chain. */
  addHeader(asked: AgentUris): { readonly judge: JudgeBypass; readonly by: string } {
    this.#asked = joinAsked(this.#asked, asked);
    this.#shown = joinAsked(this.#shown, asked);
    return { judge: judgeBypass(asked, this.requester, this.#agents), by: this.#by('OPES-Bypass') };
  }

  /** For the log line: who asked for what, and may. */
  get text(): string | undefined {
    if (this.#shown === undefined) return undefined;
    const { who, isAuthorised } = this.requester;
    return `${showAsked(this.#shown)} by ${who}${isAuthorised ? '' : ', who may not'}`;
  }

  #by(form: 'OPESBYPASS' | 'OPES-Bypass'): string {
    return `${form} of ${this.requester.who}`;
  }

  #judge(asked: AgentUris | undefined): JudgeBypass | undefined {
    return asked && judgeBypass(asked, this.requester, this.#agents);
  }
}
