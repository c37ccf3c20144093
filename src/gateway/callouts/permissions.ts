/**
 * What an answer did, held against what the operator lets the service do (`may:`, design D7). An answer that goes
 * further is not trimmed but refused whole: half an edit is nobody's intention.
 */
import type { Advice, Part } from '../../profile/index.ts';
import type { Changes } from '../content/compare.ts';
import type { Permission } from '../options.ts';

type May = ReadonlySet<Permission>;

/** The permission that is missing for a refusal with `code`, if one is. */
export function missingForRefusal(may: May, code: number): Permission | undefined {
  const needed: Permission = code >= 500 ? 'refuse' : 'tempfail';
  // Who may refuse for good may also refuse for now: greylisting needs no more than a rejection does.
  return may.has(needed) || (needed === 'tempfail' && may.has('refuse')) ? undefined : needed;
}

/** `part`: of a command. */
export function missingForRewrite(may: May, part: Part): Permission | undefined {
  const needed = REWRITES[part] ?? 'rewrite-command';
  return may.has(needed) ? undefined : needed;
}

const REWRITES: Readonly<Partial<Record<Part, Permission>>> = { MAIL: 'rewrite-sender', RCPT: 'rewrite-recipient' };

export function missingForAdvice(may: May, advice: Advice): Permission | undefined {
  if (!may.has(advice.kind)) return advice.kind;
  return advice.kind === 'quarantine' && advice.delay !== undefined && !may.has('delay') ? 'delay' : undefined;
}

export function missingForAddedHeaders(may: May, fields: readonly string[]): Permission | undefined {
  return fields.length === 0 || may.has('add-header') || may.has('edit-header') ? undefined : 'add-header';
}

export function missingForChanges(may: May, changes: Changes): Permission | undefined {
  if (changes.header && !may.has('edit-header')) return 'edit-header';
  if (changes.body && !may.has('edit-content')) return 'edit-content';
  return undefined;
}
