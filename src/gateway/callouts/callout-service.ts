/**
 * One configured service and its callout servers: a channel to each endpoint (`callout-channel.ts`), balanced. A mail asks for a
 * channel and gets the least busy one; while none is up it waits for the one being made, and where all endpoints failed
 * just now it hears so at once instead of waiting for a time-out.
 */
import type { Selection } from '../../profile/index.ts';
import { ServiceCounts } from '../metrics/index.ts';
import type { ServiceOptions } from '../options.ts';
import { CalloutChannel, type CalloutWorld, type ChannelOwner } from './callout-channel.ts';
import { offeredParts } from './offered-parts.ts';

/** Who asked for a channel. Exactly one of the two is called, maybe at once. */
export interface ChannelWaiter {
  onChannel(channel: CalloutChannel): void;
  onNoChannel(detail: string): void;
}

/** Mails that may wait for a connection being made; beyond it they are told at once. */
const MAX_WAITERS = 10_000;

export class CalloutService implements ChannelOwner {
  readonly options: ServiceOptions;
  readonly counts: ServiceCounts;
  readonly #channels: CalloutChannel[];
  readonly #waiters = new Set<ChannelWaiter>();
  #closed = false;

  constructor(options: ServiceOptions, world: CalloutWorld) {
    this.options = options;
    this.counts = new ServiceCounts(options.name, world.metrics);
    const offered = offeredParts(options.may, options.commands);
    this.#channels = options.endpoints.map((endpoint) => new CalloutChannel(endpoint, offered, world, this));
  }

  get name(): string {
    return this.options.name;
  }

  /** Connects to every endpoint, so that the first mail finds the channels up. */
  start(): void {
    for (const channel of this.#channels) channel.connect();
  }

  /** Connects now also where a failure just now would make it wait: an operator says it is mended. */
  revive(): void {
    for (const channel of this.#channels) channel.revive();
  }

  /** Whether a channel is up whose server, as far as is known, has the service. */
  get isReady(): boolean {
    return this.#channels.some((channel) => channel.isUsable);
  }

  /** Channels that are up. */
  get readyChannels(): number {
    return this.#channels.filter((channel) => channel.isReady).length;
  }

  /** Mails at the service now. */
  get load(): number {
    return this.#channels.reduce((sum, channel) => sum + channel.load, 0);
  }

  /** Why no channel is usable, endpoint by endpoint. */
  get trouble(): string {
    return this.#channels.map((channel) => `${channel.name}: ${channel.trouble}`).join('; ');
  }

  /** The parts the servers selected, as last negotiated; for deciding whether MAIL has to wait for a callout. */
  get lastSelection(): Selection | undefined {
    for (const { selection } of this.#channels) if (selection !== undefined) return selection;
    return undefined;
  }

  /** `avoid`: a channel that was lost with this mail on it; used again only if there is no other. */
  take(waiter: ChannelWaiter, avoid: CalloutChannel | undefined): void {
    const ready = this.#least(avoid);
    if (ready !== undefined) {
      waiter.onChannel(ready.use());
      return;
    }
    let hope = false;
    for (const channel of this.#channels) hope = channel.connect() || hope;
    if (!hope || this.#closed || this.#waiters.size >= MAX_WAITERS) {
      waiter.onNoChannel(this.trouble);
      return;
    }
    this.#waiters.add(waiter);
  }

  /** The waiter no longer wants a channel. */
  forget(waiter: ChannelWaiter): void {
    this.#waiters.delete(waiter);
  }

  close(): void {
    this.#closed = true;
    for (const channel of this.#channels) channel.close();
    this.onDown();
  }

  #least(avoid: CalloutChannel | undefined): CalloutChannel | undefined {
    let best: CalloutChannel | undefined;
    for (const channel of this.#channels) {
      if (!channel.isReady || channel === avoid) continue;
      if (best === undefined || isBetter(channel, best)) best = channel;
    }
    return best ?? (avoid?.isReady ? avoid : undefined);
  }

  onReady(channel: CalloutChannel): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) {
      if (channel.isReady) waiter.onChannel(channel.use());
      else this.take(waiter, undefined);
    }
  }

  onDown(): void {
    if (!this.#closed && this.#channels.some((channel) => channel.isConnecting)) return;
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) this.take(waiter, undefined);
  }
}

/** A server that has the service goes before any that has not; then the less busy one. */
function isBetter(one: CalloutChannel, other: CalloutChannel): boolean {
  return one.isUsable === other.isUsable ? one.load < other.load : one.isUsable;
}
