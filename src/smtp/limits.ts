/** Every cap of the SMTP part, one reason a line. Deadlines and connection caps of the listener are here as well. */

/** RFC 5321, 4.5.3.1.1 asks for 64 at least and for no needless cap: VERP senders pass 64 daily, none passes this. */
export const MAX_LOCAL_PART = 255;
/** RFC 5321, 4.5.3.1.2; the DNS allows no longer name. */
export const MAX_DOMAIN = 255;
/** Both parts, `@` and brackets; a source route (dropped) counts. */
export const MAX_PATH = 516;
/** RFC 5321 and its extensions define fewer than ten for one command; each costs a map entry. */
export const MAX_PARAMETERS = 16;
/** RFC 3461, 4.4: the value of ENVID as sent. */
export const MAX_ENVID = 100;
/** RFC 3461, 4.2: the value of ORCPT as sent. */
export const MAX_ORCPT = 500;
/** The value of OPESBYPASS as sent: twenty URIs of common length. With the keywords of the extension it fits OPES_LINE. */
export const MAX_OPESBYPASS = 960;
/** URIs in it, and in the field of that name: what a field of our trace names at most. */
export const MAX_OPES_URIS = 50;
/** So much longer a line of MAIL or RCPT may be where OPES is announced (docs/spec/opes-smtp.md, section 12). */
export const OPES_LINE = 1024;

/** RFC 5321, 4.5.3.1.5, with CRLF: what we write. */
export const MAX_REPLY_LINE = 512;
/** Lines of one reply we write: a screenful is read by nobody; the rest of a service's or next hop's text is cut. */
export const MAX_REPLY_LINES = 50;

export interface ReplyLimits {
  /** Octets of one line we read, with CRLF. RFC says 512; servers that put URLs into refusals pass it. */
  readonly line: number;
  /** Lines of one reply we read: the longest EHLO answers have about 30. */
  readonly lines: number;
}

export const replyLimits: ReplyLimits = { line: 2048, lines: 128 };

/** A line of an authentication exchange, with CRLF: RFC 4954, 4 asks for 12,288 at least, which is also what AUTH with its initial response may have. */
export const MAX_AUTH_LINE = 12_288;

export interface ServerLimits {
  /** Octets of a command line with CRLF: RFC 5321's 512, 53 for SIZE, BODY and SMTPUTF8, 500 for DSN (RFC 3461, 5), and the longer path we allow. A longer line ends the session: nothing honest is. */
  readonly commandLine: number;
  /** Octets of a content line without CRLF. RFC 5321 says 998, broken generators write whole HTML pages; the cap keeps scanners of lines bounded. */
  readonly contentLine: number;
  /** Recipients of one mail. RFC 5321, 4.5.3.1.8 asks for 100; mailing lists use more and split at 452. */
  readonly recipients: number;
  /** Commands asked of the handler and not yet answered: a PIPELINING client's window, and the handler's work in parallel. */
  readonly pending: number;
  /** Octets held while we wait for an answer before reading stops; a whole pipelined envelope fits. */
  readonly held: number;
  /** Commands we refuse ourselves (syntax, order, unknown) since the last accepted mail. Postfix's hard limit. */
  readonly errors: number;
  /** Refusals (5yz to MAIL, RCPT, VRFY, EXPN) since the last accepted mail: past it somebody guesses addresses. */
  readonly refusals: number;
  /** Failed AUTHs of one session: people mistype, and programs try once or twice. */
  readonly authFailures: number;
  /** Commands that move no mail (NOOP, RSET, HELP, VRFY, EXPN, EHLO, HELO) since the last accepted mail. Postfix's limit. */
  readonly junk: number;
  /** Commands of one session: about 25,000 mails; then a client connects anew and sees our present configuration. */
  readonly commands: number;
  /** Octets of a refused content read and dropped, as a multiple of the allowed size, so that most clients live to read the 552. */
  readonly droppedContentFactor: number;
}

export const serverLimits: ServerLimits = {
  commandLine: 1280,
  contentLine: 65_536,
  recipients: 1000,
  pending: 100,
  held: 8192,
  errors: 20,
  refusals: 200,
  authFailures: 5,
  junk: 100,
  commands: 100_000,
  droppedContentFactor: 4,
};

/** Deadlines and floors of the listener's connections. Its caps on connections are options: they depend on the machine and the neighbours. */
export interface ConnectionLimits {
  /** The PROXY header: the proxy sends it with its first packet (proxy-protocol.txt, 2: three seconds and a retransmission). */
  readonly proxyMs: number;
  /** The TLS handshake: two turnarounds and a signature; seconds on the worst of lines. */
  readonly tlsMs: number;
  /** How long content is watched before its rate is judged: outlasts the stalls of a bad line. */
  readonly rateWindowMs: number;
  /** The least average rate of content over that window; modems were ten times faster. A deadline for each read would let one octet a minute through. */
  readonly minOctetsPerSecond: number;
  /** How long we read on after our last word, so that the peer gets it before a reset: a turnaround and a retransmission. */
  readonly lingerMs: number;
  /** And how much: what a fast peer has under way. */
  readonly lingerOctets: number;
  /** How often deadlines are looked at: far below the shortest of them. */
  readonly tickMs: number;
}

export const connectionLimits: ConnectionLimits = {
  proxyMs: 5000,
  tlsMs: 30_000,
  rateWindowMs: 120_000,
  minOctetsPerSecond: 200,
  lingerMs: 5000,
  lingerOctets: 1024 * 1024,
  tickMs: 500,
};
