/**
 * Every cap of the message engine, with its reason. What goes beyond a cap is never an exception and never lost: the
 * octets keep their place in a range, the thing that was too big is marked `broken` with the cap's name.
 */
export interface MailLimits {
  /** Octets of one header section; what is beyond counts as body. Exim and Postfix stop near 1 MiB and 100 kB; real mail with many hops and signatures stays under 64 kB. */
  readonly headerOctets: number;
  /** Fields of one header section. Thirty is usual, a few hundred happen with forwarding loops. */
  readonly fields: number;
  /** Octets of a field's name. The longest registered name has 40. */
  readonly nameOctets: number;
  /** Multiparts and encapsulated messages inside each other. Mail programs make five; deeper nesting is a known way to exhaust scanners. */
  readonly depth: number;
  /** Parts of one message, all levels together. A mail with 1000 attachments is rare, one with a million empty parts is an attack. */
  readonly parts: number;
  /** Lines that begin like a delimiter and are none. Beyond it a message is an attack on whoever looks at each. */
  readonly falseDelimiters: number;
  /** Octets of a boundary. RFC 2046 section 5.1.1 allows 70; some programs write more. */
  readonly boundaryOctets: number;
  /** Parameters of one structured field, continuations (RFC 2231) counted singly. */
  readonly params: number;
  /** Octets of one parameter's value after continuations are joined: file names have at most 255 octets on usual systems. */
  readonly paramOctets: number;
  /** Encoded-words decoded in one text. */
  readonly encodedWords: number;
  /** Kept header octets of all parts together, so that many parts with big headers stay bounded too. */
  readonly totalHeaderOctets: number;
}

export const mailLimits: MailLimits = {
  headerOctets: 256 * 1024,
  fields: 2000,
  nameOctets: 256,
  depth: 20,
  parts: 2000,
  falseDelimiters: 10_000,
  boundaryOctets: 256,
  params: 64,
  paramOctets: 4096,
  encodedWords: 500,
  totalHeaderOctets: 2 * 1024 * 1024,
};
