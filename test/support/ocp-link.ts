/**
 * A processor and a callout server wired in memory. Octets move only when told, in pieces as told, so that a test can
 * interleave the two as no network would.
 */
import {
  CalloutAgent,
  type CalloutEvents,
  type CalloutOptions,
  type ConnectionEnd,
  ProcessorAgent,
  type ProcessorOptions,
  structure,
} from '../../src/ocp/index.ts';
import { recvOver } from './overwritten.ts';

/** Takes the agent's output as a shell does: turns go on only when it was taken. */
class Line {
  readonly #agent: ProcessorAgent | CalloutAgent;
  readonly #queue: Buffer[] = [];
  queued = 0;

  constructor(agent: ProcessorAgent | CalloutAgent) {
    this.#agent = agent;
  }

  /** Whether anything waits, in the agent or on the way. */
  get isBusy(): boolean {
    return this.queued > 0 || this.#agent.outbox.pendingOctets > 0;
  }

  /** As a socket: while the last batch is on its way, output only collects. */
  flush(): void {
    if (this.queued > 0) return;
    for (const buffer of this.#agent.outbox.take()) {
      this.#queue.push(buffer);
      this.queued += buffer.length;
    }
    this.#agent.drained();
  }

  /** Hands the next piece of at most `max` octets to the other agent. */
  move(max: number, to: ProcessorAgent | CalloutAgent): void {
    this.flush();
    const first = this.#queue.shift();
    if (first === undefined) return;
    const piece = first.subarray(0, max);
    if (piece.length < first.length) this.#queue.unshift(first.subarray(piece.length));
    this.queued -= piece.length;
    recvOver(to, piece);
  }
}

export type LinkEvents = Pick<CalloutEvents, 'onTransaction'>;

export class Link {
  readonly processor: ProcessorAgent;
  readonly callout: CalloutAgent;
  readonly toCallout: Line;
  readonly toProcessor: Line;
  readonly ends: { processor?: ConnectionEnd; callout?: ConnectionEnd } = {};

  constructor(events: LinkEvents, options: Partial<ProcessorOptions> = {}, calloutOptions: CalloutOptions = {}) {
    this.processor = new ProcessorAgent(
      { offer: [], services: [structure(['http://svc.example/any'])], kept: 'structure', ...options },
      {
        onSelected: () => undefined,
        onReady: () => undefined,
        onOutput: () => undefined,
        onEnd: (end) => {
          this.ends.processor = end;
        },
      },
    );
    this.callout = new CalloutAgent(calloutOptions, {
      onOffer: () => undefined,
      onTransaction: (tx, services) => events.onTransaction(tx, services),
      onOutput: () => undefined,
      onEnd: (end) => {
        this.ends.callout = end;
      },
    });
    this.toCallout = new Line(this.processor);
    this.toProcessor = new Line(this.callout);
    this.processor.start();
    this.callout.start();
  }

  get isBusy(): boolean {
    return this.toCallout.isBusy || this.toProcessor.isBusy;
  }

  /** Moves one piece to the callout server, or from it. */
  move(direction: 'out' | 'back', max: number): void {
    if (direction === 'out') this.toCallout.move(max, this.callout);
    else this.toProcessor.move(max, this.processor);
  }

  /** Moves all there is, and all that follows from it. */
  run(max = 65_536): void {
    while (this.isBusy) {
      this.move('out', max);
      this.move('back', max);
    }
  }
}
