import type { Structure } from '../codec/index.ts';
import type { ConnectionRule } from '../flow/rules.ts';

export interface Offer {
  readonly features: readonly Structure[];
  /** The group it is for, in the name space of whoever makes the offer; none: the whole connection. */
  readonly sg: number | undefined;
}

export type Side = 'processor' | 'callout';

/** What to do about an offer of the peer. `reoffer`: our own, which the peer will never answer. */
export type OfferStep =
  | { readonly kind: 'answer'; readonly reoffer: Offer | undefined }
  | { readonly kind: 'disregard' }
  | { readonly kind: 'bad'; readonly rule: ConnectionRule };

/**
 * The Negotiation Phase of one connection (RFC 4037, sections 6.1, 11.18 and 11.19) as one agent sees it.
 *
 *                 NO sent or received
 *     closed ------------------------------> open
 *        ^                                    |   each side's latest NO or NR says whether it may still offer (A-02)
 *        '--- NR sent or received, and neither may still offer
 *
 * One offer of ours may be open at a time. Offers that cross: the processor's counts, the callout server's is forgotten
 * by both.
 */
export class Phase {
  readonly #side: Side;
  /** Phases so far, an open one counted. */
  count = 0;
  #isOpen = false;
  #ours: Offer | undefined;
  #isTheirsOpen = false;
  #weMayOffer = false;
  #theyMayOffer = false;
  #theyAnswered = false;

  constructor(side: Side) {
    this.#side = side;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get canOffer(): boolean {
    return this.#ours === undefined;
  }

  /**
   * Whether the peer knows that the phase is open, so that anything but negotiation breaks the rules: it has sent an NR in
   * it. Without one, what comes may have been sent before it saw our NO.
   */
  get bindsPeer(): boolean {
    return this.#isOpen && this.#theyAnswered;
  }

  sendOffer(offer: Offer, mayOfferMore: boolean): void {
    this.#open();
    this.#ours = offer;
    this.#weMayOffer = mayOfferMore;
  }

  recvOffer(mayOfferMore: boolean): OfferStep {
    if (this.#isTheirsOpen) return { kind: 'bad', rule: 'offer-before-answer' };
    // An offer to be disregarded changes nothing, its Offer-Pending included.
    if (this.#side === 'processor' && this.#ours !== undefined) return { kind: 'disregard' };
    const reoffer = this.#ours;
    this.#ours = undefined;
    this.#open();
    this.#isTheirsOpen = true;
    this.#theyMayOffer = mayOfferMore;
    return { kind: 'answer', reoffer };
  }

  sendAnswer(mayOfferMore: boolean): void {
    this.#isTheirsOpen = false;
    this.#weMayOffer = mayOfferMore;
    this.#closeIfDone();
  }

  /** The offer that was answered, or the rule the answer breaks. */
  recvAnswer(sg: number | undefined, mayOfferMore: boolean): Offer | ConnectionRule {
    const offer = this.#ours;
    if (offer === undefined) return 'answer-without-offer';
    if (sg !== offer.sg) return 'answer-group-mismatch';
    this.#ours = undefined;
    this.#theyAnswered = true;
    this.#theyMayOffer = mayOfferMore;
    this.#closeIfDone();
    return offer;
  }

  #open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    this.count++;
    this.#theyAnswered = false;
  }

  #closeIfDone(): void {
    if (!this.#weMayOffer && !this.#theyMayOffer) this.#isOpen = false;
  }
}
