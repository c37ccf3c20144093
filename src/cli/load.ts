/** The configuration of `start` and `check`: a file, or the demo; with what `config` must not know itself. */
import {
  type EffectiveConfig,
  type Loaded,
  type LoadPorts,
  loadFile,
  loadText,
  type PlacedProblem,
  type RuleProblem,
  showProblem,
} from '../config/index.ts';
import { checkAgentUri, isOpenRelay, makeRuleEngine, type Rule } from '../gateway/index.ts';
import { findGroup } from './accounts.ts';
import { EXIT, Failure } from './exit.ts';
import { BUILTINS } from './program-files.ts';
import { DEMO_NAME, DEMO_YAML } from './start/demo.ts';

/** Every problem is in the message; notices go to `tell`. */
export function loadConfig(file: string | undefined, tell: (notice: string) => void): EffectiveConfig {
  return loadPlaced(file, tell).config;
}

/** The same, for whoever finds out more about it. */
export function loadPlaced(
  file: string | undefined,
  tell: (notice: string) => void,
): Extract<Loaded, { readonly kind: 'loaded' }> {
  const loaded = readConfig(file);
  if (loaded.kind === 'broken') throw brokenConfig(loaded.problems);
  for (const notice of loaded.notices) tell(showProblem(notice));
  return loaded;
}

export function brokenConfig(problems: readonly PlacedProblem[]): Failure {
  return new Failure(problems.map(showProblem).join('\n'), EXIT.config);
}

/** The same as a value: for whoever goes on where the file is broken. */
export function readConfig(file: string | undefined): Loaded {
  const ports = makePorts();
  return file === undefined ? loadText(DEMO_NAME, DEMO_YAML, process.cwd(), ports) : loadFile(file, ports);
}

function makePorts(): LoadPorts {
  const engine = makeRuleEngine();
  return {
    builtins: new Set(BUILTINS.keys()),
    checkUri: checkAgentUri,
    isOpenRelay,
    findGroup,
    checkRule(expression, isBeforeMail) {
      const compiled = engine.compile(expression);
      if (!('error' in compiled)) return isBeforeMail ? unknownBeforeMail(compiled.ok) : undefined;
      const { message, line = 1, column = 1, suggestion } = compiled.error;
      const before = expression.split('\n').slice(0, line - 1);
      const at = before.reduce((sum, one) => sum + one.length + 1, 0) + column - 1;
      return { at, what: message, fix: suggestion === undefined ? RULE_FIX : `did you mean ${suggestion}?` };
    },
  };
}

/** A service that is asked about commands: whether it is called then has to be known then. */
function unknownBeforeMail({ text, reads }: Rule): RuleProblem | undefined {
  const unknown = (['sender', 'recipient', 'message'] as const).find((name) => reads.has(name));
  if (unknown === undefined) return undefined;
  const what = `${unknown} is not known at the \`commands\` this service is asked about`;
  return { at: Math.max(0, text.indexOf(unknown)), what, fix: BEFORE_MAIL_FIX };
}

const BEFORE_MAIL_FIX =
  'let the rule look at client, session and listener only, or make two services of it, one of them without commands';

const RULE_FIX =
  "a rule compares client, session, listener, sender, recipient or message, such as listener.side == 'recipient'; docs/operate.md has examples";
