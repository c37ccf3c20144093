/**
 * A mail's id in whatever a person has of it: the id (with the recipient's number or without), the System's URI with the id, or a whole trace field as a mail or a
 * refusal shows it. Only a URI of our own System counts: another System's ids mean nothing here.
 */
import { MAX_ID_OCTETS } from './limits.ts';
import { parseTraceField } from './parse.ts';
import { mailUri } from './uri.ts';

export type MailIdFinding =
  | { readonly kind: 'id'; readonly id: string }
  /** A trace of other Systems: they can be asked. */
  | { readonly kind: 'foreign'; readonly uris: readonly string[] }
  | { readonly kind: 'none' };

const ID = /^[A-Za-z0-9._~-]+$/;
/** Behind an id as the queue prints it: which recipient of the mail. */
const RECIPIENT = /#\d{1,6}$/;
const URI = /^<?([A-Za-z][A-Za-z0-9+.-]*:[\x21-\x3d\x3f-\x7e]+)>?$/;

export function findMailId(text: string, systemUri: string): MailIdFinding {
  const trimmed = text.trim();
  const named = trimmed.replace(RECIPIENT, '');
  if (named.length <= MAX_ID_OCTETS && ID.test(named)) return { kind: 'id', id: named };
  const uris = urisIn(trimmed);
  const ours = mailUri(systemUri, '');
  for (const uri of uris) {
    const id = uri.startsWith(ours) ? idIn(uri.slice(ours.length)) : undefined;
    if (id !== undefined) return { kind: 'id', id };
  }
  return uris.length === 0 ? { kind: 'none' } : { kind: 'foreign', uris };
}

/** A refusal's line has the code before the field: `550-5.7.1 OPES-System: ...`. */
function urisIn(text: string): readonly string[] {
  const at = text.search(/OPES-(?:System|Via)[ \t]*:/i);
  if (at >= 0) return parseTraceField(Buffer.from(text.slice(at), 'latin1'))?.entries.map(({ uri }) => uri) ?? [];
  const uri = URI.exec(text)?.[1];
  return uri === undefined ? [] : [uri];
}

function idIn(query: string): string | undefined {
  let id: string;
  try {
    id = decodeURIComponent(query.split('&')[0] ?? '');
  } catch {
    return undefined;
  }
  return id.length <= MAX_ID_OCTETS && ID.test(id) ? id : undefined;
}
