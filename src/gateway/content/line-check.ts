/**
 * Whether content holds a bare CR or LF (RFC 5321 section 2.3.8). The client's content was checked on its way in; what
 * services made of it is checked here before anybody else sees it, or a service could smuggle a second mail past the
 * next hop.
 */
import { NewlineCheck } from '../../smtp/index.ts';
import type { Content } from './content.ts';

/** Lines are the listener's business; only line ends are judged here. */
const ANY_LENGTH = Number.MAX_SAFE_INTEGER;
const PORTION = 64 * 1024;

export function hasBareNewline(content: Content, done: (error: Error | undefined, has: boolean) => void): void {
  const check = new NewlineCheck(ANY_LENGTH);
  const isBroken = (octets: readonly Buffer[]): boolean =>
    octets.some((chunk) => check.next(chunk, 0, chunk.length) !== undefined);
  const step = (at: number): void => {
    let offset = at;
    while (offset < content.size) {
      const size = Math.min(PORTION, content.size - offset);
      const views = content.view(offset, size);
      if (views === undefined) {
        content.load(offset, size, (error, octets) => {
          if (error !== undefined) done(error, true);
          else if (isBroken(octets)) done(undefined, true);
          else step(offset + size);
        });
        return;
      }
      if (isBroken(views)) {
        done(undefined, true);
        return;
      }
      offset += size;
    }
    done(undefined, check.isAfterCr);
  };
  step(0);
}
