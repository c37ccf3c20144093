import { MESSAGES, type Message } from '../codec/index.ts';
import type { ConnectionRule } from '../flow/rules.ts';
import type { Phase, Side } from './phase.ts';

/** What may be sent and received in a Negotiation Phase (RFC 4037, section 6.1). */
const PHASE_MESSAGES: ReadonlySet<string> = new Set(['NO', 'NR', 'AQ', 'AA', 'PQ', 'PA', 'PR', 'CE', 'CS']);

/** What may come before the processor's first offer: groups that serve it, and a change of mind. */
const BEFORE_OFFER: ReadonlySet<string> = new Set(['NO', 'SGC', 'CE', 'CS']);

/** Documented for the other direction only, hence ignored like unknown ones (section 11, A-09). */
const IGNORED: Readonly<Record<Side, ReadonlySet<string>>> = {
  processor: new Set(['TS', 'DSS']),
  callout: new Set(['DUY', 'DPI', 'DWSR', 'DWSS']),
};

const CORE: ReadonlySet<string> = new Set(Object.keys(MESSAGES));

/*
 *   silent --- CS ---> mustOffer --- NO ---> going        a processor has to offer at once; a server goes right on
 */
type PeerState = 'silent' | 'mustOffer' | 'going';

/**
 * Which messages the peer may send now, by their names: CS first (RFC 4037, section 11.1), then the processor's offer
 * (section 6.1), and in a phase it knows of nothing but negotiation.
 */
export class Admission {
  readonly #side: Side;
  readonly #phase: Phase;
  #peer: PeerState = 'silent';

  constructor(side: Side, phase: Phase) {
    this.#side = side;
    this.#phase = phase;
  }

  /** The peer has said all it must say before anything else. */
  get isGoing(): boolean {
    return this.#peer === 'going';
  }

  /** `take`: look at it; `ignore`; or the rule that ends the connection. */
  judge({ name, broken }: Message): 'take' | 'ignore' | ConnectionRule {
    if (this.#peer === 'silent') return this.#judgeFirst(name, broken);
    if (this.#peer === 'mustOffer' && !BEFORE_OFFER.has(name)) return 'no-offer-after-connection-start';
    if (name === 'NO') this.#peer = 'going';
    if (this.#phase.bindsPeer && CORE.has(name) && !PHASE_MESSAGES.has(name)) return 'not-a-negotiation-message';
    return name === 'CS' || IGNORED[this.#side].has(name) ? 'ignore' : 'take';
  }

  #judgeFirst(name: string, broken: string | undefined): 'ignore' | ConnectionRule {
    if (name !== 'CS' || broken !== undefined) return 'first-message-not-connection-start';
    this.#peer = this.#side === 'callout' ? 'mustOffer' : 'going';
    return 'ignore';
  }
}
