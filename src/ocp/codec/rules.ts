/**
 * What `onBad` may say: stable names of the rules of RFC 4037, section 3.1, and of our limits. After any of them the
 * boundary of messages is lost, so the connection ends (section 5).
 */
export type SyntaxRule =
  /** A message does not begin with a letter: a blank or an empty line between messages, a quoted name. */
  | 'name-start'
  /** An octet that may not follow a name or value where it stands. */
  | 'after-value'
  /** Neither a safe octet nor `"`, `(` or `{` where a value has to begin: a second blank, an empty list item. */
  | 'value-start'
  /** A CR without its LF. */
  | 'line-end'
  /** A line that neither names a parameter nor opens a payload nor closes what is open. */
  | 'line-start'
  /** A parameter's name without its colon. */
  | 'parameter-colon'
  /** The colon of a parameter without its single blank. */
  | 'parameter-space'
  /** A size that is no dec-number up to 2147483647, or lacks its colon. */
  | 'size'
  /** The octet behind a quoted value's last one is no `"`. */
  | 'quote-end'
  /** A payload not followed by CRLF `;` CRLF, or a semicolon not followed by CRLF. */
  | 'message-end'
  /** The second value of a bare `Kept` pair is no number. */
  | 'kept-pair';

export type LimitRule = 'head-limit' | 'depth-limit' | 'values-limit' | 'name-limit' | 'value-limit' | 'payload-limit';

export type CodecRule = SyntaxRule | LimitRule;
