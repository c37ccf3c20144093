/**
 * Maps of texts as rules see them: names in any case, and a name that is not there reads as `''`, so that
 * `message.headers['list-id'].contains('x')` is false for a mail without that field and not an error.
 */
export class TextMap extends Map<string, string> {
  constructor(entries?: Iterable<readonly [string, string]>) {
    super();
    for (const [name, value] of entries ?? []) this.set(name.toLowerCase(), value);
  }

  override get(name: string): string {
    return super.get(String(name).toLowerCase()) ?? '';
  }

  /** The same names, asked whether they are there: what `in` sees. */
  present(): Map<string, string> {
    return new PresentMap(this.entries());
  }
}

class PresentMap extends Map<string, string> {
  override get(name: string): string | undefined {
    return super.get(String(name).toLowerCase());
  }
}

// cel-js knows a map by its constructor being `Map` itself, not a class made from it.
for (const type of [TextMap, PresentMap]) Object.defineProperty(type.prototype, 'constructor', { value: Map });
