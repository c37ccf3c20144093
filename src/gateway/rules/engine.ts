/**
 * Rules behind an interface of our own: the expression language's package has one maintainer, and nobody but this file
 * and its neighbours knows it. An expression is parsed, its types are checked, and its result must be a yes or no: all
 * that when the configuration is read. Judging never throws and takes time bounded by the rule and the facts.
 */
import type { Environment } from '@marcbachmann/cel-js';
import { LINEAR_MATCHES, type Literals, makeEnvironment } from './environment.ts';
import { type FactName, type RuleFacts, wrapped } from './facts.ts';
import { problemAt, problemOf, type RuleProblem } from './problem.ts';
import { Tree } from './tree.ts';

export interface Rule {
  readonly text: string;
  /** Which facts the rule looks at: with `message` it runs at the data stage, with `recipient` for each recipient. */
  readonly reads: ReadonlySet<FactName>;
  /** The answer, or why there is none (a fact that is not known yet, a number that does not fit). */
  judge(facts: RuleFacts): Verdict;
}

export type Verdict = boolean | { readonly error: string };

export type CompiledRule = { readonly ok: Rule } | { readonly error: RuleProblem };

export interface RuleEngine {
  compile(text: string): CompiledRule;
}

/** An expression longer than this was not written by a person. */
const MAX_EXPRESSION = 20_000;

export function makeRuleEngine(): RuleEngine {
  return new CelEngine();
}

class CelEngine implements RuleEngine {
  readonly #literals: Literals = { patterns: new Map(), networks: new Map() };
  readonly #environment: Environment = makeEnvironment(this.#literals);
  readonly #functions: ReadonlySet<string>;

  constructor() {
    const names = this.#environment.getDefinitions().functions.map(({ name }) => name);
    this.#functions = new Set(names.filter((name) => name !== LINEAR_MATCHES && name !== 'has'));
  }

  compile(text: string): CompiledRule {
    if (text.trim() === '') return { error: { message: 'the expression is empty' } };
    if (text.length > MAX_EXPRESSION) return { error: { message: `over ${MAX_EXPRESSION} characters` } };
    try {
      const parsed = this.#environment.parse(text);
      const tree = new Tree(this.#literals);
      const fault = tree.look(parsed.ast);
      if (fault !== undefined) return { error: problemAt(text, fault) };
      const { valid, type, error } = parsed.check();
      if (!valid) return { error: problemOf(text, error, this.#functions) };
      if (type !== 'bool')
        return { error: { message: `the result must be true or false, this one is ${named(type)}` } };
      return { ok: new CelRule(text, tree.reads, parsed) };
    } catch (error) {
      return { error: problemOf(text, error, this.#functions) };
    }
  }
}

function named(type: string | undefined): string {
  return type === undefined || type === 'dyn' ? 'not sure to be one' : `of type ${type}`;
}

/** Facts that several judgements share, the shortest-lived first: a recipient or a message is judged on once. */
const SHARED: readonly FactName[] = ['sender', 'session', 'client', 'listener'];

interface Known {
  readonly verdict: Verdict;
  /** The facts it was judged on, in the order of the rule's names. */
  readonly on: readonly (object | undefined)[];
}

class CelRule implements Rule {
  readonly text: string;
  readonly reads: ReadonlySet<FactName>;
  readonly #names: readonly FactName[];
  readonly #run: (context: Record<string, unknown>) => unknown;
  /** The fact that verdicts are remembered by, where they may be: a rule is asked at MAIL and at each RCPT. */
  readonly #keyName: FactName | undefined;
  readonly #known = new WeakMap<object, Known>();

  constructor(text: string, reads: ReadonlySet<FactName>, run: (context: Record<string, unknown>) => unknown) {
    this.text = text;
    this.reads = reads;
    this.#names = [...reads];
    this.#run = run;
    const isShared = this.#names.every((name) => SHARED.includes(name));
    this.#keyName = isShared ? SHARED.find((name) => reads.has(name)) : undefined;
  }

  judge(facts: RuleFacts): Verdict {
    const key = this.#keyName === undefined ? undefined : facts[this.#keyName];
    if (key === undefined) return this.#judge(facts);
    const known = this.#known.get(key);
    if (known !== undefined && this.#names.every((name, i) => facts[name] === known.on[i])) return known.verdict;
    const verdict = this.#judge(facts);
    this.#known.set(key, { on: this.#names.map((name) => facts[name]), verdict });
    return verdict;
  }

  #judge(facts: RuleFacts): Verdict {
    const context: Record<string, unknown> = {};
    for (const name of this.#names) {
      const wrapper = wrapped(name, facts);
      if (wrapper === undefined) return { error: `${name} is not known at this stage` };
      context[name] = wrapper;
    }
    try {
      const result = this.#run(context);
      return typeof result === 'boolean' ? result : { error: 'the result is neither true nor false' };
    } catch (error) {
      return { error: problemOf(this.text, error, []).message };
    }
  }
}
