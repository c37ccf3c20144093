/** A spool that keeps what it is given in memory, octets and all, and can be told to fail. */
import type { Content } from '../../src/gateway/content/index.ts';
import type { Acceptance, SpoolPort, SpoolVariant } from '../../src/gateway/spool/port.ts';

export interface Taken extends Omit<SpoolVariant, 'content'> {
  readonly octets: Buffer;
  readonly to: readonly string[];
  readonly fates: readonly string[];
}

export class RecordingSpool implements SpoolPort {
  readonly mode: 'inline' | 'spool';
  readonly taken: Taken[] = [];
  readonly ids: string[] = [];
  isFull = false;
  hasNotice = true;
  fails: Error | undefined;
  disposed = 0;

  constructor(mode: 'inline' | 'spool' = 'inline') {
    this.mode = mode;
  }

  accept(acceptance: Acceptance, done: (error: Error | undefined) => void): void {
    setImmediate(() => {
      if (this.fails === undefined) {
        this.ids.push(acceptance.id);
        for (const { content, ...variant } of acceptance.variants)
          this.taken.push({
            ...variant,
            octets: octetsOf(content),
            to: variant.recipients.map(({ argument }) => argument),
            fates: variant.recipients.map(({ fate }) => fate.kind),
          });
      }
      done(this.fails);
      if (this.fails === undefined) {
        acceptance.dispose();
        this.disposed++;
      }
    });
  }
}

export function octetsOf(content: Content): Buffer {
  return Buffer.concat(content.view(0, content.size) ?? []);
}
