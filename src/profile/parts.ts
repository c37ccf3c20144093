/**
 * The application message parts of the SMTP profiles (draft-ietf-opes-smtp-00, section 3.1): their names, which of them
 * exclude each other, and the order of an SMTP transaction. `IP` is used by the draft's samples and defined by us: the
 * client's address as an address literal (RFC 5321, section 4.1.3), never adaptive.
 */

/** The profile a gateway speaks while it receives mail. The names are the draft's; nothing is registered at IANA. */
export const RECEIVER_URI = 'http://iana.org/opes/ocp/SMTP/receiver';
/** The profile a gateway speaks while it sends mail. */
export const SENDER_URI = 'http://iana.org/opes/ocp/SMTP/sender';

/** The parts we carry. */
export type Part = 'IP' | 'EHLO' | 'HELO' | 'MAIL' | 'RCPT' | 'VRFY' | 'EXPN' | 'RAWDATA';

/** Every part the draft defines, known here so that offers and answers that name them are judged rightly. */
export type DraftPart = Part | 'ALLHEADERS' | 'SINGLEHEADERS' | 'BODY' | 'SECTIONS';

export const PARTS: readonly Part[] = ['IP', 'EHLO', 'HELO', 'MAIL', 'RCPT', 'VRFY', 'EXPN', 'RAWDATA'];

/** A part by the atom that came over the wire; `undefined` for one we do not carry. */
export function partByName(name: string): Part | undefined {
  return BY_NAME.get(name);
}

/** Two parts of `parts` that may not be selected together (draft, section 3.1), or `undefined`. */
export function exclusivePair(parts: ReadonlySet<string>): readonly [string, string] | undefined {
  return EXCLUSIVE.find(([a, b]) => parts.has(a) && parts.has(b));
}

/**
 * May `next` come behind `last` in one transaction? Parts keep the order of SMTP (RFC 5321, section 4.1.4); only
 * recipients, look-ups and fragments of the data come more than once.
 */
export function canFollow(last: Part | undefined, next: Part): boolean {
  if (last === undefined) return true;
  const before = RANK[last];
  const after = RANK[next];
  return before < after || (before === after && (next === 'RCPT' || next === 'RAWDATA' || before === LOOK_UP));
}

const BY_NAME: ReadonlyMap<string, Part> = new Map(PARTS.map((part) => [part, part]));

const LOOK_UP = 2;
const RANK: Readonly<Record<Part, number>> = {
  IP: 0,
  EHLO: 1,
  HELO: 1,
  VRFY: LOOK_UP,
  EXPN: LOOK_UP,
  MAIL: 3,
  RCPT: 4,
  RAWDATA: 5,
};

const EXCLUSIVE: readonly (readonly [DraftPart, DraftPart])[] = [
  ['RAWDATA', 'ALLHEADERS'],
  ['RAWDATA', 'SINGLEHEADERS'],
  ['RAWDATA', 'BODY'],
  ['RAWDATA', 'SECTIONS'],
  ['ALLHEADERS', 'SINGLEHEADERS'],
  ['BODY', 'SECTIONS'],
];
