/** What is wrong with an expression, in words for the person who wrote it. */
import { FACTS } from './environment.ts';
import { suggest } from './suggest.ts';
import type { TreeFault } from './tree.ts';

export interface RuleProblem {
  readonly message: string;
  /** From 1; in the expression, not in the file it stands in. */
  readonly line?: number;
  readonly column?: number;
  /** What was probably meant. */
  readonly suggestion?: string;
}

/** The parts of the package's errors that are used; they are no types of ours. */
interface CelError {
  readonly code: string;
  readonly summary: string;
  readonly range?: { readonly start: number; readonly end: number };
  readonly node?: unknown;
}

const SIGNS: Readonly<Record<string, string>> = {
  EOF: 'the end',
  LPAREN: "'('",
  RPAREN: "')'",
  LBRACKET: "'['",
  RBRACKET: "']'",
  LBRACE: "'{'",
  RBRACE: "'}'",
  DOT: "'.'",
  COMMA: "','",
  COLON: "':'",
  QUESTION: "'?'",
  IDENTIFIER: 'a name',
  STRING: 'a text',
  NUMBER: 'a number',
};

/** Words and signs of other languages. */
const FOREIGN: Readonly<Record<string, string>> = {
  and: '&&',
  AND: '&&',
  or: '||',
  OR: '||',
  not: '!',
  NOT: '!',
  '=': '==',
  '&': '&&',
  '|': '||',
  '~': 'matches()',
  '`': "'",
};

export function problemAt(text: string, fault: TreeFault): RuleProblem {
  const before = text.slice(0, fault.at);
  const line = before.split('\n').length;
  const column = fault.at - (before.lastIndexOf('\n') + 1) + 1;
  const { message, suggestion } = fault;
  return suggestion === undefined ? { message, line, column } : { message, line, column, suggestion };
}

/** A problem from whatever the package threw or returned. `functions`: the names that can be called. */
export function problemOf(text: string, error: unknown, functions: Iterable<string>): RuleProblem {
  if (!isCelError(error)) return { message: error instanceof Error ? error.message : 'unreadable expression' };
  const start = error.range?.start ?? 0;
  const written = text.slice(start, error.range?.end ?? start);
  return problemAt(text, { at: start, ...worded(error, written, text, functions) });
}

function worded(
  error: CelError,
  written: string,
  text: string,
  functions: Iterable<string>,
): { readonly message: string; readonly suggestion?: string | undefined } {
  switch (error.code) {
    case 'unknown_variable': {
      const name = wordAt(text, error.range?.start ?? 0);
      return { message: `there is no variable '${name}'`, suggestion: suggest(name, FACTS.keys()) ?? FOREIGN[name] };
    }
    case 'no_such_key':
      return unknownField(error, text);
    case 'no_matching_overload':
      return wrongCall(error.summary, functions);
    case 'unexpected_character':
    case 'unexpected_token':
      return unexpected(written, text, error.range?.start ?? 0);
    case 'expected_token': {
      const match = /^Expected (\w+), got (\w+)/.exec(error.summary);
      const wanted = SIGNS[match?.[1] ?? ''] ?? match?.[1] ?? 'something else';
      const found = written === '' ? 'the end' : `'${written}'`;
      return { message: `${wanted} is expected here, not ${found}` };
    }
    case 'no_such_overload': {
      const match = /^no such overload: (\S.*?) (\S+) (\S.*)$/.exec(error.summary);
      if (match === null) return { message: error.summary };
      return { message: `'${match[2]}' is not possible between ${match[1]} and ${match[3]}` };
    }
    case 'cannot_index_type':
      return { message: `${/'(.*)'/.exec(error.summary)?.[1] ?? 'this'} has no fields; a function needs ()` };
    case 'index_out_of_bounds':
      return { message: 'a list has no element of that index' };
    default:
      return { message: error.summary.charAt(0).toLowerCase() + error.summary.slice(1) };
  }
}

function unknownField(error: CelError, text: string): { message: string; suggestion?: string | undefined } {
  const name = /^No such key: (.*)$/.exec(error.summary)?.[1] ?? '';
  const owner = /([A-Za-z]\w*)\s*(?:\.\s*|\[\s*["'])$/.exec(text.slice(0, placeOf(error, text, name)))?.[1] ?? '';
  for (const [fact, { fields }] of FACTS) {
    if (fact !== owner) continue;
    const known = Object.keys(fields);
    return { message: `${fact} has no field '${name}', only ${known.join(', ')}`, suggestion: suggest(name, known) };
  }
  return { message: `there is no field '${name}'` };
}

/** The field's own place: an index's error points at what is indexed. */
function placeOf(error: CelError, text: string, name: string): number {
  const found = text.indexOf(name, error.range?.start ?? 0);
  return found < 0 ? (error.range?.start ?? 0) : found;
}

function wrongCall(summary: string, functions: Iterable<string>): { message: string; suggestion?: string | undefined } {
  const match = /'(?:(.+)\.)?(\w+)\((.*)\)'$/.exec(summary);
  if (match === null) return { message: summary };
  const [, receiver, name = '', types = ''] = match;
  const known = new Set(functions);
  if (!known.has(name)) {
    return { message: `there is no function '${name}'`, suggestion: suggest(name, known) ?? FOREIGN[name] };
  }
  const on = receiver === undefined ? '' : ` on ${receiver}`;
  return { message: `${name}() does not take (${types})${on}` };
}

function unexpected(written: string, text: string, at: number): { message: string; suggestion?: string | undefined } {
  const word = wordAt(text, at) || written;
  if (word === '') return { message: 'the expression ends too early' };
  const message = `'${word}' is not expected here`;
  if (/\bnot\s+$/i.test(text.slice(0, at))) return { message, suggestion: '!' };
  return { message, suggestion: text.startsWith('=~', at) ? 'matches()' : FOREIGN[word] };
}

function wordAt(text: string, at: number): string {
  return /^\w+/.exec(text.slice(at))?.[0] ?? '';
}

function isCelError(error: unknown): error is CelError {
  return typeof error === 'object' && error !== null && 'code' in error && 'summary' in error;
}
