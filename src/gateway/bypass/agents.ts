/**
 * Which of our services a request names (RFC 3897 sections 4 and 4.3). Generous where it is not sure: a URI that differs in its query, in
 * the case of its host, or in how its octets are encoded is a match; the URI of the System means all its services; and one
 * that names nothing we know means all of them, too (REQ-062, REQ-065, REQ-066). So the only way to leave out one service and no
 * other is to name it. What may be left out at all is not judged here.
 */
import type { AgentUris } from './asked.ts';

export class Agents {
  readonly #system: string;
  /** With their queries, and without. */
  readonly #exact: ReadonlySet<string>;
  readonly #bare: ReadonlySet<string>;

  /** `services`: the URIs of those in the pipeline. */
  constructor(system: string, services: readonly string[]) {
    this.#system = bareUri(system);
    this.#exact = new Set(services.map(normalUri));
    this.#bare = new Set(services.map(bareUri));
  }

  /** Whether `asked` names the service of `uri`, which is one of ours. */
  isNamed(uri: string, asked: AgentUris): boolean {
    return asked === '*' || asked.some((one) => this.#names(one, uri));
  }

  #names(asked: string, uri: string): boolean {
    // Parameters behind a URI, as in a trace entry that somebody copied whole, name nothing.
    const forms = asked.includes(';') ? [asked, asked.slice(0, asked.indexOf(';'))] : [asked];
    const exact = forms.map(normalUri).find((form) => this.#exact.has(form));
    if (exact !== undefined) return exact === normalUri(uri);
    const bare = forms.map(bareUri).find((form) => form !== this.#system && this.#bare.has(form));
    return bare === undefined || bare === bareUri(uri);
  }
}

/** RFC 3986 section 6.2.2: equal where the URIs mean the same. */
function normalUri(uri: string): string {
  const plain = uri
    .replace(/#.*$/s, '')
    .replace(/%[0-9A-Fa-f]{2}/g, decoded)
    .replace(/\/+$/, '');
  const found = /^([^:]*:)(\/\/[^/?]*)?(.*)$/s.exec(plain);
  return found === null ? plain : `${found[1]?.toLowerCase()}${(found[2] ?? '').toLowerCase()}${found[3]}`;
}

function bareUri(uri: string): string {
  return normalUri(uri.replace(/[?#].*$/s, ''));
}

/** What stands for itself wherever it stands, and the two that our trace encodes (`,` and `;`). */
function decoded(octet: string): string {
  const char = String.fromCharCode(Number.parseInt(octet.slice(1), 16));
  return /[A-Za-z0-9\-._~,;]/.test(char) ? char : octet.toUpperCase();
}
