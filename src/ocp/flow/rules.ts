/**
 * The rules of state and sequence whose breach ends a transaction (TE 400) or a connection (CE 400), RFC 4037, section 5.
 * A rule's name is stable: it is the reason put on the wire, and what logs and tests see. Rules of syntax and type come
 * from the codec, under its own names.
 */
export type FlowRule =
  | 'message-started-twice'
  | 'message-not-started'
  | 'message-ended'
  | 'offset-gap'
  | 'flow-too-long'
  | 'partial-without-permission'
  | 'use-outside-kept'
  | 'use-of-disposable'
  | 'reusable-area-grows'
  | 'kept-dropped-after-use'
  | 'stop-sending-unasked'
  | 'unknown-group'
  | 'xid-not-greater'
  | 'xid-never-created'
  | 'too-many-transactions'
  | 'no-progress';

export type ConnectionRule =
  | 'first-message-not-connection-start'
  | 'no-offer-after-connection-start'
  | 'not-a-negotiation-message'
  | 'offer-before-answer'
  | 'answer-without-offer'
  | 'answer-not-offered'
  | 'answer-group-mismatch'
  | 'inactive-group'
  | 'group-id-not-greater'
  | 'too-many-groups'
  | 'too-many-unknown-xids'
  | 'negotiation-timeout'
  | 'silence';

/** A name of one of the above, or one of the codec's. */
export type Rule = string;
