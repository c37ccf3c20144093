import { MAX_NUMBER } from '../codec/index.ts';
import type { FlowState } from './received-flow.ts';

/**
 * Our own flow of one transaction: state, offsets, and the pause the peer may ask for (RFC 4037, sections 11.15 to
 * 11.17). Writes nothing itself. Misuse by its caller throws; nothing a peer does can make it throw.
 *
 * Only data is paused. What its caller sends while paused, and everything of the flow behind that, waits here in order
 * and goes out at DWM: a peer's pause must never lose octets, nor let the end of a message overtake them.
 */
export class SentFlow {
  #state: FlowState = 'idle';
  /** Offset of the next octet to send, those that wait counted. */
  nextOffset = 0;
  /** Octets written. */
  sent = 0;
  #isEndWritten = false;
  /** Octets at which the peer wants silence: the smallest of its pending DWP. */
  #stopAt = Number.POSITIVE_INFINITY;
  #isPaused = false;
  /** Hardly any peer asks for silence: there is no list before something waits. */
  #waiting: (() => void)[] | undefined;

  get state(): FlowState {
    return this.#state;
  }

  get isPaused(): boolean {
    return this.#isPaused;
  }

  get mustWait(): boolean {
    return this.#isPaused || this.#waiting !== undefined;
  }

  /** Octets sent of a message in progress, as PA and PR report them (section 11.23). */
  get inProgress(): number | undefined {
    return this.#state === 'idle' || this.#isEndWritten ? undefined : this.sent;
  }

  sendStart(): void {
    if (this.#state !== 'idle') throw new Error('the application message was started before');
    this.#state = 'open';
  }

  /** The offset for `size` more octets; `undefined` where the flow would become longer than any can be. */
  claim(size: number): number | undefined {
    if (this.#state !== 'open') throw new Error('data outside an application message');
    const offset = this.nextOffset;
    if (offset + size > MAX_NUMBER) return undefined;
    this.nextOffset = offset + size;
    return offset;
  }

  /** `size` octets were written. True if that reached a wanted pause: DPM is due. */
  sendData(size: number): boolean {
    this.sent += size;
    return this.#stopIfReached();
  }

  /** No more data will follow. The AME may have to wait. With `isRefusal` it needs no message before it. */
  sendEnd(isRefusal: boolean): void {
    if (this.#state === 'ended' || (this.#state === 'idle' && !isRefusal)) throw new Error('no message to end');
    this.#state = 'ended';
  }

  sendEndWritten(): void {
    this.#isEndWritten = true;
  }

  /** DWP. True if DPM is due now. */
  recvWantPause(offset: number): boolean {
    if (this.#isEndWritten) return false;
    this.#stopAt = Math.min(this.#stopAt, offset);
    return this.#stopIfReached();
  }

  /** DWM lifts the pause and every DWP before it. What waited goes out. */
  recvWantMore(): void {
    this.#stopAt = Number.POSITIVE_INFINITY;
    this.#isPaused = false;
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    for (const step of waiting) step();
  }

  wait(step: () => void): void {
    this.#waiting ??= [];
    this.#waiting.push(step);
  }

  /** The transaction is over. */
  drop(): void {
    this.#state = 'ended';
    this.#waiting = undefined;
  }

  #stopIfReached(): boolean {
    if (this.#isPaused || this.sent < this.#stopAt) return false;
    this.#isPaused = true;
    return true;
  }
}
