/** What a batch adds to the counters. Counted unit by unit: one that fails adds nothing. */
import type { Ending } from './ports.ts';

export type Counted = 'accepted' | Ending | 'octets';

export class Tally {
  readonly sums: Record<Counted, number> = {
    accepted: 0,
    delivered: 0,
    reported: 0,
    excepted: 0,
    removed: 0,
    octets: 0,
  };

  add(name: Counted, by: number): void {
    this.sums[name] += by;
  }
}
