/** What the header of a message or part says about its body (RFC 2045). */
import { type FieldRange, fieldBody, findFields, unfold } from './header.ts';
import type { MailLimits } from './limits.ts';
import type { ContentType, Disposition, PartFault, TransferEncoding } from './mime-part.ts';
import { parseStructured } from './parameters.ts';

export interface Entity {
  readonly contentType: ContentType;
  readonly encoding: TransferEncoding;
  readonly disposition: Disposition | undefined;
  readonly faults: readonly PartFault[];
}

const NONE: ReadonlyMap<string, string> = new Map();
const TEXT: ContentType = { type: 'text', subtype: 'plain', params: NONE, charsets: NONE };
/** Inside multipart/digest (RFC 2046 section 5.1.5). */
const MESSAGE: ContentType = { type: 'message', subtype: 'rfc822', params: NONE, charsets: NONE };

/** What a part is whose header says nothing. */
export const PLAIN_ENTITY: Entity = { contentType: TEXT, encoding: '7bit', disposition: undefined, faults: [] };

export function readEntity(
  header: Buffer,
  fields: readonly FieldRange[],
  isInDigest: boolean,
  limits: MailLimits,
): Entity {
  const faults: PartFault[] = [];
  const only = (name: string): string | undefined => {
    const found = findFields(header, fields, name);
    if (found.length > 1) faults.push('duplicate-field');
    return found[0] === undefined ? undefined : unfold(fieldBody(header, found[0]));
  };
  const contentType = readContentType(only('content-type'), isInDigest ? MESSAGE : TEXT, faults, limits);
  const encoding = readEncoding(only('content-transfer-encoding'), faults, limits);
  const disposition = readDisposition(only('content-disposition'), faults, limits);
  return { contentType, encoding, disposition, faults };
}

function readContentType(
  body: string | undefined,
  ifNone: ContentType,
  faults: PartFault[],
  limits: MailLimits,
): ContentType {
  if (body === undefined) return ifNone;
  const { value, params, charsets, broken } = parseStructured(body, limits);
  if (broken) faults.push('parameter');
  const match = /^([!#-'*+.0-9A-Z^-~-]+)\s*\/\s*([!#-'*+.0-9A-Z^-~-]+)$/i.exec(value);
  if (match === null) {
    faults.push('content-type');
    return { ...TEXT, params, charsets };
  }
  return { type: match[1] as string, subtype: match[2] as string, params, charsets };
}

function readEncoding(body: string | undefined, faults: PartFault[], limits: MailLimits): TransferEncoding {
  if (body === undefined) return '7bit';
  const { value } = parseStructured(body, limits);
  switch (value) {
    case '7bit':
    case '8bit':
    case 'binary':
    case 'base64':
    case 'quoted-printable':
      return value;
    default:
      faults.push('unknown-encoding');
      return 'unknown';
  }
}

function readDisposition(body: string | undefined, faults: PartFault[], limits: MailLimits): Disposition | undefined {
  if (body === undefined) return undefined;
  const { value, params, charsets, broken } = parseStructured(body, limits);
  if (broken) faults.push('parameter');
  return { kind: value, params, charsets };
}
