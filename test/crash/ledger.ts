/** Who was promised what, and what arrived. A key is one mail at one next hop. */
import { existsSync, readFileSync } from 'node:fs';

export interface Balance {
  /** Promised by a 250. */
  readonly accepted: number;
  readonly arrived: number;
  /** Promised, and nowhere. */
  readonly lost: readonly string[];
  /** Arrivals beyond the first of their key. */
  readonly duplicates: number;
  /** Arrived although no 250 reached the client: permitted. */
  readonly unpromised: number;
  /** Mails that did not arrive whole. */
  readonly broken: readonly string[];
}

export class Ledger {
  readonly #promised = new Set<string>();

  promise(token: string, hops: readonly string[]): void {
    for (const hop of hops) this.#promised.add(`${token}@${hop}`);
  }

  /** `files`: what each hop wrote, by its name. */
  balance(files: ReadonlyMap<string, string>): Balance {
    const arrivals = new Map<string, number>();
    const broken: string[] = [];
    for (const [hop, file] of files) {
      if (!existsSync(file)) continue;
      for (const line of readFileSync(file, 'latin1').split('\n')) {
        if (line.startsWith('broken')) broken.push(line);
        else if (line !== '') arrivals.set(`${line}@${hop}`, (arrivals.get(`${line}@${hop}`) ?? 0) + 1);
      }
    }
    const lost = [...this.#promised].filter((key) => !arrivals.has(key));
    let duplicates = 0;
    for (const count of arrivals.values()) duplicates += count - 1;
    return {
      accepted: this.#promised.size,
      arrived: arrivals.size,
      lost,
      duplicates,
      unpromised: [...arrivals.keys()].filter((key) => !this.#promised.has(key)).length,
      broken,
    };
  }
}
