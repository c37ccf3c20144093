/**
 * Callout servers without sockets: the real agents of both sides, wired in memory, with a scripted service at the far
 * end. Octets move in later turns, as they do on a socket, and may be cut into pieces of `chunk` octets.
 */

import { Deadlines, noMetrics, silentLog } from '../../src/base/index.ts';
import type { CalloutWorld, OpenedChannel } from '../../src/gateway/callouts/callout-channel.ts';
import type { CalloutEndpoint, CommandName, ServiceOptions } from '../../src/gateway/options.ts';
import {
  CalloutAgent,
  type CalloutTransaction,
  type CalloutTransactionEvents,
  type ConnectionEnd,
  type Named,
  type Outbox,
  ProcessorAgent,
  type Result,
} from '../../src/ocp/index.ts';
import type { TimerKind } from '../../src/ocp/negotiation/connection.ts';
import { type Part, readData, selectParts } from '../../src/profile/index.ts';
import { recvOver } from './overwritten.ts';

/** One part as a scripted service got it. */
export interface GotPart {
  readonly part: Part | undefined;
  readonly offset: number;
  readonly octets: Buffer;
  readonly replayed: boolean;
  readonly mayRefuse: boolean;
}

export interface Script {
  readonly adaptive: readonly Part[];
  readonly informative?: readonly Part[];
  /** Called for every DUM. */
  onPart?(tx: CalloutTransaction, part: GotPart, all: readonly GotPart[]): void;
  onOriginalEnd?(tx: CalloutTransaction, all: readonly GotPart[]): void;
  /** Refuses the transaction. */
  refuse?: Result;
}

/** Servers by endpoint port: what runs there, and what happened. */
export class MemoryCallouts {
  readonly world: CalloutWorld;
  readonly servers = new Map<number, Script>();
  readonly live: MemoryLink[] = [];
  /** Every transaction's parts, oldest first. */
  readonly seen: GotPart[][] = [];
  /** Ports of servers that were found to be silent. */
  readonly silent: number[] = [];
  /** Servers take connections and say nothing on them. */
  isMute = false;
  readonly deadlines = new Deadlines();
  readonly #chunk: number;

  constructor(chunk = 1 << 20) {
    this.#chunk = chunk;
    this.world = {
      deadlines: this.deadlines,
      log: silentLog,
      metrics: noMetrics,
      onSilent: (endpoint) => this.silent.push(portOf(endpoint)),
      openChannel: (endpoint, options, events) => {
        const link = new MemoryLink(this, this.servers.get(portOf(endpoint)), this.#chunk);
        this.live.push(link);
        return link.open(options, events);
      },
    };
  }

  /** Ends every connection without a word, as a killed server does. */
  kill(): void {
    for (const link of this.live.splice(0)) link.cut('killed');
  }
}

export function serviceOptions(
  name: string,
  may: ServiceOptions['may'],
  ports: readonly number[],
  commands: readonly CommandName[] = [],
): ServiceOptions {
  return {
    name,
    uri: `http://svc.example/${name}`,
    may,
    commands: new Set(commands),
    bypassable: 'never',
    neverBecause: 'mail is not to go unscanned',
    consent: 'operator',
    kept: 'structure',
    insecure: false,
    endpoints: ports.map((port) => ({ kind: 'tcp', host: '127.0.0.1', port })),
  };
}

function portOf(endpoint: CalloutEndpoint): number {
  return endpoint.kind === 'unix' ? 0 : endpoint.port;
}

class MemoryLink {
  readonly #callouts: MemoryCallouts;
  readonly #script: Script | undefined;
  readonly #chunk: number;
  #processor: ProcessorAgent | undefined;
  #server: CalloutAgent | undefined;
  #isCut = false;
  #isMute: boolean;

  constructor(callouts: MemoryCallouts, script: Script | undefined, chunk: number) {
    this.#callouts = callouts;
    this.#isMute = callouts.isMute;
    this.#script = script;
    this.#chunk = chunk;
  }

  open(...[options, events]: ConstructorParameters<typeof ProcessorAgent>): OpenedChannel {
    const processor = new ProcessorAgent(options, {
      ...delegated(events),
      onOutput: () =>
        this.#carry(
          () => processor.outbox,
          () => this.#server,
          () => processor.drained(),
        ),
    });
    this.#processor = processor;
    const script = this.#script;
    if (script === undefined) {
      queueMicrotask(() => this.cut('nobody listens'));
      return { agent: processor, close: () => this.cut('closed') };
    }
    const server = new CalloutAgent(
      {},
      {
        onOffer: (features) =>
          selectParts(features, { adaptive: script.adaptive, informative: script.informative ?? [] }),
        onTransaction: (tx) => script.refuse ?? this.#scripted(script, tx),
        onOutput: () =>
          this.#carry(
            () => server.outbox,
            () => processor,
            () => server.drained(),
          ),
        onEnd: () => {},
      },
    );
    this.#server = server;
    queueMicrotask(() => {
      server.start();
      processor.start();
    });
    return { agent: processor, close: () => processor.close() };
  }

  /** It is quiet for so long that the server is asked whether it lives, which it answers as soon as it can. */
  beQuiet(): void {
    for (let i = 0; i < 2; i++) this.#processor?.onTimer('silence');
  }

  /** The server says nothing any more, and `kind`'s time passes until the connection is given up. */
  fallMute(kind: TimerKind): void {
    this.#isMute = true;
    for (let i = 0; i < 3; i++) this.#processor?.onTimer(kind);
  }

  cut(why: string): void {
    if (this.#isCut) return;
    this.#isCut = true;
    this.#processor?.transportEnded(why);
    this.#server?.transportEnded(why);
  }

  #carry(outbox: () => Outbox, to: () => ProcessorAgent | CalloutAgent | undefined, drained: () => void): void {
    setImmediate(() => {
      if (this.#isCut || this.#isMute) return;
      const octets = Buffer.concat(outbox().take());
      for (let at = 0; at < octets.length && !this.#isCut; at += this.#chunk) {
        const agent = to();
        if (agent !== undefined) recvOver(agent, octets.subarray(at, at + this.#chunk));
      }
      drained();
    });
  }

  #scripted(script: Script, tx: CalloutTransaction): CalloutTransactionEvents {
    const all: GotPart[] = [];
    this.#callouts.seen.push(all);
    let octets: Buffer[] = [];
    let at = 0;
    return {
      onOriginalStart() {},
      onData(offset: number) {
        octets = [];
        at = offset;
      },
      onDataOctets(chunk: Buffer) {
        octets.push(Buffer.from(chunk));
      },
      onDataEnd(named: Named) {
        const data = readData(named);
        if ('error' in data) throw new Error(data.error);
        const got: GotPart = {
          part: data.part,
          offset: at,
          octets: Buffer.concat(octets),
          replayed: data.replayed,
          mayRefuse: data.allow.smtpError,
        };
        all.push(got);
        script.onPart?.(tx, got, all);
      },
      onOriginalEnd() {
        script.onOriginalEnd?.(tx, all);
      },
      onTurn() {},
      onEnd() {},
    };
  }
}

/** The events of an object with private fields, callable apart from it. */
function delegated(
  events: ConstructorParameters<typeof ProcessorAgent>[1],
): ConstructorParameters<typeof ProcessorAgent>[1] {
  return {
    onSelected: (feature, details) => events.onSelected(feature, details),
    onReady: () => events.onReady(),
    onOutput: () => events.onOutput(),
    onEnd: (end: ConnectionEnd) => events.onEnd(end),
    onAbility: (supported, named) => events.onAbility?.(supported, named),
  };
}
