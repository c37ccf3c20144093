/**
 * The recipients of a mail that one transaction with one next hop can serve: same variant, same route. A mail with a
 * single leg is relayed inline: its recipients were asked of the hop before the client had its 250 for them, and its
 * content goes there before the client has its last one. With several legs the hop is asked all the same, so that its
 * refusals are the client's; the mail itself then takes the way through the spool, unless the client hears a reply for each
 * recipient: then all legs may be relayed inline.
 */
import { type Reply, replies, writePath } from '../../smtp/index.ts';
import { bypassField } from '../bypass/index.ts';
import type { Content } from '../content/index.ts';
import type { RouteOptions } from '../options.ts';
import { MailRelay, type MailRelayEvents } from '../relay/mail-relay.ts';
import type { ClientIdentity, OpenRelay, RelayEnvelope } from '../relay/open-relay.ts';
import { isAccepted, type MailRecipient, relayedArgument, relayedParameters, relayedPath } from './envelope.ts';
import type { Sender } from './sender.ts';

export interface LegEvents {
  onRcptAnswer(recipient: MailRecipient, reply: Reply): void;
  onLegLost(leg: Leg, reply: Reply, why: string): void;
  /** The hop's answer to the content; `each`: by the leg's recipients, where it answers for each of them. */
  onRelayed(leg: Leg, reply: Reply, each?: readonly (Reply | undefined)[]): void;
  onStoreFailed(error: Error): void;
  /** The mail's own entry for exceptions: it fails, and no other. */
  onFault(error: unknown): void;
}

export class Leg implements MailRelayEvents {
  readonly route: RouteOptions;
  /** Of the first recipient. */
  readonly domain: string;
  /** In the order they were passed on. */
  readonly recipients: MailRecipient[] = [];
  readonly #open: OpenRelay | undefined;
  readonly #sender: Sender;
  readonly #client: ClientIdentity | undefined;
  readonly #events: LegEvents;
  #relay: MailRelay | undefined;
  #lost: Reply | undefined;
  /** Those that were taken out again. */
  #apart: ReadonlySet<MailRecipient> | undefined;

  /** `open` is absent where the hop is not asked before the mail is stored (`queue: { mode: spool }`). */
  constructor(
    route: RouteOptions,
    domain: string,
    sender: Sender,
    client: ClientIdentity | undefined,
    open: OpenRelay | undefined,
    events: LegEvents,
  ) {
    this.route = route;
    this.domain = domain;
    this.#open = open;
    this.#sender = sender;
    this.#client = client;
    this.#events = events;
  }

  /** Why no recipient can be had there any more. */
  get lost(): Reply | undefined {
    return this.#lost;
  }

  get wasAsked(): boolean {
    return this.#relay !== undefined;
  }

  /** Whether the hop answers for all recipients together. One that does not has no single answer for the client. */
  get hasOneAnswer(): boolean {
    const { kind } = this.route.nextHop;
    return (kind !== 'lmtp' && kind !== 'lmtp-unix') || this.accepted.length < 2;
  }

  get accepted(): readonly MailRecipient[] {
    const apart = this.#apart;
    if (apart === undefined) return this.recipients.filter(isAccepted);
    return this.recipients.filter((one) => isAccepted(one) && !apart.has(one));
  }

  /**
   * Takes `apart` out, into a leg that asks nobody: the hop was asked about them here, and mail with more than one leg is
   * stored. `undefined` where none of them is here.
   */
  split(apart: ReadonlySet<MailRecipient>): Leg | undefined {
    const moved = this.accepted.filter((one) => apart.has(one));
    if (moved.length === 0) return undefined;
    this.#apart = new Set([...(this.#apart ?? []), ...moved]);
    const leg = new Leg(this.route, this.domain, this.#sender, this.#client, undefined, this.#events);
    leg.recipients.push(...moved);
    return leg;
  }

  add(recipient: MailRecipient): void {
    if (this.#lost !== undefined) {
      this.#events.onRcptAnswer(recipient, this.#lost);
      return;
    }
    this.recipients.push(recipient);
    if (this.#open === undefined) {
      this.#events.onRcptAnswer(recipient, replies.rcptOk);
      return;
    }
    const path = relayedPath(recipient);
    this.#relay ??= new MailRelay(this.#open, this.route, this.#envelope(), this);
    const params = relayedParameters(recipient);
    // What the client wrote is in normal form already.
    if (params === undefined) this.#relay.rcpt(relayedArgument(recipient));
    else this.#relay.rcpt(writePath(path), params);
  }

  #envelope(): RelayEnvelope {
    const { path: mail, hopParameters: params } = this.#sender;
    return { mail, params, client: this.#client, domain: this.domain };
  }

  /** Every service has ended: `content` goes as it is. */
  send(content: Content): void {
    // Nearly always nothing is asked.
    const isAsked = this.#sender.asks || this.recipients.some(asks);
    this.#relay?.send(content, isAsked ? () => this.#requestField : undefined);
  }

  get #requestField(): string | undefined {
    return bypassField(this.#sender.hopParameters, this.accepted.map(relayedParameters));
  }

  /** Given up; no event follows. */
  abort(): void {
    this.#relay?.abort();
  }

  onRcptReply(index: number, reply: Reply): void {
    const recipient = this.recipients[index];
    if (recipient !== undefined) this.#events.onRcptAnswer(recipient, reply);
  }

  onLost(reply: Reply, why: string): void {
    this.#lost = reply;
    for (const recipient of this.recipients)
      if (recipient.reply === undefined) this.#events.onRcptAnswer(recipient, reply);
    this.#events.onLegLost(this, reply, why);
  }

  onRelayed(reply: Reply, each?: readonly (Reply | undefined)[]): void {
    this.#events.onRelayed(this, reply, each);
  }

  onStoreFailed(error: Error): void {
    this.#events.onStoreFailed(error);
  }

  onFault(error: unknown): void {
    this.#events.onFault(error);
  }
}

function asks({ request }: MailRecipient): boolean {
  return request?.asked !== undefined;
}
