/**
 * The lists inside a feature structure: lists of atoms, and the two part lists with their second spelling. The draft's
 * declarations say `Adaptive-Parts`, all its samples `Adaptive-Commands` (profile notes, question 2); a peer that sends
 * one to a reader of the other would silently negotiate nothing, so we send the first and accept both.
 */
import { atomText, isList, type Named, type Structure, type Value } from '../ocp/index.ts';

export interface PartLists {
  readonly adaptive: readonly string[];
  readonly informative: readonly string[];
  /** The lists came under their `-Commands` names only. */
  readonly commandsOnly: boolean;
  readonly warnings: readonly string[];
}

/** Reads both part lists of a feature; an absent list is an empty one. */
export function readPartLists(feature: Structure): PartLists | { readonly error: string } {
  const adaptive = readAliased(feature.named, 'Adaptive');
  if ('error' in adaptive) return adaptive;
  const informative = readAliased(feature.named, 'Informative');
  if ('error' in informative) return informative;
  const used = [adaptive, informative].filter((list) => list.via !== 'nothing');
  const commandsOnly = used.length > 0 && used.every((list) => list.via === 'Commands');
  const warnings = used.some((list) => list.via !== 'Parts') ? ['commands-alias'] : [];
  return { adaptive: adaptive.names, informative: informative.names, commandsOnly, warnings };
}

/** The atoms of a list, or `undefined` where `value` is no list of atoms. */
export function readNames(value: Value): readonly string[] | undefined {
  if (!isList(value)) return undefined;
  const names: string[] = [];
  for (const item of value) {
    const name = atomText(item);
    if (name === undefined) return undefined;
    names.push(name);
  }
  return names;
}

interface Aliased {
  readonly names: readonly string[];
  readonly via: 'nothing' | 'Parts' | 'Commands' | 'both';
}

function readAliased(named: Named, kind: 'Adaptive' | 'Informative'): Aliased | { readonly error: string } {
  const parts = named.get(`${kind}-Parts`);
  const commands = named.get(`${kind}-Commands`);
  const byParts = parts === undefined ? undefined : readNames(parts);
  const byCommands = commands === undefined ? undefined : readNames(commands);
  if ((parts !== undefined && byParts === undefined) || (commands !== undefined && byCommands === undefined)) {
    return { error: 'part-list-type' };
  }
  if (byParts === undefined) return { names: byCommands ?? [], via: byCommands === undefined ? 'nothing' : 'Commands' };
  if (byCommands === undefined) return { names: byParts, via: 'Parts' };
  return isSameSet(byParts, byCommands) ? { names: byParts, via: 'both' } : { error: 'parts-and-commands-differ' };
}

function isSameSet(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name) => b.includes(name));
}
