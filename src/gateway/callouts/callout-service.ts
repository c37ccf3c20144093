/**
 * One configured service and its callout servers: a channel to each endpoint, kept up, negotiated and balanced. A mail
 * asks for a channel and gets the least busy one; while none is up it waits for the one being made, and where all
 * endpoints failed just now it hears so at once instead of waiting for a time-out (circuit breaker, one per endpoint).
 */
import type { Deadlines, Log, Metrics } from '../../base/index.ts';
import { Armed } from '../../base/index.ts';
import type { ConnectionEnd, ProcessorAgent, ProcessorEvents, ProcessorOptions, Structure } from '../../ocp/index.ts';
import type { Part, Selection } from '../../profile/index.ts';
import { makeOffer, readSelection } from '../../profile/index.ts';
import { ServiceCounts } from '../metrics/index.ts';
import type { CalloutEndpoint, CommandName, Permission, ServiceOptions } from '../options.ts';
import { type PartPlans, planParts } from './part-plan.ts';

/** A connection to a callout server; made by the shell (`ocp/net`), or by a test. */
export interface OpenedChannel {
  readonly agent: ProcessorAgent;
  close(): void;
}

export type OpenChannel = (
  endpoint: CalloutEndpoint,
  options: ProcessorOptions & { readonly insecure: boolean },
  events: ProcessorEvents,
) => OpenedChannel;

export interface CalloutWorld {
  readonly openChannel: OpenChannel;
  readonly deadlines: Deadlines;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Who asked for a channel. Exactly one of the two is called, maybe at once. */
export interface ChannelWaiter {
  onChannel(channel: CalloutChannel): void;
  onNoChannel(detail: string): void;
}

/** Reconnecting waits this long at first, doubled at each failure up to the second figure. */
const BACKOFF_MS = 250;
const MAX_BACKOFF_MS = 15_000;
/** A channel that was up for less, and was never used, has not shown that it works. */
const STEADY_MS = 5_000;
/** Mails that may wait for a connection being made; beyond it they are told at once. */
const MAX_WAITERS = 10_000;

export class CalloutService {
  readonly options: ServiceOptions;
  readonly counts: ServiceCounts;
  readonly #channels: CalloutChannel[];
  readonly #waiters = new Set<ChannelWaiter>();
  #closed = false;

  constructor(options: ServiceOptions, world: CalloutWorld) {
    this.options = options;
    this.counts = new ServiceCounts(options.name, world.metrics);
    const offered = offeredParts(options.may, options.commands);
    this.#channels = options.endpoints.map((endpoint) => {
      return new CalloutChannel(this, endpoint, offered, world, {
        onReady: (channel) => this.#serve(channel),
        onDown: () => this.#giveUpIfHopeless(),
      });
    });
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

  get isReady(): boolean {
    return this.#channels.some((channel) => channel.isReady);
  }

  /** Channels that are up. */
  get readyChannels(): number {
    return this.#channels.filter((channel) => channel.isReady).length;
  }

  /** Mails at the service now. */
  get load(): number {
    return this.#channels.reduce((sum, channel) => sum + channel.load, 0);
  }

  /** Why no channel is up, endpoint by endpoint. */
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
      ready.give(waiter);
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
    this.#giveUpIfHopeless();
  }

  #least(avoid: CalloutChannel | undefined): CalloutChannel | undefined {
    let best: CalloutChannel | undefined;
    for (const channel of this.#channels) {
      if (!channel.isReady || channel === avoid) continue;
      if (best === undefined || channel.load < best.load) best = channel;
    }
    return best ?? (avoid?.isReady ? avoid : undefined);
  }

  #serve(channel: CalloutChannel): void {
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) {
      if (channel.isReady) channel.give(waiter);
      else this.take(waiter, undefined);
    }
  }

  #giveUpIfHopeless(): void {
    if (!this.#closed && this.#channels.some((channel) => channel.isConnecting)) return;
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) this.take(waiter, undefined);
  }
}

interface ChannelOwner {
  onReady(channel: CalloutChannel): void;
  onDown(channel: CalloutChannel): void;
}

type ChannelState =
  | { readonly at: 'down' }
  | { readonly at: 'connecting'; readonly opened: OpenedChannel }
  | { readonly at: 'ready'; readonly opened: OpenedChannel; readonly selection: Selection }
  /** Failed; not tried again before the deadline. */
  | { readonly at: 'resting' };

/** The one connection to one endpoint. */
export class CalloutChannel implements ProcessorEvents {
  readonly name: string;
  readonly #service: CalloutService;
  readonly #endpoint: CalloutEndpoint;
  readonly #offered: OfferedParts;
  readonly #world: CalloutWorld;
  readonly #owner: ChannelOwner;
  readonly #rest: Armed;
  #state: ChannelState = { at: 'down' };
  #selection: Selection | undefined;
  #plans: PartPlans | undefined;
  #failures = 0;
  #readyAtMs = 0;
  #wasUsed = false;
  #trouble = 'not connected yet';
  #closed = false;

  constructor(
    service: CalloutService,
    endpoint: CalloutEndpoint,
    offered: OfferedParts,
    world: CalloutWorld,
    owner: ChannelOwner,
  ) {
    this.name = endpointName(endpoint);
    this.#service = service;
    this.#endpoint = endpoint;
    this.#offered = offered;
    this.#world = world;
    this.#owner = owner;
    this.#rest = new Armed({ onDeadline: () => this.#wakeUp() });
  }

  get isReady(): boolean {
    return this.#state.at === 'ready' && this.#state.opened.agent.isReady;
  }

  get isConnecting(): boolean {
    return this.#state.at === 'connecting';
  }

  /** Transactions under way. */
  get load(): number {
    return this.#state.at === 'ready' ? this.#state.opened.agent.liveTransactions : 0;
  }

  get selection(): Selection | undefined {
    return this.#selection;
  }

  /** What is sent here of each part. */
  get plans(): PartPlans | undefined {
    return this.#plans;
  }

  /** Why the last attempt failed, for the log and the console. */
  get trouble(): string {
    return this.#trouble;
  }

  /** The agent of a ready channel. */
  get agent(): ProcessorAgent | undefined {
    return this.#state.at === 'ready' ? this.#state.opened.agent : undefined;
  }

  /** Hands the ready channel to a mail. */
  give(waiter: ChannelWaiter): void {
    this.#wasUsed = true;
    waiter.onChannel(this);
  }

  /** Connects if nothing is under way. Returns whether there is hope. */
  connect(): boolean {
    if (this.#closed || this.#state.at === 'resting') return false;
    if (this.#state.at !== 'down') return true;
    const { uri, kept, insecure } = this.#service.options;
    const service: Structure = { anonymous: [uri], named: new Map() };
    const opened = this.#world.openChannel(
      this.#endpoint,
      { offer: [makeOffer(this.#offered)], services: [service], kept, insecure },
      this,
    );
    this.#state = { at: 'connecting', opened };
    return true;
  }

  /** Does not rest any longer. Mails that come now wait for what becomes of it. */
  revive(): void {
    if (this.#closed || this.#state.at !== 'resting') return;
    this.#world.deadlines.release(this.#rest);
    this.#wakeUp();
  }

  close(): void {
    this.#closed = true;
    this.#world.deadlines.release(this.#rest);
    if (this.#state.at === 'connecting' || this.#state.at === 'ready') this.#state.opened.close();
    else this.#state = { at: 'down' };
  }

  onSelected(feature: Structure | undefined): string | undefined {
    if (feature === undefined) return 'no application profile was selected';
    const read = readSelection(feature, this.#offered);
    if ('error' in read) return read.error;
    for (const warning of read.warnings)
      this.#world.log.warn('callout.profile', { service: this.#service.name, endpoint: this.name, warning });
    this.#selection = read.selection;
    this.#plans = planParts(read.selection, this.#service.options.may);
    return undefined;
  }

  onReady(): void {
    if (this.#state.at !== 'connecting' || this.#selection === undefined) return;
    this.#state = { at: 'ready', opened: this.#state.opened, selection: this.#selection };
    this.#readyAtMs = this.#world.deadlines.nowMs;
    this.#wasUsed = false;
    this.#world.log.info('callout.up', {
      service: this.#service.name,
      endpoint: this.name,
      adaptive: [...this.#selection.adaptive].join(' '),
      informative: [...this.#selection.informative].join(' '),
    });
    this.#owner.onReady(this);
  }

  /** The shell flushes; nothing to do here. */
  onOutput(): void {}

  onEnd(end: ConnectionEnd): void {
    const wasReady = this.#state.at === 'ready';
    this.#trouble = end.result.reason || `ended by ${end.by}`;
    this.#service.counts.connectionLost();
    if (this.#closed) {
      this.#state = { at: 'down' };
      this.#owner.onDown(this);
      return;
    }
    this.#world.log.warn('callout.down', {
      service: this.#service.name,
      endpoint: this.name,
      by: end.by,
      why: this.#trouble,
    });
    // A channel that had worked is made anew at once; one that cannot be made rests longer each time.
    // One that a mail was given is made anew for the next: that is no oftener than mails come.
    const isSteady = this.#world.deadlines.nowMs - this.#readyAtMs >= STEADY_MS;
    if (wasReady && (this.#wasUsed || isSteady)) this.#failures = 0;
    if (wasReady && this.#failures === 0) {
      this.#failures = 1;
      this.#state = { at: 'down' };
      this.connect();
    } else {
      const restMs = Math.min(MAX_BACKOFF_MS, BACKOFF_MS * 2 ** this.#failures);
      this.#failures++;
      this.#state = { at: 'resting' };
      this.#world.deadlines.arm(this.#rest, restMs);
    }
    this.#owner.onDown(this);
  }

  #wakeUp(): void {
    if (this.#state.at !== 'resting') return;
    this.#state = { at: 'down' };
    this.connect();
  }
}

export interface OfferedParts {
  readonly adaptive: readonly Part[];
  readonly informative: readonly Part[];
}

/**
 * What a service is offered follows from what it may do: a part is adaptive only if an answer to it would be taken
 * (draft-ietf-opes-smtp-00 section 3.2.3), else it can be had for reading. The client's greeting is answered, and look-ups
 * are told at all, only where the service is asked about them.
 */
export function offeredParts(may: ReadonlySet<Permission>, commands: ReadonlySet<CommandName>): OfferedParts {
  const adaptive: Part[] = [];
  const informative: Part[] = ['IP'];
  const refuses = may.has('refuse') || may.has('tempfail');
  const offer = (part: Part, takesAnswers: boolean): void => {
    (takesAnswers ? adaptive : informative).push(part);
  };
  const answersCommands = refuses || may.has('rewrite-command');
  offer('EHLO', commands.has('EHLO') && answersCommands);
  offer('HELO', commands.has('EHLO') && answersCommands);
  if (commands.has('VRFY')) offer('VRFY', answersCommands);
  if (commands.has('EXPN')) offer('EXPN', answersCommands);
  offer('MAIL', refuses || may.has('rewrite-sender'));
  offer('RCPT', refuses || may.has('rewrite-recipient'));
  const advises = may.has('quarantine') || may.has('delay');
  const edits = may.has('add-header') || may.has('edit-header') || may.has('edit-content');
  offer('RAWDATA', refuses || advises || edits);
  return { adaptive, informative };
}

export function endpointName(endpoint: CalloutEndpoint): string {
  switch (endpoint.kind) {
    case 'tcp':
      return `ocp://${endpoint.host}:${endpoint.port}`;
    case 'tls':
      return `ocp+tls://${endpoint.host}:${endpoint.port}`;
    case 'unix':
      return `ocp+unix:${endpoint.path}`;
  }
}
