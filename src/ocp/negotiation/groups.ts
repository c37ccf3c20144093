import type { Structure } from '../codec/index.ts';
import type { ConnectionRule } from '../flow/rules.ts';

/** A list of services under an identifier (RFC 4037, section 11.3), with the features in force for it alone. */
export class ServiceGroup {
  readonly id: number;
  readonly services: readonly Structure[];
  /** Replaced, never changed: a transaction keeps what it found when it started. */
  enabled: readonly Structure[] = [];

  constructor(id: number, services: readonly Structure[]) {
    this.id = id;
    this.services = services;
  }
}

/**
 * The groups one agent created; "my" identifiers make a name space of each agent. An identifier is never created
 * twice, and each is greater than those before (section 10.2).
 */
export class ServiceGroups {
  readonly #groups = new Map<number, ServiceGroup>();
  readonly #max: number;
  #last = -1;

  constructor(max: number) {
    this.#max = max;
  }

  find(id: number): ServiceGroup | undefined {
    return this.#groups.get(id);
  }

  all(): Iterable<ServiceGroup> {
    return this.#groups.values();
  }

  create(id: number, services: readonly Structure[]): ConnectionRule | undefined {
    if (id <= this.#last) return 'group-id-not-greater';
    if (this.#groups.size >= this.#max) return 'too-many-groups';
    this.#last = id;
    this.#groups.set(id, new ServiceGroup(id, services));
    return undefined;
  }

  /** Running transactions keep what they took from the group. */
  destroy(id: number): ConnectionRule | undefined {
    return this.#groups.delete(id) ? undefined : 'inactive-group';
  }
}
