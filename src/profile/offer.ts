/** A processor's offer of an SMTP profile (draft section 3.2), and what the callout server answered to it. */
import { type Structure, uriOf, type Value } from '../ocp/index.ts';
import { readNames, readPartLists } from './lists.ts';
import { exclusivePair, type Part, RECEIVER_URI } from './parts.ts';

/** What a processor lets the other side see; `P` is widened by tests and by those who carry parts of their own. */
export interface Offered<P extends string = Part> {
  /** The parts whose changes and refusals are taken. */
  readonly adaptive: readonly P[];
  /** Further parts that are shown only; an adaptive one may be selected as informative without being named here. */
  readonly informative: readonly P[];
  /** The profile; the receiver's unless said otherwise. */
  readonly uri?: string;
}

/** What was agreed for every transaction of the connection. */
export interface Selection<P extends string = Part> {
  readonly adaptive: ReadonlySet<P>;
  readonly informative: ReadonlySet<P>;
  /** EHLO keywords, in upper case, whose parameters the callout server understands. */
  readonly extensions: ReadonlySet<string>;
  /** Names of the wanted fields, only with `SINGLEHEADERS`. */
  readonly headerList: readonly string[];
  /** Is the part sent at all? */
  sees(part: P): boolean;
}

/** The feature for an offer. Empty lists are left out. */
export function makeOffer<P extends string>(offered: Offered<P>, extensions: readonly string[] = []): Structure {
  return makeFeature(offered.uri ?? RECEIVER_URI, [
    ['Adaptive-Parts', offered.adaptive],
    ['Informative-Parts', offered.informative],
    ['Extensions', extensions],
  ]);
}

/**
 * Judges the answer to an offer. Every error ends the connection (draft sections 3.2.3 and 3.2.4; for exclusive parts and
 * the header list our reaction): afterwards the two sides would not agree on what is sent.
 */
export function readSelection<P extends string = Part>(
  feature: Structure,
  offered: Offered<P>,
): { readonly selection: Selection<P>; readonly warnings: readonly string[] } | { readonly error: string } {
  if (uriOf(feature) !== (offered.uri ?? RECEIVER_URI)) return { error: 'feature-not-offered' };
  const lists = readPartLists(feature);
  if ('error' in lists) return lists;
  const adaptive = offeredOnes(lists.adaptive, offered.adaptive);
  const informative = offeredOnes(lists.informative, [...offered.adaptive, ...offered.informative]);
  if (adaptive === undefined || informative === undefined) return { error: 'part-not-offered' };
  const all = new Set<string>([...adaptive, ...informative]);
  if (all.size !== lists.adaptive.length + lists.informative.length) return { error: 'part-twice' };
  if (exclusivePair(all) !== undefined) return { error: 'exclusive-parts' };
  const headerList = namesOf(feature, 'Header-List');
  const extensions = namesOf(feature, 'Extensions');
  if (headerList === undefined || extensions === undefined) return { error: 'list-type' };
  if (all.has('SINGLEHEADERS') !== headerList.length > 0) return { error: 'header-list' };
  return { selection: makeSelection(adaptive, informative, extensions, headerList), warnings: lists.warnings };
}

export function makeSelection<P extends string>(
  adaptive: ReadonlySet<P>,
  informative: ReadonlySet<P>,
  extensions: readonly string[] = [],
  headerList: readonly string[] = [],
): Selection<P> {
  return {
    adaptive,
    informative,
    extensions: new Set(extensions.map((keyword) => keyword.toUpperCase())),
    headerList,
    sees: (part) => adaptive.has(part) || informative.has(part),
  };
}

export function makeFeature(uri: string, lists: readonly (readonly [string, readonly string[]])[]): Structure {
  const named = new Map<string, Value>();
  for (const [name, members] of lists) if (members.length > 0) named.set(name, members);
  return { anonymous: [uri], named };
}

/** The named list of a feature; empty where it is absent, `undefined` where it is something else. */
export function namesOf(feature: Structure, name: string): readonly string[] | undefined {
  const value = feature.named.get(name);
  return value === undefined ? [] : readNames(value);
}

function offeredOnes<P extends string>(names: readonly string[], offered: readonly P[]): ReadonlySet<P> | undefined {
  const found = new Set<P>();
  for (const name of names) {
    const part = offered.find((one) => one === name);
    if (part === undefined) return undefined;
    found.add(part);
  }
  return found;
}
