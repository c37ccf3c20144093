/** The services of one server towards one connection: what is negotiated for them, and which of them a mail is for. */
import { type Deadlines, type Log, silentLog } from '../base/index.ts';
import { type CalloutEvents, type Result, type Structure, uriOf } from '../ocp/index.ts';
import {
  abilityOf,
  type Part,
  type PartWishes,
  RECEIVER_URI,
  SENDER_URI,
  type Selection,
  selectionOf,
  selectParts,
  serviceUris,
} from '../profile/index.ts';
import { failed } from './failed.ts';
import { HeldBudget } from './held.ts';
import { partsOf, type Service } from './service.ts';
import { type ServerTools, ServiceTransaction } from './transaction.ts';

export interface ServicesOptions {
  readonly log?: Log;
  readonly deadlines: Deadlines;
  /**
   * Octets of mails held in memory at most, over all connections: for services that want whole messages, for processors
   * that keep no copy, and between services of one group. A mail that finds no room fails, and may come again.
   */
  readonly maxHeldOctets?: number;
}

/** Ten mails of the usual largest size, read whole; see `maxHeldOctets`. */
const DEFAULT_MAX_HELD_OCTETS = 512 * 1024 * 1024;

/** What the last transaction was about, and what that came to: on most connections it is the same for all. */
interface Arrangement {
  readonly features: readonly Structure[];
  readonly group: readonly Structure[];
  readonly outcome: { readonly services: readonly Service[]; readonly selection: Selection } | Result;
}

/** Services by their URI, for any number of connections. */
export class ServiceSet {
  readonly #byUri = new Map<string, Service>();
  readonly #wishes: PartWishes;
  readonly #tools: ServerTools;

  /** Throws where two services have one URI. */
  constructor(services: readonly Service[], { log = silentLog, deadlines, maxHeldOctets }: ServicesOptions) {
    for (const service of services) {
      if (this.#byUri.has(service.uri)) throw new TypeError(`two services are called ${service.uri}`);
      this.#byUri.set(service.uri, service);
    }
    this.#wishes = wishesOf(services);
    this.#tools = { log, deadlines, budget: new HeldBudget(maxHeldOctets ?? DEFAULT_MAX_HELD_OCTETS) };
  }

  /** Octets of mails in memory now. */
  get heldOctets(): number {
    return this.#tools.budget.octets;
  }

  /** The handler of one connection. */
  connect({ onOutput, onEnd }: Pick<CalloutEvents, 'onOutput' | 'onEnd'>): CalloutEvents {
    let known: Arrangement | undefined;
    let told: string | undefined;
    /** Said once, though it is asked before the first mail and by each mail; again where another was asked for in between. */
    const lacks = (asked: string): void => {
      if (told === asked) return;
      told = asked;
      this.#tools.log.warn('service-unknown', { asked, here: [...this.#byUri.keys()].join(' ') });
    };
    return {
      onOffer: (features) => selectParts(features, this.#wishes),
      onAbilityQuery: (feature, named) =>
        abilityOf(feature, named, (uri) => {
          const isHere = this.#byUri.has(uri);
          if (!isHere) lacks(uri);
          return isHere;
        }),
      onTransaction: (transaction, group) => {
        const { features } = transaction;
        if (known?.features !== features || known.group !== group) {
          known = { features, group, outcome: this.#arrange(features, group, lacks) };
        }
        const { outcome } = known;
        if ('code' in outcome) return outcome;
        return new ServiceTransaction(transaction, outcome.services, outcome.selection, this.#tools);
      },
      onOutput,
      onEnd,
    };
  }

  #arrange(
    features: readonly Structure[],
    group: readonly Structure[],
    lacks: (uri: string) => void,
  ): Arrangement['outcome'] {
    const feature = features.findLast((one) => uriOf(one) === RECEIVER_URI || uriOf(one) === SENDER_URI);
    if (feature === undefined) return failed('no-profile');
    const services: Service[] = [];
    for (const uri of serviceUris(group)) {
      const service = this.#byUri.get(uri);
      if (service === undefined) {
        lacks(uri);
        return failed('service not here');
      }
      services.push(service);
    }
    if (services.length === 0) return failed('no service');
    return { services, selection: selectionOf(feature) };
  }
}

function wishesOf(services: readonly Service[]): PartWishes {
  const adaptive = new Set<Part>();
  const informative = new Set<Part>();
  for (const service of services) {
    const parts = partsOf(service);
    for (const part of parts.adaptive) adaptive.add(part);
    for (const part of parts.informative) informative.add(part);
  }
  return { adaptive: [...adaptive], informative: [...informative].filter((part) => !adaptive.has(part)) };
}
