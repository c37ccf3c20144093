/** Why a certificate and a key cannot be used, in words that say which file to mend; the TLS library's own say neither. */
import { X509Certificate } from 'node:crypto';

export interface Material {
  readonly ca?: Buffer;
  readonly cert?: Buffer;
  readonly key?: Buffer;
}

export interface Complaint {
  readonly what: string;
  readonly fix: string;
}

/** `error`: what the TLS library threw at `material`. */
export function keysComplaint(material: Material, error: Error): Complaint {
  for (const [name, pem] of [
    ['ca', material.ca],
    ['cert', material.cert],
  ] as const) {
    if (pem !== undefined && !pem.includes('-----BEGIN CERTIFICATE-----')) return noCertificate(name, pem);
  }
  const { key } = material;
  if (key !== undefined && !/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(key.toString('latin1')))
    return { what: 'key holds no private key', fix: 'name the PEM file with a line -----BEGIN PRIVATE KEY-----' };
  if (key?.includes('ENCRYPTED') === true) {
    return {
      what: 'key is protected by a passphrase, and nobody is there to type it',
      fix: 'write it without one (openssl pkey -in OLD -out NEW), readable by the user that runs opes alone',
    };
  }
  if (error.message.includes('mismatch')) {
    return {
      what: 'key belongs to another certificate than the one in cert',
      fix: "name the key the certificate was made with; in cert, our own certificate comes first, then the authority's",
    };
  }
  const reason = error.message.replace(/^error:[0-9A-F]*:/, '');
  return { what: `certificate and key cannot be used: ${reason}`, fix: 'check that both are whole PEM files' };
}

const DAY_MS = 24 * 60 * 60 * 1000;
/** Certificates of 90 days are renewed 30 days before their end; who is below this has missed it. */
const SOON_DAYS = 14;

/** What is worth a word of a certificate that can be used. */
export function certificateNotice(cert: Buffer, nowMs: number): string | undefined {
  const { validToDate, validFromDate } = new X509Certificate(cert);
  const day = (date: Date): string => date.toISOString().slice(0, 10);
  if (validFromDate.getTime() > nowMs) return `the certificate is not valid before ${day(validFromDate)}`;
  const days = Math.floor((validToDate.getTime() - nowMs) / DAY_MS);
  if (days < 0) return `the certificate ended on ${day(validToDate)}`;
  return days < SOON_DAYS ? `the certificate ends on ${day(validToDate)}` : undefined;
}

function noCertificate(name: string, octets: Buffer): Complaint {
  const what = `${name} holds no certificate`;
  if (octets.includes('PRIVATE KEY-----'))
    return { what: `${what}, but a key`, fix: 'cert and key may have changed places' };
  // DER: an ASN.1 sequence, of which PEM is the base64.
  if (octets[0] === 0x30) {
    return { what: `${what} in PEM form`, fix: 'convert it: openssl x509 -inform der -in OLD -out NEW' };
  }
  return { what, fix: 'name the PEM file with a line -----BEGIN CERTIFICATE-----' };
}
