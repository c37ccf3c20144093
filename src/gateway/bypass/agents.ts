/**
 * Which of our services a request names (RFC 3897 sections 4 and 4.3). Generous where it is not sure: a URI that differs in its query, in
 * the case of its host, or in how its octets are encoded is a match; the URI of the System means all its services; and one
 * that names nothing we know means all of them, too (REQ-062, REQ-065, REQ-066). So the only way to leave out one service and no
 * other is to name it. What may be left out at all is not judged here.
 */
import type { AgentUris } from './asked.ts';

/** All our services, or those of these URIs as the configuration has them. */
export type Named = '*' | ReadonlySet<string>;

export class Agents {
  readonly #system: string;
  /** Services by their URI, with its query and without. */
  readonly #exact = new Map<string, readonly string[]>();
  readonly #bare = new Map<string, readonly string[]>();

  readonly #builtOn: ReadonlyMap<string, readonly string[]>;

  /** `services`: the URIs of those in the pipeline. `builtOn`: by such a URI, those of services that are no use without it (REQ-079). */
  constructor(system: string, services: readonly string[], builtOn: ReadonlyMap<string, readonly string[]> = NONE) {
    this.#system = bareUri(system);
    this.#builtOn = builtOn;
    for (const uri of services) {
      add(this.#exact, normalUri(uri), uri);
      add(this.#bare, bareUri(uri), uri);
    }
  }

  /** Asked once for a request, not for each service: URIs come from anybody, and many at a time. */
  named(asked: AgentUris): Named {
    if (asked === '*') return '*';
    const all = new Set<string>();
    for (const one of asked) {
      const found = this.#find(one);
      if (found === undefined) return '*';
      for (const uri of found) for (const each of [uri, ...(this.#builtOn.get(uri) ?? [])]) all.add(each);
    }
    return all;
  }

  #find(asked: string): readonly string[] | undefined {
    // Parameters behind a URI, as in a trace entry that somebody copied whole, name nothing.
    const forms = asked.includes(';') ? [asked, asked.slice(0, asked.indexOf(';'))] : [asked];
    for (const form of forms) {
      const exact = this.#exact.get(normalUri(form));
      if (exact !== undefined) return exact;
    }
    for (const form of forms.map(bareUri)) {
      const bare = form === this.#system ? undefined : this.#bare.get(form);
      if (bare !== undefined) return bare;
    }
    return undefined;
  }
}

const NONE: ReadonlyMap<string, readonly string[]> = new Map();

export function joinNamed(one: Named | undefined, other: Named): Named {
  if (one === undefined) return other;
  return one === '*' || other === '*' ? '*' : new Set([...one, ...other]);
}

function add(to: Map<string, readonly string[]>, key: string, uri: string): void {
  to.set(key, [...(to.get(key) ?? []), uri]);
}

/** RFC 3986 section 6.2.2: equal where the URIs mean the same. */
function normalUri(uri: string): string {
  const plain = withoutSlashes(uri.replace(/#.*$/s, '').replace(/%[0-9A-Fa-f]{2}/g, decoded));
  const found = /^([^:]*:)(\/\/[^/?]*)?(.*)$/s.exec(plain);
  return found === null ? plain : `${found[1]?.toLowerCase()}${(found[2] ?? '').toLowerCase()}${found[3]}`;
}

/** Without those at its end. No `/\/+$/`: that looks at a row of slashes once for each of them, and strangers write URIs. */
function withoutSlashes(uri: string): string {
  let end = uri.length;
  while (end > 0 && uri[end - 1] === '/') end--;
  return uri.slice(0, end);
}

function bareUri(uri: string): string {
  return normalUri(uri.replace(/[?#].*$/s, ''));
}

/** What stands for itself wherever it stands, and the two that our trace encodes (`,` and `;`). */
function decoded(octet: string): string {
  const char = String.fromCharCode(Number.parseInt(octet.slice(1), 16));
  return /[A-Za-z0-9\-._~,;]/.test(char) ? char : octet.toUpperCase();
}
