/**
 * The connections to one next hop, and the mails that wait for one. Idle connections are used last in, first out, so that
 * a quiet time lets the cold ones go; mails wait first come, first served, in bounded number and time.
 *
 * A mail that waits is not bound to the connection opened for its sake: whichever is free first serves it. Only a mail
 * whose connection died has one opened for itself, as the idle ones may be as dead.
 */
import { Deadlines, type Log, printable } from '../../base/index.ts';
import type { OutboundFailure } from '../client/outbound.ts';
import { type ConnectionOptions, type ConnectionOwner, NextHopConnection } from './next-hop-connection.ts';
import type { NextHopOutbound, OutboundOwner } from './next-hop-outbound.ts';

/** Counters since the start, and what is there now. */
export interface NextHopStats {
  readonly connections: number;
  readonly idle: number;
  readonly waiting: number;
  /** Connections tried. */
  readonly opened: number;
  /** Mails begun, second tries included. */
  readonly begun: number;
  /** Second tries on a new connection. */
  readonly retried: number;
}

const SHUTDOWN: OutboundFailure = { stage: 'connect', reason: 'shutdown', sent: false };
const BUSY: OutboundFailure = { stage: 'connect', reason: 'busy', sent: false };

export class NextHopPool implements ConnectionOwner, OutboundOwner {
  readonly deadlines = new Deadlines();
  readonly replayOctets: number;
  readonly roomOctets: number;
  readonly #options: ConnectionOptions;
  readonly #log: Log;
  readonly #onFailed: ((failure: OutboundFailure) => void) | undefined;
  readonly #idle: NextHopConnection[] = [];
  /** Every connection that may still serve a mail; bounded. */
  readonly #live = new Set<NextHopConnection>();
  /** Those that said QUIT. */
  readonly #leaving = new Set<NextHopConnection>();
  /** First come, first served, and any of them may leave. */
  readonly #waiting = new Set<NextHopOutbound>();
  /** Connections being opened for whoever waits. */
  #opening = 0;
  #holdUntilMs = 0;
  #ticker: NodeJS.Timeout | undefined;
  #offers: ReadonlyMap<string, string> | undefined;
  readonly #onEmpty: (() => void)[] = [];
  #isClosing = false;
  #opened = 0;
  #begun = 0;
  #retried = 0;

  constructor(options: ConnectionOptions, log: Log, onFailed?: (failure: OutboundFailure) => void) {
    this.#options = options;
    this.#log = log;
    this.#onFailed = onFailed;
    this.replayOctets = options.limits.replayOctets;
    this.roomOctets = options.limits.pendingOctets;
  }

  get stats(): NextHopStats {
    return {
      connections: this.#live.size,
      idle: this.#idle.length,
      waiting: this.#waiting.size,
      opened: this.#opened,
      begun: this.#begun,
      retried: this.#retried,
    };
  }

  /** What the hop offered on the connection made last. */
  get offers(): ReadonlyMap<string, string> | undefined {
    return this.#offers;
  }

  /** No new mails; those begun go on for `drainMs`, then everything ends. Resolves when no connection is left. */
  close(drainMs: number): Promise<void> {
    this.#isClosing = true;
    for (const connection of this.#idle.splice(0)) this.#leave(connection);
    return new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#endAll(), drainMs);
      this.#onEmpty.push(() => {
        clearTimeout(timer);
        resolve();
      });
      this.#restIfEmpty();
    });
  }

  // What mails ask for.

  serve(outbound: NextHopOutbound): void {
    if (this.#isClosing) {
      outbound.failSoon(SHUTDOWN);
      return;
    }
    const { limits } = this.#options;
    const connection = this.#idle.pop();
    if (connection !== undefined) {
      if (!this.#bind(outbound, connection)) this.#rest(connection);
      return;
    }
    if (this.#waiting.size >= limits.waiting) {
      outbound.failSoon(BUSY);
      return;
    }
    this.#wake();
    this.#waiting.add(outbound);
    this.deadlines.arm(outbound.armed, limits.waitMs);
    this.#open();
  }

  serveAnew(outbound: NextHopOutbound): void {
    this.#retried++;
    this.#log.debug('next-hop.retry', { host: this.#options.host, port: this.#options.port });
    // The dead connection left its place among the allowed ones.
    this.#connect(this.#options.tls, outbound);
  }

  forget(outbound: NextHopOutbound): void {
    if (!this.#waiting.delete(outbound)) return;
    this.deadlines.release(outbound.armed);
    this.#restIfEmpty();
  }

  onWaitedTooLong(outbound: NextHopOutbound): void {
    if (!this.#waiting.delete(outbound)) return;
    outbound.fail(BUSY);
    this.#restIfEmpty();
  }

  // What connections tell.

  onReady(connection: NextHopConnection): void {
    connection.outbound?.release();
    connection.outbound = undefined;
    const { reserved } = connection;
    connection.reserved = undefined;
    if (!connection.wasReady) {
      connection.wasReady = true;
      this.#offers = connection.session.hop.offers;
      if (reserved === undefined) this.#opening--;
      this.#holdUntilMs = 0;
    }
    if (reserved !== undefined && !reserved.isOver && this.#bind(reserved, connection)) return;
    this.#next(connection);
  }

  onOver(connection: NextHopConnection, failure: OutboundFailure): void {
    this.#live.delete(connection);
    this.#leaving.delete(connection);
    const idleAt = this.#idle.indexOf(connection);
    if (idleAt >= 0) this.#idle.splice(idleAt, 1);
    const { outbound } = connection;
    connection.outbound = undefined;
    if (failure.reason !== 'shutdown' && (outbound !== undefined || !connection.wasReady))
      this.#report(connection, failure);
    outbound?.onLost(failure);
    if (!connection.wasReady) this.#onNeverReady(connection, failure);
    this.#open();
    this.#restIfEmpty();
  }

  #onNeverReady(connection: NextHopConnection, failure: OutboundFailure): void {
    const { reserved } = connection;
    connection.reserved = undefined;
    if (reserved === undefined) this.#opening--;
    // TLS was a wish (`may`): the same once more in clear.
    const isTlsAtFault = failure.reason === 'tls' && connection.tls === 'may';
    if (isTlsAtFault && (reserved !== undefined ? !reserved.isOver : this.#waiting.size > 0)) {
      this.#connect('none', reserved);
      return;
    }
    if (reserved !== undefined) {
      reserved.fail(failure);
      return;
    }
    // The hop serves others of us: it wants no more at once, and those will serve whoever waits.
    if (this.#live.size > this.#opening) {
      this.#holdUntilMs = this.deadlines.nowMs + this.#options.limits.holdMs;
      return;
    }
    this.#takeWaiting()?.fail(failure);
  }

  /** A connection that may serve a mail gets one, or rests, or leaves. */
  #next(connection: NextHopConnection): void {
    if (connection.transactions >= this.#options.limits.transactions) {
      this.#leave(connection);
      this.#open();
      return;
    }
    for (let outbound = this.#takeWaiting(); outbound !== undefined; outbound = this.#takeWaiting()) {
      if (this.#bind(outbound, connection)) return;
    }
    if (this.#isClosing) this.#leave(connection);
    else this.#rest(connection);
  }

  #bind(outbound: NextHopOutbound, connection: NextHopConnection): boolean {
    if (!outbound.bind(connection)) return false;
    this.#begun++;
    return true;
  }

  #rest(connection: NextHopConnection): void {
    this.#idle.push(connection);
    connection.idle();
  }

  #leave(connection: NextHopConnection): void {
    this.#live.delete(connection);
    const idleAt = this.#idle.indexOf(connection);
    if (idleAt >= 0) this.#idle.splice(idleAt, 1);
    this.#leaving.add(connection);
    connection.session.quit();
  }

  #takeWaiting(): NextHopOutbound | undefined {
    for (const outbound of this.#waiting) {
      this.#waiting.delete(outbound);
      this.deadlines.release(outbound.armed);
      return outbound;
    }
    return undefined;
  }

  /** As many connections as mails wait, within the cap. */
  #open(): void {
    const { connections } = this.#options.limits;
    while (this.#waiting.size > this.#opening && this.#live.size < connections) {
      if (this.#live.size > 0 && this.deadlines.nowMs < this.#holdUntilMs) return;
      this.#connect(this.#options.tls, undefined);
    }
  }

  #connect(tls: 'none' | 'may', reserved: NextHopOutbound | undefined): void {
    this.#wake();
    this.#opened++;
    if (reserved === undefined) this.#opening++;
    const connection = new NextHopConnection({ ...this.#options, tls }, this);
    connection.reserved = reserved;
    this.#live.add(connection);
  }

  #endAll(): void {
    for (let outbound = this.#takeWaiting(); outbound !== undefined; outbound = this.#takeWaiting()) {
      outbound.fail(SHUTDOWN);
    }
    for (const connection of [...this.#live, ...this.#leaving]) connection.destroy();
  }

  /** One timer for all deadlines, and none while there is nothing to watch. */
  #wake(): void {
    if (this.#ticker !== undefined) return;
    this.deadlines.tick(performance.now());
    this.#ticker = setInterval(() => this.#tick(), this.#options.limits.tickMs);
  }

  #tick(): void {
    this.deadlines.tick(performance.now());
    // A hold may have ended.
    this.#open();
  }

  #restIfEmpty(): void {
    if (this.#live.size + this.#leaving.size + this.#waiting.size > 0) return;
    clearInterval(this.#ticker);
    this.#ticker = undefined;
    for (const tell of this.#onEmpty.splice(0)) tell();
  }

  #report(connection: NextHopConnection, failure: OutboundFailure): void {
    const { stage, reason, detail, sent, reply } = failure;
    this.#onFailed?.(failure);
    this.#log.warn('next-hop.failed', {
      host: this.#options.host,
      port: this.#options.port,
      stage,
      reason,
      sent,
      ...(detail !== undefined && { detail }),
      name: connection.session.hop.name,
      ...(reply && { code: reply.code, text: printable(reply.text.join(' ')) }),
    });
  }
}
