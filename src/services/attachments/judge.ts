/** The judgement of each part: what it is called, what it really is, and whether it can be looked at. */
import { Base64Decoder, type MimePart, type PartFault, QuotedPrintableDecoder } from '../../mail/index.ts';
import { type Kind, kindOfExtension, kindOfOctets } from './kinds.ts';
import { extensionsOf, isDisguised, namesOf } from './names.ts';

export interface Policy {
  readonly kinds: ReadonlySet<Kind>;
  readonly refused: ReadonlySet<string>;
  readonly allowed: ReadonlySet<string>;
  readonly refuseUnclear: boolean;
}

/** What is wrong with a part, for the sender to read. */
export interface Objection {
  readonly name: string | undefined;
  readonly why: string;
}

/** `head`: the first octets of the body as they are in the message; `undefined` where they could not be kept. */
export async function judge(part: MimePart, head: Buffer | undefined, policy: Policy): Promise<Objection | undefined> {
  // A message that is attached is judged by what is in it; its name is often its subject.
  const names = part.children.length > 0 ? [] : namesOf(part);
  const name = names[0];
  for (const one of names) {
    const why = judgeName(one, policy);
    if (why !== undefined) return { name: one, why };
  }
  const isText = part.contentType.type === 'text' && name === undefined && part.disposition?.kind !== 'attachment';
  const unclear = policy.refuseUnclear ? whyUnclear(part, isText) : undefined;
  if (unclear !== undefined) return { name, why: unclear };
  // What is shown as text is text, whatever it begins with; and a part of parts is judged by them.
  if (isText || part.children.length > 0 || part.bodyEnd <= part.bodyStart) return undefined;
  if (head === undefined) return policy.refuseUnclear ? { name, why: 'it cannot be looked at' } : undefined;
  const kind = await kindOfOctets(decoded(part, head));
  if (kind === undefined || !policy.kinds.has(kind)) return undefined;
  const extension = name === undefined ? undefined : extensionsOf(name).at(-1);
  if (extension !== undefined && policy.allowed.has(extension)) return undefined;
  return { name, why: `it ${PREDICATE[kind]}` };
}

const PREDICATE: Readonly<Record<Kind, string>> = {
  program: 'is a program',
  script: 'is a script',
  macros: 'contains macros',
  shortcut: 'is a shortcut',
  'disk image': 'is a disk image',
};

function judgeName(name: string, { kinds, refused, allowed }: Policy): string | undefined {
  const extensions = extensionsOf(name);
  const last = extensions.at(-1);
  if (last === undefined || allowed.has(last)) return undefined;
  const kind = kindOfExtension(last);
  const isRefused = refused.has(last) || (kind !== undefined && kinds.has(kind));
  if (!isRefused) return isDisguised(name) ? 'its name hides what it is' : undefined;
  if (isDisguised(name)) return `its name hides that it is a .${last} file`;
  return extensions.length > 1 && HARMLESS_LOOKING.has(extensions.at(-2) ?? '')
    ? `its double extension hides that it is a .${last} file`
    : `.${last} files are not accepted`;
}

const HARMLESS_LOOKING: ReadonlySet<string> = new Set(
  'pdf doc docx xls xlsx ppt pptx odt ods rtf txt csv jpg jpeg png gif bmp tif tiff mp3 mp4 avi mov wav zip html htm'.split(
    ' ',
  ),
);

/** Places where two programs see two different mails, or this one sees nothing. */
const UNCLEAR: ReadonlyMap<PartFault, string> = new Map<PartFault, string>([
  ['depth', 'it is nested too deep'],
  ['part-count', 'there are too many'],
  ['delimiter-count', 'there are too many'],
  ['encoded-composite', 'it is a message encoded as a whole'],
  ['header-size', 'its header is too large'],
  ['field-count', 'its header is too large'],
  ['duplicate-field', 'its header contradicts itself'],
  ['boundary-tail', 'its boundary contradicts itself'],
  ['boundary-size', 'its boundary is too long'],
]);

function whyUnclear(part: MimePart, isText: boolean): string | undefined {
  if (part.contentType.type === 'message' && part.contentType.subtype === 'partial')
    return 'it is a fragment of a message';
  if (!isText && part.faults.includes('unknown-encoding')) return 'its transfer encoding is unknown';
  const fault = part.faults.find((one) => UNCLEAR.has(one));
  return fault === undefined ? undefined : UNCLEAR.get(fault);
}

function decoded({ encoding }: MimePart, head: Buffer): Buffer {
  if (encoding === 'base64') return new Base64Decoder().feed(head);
  if (encoding === 'quoted-printable') return new QuotedPrintableDecoder().feed(head);
  return head;
}
