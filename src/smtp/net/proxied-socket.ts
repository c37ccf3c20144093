/**
 * An accepted socket whose first octets are a PROXY header: read before there is a session, within a deadline, by the one
 * reader the session then goes on with. Whoever fails gets no word: what it speaks is unknown.
 */
import type { Socket } from 'node:net';
import { Armed, type Deadline, type Deadlines, EMPTY } from '../../base/index.ts';
import { type OnOctets, readShared } from '../../base/net/index.ts';
import { connectionLimits } from '../limits.ts';
import { type ProxyHeader, takeProxyHeader } from '../proxy/proxy-header.ts';
import { readMemory } from '../scan/line-scan.ts';

export interface ProxiedSocketEvents {
  onHeader(proxied: ProxiedSocket, header: ProxyHeader): void;
  /** `rule`: which was broken; 'timeout' and 'gone' for those who sent none. The socket is closed. */
  onFailed(proxied: ProxiedSocket, rule: string): void;
}

export class ProxiedSocket implements Deadline {
  readonly socket: Socket;
  readonly #deadlines: Deadlines;
  readonly #events: ProxiedSocketEvents;
  readonly #armed = new Armed(this);
  #onOctets: OnOctets = (octets) => this.#onHead(octets);
  #head: Buffer = EMPTY;
  #isOver = false;

  /** `accepted` is paused. */
  constructor(accepted: Socket, deadlines: Deadlines, events: ProxiedSocketEvents) {
    this.#deadlines = deadlines;
    this.#events = events;
    deadlines.arm(this.#armed, connectionLimits.proxyMs);
    this.socket = accepted;
    readShared(accepted, readMemory, (octets) => this.#onOctets(octets));
    this.socket.on('error', ignore);
    this.socket.once('end', () => this.#fail('gone'));
    this.socket.once('close', () => this.#fail('gone'));
  }

  /** What came behind the header, once. The rest of it goes to `onOctets`. */
  handOver(onOctets: OnOctets): Buffer {
    this.#onOctets = onOctets;
    const rest = this.#head;
    this.#head = EMPTY;
    return rest;
  }

  onDeadline(): void {
    this.#fail('timeout');
  }

  destroy(): void {
    this.#end();
    this.socket.destroy();
  }

  #onHead(octets: Buffer): void {
    if (this.#isOver) return;
    this.#head = Buffer.concat([this.#head, octets]);
    const step = takeProxyHeader(this.#head);
    if (step.kind === 'more') return;
    if (step.kind === 'bad') {
      this.#fail(step.rule);
      return;
    }
    this.#head = this.#head.subarray(step.used);
    this.#end();
    this.socket.removeAllListeners();
    this.socket.on('error', ignore);
    this.#events.onHeader(this, step.value);
  }

  #fail(rule: string): void {
    if (this.#isOver) return;
    this.destroy();
    this.#events.onFailed(this, rule);
  }

  #end(): void {
    this.#isOver = true;
    this.#deadlines.release(this.#armed);
  }
}

function ignore(): void {}
