/**
 * Whose mail it is, told to a next hop that trusts us: as commands before a session (XCLIENT), before a mail (XFORWARD;
 * both are Postfix's, XCLIENT_README and XFORWARD_README), or as a header before the dialog (PROXY protocol, version 2).
 * A hop is told only attributes that it announced, and values are xtext (RFC 3461 section 4), so that no octet of a
 * stranger's HELO can end a command.
 */
import { ipFamily } from '../ip-address.ts';
import type { Hop } from './hop.ts';

export interface ClientIdentity {
  /** IPv4 or IPv6, in text; any other word: there is none, or it is not known. */
  readonly address: string;
  readonly port?: number | undefined;
  /** The verified name of the address. */
  readonly name?: string | undefined;
  /** What it called itself. */
  readonly helo: string;
  readonly protocol: 'SMTP' | 'ESMTP';
  /** As whom it logged in. */
  readonly login?: string | undefined;
}

export type IdentityMode = 'none' | 'xclient' | 'xforward' | 'proxy';

const UNAVAILABLE = '[UNAVAILABLE]';
/** Of one attribute, before encoding: a domain, which is the longest of them (RFC 5321 section 4.5.3.1.2). */
const MAX_VALUE = 255;
/** Of one command without CRLF: 512 octets with it (RFC 5321 section 4.5.3.1.4); Postfix promises no more either. */
const MAX_COMMAND = 510;

/** RFC 3461 section 4: everything but printable ASCII without `+` and `=` becomes `+XX`. Octets are those of UTF-8. */
export function xtext(text: string): string {
  let out = '';
  for (const octet of Buffer.from(text)) {
    const isPlain = octet > 0x20 && octet < 0x7f && octet !== 0x2b && octet !== 0x3d;
    out += isPlain ? String.fromCharCode(octet) : `+${octet.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return out;
}

/** The commands that make this session the client's; none where the hop would be told nothing. LOGIN only where we do not log in ourselves. */
export function xclientCommands(hop: Hop, client: ClientIdentity, tellsLogin: boolean): string[] {
  const commands = commandsOf('XCLIENT', hop, [
    ['NAME', value(client.name)],
    ['ADDR', address(client.address)],
    ['PORT', value(client.port?.toString())],
    ['PROTO', client.protocol],
    ['HELO', value(client.helo)],
    // Last: the hop forgets a login with each XCLIENT that names none.
    ['LOGIN', tellsLogin ? value(client.login) : undefined],
  ]);
  // Without the address the hop would go on judging ours.
  return commands.some((command) => command.includes(' ADDR=')) ? commands : [];
}

/** The commands that stand before a mail's MAIL. `ident`: our id of the mail. */
export function xforwardCommands(hop: Hop, client: ClientIdentity, ident: string | undefined): string[] {
  return commandsOf('XFORWARD', hop, [
    ['NAME', value(client.name)],
    ['ADDR', address(client.address)],
    ['PORT', value(client.port?.toString())],
    ['PROTO', client.protocol],
    ['HELO', value(client.helo)],
    ['IDENT', value(ident)],
    // LOCAL would have the hop complete headers as for its own users' mail.
    ['SOURCE', 'REMOTE'],
  ]);
}

/** Attributes, as many to a command as fit. */
function commandsOf(verb: string, hop: Hop, attributes: readonly (readonly [string, string | undefined])[]): string[] {
  const announced = new Set((hop.offers.get(verb) ?? '').toUpperCase().split(' '));
  const commands: string[] = [];
  let command = verb;
  for (const [name, text] of attributes) {
    if (text === undefined || !announced.has(name)) continue;
    const word = ` ${name}=${text}`;
    if (command.length + word.length > MAX_COMMAND && command !== verb) {
      commands.push(command);
      command = verb;
    }
    command += word;
  }
  if (command !== verb) commands.push(command);
  return commands;
}

/** A value that fits into a command by itself, or the word for there being none. */
function value(text: string | undefined): string {
  if (text === undefined || text === '' || text.length > MAX_VALUE) return UNAVAILABLE;
  const encoded = xtext(text);
  return encoded.length > MAX_COMMAND - 'XFORWARD IDENT='.length ? UNAVAILABLE : encoded;
}

/** What has no address (a proxy does not know it, a Unix socket has none) is said to have none. */
function address(text: string): string {
  const family = ipFamily(text);
  if (family === undefined) return UNAVAILABLE;
  return family === 'ipv6' ? `IPV6:${text}` : text;
}

/** What two mails must share to go over one connection that carries an identity. Attributes cannot hold the mark between them. */
export function identityKey(mode: IdentityMode, client: ClientIdentity | undefined): string {
  if (client === undefined || mode === 'none' || mode === 'xforward') return '';
  const { address: from, port, name, helo, protocol, login } = client;
  return mode === 'proxy' ? `${from}\n${port}` : [from, port, name, helo, protocol, login].join('\n');
}

/** The name for EHLO behind XCLIENT: the client's, as the hop judges it; undefined where it is no word. */
export function heloOf(client: ClientIdentity): string | undefined {
  return /^[\x21-\x7e]{1,255}$/.test(client.helo) ? client.helo : undefined;
}
