/**
 * Our own `Received` field (RFC 5321 section 4.4). Whatever came from the client is cut and cleaned before it stands
 * here: a HELO name with a line end or a parenthesis in it would otherwise write fields of its own.
 */
import { UNIX_PEER } from '../../smtp/index.ts';
import { FOLD_OCTETS, MAX_NAME_OCTETS } from './limits.ts';

/** RFC 3848 and RFC 6531 section 4.3. */
export type ReceivedProtocol =
  | 'SMTP'
  | 'ESMTP'
  | 'ESMTPA'
  | 'ESMTPS'
  | 'ESMTPSA'
  | 'UTF8SMTP'
  | 'UTF8SMTPA'
  | 'UTF8SMTPS'
  | 'UTF8SMTPSA'
  | 'LMTP'
  | 'LMTPA'
  | 'LMTPS'
  | 'LMTPSA'
  | 'UTF8LMTP'
  | 'UTF8LMTPA'
  | 'UTF8LMTPS'
  | 'UTF8LMTPSA';

export interface Reception {
  readonly hostname: string;
  /** The name in EHLO or HELO, as sent. */
  readonly helo: string;
  readonly clientAddress: string;
  /** The client's name by DNS, where one was found and confirmed. */
  readonly clientName?: string | undefined;
  readonly protocol: ReceivedProtocol;
  readonly id: string;
  /** `local@domain`, with a single recipient only: with several, the clause would show each the others. */
  readonly recipient?: string | undefined;
  readonly date: Date;
}

/** The clauses that are the same for all mails of a session. */
export type SessionClauses = readonly [from: string, by: string];

export function sessionClauses(
  of: Pick<Reception, 'hostname' | 'helo' | 'clientAddress' | 'clientName'>,
): SessionClauses {
  // On a Unix socket there is no TCP-info to give (RFC 5321 section 4.4), and a comment says why.
  const address = of.clientAddress === UNIX_PEER ? 'Unix socket' : literal(of.clientAddress);
  const tcpInfo = of.clientName === undefined ? `(${address})` : `(${clean(of.clientName)} ${address})`;
  return [`from ${clean(of.helo) || 'unknown'} ${tcpInfo}`, `by ${clean(of.hostname)}`];
}

/** One field with its closing CRLF, folded at 78 octets where its words allow it. */
export function writeReceived(
  [from, by]: SessionClauses,
  { protocol, id, recipient, date }: Pick<Reception, 'protocol' | 'id' | 'recipient' | 'date'>,
): string {
  const clauses = [from, by, `with ${protocol} id ${clean(id)}`];
  const forRecipient = recipient === undefined ? undefined : forClause(recipient);
  if (forRecipient !== undefined) clauses.push(`for ${forRecipient}`);
  return `${fold('Received:', clauses)};\r\n${dateLine(date)}`;
}

/** Folds before a clause where it does not fit, and inside one only if it is longer than a line. */
function fold(start: string, clauses: readonly string[]): string {
  let out = '';
  let line = start;
  for (const clause of clauses) {
    // One octet less than the line has: the semicolon of the last clause.
    if (line.length + 1 + clause.length < FOLD_OCTETS) {
      line += ` ${clause}`;
      continue;
    }
    for (const word of clause.length < FOLD_OCTETS - 1 ? [clause] : clause.split(' ')) {
      if (line.length + 1 + word.length < FOLD_OCTETS) {
        line += ` ${word}`;
      } else {
        out += `${line}\r\n`;
        line = `\t${word}`;
      }
    }
  }
  return out + line;
}

/** RFC 5322 section 3.3, in UTC. The line of a second is made once: a busy gateway writes it thousands of times. */
function dateLine(date: Date): string {
  const second = Math.floor(date.getTime() / 1000);
  if (second !== lastSecond) {
    lastSecond = second;
    lastLine = `\t${date.toUTCString().replace('GMT', '+0000')}\r\n`;
  }
  return lastLine;
}

let lastSecond = Number.NaN;
let lastLine = '';

/** RFC 5321 section 4.1.3: an IPv6 literal is tagged. */
function literal(address: string): string {
  const plain = clean(address);
  return plain.includes(':') ? `[IPv6:${plain}]` : `[${plain}]`;
}

/** Names and addresses keep their letters, digits and few signs; everything else becomes `?`. */
function clean(text: string): string {
  const cut = text.length > MAX_NAME_OCTETS ? text.slice(0, MAX_NAME_OCTETS) : text;
  return cut.replace(/[^A-Za-z0-9.:_[\]-]/g, '?');
}

/** A path that is not plain printable ASCII is left out: the clause is optional, and a header must not carry it raw. */
function forClause(recipient: string): string | undefined {
  return /^[!-'*-;=?-[\]-~]{1,320}$/.test(recipient) ? `<${recipient}>` : undefined; // printable, and none of <>()\
}
