/**
 * The octets of contents on their way into the store: short ones go with their mail in one unit, long ones ahead of it,
 * portion by portion, so that no mail is ever whole in memory for this.
 */
import type { Log } from '../../base/index.ts';
import type { ContentWriter, NewContent, Store } from '../../store/index.ts';
import type { Content } from '../content/index.ts';

/** Up to here a content goes with its mail: a few of them fill a unit of the size that is written best. */
const MAX_TOGETHER = 256 * 1024;
/** One read from the spill file, one write to the store. */
const PORTION = 256 * 1024;

/** The contents of one unit. */
export class Intake {
  readonly #store: Pick<Store, 'writeContent'>;
  readonly #ahead: ContentWriter[] = [];

  constructor(store: Pick<Store, 'writeContent'>) {
    this.#store = store;
  }

  /** What `commit` takes. Octets that are in memory and few go with it; others are written now. */
  async take(id: string, content: Content): Promise<NewContent> {
    const octets = content.size > MAX_TOGETHER ? undefined : content.view(0, content.size);
    if (octets !== undefined) return { id, octets };
    const writer = this.#store.writeContent(id);
    this.#ahead.push(writer);
    await copy(content, writer);
    await writer.end();
    return { id, octets: 'written' };
  }

  /**
   * The unit failed and is not tried again: what was written ahead of it belongs to nobody. Of a content that a lost answer
   * bound after all nothing is touched. Never rejects: what cannot be discarded now goes when the store is closed.
   */
  async discard(log: Log, mail: string): Promise<void> {
    for (const writer of this.#ahead.splice(0)) {
      try {
        await writer.discard();
      } catch (error) {
        log.warn('spool.discard-failed', { mail, error: String(error) });
      }
    }
  }
}

async function copy(content: Content, writer: ContentWriter): Promise<void> {
  for (let at = 0; at < content.size; at += PORTION) {
    const portion = await load(content, at, Math.min(PORTION, content.size - at));
    for (const octets of portion) await writer.append(octets);
  }
}

export function load(content: Content, at: number, size: number): Promise<readonly Buffer[]> {
  return new Promise((resolve, reject) => {
    content.load(at, size, (error, octets) => {
      if (error === undefined) resolve(octets);
      else reject(error);
    });
  });
}
