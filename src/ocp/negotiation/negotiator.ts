import {
  type Named,
  type Outbox,
  type Structure,
  type TypedOf,
  uriOf,
  writeAa,
  writeAq,
  writeNo,
  writeNr,
  writeSgc,
  writeSgd,
} from '../codec/index.ts';
import type { Rule } from '../flow/rules.ts';
import { type ServiceGroup, ServiceGroups } from './groups.ts';
import { type Offer, Phase, type Side } from './phase.ts';

/** What a NR said besides its choice (RFC 4037, section 11.19). */
export interface AnswerDetails {
  readonly rejects: readonly Structure[];
  readonly unknowns: readonly Structure[];
}

/** What AA says of a feature (section 11.21); `block` is what the feature's own specification adds, as in `writeAa`. */
export interface Ability {
  readonly supported: boolean;
  readonly block: string;
}

/** What a feature nobody knows is: it is not supported (section 11.21). */
export const UNSUPPORTED: Ability = { supported: false, block: '' };

/** What the agent decides about features, and what it is told of the peer's. */
export interface FeaturePolicy {
  readonly conflict: (enabled: Structure, offered: Structure) => boolean;
  readonly supports: (feature: Structure, named: Named) => Ability;
  /** The peer's answer to a query of ours. */
  readonly ability: (supported: boolean, named: Named) => void;
  readonly select: (features: readonly Structure[]) => Structure | undefined;
  readonly selected: (feature: Structure | undefined, details: AnswerDetails) => string | undefined;
}

/**
 * Negotiation and service groups of one connection (RFC 4037, sections 6, 9 and 11.18 to 11.21): which features are in
 * force where, and the answers owed. Each `recv` answers with the rule that was broken, which ends the connection; the
 * answer is written before it returns, because answers to offers are due at once.
 */
export class Negotiator {
  readonly phase: Phase;
  readonly ours: ServiceGroups;
  readonly theirs: ServiceGroups;
  readonly #policy: FeaturePolicy;
  readonly #out: () => Outbox;
  /** In force on the whole connection. Replaced, never changed. */
  #enabled: readonly Structure[] = [];
  #hasPromised = false;
  /** Queries of ours without an answer so far. */
  #openQueries = 0;

  constructor(side: Side, maxGroups: number, policy: FeaturePolicy, out: () => Outbox) {
    this.phase = new Phase(side);
    this.ours = new ServiceGroups(maxGroups);
    this.theirs = new ServiceGroups(maxGroups);
    this.#policy = policy;
    this.#out = out;
  }

  /** Features a transaction of this group starts with; they stay its own (section 11.18). */
  featuresOf(group: ServiceGroup | undefined): readonly Structure[] {
    return group === undefined || group.enabled.length === 0 ? this.#enabled : [...this.#enabled, ...group.enabled];
  }

  /** NO. False, and nothing sent, while an offer is open, or where the offer would conflict with features in force. */
  offer(features: readonly Structure[], sg: number | undefined, mayOfferMore: boolean): boolean {
    const group = sg === undefined ? undefined : this.ours.find(sg);
    if (!this.phase.canOffer || (sg !== undefined && group === undefined)) return false;
    if (features.some((feature) => this.#conflicts(feature, group))) return false;
    this.#sendOffer({ features, sg }, mayOfferMore);
    return true;
  }

  /** The next answer of ours says that we still want to offer something. */
  promiseOffer(): void {
    this.#hasPromised = true;
  }

  recvOffer({ features, sg, offerPending }: TypedOf<'NO'>): Rule | undefined {
    const group = sg === undefined ? undefined : this.theirs.find(sg);
    if (sg !== undefined && group === undefined) return 'inactive-group';
    const step = this.phase.recvOffer(offerPending);
    if (step.kind === 'bad') return step.rule;
    if (step.kind === 'answer') this.#answer({ features, sg }, group, step.reoffer);
    return undefined;
  }

  recvAnswer({ feature, sg, offerPending, rejects, unknowns }: TypedOf<'NR'>): Rule | undefined {
    const offer = this.phase.recvAnswer(sg, offerPending);
    if (typeof offer === 'string') return offer;
    if (feature !== undefined) {
      if (!isAmong(feature, offer.features)) return 'answer-not-offered';
      this.#enable(feature, offer.sg === undefined ? undefined : this.ours.find(offer.sg));
    }
    return this.#policy.selected(feature, { rejects, unknowns });
  }

  /** AQ; answers come in the order of the queries. */
  queryAbility(feature: Structure, block: string): void {
    this.#openQueries++;
    writeAq(this.#out(), feature, block);
  }

  recvAbilityQuery({ feature, named }: TypedOf<'AQ'>): void {
    const { supported, block } = this.#policy.supports(feature, named);
    writeAa(this.#out(), supported, block);
  }

  /** One that nothing was asked for is ignored. */
  recvAbilityAnswer({ supported, named }: TypedOf<'AA'>): void {
    if (this.#openQueries === 0) return;
    this.#openQueries--;
    this.#policy.ability(supported, named);
  }

  createGroup(id: number, services: readonly Structure[], out: Outbox): void {
    const rule = this.ours.create(id, services);
    if (rule !== undefined) throw new RangeError(rule);
    writeSgc(out, id, services);
  }

  destroyGroup(id: number, out: Outbox): boolean {
    if (this.ours.destroy(id) !== undefined) return false;
    writeSgd(out, id);
    return true;
  }

  /** Features that conflict with what is in force are rejected by us; the agent chooses among the others. */
  #answer(offer: Offer, group: ServiceGroup | undefined, reoffer: Offer | undefined): void {
    const rejects = offer.features.filter((feature) => this.#conflicts(feature, group));
    const choice =
      rejects.length === 0 ? offer.features : offer.features.filter((feature) => !rejects.includes(feature));
    const selected = this.#policy.select(choice);
    const feature = selected !== undefined && isAmong(selected, choice) ? selected : undefined;
    const mayOfferMore = this.#hasPromised || reoffer !== undefined;
    writeNr(this.#out(), feature, { sg: offer.sg, rejects, offerPending: mayOfferMore });
    if (feature !== undefined) this.#enable(feature, group);
    this.phase.sendAnswer(mayOfferMore);
    if (reoffer !== undefined) this.#repeat(reoffer);
  }

  /** Our offer crossed the processor's and was lost; promised just now, so an empty one if nothing of it is left. */
  #repeat({ features, sg }: Offer): void {
    const group = sg === undefined ? undefined : this.ours.find(sg);
    const left = features.filter((feature) => !this.#conflicts(feature, group));
    this.#sendOffer({ features: left, sg }, false);
  }

  #sendOffer(offer: Offer, mayOfferMore: boolean): void {
    this.#hasPromised = false;
    writeNo(this.#out(), offer.features, { sg: offer.sg, offerPending: mayOfferMore });
    this.phase.sendOffer(offer, mayOfferMore);
  }

  /** Scopes do not shadow each other: an offer for the connection may conflict inside any group (section 11.18). */
  #conflicts(feature: Structure, group: ServiceGroup | undefined): boolean {
    const { conflict } = this.#policy;
    const clashes = (enabled: readonly Structure[]): boolean => enabled.some((one) => conflict(one, feature));
    if (clashes(this.#enabled)) return true;
    if (group !== undefined) return clashes(group.enabled);
    for (const groups of [this.ours, this.theirs]) {
      for (const other of groups.all()) if (clashes(other.enabled)) return true;
    }
    return false;
  }

  /** In force at once, whatever the phase does (section 11.19). */
  #enable(feature: Structure, group: ServiceGroup | undefined): void {
    if (group === undefined) this.#enabled = [...this.#enabled, feature];
    else group.enabled = [...group.enabled, feature];
  }
}

/** Attributes may differ, that is what they are for: the uri decides. */
function isAmong(feature: Structure, offered: readonly Structure[]): boolean {
  const uri = uriOf(feature);
  return offered.some((one) => uriOf(one) === uri);
}
