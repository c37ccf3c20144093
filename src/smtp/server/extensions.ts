/** What the answer to EHLO announces (RFC 5321, 4.1.1.1): a row for each extension, in this order. */

import { type Reply, reply, writeReply } from '../reply.ts';
import { MECHANISMS } from '../sasl/mechanism.ts';
import { XCLIENT_NAMES, XFORWARD_NAMES } from './client-attributes.ts';
import type { ServerOptions } from './options.ts';

interface ExtensionRow {
  readonly line: (options: ServerOptions) => string;
  readonly isAnnounced: (options: ServerOptions, isSecure: boolean) => boolean;
}

const always = () => true;

export const extensions: readonly ExtensionRow[] = [
  { line: () => 'PIPELINING', isAnnounced: always }, // RFC 2920
  { line: (options) => `SIZE ${options.maxSize}`, isAnnounced: always }, // RFC 1870
  { line: () => '8BITMIME', isAnnounced: (options) => options.eightBitMime }, // RFC 6152
  { line: () => 'SMTPUTF8', isAnnounced: (options) => options.smtpUtf8 }, // RFC 6531
  { line: () => 'DSN', isAnnounced: (options) => options.dsn }, // RFC 3461
  { line: () => 'ENHANCEDSTATUSCODES', isAnnounced: always }, // RFC 2034
  { line: () => 'CHUNKING', isAnnounced: (options) => options.chunking }, // RFC 3030
  { line: () => 'OPES', isAnnounced: (options) => options.opes }, // docs/spec/opes-smtp.md, 12
  { line: () => 'PRDR', isAnnounced: isPrdrServed }, // draft-hall-prdr
  // RFC 3207, 4.2: not announced again once TLS is up.
  { line: () => 'STARTTLS', isAnnounced: (options, isSecure) => options.tls !== 'none' && !isSecure },
  { line: () => `AUTH ${MECHANISMS.join(' ')}`, isAnnounced: isAuthServed }, // RFC 4954
  { line: () => `XCLIENT ${XCLIENT_NAMES.join(' ')}`, isAnnounced: (options) => options.xclient },
  { line: () => `XFORWARD ${XFORWARD_NAMES.join(' ')}`, isAnnounced: (options) => options.xforward },
];

/** RFC 4954, 4: no mechanism is announced that would not be served now. */
export function isAuthServed({ auth }: ServerOptions, isSecure: boolean): boolean {
  return auth === 'always' || (auth === 'over-tls' && isSecure);
}

/** In LMTP every recipient has its reply. */
export function isPrdrServed({ prdr, protocol }: ServerOptions): boolean {
  return prdr && protocol === 'smtp';
}

function helloReply(verb: 'EHLO' | 'HELO', options: ServerOptions, isSecure: boolean): Reply {
  if (verb === 'HELO') return reply(250, undefined, options.hostname);
  const announced = extensions.filter((row) => row.isAnnounced(options, isSecure)).map((row) => row.line(options));
  return reply(250, undefined, options.hostname, ...announced);
}

type HelloTexts = Map<string, string>;

/** Four texts a listener, made once: its options never change. */
const written = new WeakMap<ServerOptions, HelloTexts>();

export function writeHello(verb: 'EHLO' | 'HELO', options: ServerOptions, isSecure: boolean): string {
  const texts: HelloTexts = written.get(options) ?? new Map();
  const key = isSecure ? `${verb} secure` : verb;
  const text = texts.get(key) ?? writeReply(helloReply(verb, options, isSecure));
  written.set(options, texts.set(key, text));
  return text;
}
