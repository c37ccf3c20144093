/**
 * Every cap and deadline of the resolver. What the DNS says is written by whoever owns the name that a client made us look
 * up, so all of it can be made large, slow or circular on purpose.
 */
export interface DnsLimits {
  /** One server's answer to one datagram or over one connection. libc waits 5 s; here an SMTP client waits. */
  readonly attemptMs: number;
  /** How often the list of servers is gone through. */
  readonly rounds: number;
  /** One question in all: waiting for its turn, every server, TCP. */
  readonly deadlineMs: number;
  /** A name with all its aliases. */
  readonly resolveMs: number;
  /** The hosts of a domain: many names, one after the other where preferences differ. A client waits 5 minutes for its RCPT, and a host must still be tried. */
  readonly lookupMs: number;
  /** Questions on the wire at once: more than this and a resolver of usual size drops some. */
  readonly parallel: number;
  /** Questions that wait for their turn. Beyond it they would only end later with the same failure. */
  readonly waiting: number;
  /** What we take by UDP (EDNS0): the size that needs no fragments on today's paths (DNS flag day 2020). */
  readonly udpOctets: number;
  /** One message by TCP. 64 KiB are possible; no RRset that mail needs comes near, and compression makes them dear to read. */
  readonly messageOctets: number;
  /** Records that a message may claim to have, judged before it is read. */
  readonly records: number;
  /** Datagrams that answer another question, then TCP is used: somebody guesses. */
  readonly foreign: number;
  /** CNAMEs in a row; a loop ends here too. */
  readonly chain: number;

  /** Answers kept, in number and in octets of the messages they came in. */
  readonly cacheEntries: number;
  readonly cacheOctets: number;
  /** Also for TTL 0: the look-ups of one mail shall agree with each other. */
  readonly minTtlS: number;
  /** RFC 8767 section 4 allows days and weeks; an operator who moved a server waits no longer than this for us. */
  readonly maxTtlS: number;
  /** RFC 2308 section 5: one to three hours is sensible. */
  readonly maxNegativeTtlS: number;
  /** RFC 9520 section 3.2: failures are kept for a second to five minutes, so that a mail in need is no storm of questions. */
  readonly failureTtlS: number;

  /** MX records looked at, best first; the largest senders of the world have fewer than ten. */
  readonly mxRecords: number;
  /** Addresses of all hosts together, and of one. */
  readonly addresses: number;
  readonly addressesPerHost: number;
  /** TLSA records of one host: each costs a digest at the handshake. */
  readonly tlsaRecords: number;
}

export const DNS_LIMITS: DnsLimits = {
  attemptMs: 2000,
  rounds: 2,
  deadlineMs: 10_000,
  resolveMs: 20_000,
  lookupMs: 45_000,
  parallel: 100,
  waiting: 1000,
  udpOctets: 1232,
  messageOctets: 16 * 1024,
  records: 512,
  foreign: 16,
  chain: 8,
  cacheEntries: 10_000,
  cacheOctets: 16 * 1024 * 1024,
  minTtlS: 1,
  maxTtlS: 86_400,
  maxNegativeTtlS: 3600,
  failureTtlS: 5,
  mxRecords: 30,
  addresses: 20,
  addressesPerHost: 8,
  tlsaRecords: 20,
};
