/** Caps on what a peer can make an agent keep or do (RFC 4037, section 13). Exceeding one is invalid input. */
export interface AgentLimits {
  readonly maxTransactions: number;
  readonly maxGroups: number;
  readonly maxStrays: number;
  readonly highWaterOctets: number;
}

export const DEFAULT_AGENT_LIMITS: AgentLimits = {
  /** Live transactions of one connection: more than the mails one gateway process holds open at once. */
  maxTransactions: 16_384,
  /** Service groups the peer may create: a processor needs one for each pipeline it runs here. */
  maxGroups: 256,
  /** Unknown xids answered with TE before the peer is held to be broken: each costs an entry for good. */
  maxStrays: 64,
  /** Output collected before data has to wait for its turn: four DUMs, about what one write carries well. */
  highWaterOctets: 256 * 1024,
};
