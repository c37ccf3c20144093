/**
 * The small types the schema is made of. A message has two lines: what is wrong, and what to do; both are written here,
 * where the expected form is known, so that no message of the schema library reaches the operator.
 */
import { z } from 'zod';
import { suggest } from './suggest.ts';
import type { Read } from './units.ts';

export const MISSING = 'is missing';
export const NO_VALUE = 'has no value';

export function twoLines(what: string, fix: string): string {
  return `${what}\n${fix}`;
}

/** Says `input is not KIND` for a value of the wrong type, and "is missing" where there is none. */
export function typeError(kind: string, fix: string): (issue: { readonly input?: unknown }) => string {
  return ({ input }) => {
    if (input === undefined) return twoLines(MISSING, fix);
    return twoLines(input === null ? NO_VALUE : `${showValue(input)} is not ${kind}`, fix);
  };
}

export function showValue(value: unknown): string {
  if (value === null) return 'nothing';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 57)}..."` : text;
}

/** Text that `read` understands. `kind` is "a size"; `fix` says what to write. */
export function leaf<T>(kind: string, fix: string, read: (text: string) => Read<T>) {
  return z.string({ error: typeError(kind, fix) }).transform((text, ctx): T => {
    const got = read(text);
    if ('value' in got) return got.value;
    ctx.addIssue({ code: 'custom', message: twoLines(got.wrong, fix) });
    return z.NEVER;
  });
}

/** Text that matches `form`, as it stands. */
export function word(kind: string, fix: string, form: RegExp) {
  return z
    .string({ error: typeError(kind, fix) })
    .regex(form, { error: ({ input }) => twoLines(`${showValue(input)} is not ${kind}`, fix) });
}

/** One of `values`. Those of later versions are understood (see `later`) but not advised. */
export function choice<const T extends readonly [string, ...string[]]>(
  kind: string,
  values: T,
  advised: readonly T[number][] = values,
) {
  const write = advised.length === 1 ? `write ${advised[0]}` : `write one of: ${advised.join(', ')}`;
  return z.enum(values, {
    error: ({ input }) => {
      if (input === undefined) return twoLines(MISSING, write);
      const near = typeof input === 'string' ? suggest(input, values) : undefined;
      return twoLines(
        `${showValue(input)} is not ${kind}`,
        near === undefined ? write : `did you mean ${near}? ${write}`,
      );
    },
  });
}

export function flag() {
  return z.boolean({ error: typeError('true or false', 'write true or false, without quotes') });
}

export function count(kind: string, min: number, max: number) {
  const fix = `write a whole number from ${min} to ${max}`;
  const error = ({ input }: { readonly input?: unknown }) => twoLines(`${showValue(input)} is not ${kind}`, fix);
  return z
    .number({ error: typeError(kind, fix) })
    .int({ error })
    .min(min, { error })
    .max(max, { error });
}

export function list<T extends z.ZodType>(of: T, kind: string, atLeastOne: boolean, fix = LIST_FIX) {
  const items = z.array(of, { error: typeError(kind, fix) });
  return atLeastOne ? items.min(1, { error: () => twoLines('the list is empty', fix) }) : items;
}

const LIST_FIX = 'write a list: in brackets, [one, other], or one line each, starting with "- "';

export function map<T extends z.ZodRawShape>(shape: T, kind: string, fix: string) {
  return z.strictObject(shape, { error: typeError(kind, fix) });
}

/** A key (or some of its values) of a later version: understood, and refused rather than silently not done. */
export function later<T extends z.ZodType>(of: T, needs: string, rest: Later<z.output<T>> = {}) {
  return of.transform((value, ctx): z.output<T> => {
    if (rest.when !== undefined && !rest.when(value)) return value;
    const fix = rest.fix ?? 'take it out, or wait for a version that has it';
    ctx.addIssue({ code: 'custom', message: notYet(needs, fix) });
    return z.NEVER;
  });
}

interface Later<T> {
  /** Which values are of a later version; absent: all. */
  readonly when?: (value: T) => boolean;
  /** What to write now. */
  readonly fix?: string;
}

/** One of `now`; the words of `soon` are understood, and refused for what they would need. */
export function laterChoice<const N extends readonly [string, ...string[]], const S extends readonly string[]>(
  kind: string,
  now: N,
  soon: S,
  needs: string,
) {
  return choice(kind, [now[0], ...now.slice(1), ...soon], now).transform((value, ctx): N[number] => {
    const found = now.find((one) => one === value);
    if (found !== undefined) return found;
    const instead = now.length === 1 ? now[0] : `one of: ${now.join(', ')}`;
    ctx.addIssue({ code: 'custom', message: notYet(needs, `write ${instead}`) });
    return z.NEVER;
  });
}

function notYet(needs: string, fix: string): string {
  return twoLines(`needs ${needs}, which this version does not have yet`, fix);
}
