/**
 * Reads a configuration: text to YAML, YAML to the schema, the schema to cross checks, and all of it to the effective
 * configuration. Either everything holds, or there is a list of everything that does not: nothing is started on half of
 * a file. A broken file is a value, never an exception.
 */
import { readFileSync, statSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';
import { dirname, resolve as resolvePath } from 'node:path';
import { crossCheck, type IsOpenRelay } from './checks.ts';
import type { EffectiveConfig } from './effective.ts';
import { type PlacedProblem, type Problem, showPath } from './problem.ts';
import { notices, type ResolveContext, resolve } from './resolve.ts';
import { configSchema, type RawConfig } from './schema.ts';
import { MAX_FILE_OCTETS, Source } from './source.ts';
import { translate } from './translate.ts';

/** What the caller knows and this part must not: the rule language, and which services come with the program. */
export interface LoadPorts {
  /** `isBeforeMail`: the rule is judged where there is no sender, recipient or message. */
  checkRule(expression: string, isBeforeMail: boolean): RuleProblem | undefined;
  /** Why a URI may not stand for an agent in a trace. */
  checkUri(uri: string): string | undefined;
  readonly builtins: ReadonlySet<string>;
  /** The number of a group of this machine; undefined: there is none of that name. */
  findGroup(name: string): number | undefined;
  /** The gateway's decision on who may relay. */
  readonly isOpenRelay: IsOpenRelay;
}

export interface RuleProblem {
  /** Characters into the expression. */
  readonly at: number;
  readonly what: string;
  readonly fix: string | undefined;
}

export type Loaded =
  | {
      readonly kind: 'loaded';
      readonly config: EffectiveConfig;
      readonly notices: readonly PlacedProblem[];
      /** For what is found out later. */
      readonly place: (problem: Problem) => PlacedProblem;
    }
  | { readonly kind: 'broken'; readonly problems: readonly PlacedProblem[] };

/** Reads the file at `file` (as named by the operator: messages repeat it). */
export function loadFile(file: string, ports: LoadPorts): Loaded {
  const text = readText(file);
  if (typeof text !== 'string') return { kind: 'broken', problems: [text] };
  const absolute = resolvePath(file);
  return load({ source: file, file: absolute, baseDir: dirname(absolute) }, text, ports);
}

/** The same for text from elsewhere; relative paths start at `baseDir`. */
export function loadText(name: string, text: string, baseDir: string, ports: LoadPorts): Loaded {
  return load({ source: name, file: undefined, baseDir }, text, ports);
}

type Origin = Pick<ResolveContext, 'source' | 'file' | 'baseDir'>;

function load(origin: Origin, text: string, ports: LoadPorts): Loaded {
  const source = new Source(origin.source, text);
  if (source.problems.length > 0) return { kind: 'broken', problems: source.problems };
  const broken = (problems: readonly Problem[]): Loaded => ({
    kind: 'broken',
    problems: problems.map((p) => source.place(p)).toSorted(inOrder),
  });
  const reserved = reservedName(source.value);
  if (reserved !== undefined) return broken([reserved]);
  const parsed = configSchema.safeParse(source.value ?? {});
  if (!parsed.success) return broken(translate(parsed.error.issues));
  const raw = parsed.data;
  const { isOpenRelay } = ports;
  const world = { ownAddresses: ownAddresses(), hostname: raw.hostname ?? hostname(), isOpenRelay };
  const resolved = resolve(raw, {
    ...origin,
    hostname: world.hostname,
    builtins: ports.builtins,
    findGroup: (name) => ports.findGroup(name),
  });
  const { config, problems, elsewhere } = resolved;
  const all = [...crossCheck(raw, world), ...ruleProblems(raw, ports), ...uriProblems(raw, ports), ...problems];
  if (all.length + elsewhere.length > 0) {
    const here = all.map((p) => source.place(p)).toSorted(inOrder);
    return { kind: 'broken', problems: [...here, ...elsewhere] };
  }
  const told = [...notices(raw), ...resolved.notices];
  return {
    kind: 'loaded',
    config,
    notices: told.map((p) => source.place(p)).toSorted(inOrder),
    place: (problem) => source.place(problem),
  };
}

/** The schema library passes over this one key of a map without a word; a service must not vanish. */
function reservedName(value: unknown): Problem | undefined {
  const services = typeof value === 'object' && value !== null && 'services' in value ? value.services : undefined;
  if (typeof services !== 'object' || services === null || !Object.hasOwn(services, '__proto__')) return undefined;
  return {
    path: ['services', '__proto__'],
    atKey: true,
    what: 'services.__proto__: this name is reserved',
    fix: 'choose another',
  };
}

function ruleProblems(raw: RawConfig, ports: LoadPorts): Problem[] {
  return raw.pipeline.flatMap((entry, at) => {
    const service = Object.hasOwn(raw.services, entry.service) ? raw.services[entry.service] : undefined;
    const isAsked = service !== undefined && service.commands.length > 0;
    const found = entry.when === undefined ? undefined : ports.checkRule(entry.when, isAsked);
    if (found === undefined) return [];
    return [
      { path: ['pipeline', at, 'when'], inside: found.at, what: `pipeline[${at}].when: ${found.what}`, fix: found.fix },
    ];
  });
}

function uriProblems(raw: RawConfig, ports: LoadPorts): Problem[] {
  const uris: [readonly PropertyKey[], string][] = [[['system', 'uri'], raw.system.uri]];
  for (const [name, service] of Object.entries(raw.services)) uris.push([['services', name, 'uri'], service.uri]);
  return uris.flatMap(([path, uri]) => {
    const wrong = ports.checkUri(uri);
    return wrong === undefined ? [] : [{ path, what: `${showPath(path)}: "${uri}" ${wrong}`, fix: URI_FIX }];
  });
}

const URI_FIX = 'it stands in the trace of each mail: write a short one, such as https://mail.example.com/opes/av';

function readText(file: string): string | PlacedProblem {
  const at = { file, line: 1, column: 1 };
  try {
    if (statSync(file).size > MAX_FILE_OCTETS)
      return { ...at, what: 'this file is far too long for a configuration', fix: 'check the name' };
    return new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(file));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return { ...at, what: 'there is no such file', fix: 'check the name after --config' };
    if (code === 'EISDIR') return { ...at, what: 'this is a directory', fix: 'name the file in it' };
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA')
      return { ...at, what: 'this is not UTF-8 text', fix: 'save it as UTF-8' };
    return {
      ...at,
      what: `this file cannot be read (${code ?? String(error)})`,
      fix: 'let the user that runs opes read it',
    };
  }
}

function ownAddresses(): ReadonlySet<string> {
  return new Set(Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map((one) => one.address)));
}

function inOrder(a: PlacedProblem, b: PlacedProblem): number {
  return a.line - b.line || a.column - b.column;
}
