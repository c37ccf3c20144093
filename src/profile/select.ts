/** A callout server's choice from what a processor offers (draft section 3.2). */
import { type Structure, uriOf } from '../ocp/index.ts';
import { readPartLists } from './lists.ts';
import { makeFeature, makeSelection, namesOf, type Selection } from './offer.ts';
import { exclusivePair, type Part, partByName, RECEIVER_URI, SENDER_URI } from './parts.ts';

/** What a callout server would like to have. */
export interface PartWishes {
  /** Parts it may change or refuse. Where one is offered for reading only it is read, unless `needed` says otherwise. */
  readonly adaptive: readonly Part[];
  readonly informative: readonly Part[];
  /** Parts without which there is no use in working together, as adaptive ones where they are wished adaptive. */
  readonly needed?: readonly Part[];
  /** EHLO keywords it understands, so that MAIL and RCPT carry their parameters. */
  readonly extensions?: readonly string[];
}

/**
 * The answer to an offer: the first offered SMTP profile that has what is needed, with the wished parts it has.
 * `undefined` (no feature, so nothing to work on) where no offer fits. Unknown parts in an offer are ignored.
 */
export function selectParts(features: readonly Structure[], wishes: PartWishes): Structure | undefined {
  if (exclusivePair(new Set<string>([...wishes.adaptive, ...wishes.informative])) !== undefined) {
    throw new Error('wishes name parts that exclude each other');
  }
  for (const feature of features) {
    const uri = uriOf(feature);
    if (uri !== RECEIVER_URI && uri !== SENDER_URI) continue;
    const answer = selectFrom(feature, uri, wishes);
    if (answer !== undefined) return answer;
  }
  return undefined;
}

/** What a feature we made ourselves says; for the side that made it. */
export function selectionOf(feature: Structure): Selection {
  const lists = readPartLists(feature);
  if ('error' in lists) throw new Error(`own selection is broken: ${lists.error}`);
  return makeSelection(parts(lists.adaptive), parts(lists.informative), namesOf(feature, 'Extensions') ?? []);
}

function selectFrom(feature: Structure, uri: string, wishes: PartWishes): Structure | undefined {
  const lists = readPartLists(feature);
  if ('error' in lists) return undefined;
  const changeable = parts(lists.adaptive);
  const readable = parts([...lists.adaptive, ...lists.informative]);
  const adaptive = wishes.adaptive.filter((part) => changeable.has(part));
  const informative = [...wishes.adaptive, ...wishes.informative].filter(
    (part, at, all) => readable.has(part) && !adaptive.includes(part) && all.indexOf(part) === at,
  );
  const lacks = (part: Part): boolean =>
    !adaptive.includes(part) && (wishes.adaptive.includes(part) || !informative.includes(part));
  if (wishes.needed?.some(lacks) === true) return undefined;
  const answer: [string, readonly string[]][] = [
    ['Adaptive-Parts', adaptive],
    ['Informative-Parts', informative],
  ];
  // A peer that offers by the draft's sample names may read only those: it gets both spellings, which say the same.
  if (lists.commandsOnly) answer.push(['Adaptive-Commands', adaptive], ['Informative-Commands', informative]);
  return makeFeature(uri, [...answer, ['Extensions', wishes.extensions ?? []]]);
}

function parts(names: readonly string[]): ReadonlySet<Part> {
  const found = new Set<Part>();
  for (const name of names) {
    const part = partByName(name);
    if (part !== undefined) found.add(part);
  }
  return found;
}
