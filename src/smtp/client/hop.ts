/**
 * What a next hop offers: the lines of its answer to EHLO (RFC 5321 section 4.1.1.1), and what of a mail's parameters it
 * may be sent. Nothing is sent that was not offered; what the mail needs and the hop lacks is a refusal, never a
 * conversion of the content (a signature would break).
 */
import { printable } from '../../base/index.ts';
import { type Reply, reply } from '../reply.ts';

export class Hop {
  /** Keyword in upper case to its parameters as sent. Empty where only HELO was understood. */
  readonly offers: ReadonlyMap<string, string>;
  /** The name the hop gives itself, cleaned; for logs. */
  readonly name: string;
  readonly pipelining: boolean;
  /** Content may go by BDAT. Only used together with PIPELINING, which lets a BDAT follow one not yet answered. */
  readonly chunking: boolean;
  /** It makes or passes on reports (RFC 3461). */
  readonly dsn: boolean;
  /** It is told what is asked of OPES processors. */
  readonly opes: boolean;

  constructor(offers: ReadonlyMap<string, string>, name: string) {
    this.offers = offers;
    this.name = name;
    this.pipelining = offers.has('PIPELINING');
    this.chunking = this.pipelining && offers.has('CHUNKING');
    this.dsn = offers.has('DSN');
    this.opes = offers.has('OPES');
  }

  /** Reads the answer to EHLO or HELO. A line that is no keyword line is passed over: it offers nothing. */
  static fromHello(verb: 'EHLO' | 'LHLO' | 'HELO', answer: Reply): Hop {
    const [first = ''] = answer.text;
    const name = printable(first.split(' ', 1)[0] ?? '', 255);
    const offers = new Map<string, string>();
    if (verb !== 'HELO') {
      for (const line of answer.text.slice(1)) {
        const found = KEYWORD_LINE.exec(line);
        if (found !== null) offers.set((found[1] ?? '').toUpperCase(), found[2] ?? '');
      }
    }
    return new Hop(offers, name);
  }
}

/** ehlo-keyword, then parameters. `=` in place of the first space is an old habit with AUTH. */
const KEYWORD_LINE = /^([A-Za-z0-9][A-Za-z0-9-]*)(?:[ =](.*))?$/;

/** A parameter of MAIL or RCPT, and what the hop must offer to be sent it. */
const OFFERED_BY: ReadonlyMap<string, string> = new Map([
  ['SIZE', 'SIZE'], // RFC 1870
  ['SMTPUTF8', 'SMTPUTF8'], // RFC 6531
  ['RET', 'DSN'], // RFC 3461
  ['ENVID', 'DSN'],
  ['NOTIFY', 'DSN'],
  ['ORCPT', 'DSN'],
  ['AUTH', 'AUTH'], // RFC 4954 section 5
  ['HOLDFOR', 'FUTURERELEASE'], // RFC 4865
  ['HOLDUNTIL', 'FUTURERELEASE'],
  ['BY', 'DELIVERBY'], // RFC 2852
  ['MT-PRIORITY', 'MT-PRIORITY'], // RFC 6710
  ['REQUIRETLS', 'REQUIRETLS'], // RFC 8689: only ever set by whoever checked the route
  ['OPESBYPASS', 'OPES'], // docs/spec/opes-smtp.md, 12
  ['OPESTRACE', 'OPES'],
  ['OPESAUTH', 'OPES'],
]);

const NO_CONVERSION = reply(554, '5.6.3', 'The next hop cannot carry this content, and it is not converted');
const NO_UTF8 = reply(550, '5.6.7', 'The next hop cannot carry internationalised mail');

/** The argument of MAIL with the parameters this hop may be sent, or the refusal of a mail it cannot carry. */
export function mailArgument(hop: Hop, path: string, params: ReadonlyMap<string, string | true>): string | Reply {
  if (params.size === 0) return path;
  let argument = path;
  for (const [name, value] of params) {
    if (name === 'BODY') {
      const body = value === true ? '' : value.toUpperCase();
      if (body === 'BINARYMIME' && !(hop.chunking && hop.offers.has('BINARYMIME'))) return NO_CONVERSION; // RFC 3030
      if (body === '8BITMIME' && !hop.offers.has('8BITMIME')) return NO_CONVERSION; // RFC 6152
      // BODY=7BIT is what a MAIL without BODY says.
      if (body === 'BINARYMIME' || body === '8BITMIME') argument += ` BODY=${body}`;
    } else if (mayBeSent(hop, name)) {
      argument += value === true ? ` ${name}` : ` ${name}=${value}`;
    } else if (name === 'SMTPUTF8') {
      return NO_UTF8;
    }
  }
  return argument;
}

/** The argument of RCPT with the parameters this hop may be sent, from behind its path and from `params`; the others are wishes, and left out. */
export function rcptArgument(hop: Hop, argument: string, params?: ReadonlyMap<string, string | true>): string {
  if (params === undefined || params.size === 0) return sendableWords(hop, argument);
  let sent = sendableWords(hop, argument);
  for (const [name, value] of params) {
    if (mayBeSent(hop, name)) sent += value === true ? ` ${name}` : ` ${name}=${value}`;
  }
  return sent;
}

function sendableWords(hop: Hop, argument: string): string {
  if (!argument.includes('> ')) return argument; // no parameters: what nearly every mail has
  const words = argument.slice(pathEnd(argument)).split(' ');
  const sent = words.filter((word) => word !== '' && mayBeSent(hop, (word.split('=', 1)[0] ?? '').toUpperCase()));
  return [argument.slice(0, pathEnd(argument)), ...sent].join(' ');
}

function mayBeSent(hop: Hop, name: string): boolean {
  const needed = OFFERED_BY.get(name);
  return needed !== undefined && hop.offers.has(needed);
}

/** Behind the `>` that closes the path. A quoted local part may hold one, and a quoted pair in it a quote. */
function pathEnd(argument: string): number {
  const found = /^<(?:"(?:[^"\\]|\\.)*"|[^">])*>/s.exec(argument);
  return found === null ? argument.length : found[0].length;
}
