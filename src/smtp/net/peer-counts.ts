import { plainAddress } from '../ip-address.ts';

/**
 * What stands for the address of whoever connects to a Unix socket: it has none. Configurations name it so where they list
 * networks, and no proxy can say it of a client (decision 0057).
 */
export const UNIX_PEER = 'unix';

/** How many connections each peer has, or whatever else is counted by peers. A peer is an IPv4 address or an IPv6 /64, which is what one customer gets. */
export class PeerCounts {
  readonly #counts = new Map<string, number>();
  /** May change; who is there already stays. */
  max: number;

  constructor(max: number) {
    this.max = max;
  }

  /** Counts one more, unless the peer has as many as it may. All of a Unix socket would be one: they are not counted. */
  add(peer: string): boolean {
    if (peer === UNIX_PEER) return true;
    const count = this.#counts.get(peer) ?? 0;
    if (count >= this.max) return false;
    this.#counts.set(peer, count + 1);
    return true;
  }

  /** One of `peer` is gone. */
  remove(peer: string): void {
    const count = this.#counts.get(peer) ?? 0;
    if (count > 1) this.#counts.set(peer, count - 1);
    else this.#counts.delete(peer);
  }

  get size(): number {
    return this.#counts.size;
  }
}

/** What an address is counted under. Proxies, too, may know an IPv4 client by a dual-stack socket of theirs. */
export function peerOf(address: string): string {
  const plain = plainAddress(address);
  if (!plain.includes(':')) return plain;
  const [head = '', tail] = plain.toLowerCase().split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? 0 : 8 - left.length - right.length;
  const groups = [...left, ...Array<string>(Math.max(0, zeros)).fill('0'), ...right];
  return `${groups.slice(0, 4).join(':')}::/64`;
}
