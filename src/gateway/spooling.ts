/**
 * The gateway's spool: one for all configurations, as it owns the claims on the store. What it does with mail goes by the
 * configuration of the moment: routes, services, reports and notices of the present generation.
 */
import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { Deadlines } from '../base/index.ts';
import type { QueueAdmin } from './admin/port.ts';
import { StoreQueueAdmin } from './admin/queue-admin.ts';
import type { MemoryBudget } from './content/index.ts';
import { ReportDecider } from './dsn/index.ts';
import type { Generation } from './generation.ts';
import type { GatewayOptions, ServiceOptions } from './options.ts';
import type { DeliveryBook } from './record/deliveries.ts';
import { QueueAdaptation } from './spool/adaptation.ts';
import { type NoticeOptions, Notices } from './spool/notices.ts';
import { type NamedService, Reporter } from './spool/reporter.ts';
import { Spool } from './spool/spool.ts';
import type { SpoolWorld } from './spool/world.ts';

/** What a configuration does for stored mail. */
type Part = Pick<SpoolWorld, 'adapt' | 'reports' | 'notices'>;

/** `undefined` where there is no store. `current` is asked anew for each piece of work. */
export function makeSpool(
  options: GatewayOptions,
  deadlines: Deadlines,
  memory: MemoryBudget,
  book: DeliveryBook,
  current: () => Generation,
): Spool | undefined {
  const { store, queue, log, metrics } = options;
  if (store === undefined) return undefined;
  const parts = new WeakMap<Generation, Part>();
  const budgets = new Budgets(options);
  const part = (): Part => {
    const generation = current();
    let found = parts.get(generation);
    if (found === undefined) {
      found = makePart(generation, budgets);
      parts.set(generation, found);
    }
    return found;
  };
  return new Spool(queue, {
    store,
    get dispatcher() {
      return current().world.dispatcher;
    },
    relay: { open: (route, envelope, events) => current().world.relay.open(route, envelope, events) },
    reports: { make: (event) => part().reports.make(event) },
    get notices() {
      return part().notices;
    },
    adapt: {
      keyOf: (mail, delivery) => part().adapt.keyOf(mail, delivery),
      run: (job, done) => {
        // A reload would close the services under it, and their failure policy would fall on the mail.
        const letGo = current().hold();
        try {
          part().adapt.run(job, (result) => {
            letGo();
            done(result);
          });
        } catch (error) {
          letGo();
          throw error;
        }
      },
    },
    reviveServices: () => {
      for (const service of current().parts.services) service.revive();
    },
    book,
    memory,
    deadlines,
    wallClock: Date.now,
    random: Math.random,
    log,
    metrics,
  });
}

/** What operators do to what the spool answers for. */
export function makeQueueAdmin(
  { store, queue, log }: GatewayOptions,
  spool: Spool | undefined,
  book: DeliveryBook,
): QueueAdmin | undefined {
  if (store === undefined || spool === undefined) return undefined;
  const { lifetimeMs, keepMs } = queue;
  return new StoreQueueAdmin({ store, spool, book, wallClock: Date.now, log, lifetimeMs, keepMs });
}

/** What counts by the hour outlives a reload that leaves its settings as they are. */
class Budgets {
  #options: GatewayOptions;
  #decider: ReportDecider;
  #notices: Notices | undefined;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#decider = new ReportDecider(options.reports, options.log, options.metrics);
  }

  decider(options: GatewayOptions): ReportDecider {
    this.#use(options);
    return this.#decider;
  }

  notices(options: GatewayOptions): Notices {
    this.#use(options);
    this.#notices ??= new Notices(noticeOptions(options));
    return this.#notices;
  }

  #use(options: GatewayOptions): void {
    const isSame =
      isDeepStrictEqual(options.reports, this.#options.reports) &&
      isDeepStrictEqual(noticeOptions(options), noticeOptions(this.#options));
    this.#options = options;
    if (isSame) return;
    this.#decider = new ReportDecider(options.reports, options.log, options.metrics);
    this.#notices = undefined;
  }
}

function makePart({ options, world }: Generation, budgets: Budgets): Part {
  const { hostname, system, reports, limits, queue, listeners } = options;
  const reporter = new Reporter(budgets.decider(options), {
    hostname,
    system,
    reports,
    headerOctets: limits.headerOctets,
    lifetimeMs: queue.lifetimeMs,
    serviceOf: (name) => namedService(options.services, name),
    wallClock: Date.now,
    nonce: () => randomBytes(12).toString('hex'),
  });
  return {
    adapt: new QueueAdaptation({ ...world, spool: undefined }, listeners),
    reports: reporter,
    notices: queue.notice ? budgets.notices(options) : undefined,
  };
}

function noticeOptions({ hostname, system, reports, limits, queue }: GatewayOptions): NoticeOptions {
  return {
    hostname,
    contact: system.contact ?? `postmaster@${hostname}`,
    languages: reports.languages,
    headerOctets: limits.headerOctets,
    lifetimeMs: queue.lifetimeMs,
    perHour: reports.perSenderPerHour,
  };
}

function namedService(services: readonly ServiceOptions[], name: string): NamedService | undefined {
  const service = services.find((one) => one.name === name);
  return service && { uri: service.uri, isBypassable: service.bypassable !== 'never' };
}
