/**
 * What must not be touched: signed and encrypted mail by its structure (RFC 1847, RFC 8551, RFC 3156, and OpenPGP armor in
 * a plain text), and DKIM signatures (RFC 6376). Nothing is verified here.
 */
import { findField } from './header.ts';
import type { MimePart } from './mime-part.ts';

export type Scheme = 'smime' | 'openpgp';

export interface Protection {
  readonly signed: Scheme | undefined;
  readonly encrypted: Scheme | undefined;
}

export interface Recognised extends Protection {
  /** The message has a DKIM-Signature field. */
  readonly dkim: boolean;
}

/** The message as a whole. Messages inside it (forwarded as attachments) do not count: they are somebody else's. */
export function recognise(root: MimePart): Recognised {
  const found: { signed: Scheme | undefined; encrypted: Scheme | undefined } = {
    signed: undefined,
    encrypted: undefined,
  };
  collect(root, found);
  return { ...found, dkim: findField(root.header, root.fields, 'dkim-signature') !== undefined };
}

function collect(part: MimePart, found: { signed: Scheme | undefined; encrypted: Scheme | undefined }): void {
  const own = recognisePart(part);
  found.signed ??= own.signed;
  found.encrypted ??= own.encrypted;
  if (part.contentType.type === 'message') return;
  for (const child of part.children) collect(child, found);
}

/** One part by itself: what its type, or the armor at its start, says. */
export function recognisePart(part: MimePart): Protection {
  const { type, subtype } = part.contentType;
  if (type === 'multipart') return ofMultipart(part, subtype);
  if (type === 'application' && (subtype === 'pkcs7-mime' || subtype === 'x-pkcs7-mime')) return ofPkcs7(part);
  if (type === 'text') return ofText(part.head);
  return NOTHING;
}

const NOTHING: Protection = { signed: undefined, encrypted: undefined };

function ofMultipart(part: MimePart, subtype: string): Protection {
  if (subtype !== 'signed' && subtype !== 'encrypted') return NOTHING;
  const scheme = schemeOf(protocolOf(part));
  return subtype === 'signed' ? { signed: scheme, encrypted: undefined } : { signed: undefined, encrypted: scheme };
}

/** The protocol parameter, or where it is missing the type of the part that it should have named. */
function protocolOf(part: MimePart): string {
  const protocol = part.contentType.params.get('protocol');
  if (protocol !== undefined) return protocol.trim().toLowerCase();
  const named = part.contentType.subtype === 'signed' ? part.children[1] : part.children[0];
  return named === undefined ? '' : `${named.contentType.type}/${named.contentType.subtype}`;
}

function schemeOf(protocol: string): Scheme | undefined {
  switch (protocol) {
    case 'application/pgp-signature':
    case 'application/pgp-encrypted':
      return 'openpgp';
    case 'application/pkcs7-signature':
    case 'application/x-pkcs7-signature':
      return 'smime';
    default:
      return undefined;
  }
}

/** RFC 8551 section 3.2.2. Without `smime-type` it cannot be told without reading it: both, so that nobody touches it. */
function ofPkcs7(part: MimePart): Protection {
  switch ((part.contentType.params.get('smime-type') ?? '').trim().toLowerCase()) {
    case 'signed-data':
      return { signed: 'smime', encrypted: undefined };
    case 'enveloped-data':
    case 'authenveloped-data':
      return { signed: undefined, encrypted: 'smime' };
    case 'certs-only':
    case 'compressed-data':
      return NOTHING;
    default:
      return { signed: 'smime', encrypted: 'smime' };
  }
}

/** RFC 9580 section 6.2 (formerly RFC 4880); the armor may have empty lines before it. */
function ofText(head: Buffer): Protection {
  const text = head.toString('latin1').trimStart();
  if (text.startsWith('-----BEGIN PGP MESSAGE-----')) return { signed: undefined, encrypted: 'openpgp' };
  if (text.startsWith('-----BEGIN PGP SIGNED MESSAGE-----')) return { signed: 'openpgp', encrypted: undefined };
  return NOTHING;
}
