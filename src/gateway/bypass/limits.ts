/** Caps on what a message may ask for: anybody may have written it. */

/** One field: as of our trace (profile notes, question 20). */
export const MAX_FIELD_OCTETS = 4096;
/** Fields in one message; each processor that keeps a request in the message adds one at most. */
export const MAX_FIELDS = 20;
/** URIs of all requests of one mail in one form: what a trace field names at most. */
export const MAX_ASKED = 50;
