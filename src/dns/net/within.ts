/** A wait with an end: what has not come by then is `late`, and whatever comes of it later goes nowhere. */
import type { Domain } from '../names.ts';
import type { RecordType } from '../records.ts';
import type { Resolve, Resolved } from '../resolver.ts';

export function within<T>(ms: number, awaited: Promise<T>, late: T): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(late), ms);
    awaited.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** A question has a deadline; an alias leads to more questions, so all of them together get one too. */
export function resolveWithin(ms: number, resolver: Resolve): Resolve {
  return {
    resolve<T extends RecordType>(name: Domain, type: T): Promise<Resolved<T>> {
      return within<Resolved<T>>(ms, resolver.resolve(name, type), {
        kind: 'failed',
        detail: `${type} ${name}: too slow`,
      });
    },
  };
}
