/** Caps of the trace: what we write stays inside them, what others wrote is read up to them (REQ-039). */

/** RFC 5322 section 2.1.1: a line has at most 998 octets without its line end. */
export const MAX_LINE_OCTETS = 998;
/** RFC 5322 section 2.1.1: the length a line should keep where its words allow it. */
export const FOLD_OCTETS = 78;
/** One trace field, name and folds included (profile document, question 20). */
export const MAX_FIELD_OCTETS = 4096;
/** Entries of one trace field (profile document, question 20). */
export const MAX_ENTRIES = 50;
/** Parameters of one entry that are read. We write at most five. */
export const MAX_PARAMS = 16;
/** An agent's URI after encoding. With a mail id behind it, it must fit one reply line of 512 octets. */
export const MAX_AGENT_URI_OCTETS = 400;
/** A mail id inside a trace URI. */
export const MAX_ID_OCTETS = 64;
/** A name in a Received field: a domain has at most 255 octets (RFC 5321 section 4.5.3.1.2). */
export const MAX_NAME_OCTETS = 255;
/** A reply line has 512 octets with code and CRLF (RFC 5321 section 4.5.3.1.5); "550-5.7.100 " and CRLF take 14. */
export const MAX_REPLY_TEXT_OCTETS = 498;
