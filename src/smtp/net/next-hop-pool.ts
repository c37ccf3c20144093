/**
 * The connections to one next hop, and the mails that wait for one. Idle connections are used last in, first out, so that
 * a quiet time lets the cold ones go; mails wait first come, first served, in bounded number and time.
 *
 * A mail that waits is not bound to the connection opened for its sake: whichever is free first serves it. Only a mail
 * whose connection died has one opened for itself, as the idle ones may be as dead.
 *
 * Where connections carry the identity of a client (`key`), a mail goes only over one that carries its own. XCLIENT can make
 * an idle connection another client's; PROXY stands at the start of a connection and cannot be changed, so there each mail
 * that waits has one opened for itself. At the cap an idle one of another client's leaves to make room.
 */
import { Deadlines, type Log, printable } from '../../base/index.ts';
import { heloOf, type IdentityMode, xclientCommands } from '../client/identity.ts';
import type { TlsMode } from '../client/opening.ts';
import type { OutboundFailure } from '../client/outbound.ts';
import type { Reply } from '../reply.ts';
import { type ConnectionOptions, type ConnectionOwner, NextHopConnection } from './next-hop-connection.ts';
import { HopLog } from './next-hop-log.ts';
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
  readonly identity: IdentityMode;
  readonly isLmtp: boolean;
  /** Any connection serves any mail. */
  readonly #isShared: boolean;
  readonly #options: ConnectionOptions;
  readonly #onFailed: ((failure: OutboundFailure) => void) | undefined;
  readonly #log: HopLog;
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
  /** Our login was refused; by `performance.now()`, as no deadline may be running. */
  #login: { readonly failure: OutboundFailure; readonly untilMs: number } | undefined;
  #ticker: NodeJS.Timeout | undefined;
  #offers: ReadonlyMap<string, string> | undefined;
  readonly #onEmpty: (() => void)[] = [];
  #isClosing = false;
  #opened = 0;
  #begun = 0;
  #retried = 0;

  constructor(options: ConnectionOptions, log: Log, onFailed?: (failure: OutboundFailure) => void) {
    this.#options = options;
    this.#onFailed = onFailed;
    this.#log = new HopLog(options.address, log);
    this.replayOctets = options.limits.replayOctets;
    this.roomOctets = options.limits.pendingOctets;
    this.identity = options.identity;
    this.#isShared = options.identity === 'none' || options.identity === 'xforward';
    this.isLmtp = options.address.kind === 'lmtp' || options.address.kind === 'lmtp-unix';
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
    const connection = this.#isShared ? this.#idle.pop() : this.#takeIdle(outbound);
    if (connection !== undefined) {
      if (!this.#bind(outbound, connection)) this.#rest(connection);
      return;
    }
    if (this.#waiting.size >= limits.waiting) {
      outbound.failSoon(BUSY);
      return;
    }
    if (this.#login !== undefined && performance.now() < this.#login.untilMs) {
      outbound.failSoon(this.#login.failure);
      return;
    }
    this.#wake();
    this.#waiting.add(outbound);
    this.deadlines.arm(outbound.armed, limits.waitMs);
    this.#open();
  }

  serveAnew(outbound: NextHopOutbound): void {
    this.#retried++;
    this.#log.retry();
    // The dead connection left its place among the allowed ones.
    this.#connect(this.#options.security.mode, outbound);
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
      this.#login = undefined;
      if (this.identity === 'xforward' && !this.#offers.has('XFORWARD')) this.#log.identity('XFORWARD is not offered');
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
    const { outbound, reserved } = connection;
    connection.outbound = undefined;
    const isInUse = outbound !== undefined || reserved !== undefined || !connection.wasReady;
    if (failure.reason !== 'shutdown' && isInUse) this.#report(connection, failure);
    outbound?.onLost(failure);
    if (!connection.wasReady) {
      this.#onNeverReady(connection, failure);
    } else if (reserved !== undefined) {
      // It was being made another client's.
      connection.reserved = undefined;
      reserved.onNotBegun(failure, connection.transactions > 0);
    }
    this.#open();
    this.#restIfEmpty();
  }

  onFault(error: unknown): void {
    this.#log.fault(error);
  }

  onDeclined(reply: Reply): void {
    this.#log.identity(`XFORWARD is refused: ${reply.code} ${printable(reply.text.join(' '))}`);
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
    // A 454 is over soon; anything else stays wrong.
    if (failure.reason === 'auth' && failure.reply?.code !== 454) {
      this.#login = { failure, untilMs: performance.now() + this.#options.limits.loginHoldMs };
      for (let one = this.#takeWaiting(); one !== undefined; one = this.#takeWaiting()) one.fail(failure);
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
    for (let outbound = this.#takeWaiting(connection); outbound; outbound = this.#takeWaiting(connection)) {
      if (this.#bind(outbound, connection)) return;
    }
    if (this.#isClosing) this.#leave(connection);
    else this.#rest(connection);
    // Those that still wait cannot use it; it may have to leave for one that they can.
    if (this.#waiting.size > 0) this.#open();
  }

  #bind(outbound: NextHopOutbound, connection: NextHopConnection): boolean {
    if (outbound.key !== connection.key) return this.#identify(outbound, connection);
    if (!outbound.bind(connection)) return false;
    this.#begun++;
    return true;
  }

  /** Makes the connection that of the mail's client; `onReady` follows. False where the hop cannot be told. */
  #identify(outbound: NextHopOutbound, connection: NextHopConnection): boolean {
    const { client } = outbound.envelope;
    const { session } = connection;
    const commands = client && xclientCommands(session.hop, client, this.#options.auth === undefined);
    if (client === undefined || commands === undefined || commands.length === 0) {
      const detail = 'XCLIENT is not offered';
      const failure = { stage: 'hello', reason: 'identity', detail, sent: false } as const;
      this.#report(connection, failure);
      outbound.failSoon(failure);
      return false;
    }
    connection.key = outbound.key;
    connection.reserved = outbound;
    session.identify(commands, heloOf(client));
    return true;
  }

  /** Where connections are not everybody's: one of the mail's own, before one that can be made so. Used last, first out. */
  #takeIdle(outbound: NextHopOutbound): NextHopConnection | undefined {
    const own = this.#idle.findLastIndex((one) => one.key === outbound.key);
    const at = own >= 0 ? own : this.#idle.findLastIndex((one) => this.#mayServe(one, outbound));
    return at < 0 ? undefined : this.#idle.splice(at, 1)[0];
  }

  /**
   * A connection that was a client's is never our own again; another client's it becomes where XCLIENT is still offered.
   * Postfix judges that by the address it was told last, and mostly offers it once.
   */
  #mayServe(connection: NextHopConnection, outbound: NextHopOutbound): boolean {
    if (connection.key === outbound.key) return true;
    if (this.identity !== 'xclient' || outbound.key === '') return false;
    return connection.key === '' || connection.session.hop.offers.has('XCLIENT');
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

  /** The first that waits, or the first that `connection` may serve. */
  #takeWaiting(connection?: NextHopConnection): NextHopOutbound | undefined {
    for (const outbound of this.#waiting) {
      if (connection !== undefined && !this.#mayServe(connection, outbound)) continue;
      this.#waiting.delete(outbound);
      this.deadlines.release(outbound.armed);
      return outbound;
    }
    return undefined;
  }

  /** As many connections as mails wait, within the cap. */
  #open(): void {
    while (this.#waiting.size > this.#opening) {
      if (this.#live.size > 0 && this.deadlines.nowMs < this.#holdUntilMs) return;
      if (!this.#hasPlace()) return;
      this.#connect(this.#options.security.mode, this.identity === 'proxy' ? this.#takeWaiting() : undefined);
    }
  }

  /** Idle ones while mails wait are other clients', and those mails cannot use them. */
  #hasPlace(): boolean {
    const [coldest] = this.#idle;
    const { connections } = this.#options.limits;
    if (this.#live.size >= connections && coldest !== undefined) this.#leave(coldest);
    return this.#live.size < connections;
  }

  #connect(tls: TlsMode, reserved: NextHopOutbound | undefined): void {
    this.#wake();
    this.#opened++;
    if (reserved === undefined) this.#opening++;
    const isProxy = this.identity === 'proxy';
    const client = isProxy ? reserved?.envelope.client : undefined;
    const key = isProxy ? (reserved?.key ?? '') : '';
    const connection = new NextHopConnection(this.#options, this, tls, client, key);
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
    this.#onFailed?.(failure);
    this.#log.failed(failure, connection.session.hop.name);
  }
}
