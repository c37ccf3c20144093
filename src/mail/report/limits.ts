/** Caps of a report. What goes into it was written by strangers, and a forged sender gets it unasked: it stays small. */

/** Octets of one line that we write: RFC 5322, 2.1.1 says 998; no value of ours comes near, this holds for what strangers wrote. */
export const MAX_WORD_OCTETS = 900;
/** RFC 5322, 2.1.1: where lines are folded. */
export const FOLD_OCTETS = 76;
/** Characters of a remote server's answer: the 512 octets of one reply line. Longer texts are stories. */
export const MAX_REPLY_CHARS = 512;
/** Characters of any other value: a path has 516, the trace field 4096. */
export const MAX_VALUE_CHARS = 4200;
/** Characters of a value in the text for people, on a line of its own: an address or a URI of lawful length is never cut. */
export const MAX_SHOWN_CHARS = 600;
/** Recipients named in the text for people; the second part lists all. */
export const MAX_NAMED = 20;
/** Octets of a returned header section. Real ones stay under it; what is cut are the last fields, the trace stands on top. */
export const MAX_RETURNED_HEADER = 64 * 1024;
/** Octets of a mail returned whole; a larger one comes back as its header. A report is no way to carry mail. */
export const MAX_RETURNED_FULL = 256 * 1024;
/** Languages looked at in Accept-Language. */
export const MAX_ASKED_LANGUAGES = 10;
