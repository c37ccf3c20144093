/**
 * Which services a mail meets, and where it goes: decided per recipient, as a value that can be printed and is recorded.
 * Recipients that meet the same services share a variant of the mail; those of a variant with the same route share a
 * transaction with the next hop (design, section 2, step 7).
 *
 * A rule that names `message` is judged when the message is there; one that cannot be judged (its values are missing)
 * counts as true: to call a service too often is a cost, to skip one is a hole.
 */
import type { Log } from '../../base/index.ts';
import type { CalloutService } from '../callouts/callout-service.ts';
import {
  COMMANDS,
  type CommandName,
  type DecisionRecord,
  type PipelineEntry,
  type RouteOptions,
  type ServiceRules,
} from '../options.ts';
import type { MessageFacts, RecipientFacts, Rule } from '../rules/index.ts';
import type { BypassFate } from '../trace/index.ts';
import type { ClientSessionFacts, MailFacts } from './facts.ts';

/** One entry of the pipeline, ready to be judged and called. */
export interface PipelineStep {
  readonly index: number;
  readonly entry: PipelineEntry;
  readonly service: CalloutService;
  readonly rule: Rule | undefined;
}

/** A service to be called for a group of recipients; `isOpen` where its rule waits for the message. */
export interface PlannedCall {
  readonly step: PipelineStep;
  readonly isOpen: boolean;
  /** Who has it left out, in words for an operator: it is not invoked, and the trace says so (D8). */
  readonly bypassedBy?: string;
  /** What became of a request to leave it out, where there was one. */
  readonly bypass?: BypassFate;
  /** An operator let out what this service had kept aside: it keeps the mail no second time. */
  readonly mayNotHold?: boolean;
}

/** What rules that wait for the message said of one recipient, by service and rule: a rule that was changed since is judged anew. */
export type Judged = Readonly<Record<string, boolean>>;

export interface Plan {
  readonly route: RouteOptions;
  readonly calls: readonly PlannedCall[];
  /** Equal for recipients that meet the same services: they share a variant of the mail. */
  readonly services: string;
}

export class Dispatcher {
  readonly #routes: readonly RouteOptions[];
  readonly #steps: readonly PipelineStep[];
  readonly #log: Log;
  /** Commands outside of mails that some service is asked about. */
  readonly #asked: ReadonlySet<CommandName>;
  /** By the URI of a service, those of all that count on its work, or on that of one that does. */
  readonly builtOn: ReadonlyMap<string, readonly string[]>;
  /** Plans by key: with few rules there are few different ones. */
  readonly #plans = new Map<string, Plan>();

  constructor(routes: readonly RouteOptions[], steps: readonly PipelineStep[], log: Log) {
    this.#routes = routes;
    this.#steps = steps;
    this.#log = log;
    this.#asked = new Set(COMMANDS.filter((command) => steps.some((step) => isAskedAbout(step, command))));
    this.builtOn = builtOn(steps);
  }

  /** Whether any service may be asked about a command outside of mails; mostly none is. */
  asks(command: CommandName): boolean {
    return this.#asked.has(command);
  }

  /** The services that are, in the order of the pipeline. `decisions`, where given, gets a line for each that may be. */
  atCommand(command: CommandName, facts: ClientSessionFacts, decisions?: DecisionRecord[]): readonly PipelineStep[] {
    return this.#steps.filter((step) => {
      if (!isAskedAbout(step, command)) return false;
      const called = this.#judge(step, facts, undefined, undefined);
      const { name: service } = step.service;
      decisions?.push({
        service,
        stage: 'greeting',
        recipient: undefined,
        called,
        because: because(step.rule, called),
      });
      return called;
    });
  }

  /** Those of the pipeline. */
  get services(): readonly ServiceRules[] {
    return this.#steps.map(({ service }) => service.options);
  }

  /**
   * The services that may answer MAIL itself: those at the head of the pipeline whose rules need neither recipient nor
   * message. A later one hears of MAIL with its first RCPT, so that services always see each other's changes in order.
   */
  atMail(facts: MailFacts): readonly PipelineStep[] {
    const found: PipelineStep[] = [];
    for (const step of this.#steps) {
      if (step.rule?.reads.has('recipient') || step.rule?.reads.has('message')) break;
      if (this.#judge(step, facts, undefined, undefined)) found.push(step);
    }
    return found;
  }

  /** `undefined`: no route leads there. `decisions`, where given, gets a line for each step. */
  atRecipient(facts: MailFacts, recipient: RecipientFacts, decisions?: DecisionRecord[]): Plan | undefined {
    const routeIndex = this.#routes.findIndex((route) => matchesDomain(route.to, recipient.domain));
    const route = this.#routes[routeIndex];
    if (route === undefined) return undefined;
    let services = '';
    for (const step of this.#steps) {
      const isOpen = step.rule?.reads.has('message') === true;
      const called = isOpen || this.#judge(step, facts, recipient, undefined);
      services += isOpen ? '?' : called ? '+' : '-';
      decisions?.push({
        service: step.service.name,
        stage: isOpen ? 'data' : 'recipient',
        recipient: recipient.address,
        called,
        because: isOpen ? `judged on the message: ${step.rule?.text}` : because(step.rule, called),
      });
    }
    return this.#planOf(`${routeIndex}${services}`, route, services);
  }

  routeOf(domain: string): RouteOptions | undefined {
    return this.#routes.find((route) => matchesDomain(route.to, domain));
  }

  /** Judges a rule that waited for the message; `judged` is what it said when the mail came in. */
  atData(
    step: PipelineStep,
    facts: MailFacts,
    recipient: RecipientFacts,
    message: MessageFacts,
    judged?: Judged,
  ): boolean {
    return judged?.[judgedKey(step)] ?? this.#judge(step, facts, recipient, message);
  }

  /** All of them, for mail whose services go on later, on a message that others have changed by then. */
  allAtData(facts: MailFacts, recipient: RecipientFacts, message: MessageFacts): Judged | undefined {
    const waiting = this.#steps.filter((step) => step.rule?.reads.has('message') === true);
    if (waiting.length === 0) return undefined;
    return Object.fromEntries(
      waiting.map((step) => [judgedKey(step), this.#judge(step, facts, recipient, message)] as const),
    );
  }

  /** What was left open at the recipient: a line for each step that waited for the message. */
  decideAtData(facts: MailFacts, recipient: RecipientFacts, message: MessageFacts): DecisionRecord[] {
    return this.#steps.flatMap((step) => {
      if (step.rule?.reads.has('message') !== true) return [];
      const called = this.#judge(step, facts, recipient, message);
      const { name: service } = step.service;
      return { service, stage: 'data', recipient: recipient.address, called, because: because(step.rule, called) };
    });
  }

  #planOf(key: string, route: RouteOptions, services: string): Plan {
    const known = this.#plans.get(key);
    if (known !== undefined) return known;
    const calls = this.#steps.flatMap((step, i) => {
      const mark = services[i];
      return mark === '-' ? [] : [{ step, isOpen: mark === '?' }];
    });
    const plan: Plan = { route, calls, services };
    this.#plans.set(key, plan);
    return plan;
  }

  #judge(
    step: PipelineStep,
    facts: ClientSessionFacts,
    recipient: RecipientFacts | undefined,
    message: MessageFacts | undefined,
  ): boolean {
    if (step.rule === undefined) return true;
    const verdict = step.rule.judge({ ...facts, recipient, message });
    if (typeof verdict === 'boolean') return verdict;
    this.#log.warn('rule.unjudged', {
      service: step.service.name,
      rule: step.rule.text,
      why: verdict.error,
      effect: 'called',
    });
    return true;
  }
}

/** `example.com` itself, `.example.com` for what is below it, `*` for all. */
export function matchesDomain(pattern: string, domain: string): boolean {
  if (pattern === '*') return true;
  return pattern.startsWith('.') ? domain.endsWith(pattern) : domain === pattern;
}

function isAskedAbout({ service }: PipelineStep, command: CommandName): boolean {
  return service.options.commands.has(command);
}

function builtOn(steps: readonly PipelineStep[]): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, Set<string>>();
  // From the last one: whatever an entry counts on stands before it.
  for (const { service, entry } of steps.toReversed()) {
    const { uri } = service.options;
    for (const before of steps) {
      if (!entry.buildsOn.includes(before.service.name)) continue;
      const key = before.service.options.uri;
      found.set(key, new Set([...(found.get(key) ?? []), uri, ...(found.get(uri) ?? [])]));
    }
  }
  return new Map([...found].map(([uri, all]) => [uri, [...all]]));
}

function judgedKey({ service, rule }: PipelineStep): string {
  return `${service.name} ${rule?.text ?? ''}`;
}

function because(rule: Rule | undefined, called: boolean): string {
  return rule === undefined ? 'no rule' : `rule ${called}: ${rule.text}`;
}
