/** Which parts of a mail get a banner: those whose text is shown when the mail is opened. */
import { allParts, type MimePart, type PartFault, recognise } from '../../mail/index.ts';

/** Why a mail is left as it is, as a whole. */
export type Untouchable = 'signed' | 'encrypted' | 'dkim-signed' | 'malformed' | 'no-text';

export interface Targets {
  readonly untouchable: Untouchable | undefined;
  readonly parts: readonly MimePart[];
}

const NONE: readonly MimePart[] = [];

export function findTargets(root: MimePart, mayTouchDkim: boolean): Targets {
  const untouchable = whyUntouchable(root, mayTouchDkim);
  if (untouchable !== undefined) return { untouchable, parts: NONE };
  const parts = shown(root);
  if (parts.some((part) => !isSound(part))) return { untouchable: 'malformed', parts: NONE };
  return { untouchable: parts.length === 0 ? 'no-text' : undefined, parts };
}

function whyUntouchable(root: MimePart, mayTouchDkim: boolean): Untouchable | undefined {
  const { signed, encrypted, dkim } = recognise(root);
  // Also with a protocol nobody knows: whoever does would find his signature broken.
  const subtypes = new Set([...allParts(root)].filter(isMultipart).map(({ contentType }) => contentType.subtype));
  if (encrypted !== undefined || subtypes.has('encrypted')) return 'encrypted';
  if (signed !== undefined || subtypes.has('signed')) return 'signed';
  return dkim && !mayTouchDkim ? 'dkim-signed' : undefined;
}

/** A truncated mail has lost a closing line; what is there is as it is. */
const HARMLESS: readonly PartFault[] = ['missing-close'];

/** Whether every program finds the same in it. */
function isSound({ faults }: MimePart): boolean {
  return faults.every((fault) => HARMLESS.includes(fault));
}

/** The text parts a reader sees first: of alternatives all, of a mixture the first. A multipart that is not sound stands for its own. */
function shown(part: MimePart): readonly MimePart[] {
  const { type, subtype } = part.contentType;
  if (part.disposition?.kind === 'attachment' || part.disposition?.params.has('filename') === true) return NONE;
  if (type === 'text') return subtype === 'plain' || subtype === 'html' ? [part] : NONE;
  if (!isMultipart(part)) return NONE;
  const found = subtype === 'alternative' ? part.children.flatMap(shown) : firstShown(part.children);
  return found.length === 0 || isSound(part) ? found : [part];
}

function firstShown(parts: readonly MimePart[]): readonly MimePart[] {
  for (const part of parts) {
    const found = shown(part);
    if (found.length > 0) return found;
  }
  return NONE;
}

function isMultipart({ contentType }: MimePart): boolean {
  return contentType.type === 'multipart';
}
