/** The schema library's findings as problems in our words. */
import { z } from 'zod';
import { MISSING, NO_VALUE, showValue } from './leaf.ts';
import { type Problem, showPath } from './problem.ts';
import { configSchema } from './schema.ts';
import { suggest } from './suggest.ts';

type Issue = z.core.$ZodIssue;

/** The JSON Schema of the file, as far as we read it ourselves. */
export interface SchemaNode {
  readonly description?: string;
  readonly type?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly items?: SchemaNode;
  readonly additionalProperties?: SchemaNode | boolean;
  readonly anyOf?: readonly SchemaNode[];
}

/** Made once: it costs more than reading a file. */
let schemaNode: SchemaNode | undefined;

export function jsonSchema(): SchemaNode {
  schemaNode ??= z.toJSONSchema(configSchema, { io: 'input' }) as SchemaNode;
  return schemaNode;
}

export function translate(issues: readonly Issue[], base: readonly PropertyKey[] = []): Problem[] {
  const found = issues.flatMap((issue) => one(issue, [...base, ...issue.path]));
  // A misspelt key is one mistake, not two: the right one is then missing only because of it.
  const meant = new Set(found.map((problem) => problem.meant));
  return found.filter((problem) => !(problem.isMissing && meant.has(showPath(problem.path))));
}

/** What connects two findings of one mistake. */
interface Finding extends Problem {
  readonly isMissing?: boolean;
  /** The path that an unknown key probably was meant to be. */
  readonly meant?: string;
}

function one(issue: Issue, path: readonly PropertyKey[]): Finding[] {
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(key, path));
  if (issue.code === 'invalid_union') return translate(nearest(issue.errors), path);
  if (issue.code === 'invalid_key')
    return translate(issue.issues, path).map((problem) => ({ ...problem, atKey: true }));
  return [told(issue.message, path)];
}

function told(message: string, path: readonly PropertyKey[]): Finding {
  const [what = '', ...fix] = message.split('\n');
  const at = showPath(path);
  const text = what === MISSING || what === NO_VALUE ? `${at} ${what}` : at === '' ? what : `${at}: ${what}`;
  return { path, what: text, fix: fix.length === 0 ? undefined : fix.join('\n'), isMissing: what === MISSING };
}

function unknownKey(key: string, path: readonly PropertyKey[]): Finding {
  const known = keysAt(path);
  const near = suggest(key, known);
  const place = path.length === 0 ? '' : ` in ${showPath(path)}`;
  const fix = near === undefined ? `the keys here are: ${known.join(', ')}` : `did you mean ${near}?`;
  const problem = { path: [...path, key], what: `unknown key ${showValue(key)}${place}`, fix, atKey: true };
  return near === undefined ? problem : { ...problem, meant: showPath([...path, near]) };
}

/** Of the branches of a union, the one that came furthest: its complaint is the one the writer can use. */
function nearest(branches: readonly (readonly Issue[])[]): readonly Issue[] {
  let best: readonly Issue[] = [];
  let bestScore = -1;
  for (const branch of branches) {
    const score = Math.max(...branch.map(howFar));
    if (score > bestScore) [best, bestScore] = [branch, score];
  }
  return best;
}

function howFar(issue: Issue): number {
  if (issue.path.length > 0) return 4;
  if (issue.code === 'unrecognized_keys' || issue.code === 'custom') return 3;
  if (issue.code === 'invalid_type') return 0;
  // A closed set of words complains of a map too, and then it is the map that was meant.
  return issue.code === 'invalid_value' ? 1 : 2;
}

/** The keys that may stand at `path`. */
export function keysAt(path: readonly PropertyKey[]): string[] {
  let nodes: SchemaNode[] = [jsonSchema()];
  for (const step of path)
    nodes = nodes.flatMap((node) => [node, ...(node.anyOf ?? [])]).flatMap((node) => inside(node, step));
  return nodes.flatMap((node) => [node, ...(node.anyOf ?? [])]).flatMap((node) => Object.keys(node.properties ?? {}));
}

function inside(node: SchemaNode, step: PropertyKey): SchemaNode[] {
  if (typeof step === 'number') return node.items === undefined ? [] : [node.items];
  const known = node.properties === undefined ? undefined : new Map(Object.entries(node.properties)).get(String(step));
  if (known !== undefined) return [known];
  return typeof node.additionalProperties === 'object' ? [node.additionalProperties] : [];
}
