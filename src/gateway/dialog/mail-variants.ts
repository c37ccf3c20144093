/** The variants of one mail (`variant.ts`): which of them a recipient belongs to, and what is asked of all of them together. */
import type { Content } from '../content/index.ts';
import type { Plan } from '../dispatch/dispatcher.ts';
import type { MailRecipient } from './envelope.ts';
import type { Leg } from './leg.ts';
import type { Sender } from './sender.ts';
import { Variant, type VariantMail } from './variant.ts';

/** Each variant is a chain of callouts over the whole mail: what one client may make us do has a bound. */
const MAX_VARIANTS = 16;

export interface VariedMail extends VariantMail {
  /** Each variant has its own: services may rewrite it. */
  newSender(): Sender;
}

export class MailVariants {
  readonly #mail: VariedMail;
  /** With recipients, or none yet. */
  readonly all: Variant[] = [];
  readonly #pruned: Variant[] = [];

  constructor(mail: VariedMail) {
    this.#mail = mail;
  }

  /** Also those that all recipients were refused for: their services were asked. */
  get everMade(): readonly Variant[] {
    return this.#pruned.length === 0 ? this.all : [...this.all, ...this.#pruned];
  }

  get isFull(): boolean {
    return this.all.length >= MAX_VARIANTS;
  }

  /** The one leg of a mail that has only one. */
  get onlyLeg(): Leg | undefined {
    const variant = this.all.length === 1 ? this.all[0] : undefined;
    return variant?.legs.length === 1 ? variant.legs[0] : undefined;
  }

  /** The one accepted recipient, where there is exactly one. */
  get onlyRecipient(): MailRecipient | undefined {
    let only: MailRecipient | undefined;
    for (const { accepted } of this.all) {
      if (accepted.length > 1 || (accepted.length > 0 && only !== undefined)) return undefined;
      only ??= accepted[0];
    }
    return only;
  }

  /** Octets that wait for a service, of the variant that has the most of them. */
  get backlog(): number {
    let backlog = 0;
    for (const { chain } of this.all) backlog = Math.max(backlog, chain.backlog);
    return backlog;
  }

  add(calls: Plan['calls']): Variant {
    const { relay, spool } = this.#mail.world;
    const variant = new Variant(this.#mail, this.#mail.newSender(), calls, spool?.mode === 'spool' ? undefined : relay);
    this.all.push(variant);
    return variant;
  }

  /** Where a recipient with this plan belongs. Without a spool a mail has one variant and one next hop. */
  for(plan: Plan): Variant | undefined {
    const first = this.all[0];
    if (first === undefined) return this.add(plan.calls);
    if (this.#mail.world.spool === undefined) {
      const route = first.legs[0]?.route ?? first.firstRoute;
      return first.serves(plan) && (route === undefined || route === plan.route) ? first : undefined;
    }
    for (const variant of this.all) if (variant.serves(plan)) return variant;
    return this.isFull ? undefined : this.add(plan.calls);
  }

  /** What all recipients were refused for is not run; a single leg that is left is relayed inline. */
  prune(): void {
    if (this.onlyLeg !== undefined) return;
    for (const variant of this.all.splice(0)) {
      variant.prune();
      if (variant.legs.length > 0) this.all.push(variant);
      else {
        variant.chain.release({ code: 400, reason: 'no recipients' });
        this.#pruned.push(variant);
      }
    }
  }

  /** The header is known: services are shown the content. */
  begin(base: Content): void {
    for (const { chain } of this.all) chain.begin(base);
  }

  grew(octets: number): void {
    for (const { chain } of this.all) chain.grew(octets);
  }

  /** All of the content is there. One that is split meanwhile sees to its other half itself. */
  ended(): void {
    const before = this.all.length;
    for (let i = 0; i < before; i++) this.all[i]?.chain.ended();
  }

  releaseServices(why: { readonly code: number; readonly reason: string }): void {
    for (const { chain } of this.all) chain.release(why);
  }
}
