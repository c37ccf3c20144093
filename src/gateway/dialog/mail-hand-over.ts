/**
 * Who takes a mail at its end: its next hops, while the client waits (*inline*); the spool, before the client has its 250; or
 * nobody: it is refused. Asked with the verdict of each variant, decided when the last is there. What is decided then is
 * `hand-over.ts`; the mail's states, and the reply to its client, are the mail's.
 */
import { type Reply, reply } from '../../smtp/index.ts';
import type { DataVerdict } from '../callouts/chain.ts';
import type { Content } from '../content/index.ts';
import type { SpoolVariant } from '../spool/port.ts';
import { settleAll, settleLeg } from './each-reply.ts';
import { commonRefusal, decideHandOver, isHeld, lostHops, refusalOf, standingOf } from './hand-over.ts';
import type { Leg } from './leg.ts';
import type { MailClient } from './mail-client.ts';
import type { MailStores } from './mail-stores.ts';
import type { MailVariants } from './mail-variants.ts';
import { gatewayReplies } from './replies.ts';
import { type SessionView, spooledSession } from './session-view.ts';
import type { Variant } from './variant.ts';
import type { MailWorld } from './world.ts';

/** The mail as its hand-over sees it. */
export interface HandedMail {
  readonly id: string;
  readonly world: MailWorld;
  readonly session: SessionView;
  readonly variants: MailVariants;
  readonly isOver: boolean;
  /** Somebody has the content from here on. */
  enter(state: 'relaying' | 'storing'): void;
  onProgress(): void;
  /** The reply to its content, at the end of it at the earliest. */
  refuse(answer: Reply): void;
  /** The reply to its content, which is the end. */
  finish(answer: Reply): void;
  /** With our trace: OPES processing is why. */
  traced(answer: Reply): Reply;
  storeFailed(error: Error): void;
  onFault(error: unknown): void;
}

export class MailHandOver {
  readonly #mail: HandedMail;
  readonly #client: MailClient;
  readonly #stores: MailStores;
  #mustBeStored = false;
  #word: Reply | undefined;
  #released: Content | undefined;
  #relayStartedMs = 0;
  /** Legs whose hop has the content, and is to answer. */
  #underWay = 0;

  constructor(mail: HandedMail, client: MailClient, stores: MailStores) {
    this.#mail = mail;
    this.#client = client;
    this.#stores = stores;
  }

  /** A hop's answer to the content, or what follows from its being stored: from then on the client hears nothing else. */
  get word(): Reply | undefined {
    return this.#word;
  }

  /** What left, of the first variant that did. */
  get released(): Content | undefined {
    return this.#released;
  }

  /** A hop was sent the content. */
  get wasRelayed(): boolean {
    return this.#relayStartedMs !== 0;
  }

  get relayMs(): number {
    return this.#relayStartedMs === 0 ? 0 : this.#mail.world.clock() - this.#relayStartedMs;
  }

  /** Where there is a spool, no hop takes it from its client. */
  storeFirst(): void {
    this.#mustBeStored = true;
  }

  /** Why no hop can take it any more, where only hops could. */
  get lostHops(): Reply | undefined {
    return this.#isInline ? lostHops(this.#mail.variants.all) : undefined;
  }

  /**
   * Whether transactions with next hops can serve it, as far as is known: one, which has one answer, or one for each leg
   * where every recipient has its own.
   */
  get #isInline(): boolean {
    const { spool } = this.#mail.world;
    const { hearsEach } = this.#client;
    const leg = this.#mail.variants.onlyLeg;
    if (spool === undefined) return leg !== undefined || hearsEach;
    if (spool.mode === 'spool' || this.#mustBeStored) return false;
    return hearsEach || leg?.hasOneAnswer === true;
  }

  onVerdict(variant: Variant, verdict: DataVerdict): void {
    const mail = this.#mail;
    const { all } = mail.variants;
    if (this.#client.hearsEach && verdict.kind === 'refused') settleAll(variant.accepted, mail.traced(verdict.reply));
    const standing = standingOf(all);
    const refusal = standing === 'refused' ? commonRefusal(all.map(refusalOf)) : undefined;
    if (refusal !== undefined) mail.refuse(mail.traced(refusal));
    // The client may be held for this variant, which takes no more.
    else if (standing === 'open' || !this.#client.isAtEnd) mail.onProgress();
    else if (standing === 'passed' && this.#isInline) this.#relay();
    else this.#store();
  }

  // --- the next hop -------------------------------------------------------------------------------------------------

  #relay(): void {
    const mail = this.#mail;
    mail.enter('relaying');
    this.#relayStartedMs = mail.world.clock();
    for (const variant of mail.variants.all) {
      if (variant.verdict?.kind !== 'release') continue;
      const content = variant.release(variant.verdict.base);
      this.#released ??= content;
      for (const leg of variant.legs) {
        if (leg.lost !== undefined) settleAll(leg.accepted, leg.lost);
        else {
          this.#underWay++;
          leg.send(content);
        }
      }
    }
    // Then everybody was refused, or has a hop that is lost.
    if (this.#underWay === 0) mail.finish(gatewayReplies.tooSlow);
  }

  /** The hop's answer to the content; `each`: by the leg's recipients, where it answers for each of them. */
  onRelayed(leg: Leg, answer: Reply, each?: readonly (Reply | undefined)[]): void {
    if (this.#client.hearsEach) settleLeg(leg, answer, each);
    else this.#word = answer;
    this.#underWay--;
    if (this.#underWay === 0) this.#mail.finish(answer);
  }

  // --- the spool ----------------------------------------------------------------------------------------------------

  /** Durable first, then 250 (design, section 2, step 7). */
  #store(): void {
    const mail = this.#mail;
    const { spool, log } = mail.world;
    const isSenderKnown = mail.session.facts.session.authenticated;
    // Who was refused hears it; nobody else need be told.
    const { all } = mail.variants;
    const taken = this.#client.hearsEach ? all.filter((one) => refusalOf(one) === undefined) : all;
    const stores = this.#stores;
    const decision = decideHandOver(taken, stores.base, isSenderKnown);
    if (decision.kind === 'refuse' || spool === undefined) {
      mail.refuse(decision.kind === 'refuse' ? mail.traced(decision.reply) : gatewayReplies.storageFull);
      return;
    }
    mail.enter('storing');
    this.#released = decision.variants.find(({ lane }) => lane === 'relay')?.content;
    stores.keep();
    spool.accept(
      {
        id: mail.id,
        acceptedMs: mail.world.wallClock(),
        session: spooledSession(mail.session),
        variants: decision.variants,
        dispose: () => stores.dispose(),
      },
      (error) => {
        const isUnheard = error === undefined && mail.isOver;
        // Whoever was told otherwise, or is gone, sends it again; it is delivered all the same (decision 0038).
        if (isUnheard) log.info('mail.stored-unheard', { mail: mail.id });
        try {
          if (error === undefined) this.#onStored(decision.variants);
          else mail.storeFailed(error);
        } catch (fault) {
          mail.onFault(fault);
        }
        if (error !== undefined) stores.dispose();
      },
    );
  }

  /** Where nobody is told of what is held, whoever sent it is: for all recipients, or where each has a reply, for those held. */
  #onStored(variants: readonly SpoolVariant[]): void {
    const mail = this.#mail;
    const accepted = reply(250, '2.0.0', `OK, message accepted as ${mail.id}`);
    const kept = mail.world.spool?.hasNotice === false ? mail.traced(gatewayReplies.keptAside) : accepted;
    const isAllHeld = variants.every(({ recipients }) => recipients.every(({ fate }) => fate.kind === 'hold'));
    this.#word = isAllHeld ? kept : accepted;
    if (this.#client.hearsEach)
      for (const one of mail.variants.all) settleAll(one.accepted, isHeld(one) ? kept : accepted);
    mail.finish(this.#word);
  }
}
