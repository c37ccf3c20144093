/**
 * Reads `OPES-System` and `OPES-Via` fields that anyone may have written (RFC 4236 section 4: a list of agent URIs with
 * parameters). Tolerant in form, strict in size (REQ-039): a giant forged field costs no more than its first 4 kB.
 */
import { DQUOTE } from '../../base/index.ts';
import { MAX_ENTRIES, MAX_FIELD_OCTETS, MAX_LINE_OCTETS, MAX_PARAMS } from './limits.ts';

export interface TraceEntry {
  readonly uri: string;
  /** Names in lower case; the first of equal names counts. */
  readonly params: ReadonlyMap<string, string>;
}

export interface TraceField {
  readonly name: 'OPES-System' | 'OPES-Via';
  readonly entries: readonly TraceEntry[];
  /** Which cap cut the field; entries up to it are there. */
  readonly cut?: 'field-size' | 'entry-count';
  /** List members that are no entries: no URI, or over their limit. */
  readonly unreadable: number;
}

/** Reads a whole field, name and line ends included. `undefined`: it is not one of the two. */
export function parseTraceField(octets: Buffer): TraceField | undefined {
  const text = octets.toString('latin1', 0, Math.min(octets.length, MAX_FIELD_OCTETS));
  const head = /^(OPES-(?:System|Via))[ \t]*:/i.exec(text);
  if (head === null) return undefined;
  const name = (head[1] as string).toLowerCase() === 'opes-via' ? 'OPES-Via' : 'OPES-System';
  const members = split(text.slice(head[0].length), ',');
  let cut: TraceField['cut'];
  // The last member of a field that was cut is itself cut: it says nothing reliable.
  if (octets.length > MAX_FIELD_OCTETS) {
    cut = 'field-size';
    members.pop();
  }
  const entries: TraceEntry[] = [];
  let unreadable = 0;
  for (const member of members) {
    if (/^[ \t\r\n]*$/.test(member)) continue;
    if (entries.length === MAX_ENTRIES) {
      cut ??= 'entry-count';
      break;
    }
    const entry = parseEntry(member);
    if (entry === undefined) unreadable++;
    else entries.push(entry);
  }
  return cut === undefined ? { name, entries, unreadable } : { name, entries, cut, unreadable };
}

function parseEntry(member: string): TraceEntry | undefined {
  if (member.length > MAX_LINE_OCTETS) return undefined;
  const pieces = split(member, ';');
  const uri = (pieces[0] as string).trim();
  if (!/^[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+$/.test(uri)) return undefined;
  const params = new Map<string, string>();
  for (const piece of pieces.slice(1, MAX_PARAMS + 1)) {
    const equals = piece.indexOf('=');
    const name = (equals < 0 ? piece : piece.slice(0, equals)).trim().toLowerCase();
    if (!/^[!#-'*+\-.0-9A-Z^-~]+$/i.test(name) || params.has(name)) continue;
    params.set(name, equals < 0 ? '' : unquote(piece.slice(equals + 1).trim()));
  }
  return { uri, params };
}

/** Splits at `sign` outside quoted strings; a quote that never closes runs to the end. */
function split(text: string, sign: ',' | ';'): string[] {
  const pieces: string[] = [];
  let from = 0;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const char = text[i];
    if (quoted && char === '\\') i++;
    else if (text.charCodeAt(i) === DQUOTE) quoted = !quoted;
    else if (!quoted && char === sign) {
      pieces.push(text.slice(from, i));
      from = i + 1;
    }
  }
  pieces.push(text.slice(from));
  return pieces;
}

function unquote(value: string): string {
  const inner = /^"((?:[^"\\]|\\.)*)"$/s.exec(value);
  return inner === null ? value : (inner[1] as string).replace(/\\(.)/gs, '$1').replace(/[\r\n]+/g, '');
}
