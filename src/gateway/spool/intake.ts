/**
 * The octets of contents on their way into the store: short ones go with their mail in one unit, long ones ahead of it,
 * portion by portion, so that no mail is ever whole in memory for this.
 */
import type { ContentWriter, NewContent, Store } from '../../store/index.ts';
import type { Content } from '../content/index.ts';

/** Up to here a content goes with its mail: a few of them fill a unit of the size that is written best. */
const MAX_TOGETHER = 256 * 1024;
/** One read from the spill file, one write to the store. */
const PORTION = 256 * 1024;

/** What `commit` takes, at once where the octets are in memory. */
export function contentInMemory(id: string, content: Content): NewContent | undefined {
  if (content.size > MAX_TOGETHER) return undefined;
  const octets = content.view(0, content.size);
  return octets === undefined ? undefined : { id, octets };
}

/** Writes the octets ahead of the unit. Where it rejects, nothing of them stays. */
export async function writeAhead(store: Store, id: string, content: Content): Promise<NewContent> {
  const writer = store.writeContent(id);
  try {
    await copy(content, writer);
    await writer.end();
  } catch (error) {
    await writer.discard();
    throw error;
  }
  return { id, octets: 'written' };
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
