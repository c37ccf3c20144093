import type { Socket } from 'node:net';
import { Armed, type Deadline, type Deadlines, type Log } from '../../base/index.ts';
import { type Outbox, type Result, Scratch } from '../codec/index.ts';
import { type ConnectionEnd, failure } from '../flow/result.ts';
import type { TimerKind } from '../negotiation/connection.ts';
import { ticker } from './ticker.ts';
import { DEFAULT_TIMEOUTS } from './timeouts.ts';
import type { ChannelTimeouts } from './types.ts';

/** What either agent is to its socket. */
export interface ShellAgent {
  readonly outbox: Outbox;
  readonly isEnded: boolean;
  start(): void;
  recv(chunk: Buffer): void;
  transportEnded(reason: string): void;
  drained(): void;
  onTimer(kind: TimerKind): void;
  close(result?: Result): void;
}

export interface ShellSettings {
  /** When output leaves: once a turn of the event loop, or also at the end of each read. */
  readonly flush: 'turn' | 'read';
  readonly timeouts: ChannelTimeouts | undefined;
  readonly deadlines: Deadlines | undefined;
  readonly log: Log | undefined;
  readonly onClosed: () => void;
}

/**
 * Output that may wait although the peer does not read. Data stops far below it, so more than this is answers to a flood
 * of queries: then we stop reading too, until the peer takes some.
 */
const MAX_UNREAD_OCTETS = 1024 * 1024;

/** Probes of the operating system on quiet connections find hosts that vanished. */
const KEEP_ALIVE_MS = 60_000;

/** Writing is over before anything else happens, so that all connections share it. */
const scratch = new Scratch();

type TimerName = TimerKind | 'connect' | 'write' | 'close';

class ShellTimer implements Deadline {
  readonly armed = new Armed(this);
  readonly #name: TimerName;
  readonly #shell: SocketShell;

  constructor(name: TimerName, shell: SocketShell) {
    this.#name = name;
    this.#shell = shell;
  }

  onDeadline(): void {
    this.#shell.onTimer(this.#name);
  }
}

/*
 *   connecting ---> open ---> closing: the agent ended, CE is on its way ---> closed
 *            \________\______________________________________________________^
 */
type State = 'connecting' | 'open' | 'closing' | 'closed';

/**
 * One socket and its agent: moves octets both ways, counts the deadlines, ends one when the other has ended. Output is
 * collected for a turn of the event loop and leaves in one write; while the socket has not taken that, only collect:
 * batches grow by themselves under load, and the agent's turns stop when they are large enough.
 */
export class SocketShell {
  readonly #socket: Socket;
  readonly #agent: ShellAgent;
  readonly #settings: ShellSettings;
  readonly #timeouts: Required<ChannelTimeouts>;
  readonly #deadlines: Deadlines;
  readonly #timers = new Map<TimerName, ShellTimer>();
  #state: State = 'connecting';
  #isFlushDue = false;
  #isReading = false;
  #mustDrain = false;

  constructor(socket: Socket, agent: ShellAgent, settings: ShellSettings) {
    this.#socket = socket;
    this.#agent = agent;
    this.#settings = settings;
    this.#timeouts = { ...DEFAULT_TIMEOUTS, ...settings.timeouts };
    this.#deadlines = settings.deadlines ?? ticker.acquire();
    socket.on('drain', () => this.#onDrain());
    socket.on('end', () => this.#onPeerClosed());
    socket.on('error', (error: NodeJS.ErrnoException) => this.#lost(error.code ?? error.message));
    socket.on('close', () => this.#onClosed());
    this.#arm('connect', this.#timeouts.connectMs);
  }

  /** The transport is up: speak. */
  open(): void {
    if (this.#state !== 'connecting') return;
    this.#state = 'open';
    this.#disarm('connect');
    this.#socket.setNoDelay(true);
    this.#socket.setKeepAlive(true, KEEP_ALIVE_MS);
    this.#arm('negotiation', this.#timeouts.negotiationMs);
    this.#arm('silence', this.#timeouts.silenceMs);
    this.#arm('stall', this.#timeouts.stallMs / 2);
    this.#arm('idle', this.#timeouts.idleMs);
    this.#agent.start();
  }

  /** The agent has output. */
  onOutput(): void {
    if (this.#isFlushDue || (this.#isReading && this.#settings.flush === 'read')) return;
    this.#isFlushDue = true;
    setImmediate(() => {
      this.#isFlushDue = false;
      this.#flush();
    });
  }

  /** The agent ended. What it still says goes out; then its peer has a bounded time to read that and close. */
  onEnd(end: ConnectionEnd): void {
    if (this.#state === 'closed') return;
    const wasOpen = this.#state === 'open';
    this.#state = 'closing';
    for (const timer of this.#timers.values()) this.#deadlines.release(timer.armed);
    if (!wasOpen || end.by === 'transport') {
      this.#socket.destroy();
      return;
    }
    this.#write();
    this.#socket.end();
    this.#socket.resume(); // what still comes is discarded
    this.#arm('close', Math.max(1, this.#timeouts.closeMs));
  }

  /** Ends it without a word. */
  destroy(reason: string): void {
    this.#lost(reason);
  }

  onTimer(name: TimerName): void {
    switch (name) {
      case 'connect':
        this.#lost('connect-timeout');
        break;
      case 'write':
        this.#lost('peer-does-not-read');
        break;
      case 'close':
        this.#socket.destroy();
        break;
      case 'negotiation':
        this.#onAgentTimer(name, this.#timeouts.negotiationMs);
        break;
      case 'silence':
        this.#onAgentTimer(name, this.#timeouts.silenceMs);
        break;
      case 'stall':
        this.#onAgentTimer(name, this.#timeouts.stallMs / 2);
        break;
      case 'idle':
        this.#onAgentTimer(name, this.#timeouts.idleMs);
    }
  }

  #onAgentTimer(kind: TimerKind, againMs: number): void {
    try {
      this.#agent.onTimer(kind);
    } catch (error) {
      this.#handlerFailed(error);
    }
    if (this.#state === 'open') this.#arm(kind, againMs);
  }

  /** Octets came in. The chunk is not looked at any more after the call. */
  recv(chunk: Buffer): void {
    if (this.#state !== 'open') return;
    this.#isReading = true;
    try {
      this.#agent.recv(chunk);
    } catch (error) {
      this.#handlerFailed(error);
    }
    this.#isReading = false;
    if (this.#settings.flush === 'read') this.#flush();
    if (this.#mustDrain && this.#agent.outbox.pendingOctets > MAX_UNREAD_OCTETS) this.#socket.pause();
  }

  #flush(): void {
    if (this.#state !== 'open' || this.#mustDrain) return;
    if (!this.#write()) {
      this.#mustDrain = true;
      this.#arm('write', this.#timeouts.silenceMs * 2);
      return;
    }
    this.#goOn();
  }

  #onDrain(): void {
    if (this.#state !== 'open') return;
    this.#mustDrain = false;
    this.#disarm('write');
    this.#socket.resume();
    this.#flush();
  }

  /** There is room again: whoever waits for a turn may have it. */
  #goOn(): void {
    try {
      this.#agent.drained();
    } catch (error) {
      this.#handlerFailed(error);
    }
  }

  /** True if the socket wants more. */
  #write(): boolean {
    const buffers = this.#agent.outbox.take(scratch);
    if (buffers.length === 0) return true;
    const socket = this.#socket;
    let wantsMore = true;
    if (buffers.length > 1) socket.cork();
    for (const buffer of buffers) wantsMore = socket.write(buffer);
    if (buffers.length > 1) socket.uncork();
    // Nothing left to write: the system has its copy of all of it, or there is no socket to write it to any more.
    scratch.giveBack(socket.writableLength > 0);
    return wantsMore;
  }

  #onPeerClosed(): void {
    if (this.#state === 'closing') this.#socket.destroySoon();
    else this.#lost('closed-by-peer');
  }

  #lost(reason: string): void {
    if (!this.#agent.isEnded) this.#agent.transportEnded(reason);
    this.#socket.destroy();
  }

  #onClosed(): void {
    if (this.#state === 'closed') return;
    if (!this.#agent.isEnded) this.#agent.transportEnded('connection-lost');
    this.#state = 'closed';
    for (const timer of this.#timers.values()) this.#deadlines.release(timer.armed);
    if (this.#settings.deadlines === undefined) ticker.release();
    this.#settings.onClosed();
  }

  /** A bug above: this connection cannot go on, the others can. */
  #handlerFailed(error: unknown): void {
    const { log } = this.#settings;
    this.#agent.close(failure('internal-error'));
    if (log !== undefined) log.error('ocp.handler-failed', { error: String(error) });
    else {
      setImmediate(() => {
        throw error;
      });
    }
  }

  #arm(name: TimerName, inMs: number): void {
    if (inMs <= 0) return;
    let timer = this.#timers.get(name);
    if (timer === undefined) {
      timer = new ShellTimer(name, this);
      this.#timers.set(name, timer);
    }
    this.#deadlines.arm(timer.armed, inMs);
  }

  #disarm(name: TimerName): void {
    const timer = this.#timers.get(name);
    if (timer !== undefined) this.#deadlines.disarm(timer.armed);
  }
}
