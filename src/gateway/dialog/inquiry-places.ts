/**
 * How many commands outside of mails services are asked about at a time, by all clients of a gateway and by one peer (decision 0059).
 * Greetings and look-ups have as many places each: no crowd of VRFY can keep anybody from saying EHLO. One gateway has one of
 * these, whatever its configurations.
 */
import type { TextPart } from '../../profile/index.ts';
import { PeerCounts } from '../../smtp/index.ts';
import type { GatewayLimits } from '../options.ts';

type PlaceLimits = Pick<GatewayLimits, 'inquiries' | 'inquiriesPerPeer'>;

export class InquiryPlaces {
  readonly #greetings: Places;
  readonly #lookUps: Places;

  constructor(limits: PlaceLimits) {
    this.#greetings = new Places(limits);
    this.#lookUps = new Places(limits);
  }

  /** Who is in already stays. */
  resize(limits: PlaceLimits): void {
    this.#greetings.resize(limits);
    this.#lookUps.resize(limits);
  }

  /** False where there is no place; else `leave` follows, once. `peer`: as `peerOf` has it. */
  enter(part: TextPart, peer: string): boolean {
    return this.#of(part).enter(peer);
  }

  leave(part: TextPart, peer: string): void {
    this.#of(part).leave(peer);
  }

  #of(part: TextPart): Places {
    return part === 'VRFY' || part === 'EXPN' ? this.#lookUps : this.#greetings;
  }
}

class Places {
  readonly #peers: PeerCounts;
  #max: number;
  #taken = 0;

  constructor({ inquiries, inquiriesPerPeer }: PlaceLimits) {
    this.#max = inquiries;
    this.#peers = new PeerCounts(inquiriesPerPeer);
  }

  resize({ inquiries, inquiriesPerPeer }: PlaceLimits): void {
    this.#max = inquiries;
    this.#peers.max = inquiriesPerPeer;
  }

  enter(peer: string): boolean {
    if (this.#taken >= this.#max || !this.#peers.add(peer)) return false;
    this.#taken++;
    return true;
  }

  leave(peer: string): void {
    this.#taken--;
    this.#peers.remove(peer);
  }
}
