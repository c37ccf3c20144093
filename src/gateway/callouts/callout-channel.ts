/**
 * The one connection to one endpoint of a service: made, negotiated, kept up, and left alone for a while where it failed (circuit breaker).
 *
 *     down --connect--> connecting --negotiated--> ready --lost--> down, and connected anew at once
 *                            `--failed--> resting --its time, revive--> down
 */
import { Armed, type Deadlines, type Log, type Metrics } from '../../base/index.ts';
import type {
  ConnectionEnd,
  Named,
  ProcessorAgent,
  ProcessorEvents,
  ProcessorOptions,
  Structure,
} from '../../ocp/index.ts';
import {
  causeOfInability,
  makeOffer,
  makeService,
  readSelection,
  type Selection,
  serviceQuery,
} from '../../profile/index.ts';
import type { ServiceCounts } from '../metrics/index.ts';
import type { CalloutEndpoint, ServiceOptions } from '../options.ts';
import type { OfferedParts } from './offered-parts.ts';
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
  /** It answers nothing any more, on one connection after the other. */
  readonly onSilent: (endpoint: CalloutEndpoint) => void;
  readonly deadlines: Deadlines;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** Reconnecting waits this long at first, doubled at each failure up to the second figure. */
const BACKOFF_MS = 250;
const MAX_BACKOFF_MS = 15_000;
/** A channel that was up for less, and was never used, has not shown that it works. */
const STEADY_MS = 5_000;

/** Ends of connections to a server that is there and says nothing: one that works very hard says nothing for a while, too. */
const SILENT: ReadonlySet<ConnectionEnd['rule']> = new Set(['silence', 'negotiation-timeout'] as const);
const SILENT_TIMES = 2;

/** The service that the connection is for. */
export interface ChannelOwner {
  readonly options: ServiceOptions;
  readonly counts: ServiceCounts;
  /** It is negotiated: transactions may begin. */
  onReady(channel: CalloutChannel): void;
  /** It was lost, or could not be made. */
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
  readonly #endpoint: CalloutEndpoint;
  readonly #offered: OfferedParts;
  readonly #world: CalloutWorld;
  readonly #owner: ChannelOwner;
  readonly #rest: Armed;
  #state: ChannelState = { at: 'down' };
  #selection: Selection | undefined;
  #plans: PartPlans | undefined;
  #failures = 0;
  /** Connections in a row that ended because nothing was heard. */
  #heardNothing = 0;
  #readyAtMs = 0;
  #wasUsed = false;
  /** The server's last word: it has no service of our URI. */
  #lacksService = false;
  /** It was asked whether it has our service, and owes the answer. */
  #owesAbility = false;
  /**
   * Who ended while it owed that answer may have ended for the question: the next connection goes without. Where that one serves a
   * mail it was the question, and all further ones go without.
   */
  #asks: 'always' | 'not now' | 'never' = 'always';
  #trouble = 'not connected yet';
  #closed = false;

  constructor(endpoint: CalloutEndpoint, offered: OfferedParts, world: CalloutWorld, owner: ChannelOwner) {
    this.name = endpointName(endpoint);
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

  /** Ready, and the server has the service, as far as it has said. Mails still get one that is not where there is no other: so it heals. */
  get isUsable(): boolean {
    return this.isReady && !this.#lacksService;
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

  /** Why it is not usable, or was not the last time: for the log and the console. */
  get trouble(): string {
    return this.#lacksService ? this.#lacks : this.#trouble;
  }

  get #lacks(): string {
    const { name, uri } = this.#owner.options;
    return `the server at ${this.name} knows no service ${uri}: the uri of services.${name} must be the one the service names`;
  }

  /** The agent of a ready channel. */
  get agent(): ProcessorAgent | undefined {
    return this.#state.at === 'ready' ? this.#state.opened.agent : undefined;
  }

  /** A mail is given to it. */
  use(): this {
    this.#wasUsed = true;
    return this;
  }

  /** What it has said, or a transaction has shown: the server has our service, or none of that URI. Logged when it changes. */
  serves(hasService: boolean): void {
    if (hasService && this.#asks === 'not now') this.#asks = 'never';
    if (this.#lacksService !== hasService) return;
    this.#lacksService = !hasService;
    const { name, uri } = this.#owner.options;
    const { log } = this.#world;
    if (hasService) log.info('callout.service-known', { service: name, endpoint: this.name, uri });
    else log.warn('callout.service-unknown', { service: name, endpoint: this.name, uri, fix: this.#lacks });
  }

  /** Connects if nothing is under way. Returns whether there is hope. */
  connect(): boolean {
    if (this.#closed || this.#state.at === 'resting') return false;
    if (this.#state.at !== 'down') return true;
    const { uri, kept, insecure } = this.#owner.options;
    const opened = this.#world.openChannel(
      this.#endpoint,
      { offer: [makeOffer(this.#offered)], services: [makeService(uri)], kept, insecure },
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
      this.#world.log.warn('callout.profile', { service: this.#owner.options.name, endpoint: this.name, warning });
    this.#selection = read.selection;
    this.#plans = planParts(read.selection, this.#owner.options.may);
    return undefined;
  }

  onReady(): void {
    if (this.#state.at !== 'connecting' || this.#selection === undefined) return;
    this.#state = { at: 'ready', opened: this.#state.opened, selection: this.#selection };
    this.#readyAtMs = this.#world.deadlines.nowMs;
    this.#wasUsed = false;
    this.#heardNothing = 0;
    this.#world.log.info('callout.up', {
      service: this.#owner.options.name,
      endpoint: this.name,
      adaptive: [...this.#selection.adaptive].join(' '),
      informative: [...this.#selection.informative].join(' '),
    });
    this.#askForService(this.#state.opened.agent);
    this.#owner.onReady(this);
  }

  /** Once for a connection, ahead of its mails, none of which waits for the answer (decision 0064). */
  #askForService(agent: ProcessorAgent): void {
    if (this.#asks !== 'always') return;
    this.#owesAbility = true;
    const { feature, block } = serviceQuery(this.#owner.options.uri);
    agent.queryAbility(feature, block);
  }

  onAbility(supported: boolean, named: Named): void {
    this.#owesAbility = false;
    if (causeOfInability(supported, named) === 'service-unknown') this.serves(false);
  }

  /** The shell flushes; nothing to do here. */
  onOutput(): void {}

  onEnd(end: ConnectionEnd): void {
    const wasReady = this.#state.at === 'ready';
    // Whoever listens there next may have it.
    this.#lacksService = false;
    if (wasReady && this.#asks !== 'never') this.#asks = this.#owesAbility ? 'not now' : 'always';
    this.#owesAbility = false;
    this.#trouble = end.result.reason || `ended by ${end.by}`;
    this.#owner.counts.connectionLost();
    if (this.#closed) {
      this.#state = { at: 'down' };
      this.#owner.onDown(this);
      return;
    }
    this.#world.log.warn('callout.down', {
      service: this.#owner.options.name,
      endpoint: this.name,
      by: end.by,
      why: this.#trouble,
    });
    this.#heardNothing = SILENT.has(end.rule) ? this.#heardNothing + 1 : 0;
    if (this.#heardNothing === SILENT_TIMES) {
      this.#heardNothing = 0;
      this.#world.onSilent(this.#endpoint);
    }
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

function endpointName(endpoint: CalloutEndpoint): string {
  switch (endpoint.kind) {
    case 'tcp':
      return `ocp://${endpoint.host}:${endpoint.port}`;
    case 'tls':
      return `ocp+tls://${endpoint.host}:${endpoint.port}`;
    case 'unix':
      return `ocp+unix:${endpoint.path}`;
  }
}
