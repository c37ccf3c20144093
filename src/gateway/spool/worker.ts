/**
 * The work on mail that is stored and claimed, in lanes: services for what waits for them, next hops for what is ready, and
 * what has its end already. What comes of it goes to `ends.ts`.
 */
import type { Reply } from '../../smtp/index.ts';
import type { NewMail, StoredMail } from '../../store/index.ts';
import { Content, FixedOctets } from '../content/index.ts';
import { type QueueOptions, type RouteOptions, showNextHop } from '../options.ts';
import { destinationOf } from '../relay/destination.ts';
import { Adapting } from './adapting.ts';
import { nextTryMs } from './backoff.ts';
import { isReadable } from './damage.ts';
import { Destinations } from './destinations.ts';
import { type Case, type DeliveryKey, Ends } from './ends.ts';
import { spoolReplies } from './replies.ts';
import { deliveryAsSent, mailAsSent, notesOf, type QueuedDelivery, storedDeliveries, storedMail } from './rows.ts';
import { groupBy, Lease, type Outcome, type Task } from './task.ts';
import { Transaction, type TransactionResult } from './transaction.ts';
import type { SpoolWorld } from './world.ts';

export interface WorkerEvents {
  /** A piece of work has ended, and none is left. */
  onIdle(): void;
  /** Something in the store has become due. */
  onWork(): void;
  /** Claimed by us, and nobody works on them any more. */
  onLeft(deliveries: readonly DeliveryKey[]): void;
}

export class Worker {
  readonly #options: QueueOptions;
  readonly #world: SpoolWorld;
  readonly #events: WorkerEvents;
  readonly #places: Destinations;
  readonly #ends: Ends;
  readonly #adapting: Adapting;
  readonly #running = new Map<Task, Transaction>();
  /** What we work on. Where a lease could not be renewed in time the store hands it out once more, and we do not take it twice. */
  readonly #mine = new Set<string>();
  /** Handed out once more nevertheless: by a lease that ended, or between a commit and its answer. */
  readonly #again = new Set<string>();
  #isClosing = false;

  constructor(options: QueueOptions, world: SpoolWorld, events: WorkerEvents) {
    this.#options = options;
    this.#world = world;
    this.#events = events;
    this.#ends = new Ends(options, world, {
      onStored: (deliveries) => this.#letGo(deliveries),
      onNew: (mails) => this.takeNew(mails),
      onIdle: () => this.#maybeIdle(),
    });
    this.#adapting = new Adapting(world, this.#ends, {
      onStored: (deliveries) => this.#letGo(deliveries),
      onWork: () => events.onWork(),
      onIdle: () => this.#maybeIdle(),
    });
    this.#places = new Destinations(
      options,
      (task) => this.#run(task),
      (task, untilMs) => this.#defer(task, untilMs),
    );
  }

  /** Transactions, and runs through services, under way or waiting. */
  get load(): number {
    return this.#places.waiting + this.#places.active + this.#adapting.load;
  }

  get isIdle(): boolean {
    return this.load === 0 && this.#adapting.isIdle && this.#ends.isIdle;
  }

  isUnderWay(delivery: DeliveryKey): boolean {
    return this.#mine.has(keyOf(delivery));
  }

  /** All that is ours: waiting, under way, and what the store would not take an end of. */
  underWay(): readonly DeliveryKey[] {
    return Array.from(this.#mine, deliveryOf);
  }

  /** What waits goes back to the store; what is under way ends. */
  close(): void {
    this.#isClosing = true;
    for (const task of this.#places.takeWaiting()) task.lease.give();
    this.#adapting.close();
  }

  abort(): void {
    this.#ends.abort();
    this.#adapting.abort();
    for (const [task, transaction] of this.#running) {
      transaction.abort();
      this.#places.free(task, false, this.#world.wallClock());
      task.lease.give();
    }
    this.#running.clear();
  }

  /** An operator wants everything tried now. */
  revive(): void {
    this.#places.revive();
  }

  /** Deliveries of one mail with one content. `lease` is the caller's. What is under way already is left alone. */
  take(mail: StoredMail, claimed: readonly QueuedDelivery[], content: Content, lease: Lease): void {
    const deliveries = this.#newOf(claimed);
    const lanes = groupBy(deliveries, (one) => laneOf(mail, one));
    const damaged = lanes.get('damaged');
    if (damaged !== undefined)
      this.#ends.fault(caseAtRest(mail, damaged, content), 'a row that cannot be read', lease.take());
    const refused = lanes.get('refused');
    if (refused !== undefined) {
      const outcomes = refused.map(refusedAtEntry);
      this.#ends.end(caseAtRest(mail, refused, content), outcomes, lease.take());
    }
    const held = lanes.get('held');
    if (held !== undefined) this.#ends.endHeld(mail, held);
    const adapt = lanes.get('adapt');
    if (adapt !== undefined) {
      const about = caseAtRest(mail, adapt, content);
      this.#attempt(about, lease, () => this.#adapting.take(about, lease));
    }
    const relay = lanes.get('relay');
    if (relay !== undefined) {
      const about = caseAtRest(mail, relay, content);
      this.#attempt(about, lease, () => this.#relay(about, lease));
    }
  }

  /** What is claimed and cannot be worked on: tried later, or reported where its time is over. */
  fault(mail: StoredMail, claimed: readonly QueuedDelivery[], content: Content, error: unknown): void {
    const deliveries = this.#newOf(claimed);
    if (deliveries.length === 0) return;
    this.#ends.fault(caseAtRest(mail, deliveries, content), error, new Lease(() => undefined));
  }

  /** A fault of ours while these deliveries are begun is theirs alone. `work` throws before it has begun any of them. */
  #attempt(about: Case, lease: Lease, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#ends.fault(about, error, lease.take());
    }
  }

  // --- to the next hop ----------------------------------------------------------------------------------------------

  #relay({ mail, deliveries, content }: Case, lease: Lease): void {
    const { dispatcher, wallClock } = this.#world;
    const groups: (Omit<Task, 'route' | 'lease'> & { readonly route: RouteOptions | undefined })[] = [];
    // One reverse-path, and one destination: what one transaction can serve.
    for (const same of groupBy(deliveries, (one) => JSON.stringify(notesOf(one).rewritten?.from)).values()) {
      const sent = mailAsSent(mail, same[0] as QueuedDelivery);
      const byPlace = groupBy(same.map(deliveryAsSent), (one) => destinationOf(dispatcher, one.destination));
      for (const [destination, group] of byPlace) {
        const route = dispatcher.routeOf(group[0]?.destination ?? '');
        groups.push({ mail: sent, deliveries: group, route, destination, content });
      }
    }
    for (const { route, ...group } of groups) {
      if (route !== undefined) this.#places.push({ ...group, route, lease: lease.take() }, wallClock());
      else {
        const outcomes = group.deliveries.map((): Outcome => ({ kind: 'later', reply: spoolReplies.noRoute }));
        this.#ends.end(caseAtRest(group.mail, group.deliveries, content), outcomes, lease.take());
      }
    }
  }

  #run(task: Task): void {
    const transaction = new Transaction(
      this.#world.relay,
      task,
      (result) => this.#ran(task, result),
      (error) => this.#ranInto(task, error),
    );
    this.#running.set(task, transaction);
    try {
      transaction.start();
    } catch (error) {
      transaction.abort();
      this.#ranInto(task, error);
    }
  }

  #ranInto(task: Task, error: unknown): void {
    this.#running.delete(task);
    this.#ends.fault(caseOf(task), error, task.lease);
    this.#places.free(task, false, this.#world.wallClock());
  }

  #ran(task: Task, { outcomes, isUnreachable }: TransactionResult): void {
    this.#running.delete(task);
    this.#ends.end(caseOf(task), outcomes, task.lease);
    this.#places.free(task, isUnreachable, this.#world.wallClock());
  }

  /** The destination is known to be down: no try is made, and none is counted. */
  #defer(task: Task, untilMs: number): void {
    const { wallClock, random } = this.#world;
    const atMs = Math.max(untilMs, nextTryMs(1, wallClock(), this.#options, random()));
    const outcomes = task.deliveries.map((): Outcome => ({ kind: 'later', reply: spoolReplies.down, atMs }));
    this.#ends.end(caseOf(task), outcomes, task.lease);
  }

  // --- our own mails --------------------------------------------------------------------------------------------------

  /** Short mails of our own, just stored. Who closes leaves them to the next start. */
  takeNew(mails: readonly NewMail[]): void {
    if (this.#isClosing) return;
    for (const row of mails) {
      const content = new Content();
      for (const { octets } of row.contents) {
        if (octets === 'written') continue;
        for (const chunk of octets) {
          const fixed = new FixedOctets(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
          content.append(fixed, 0, fixed.size);
        }
      }
      this.take(storedMail(row), storedDeliveries(row), content, new Lease(() => undefined));
    }
  }

  /** From now on they are ours. */
  #newOf(claimed: readonly QueuedDelivery[]): readonly QueuedDelivery[] {
    return claimed.filter((one) => {
      const key = keyOf(one);
      const isOurs = this.#mine.has(key);
      (isOurs ? this.#again : this.#mine).add(key);
      return !isOurs;
    });
  }

  #letGo(deliveries: readonly DeliveryKey[]): void {
    const left = deliveries.filter((one) => {
      this.#mine.delete(keyOf(one));
      return this.#again.delete(keyOf(one));
    });
    if (left.length > 0) this.#events.onLeft(left);
  }

  #maybeIdle(): void {
    if (this.isIdle) this.#events.onIdle();
  }
}

function keyOf({ mail, n }: DeliveryKey): string {
  return `${mail} ${n}`;
}

/** Ids of mails have no space. */
function deliveryOf(key: string): DeliveryKey {
  const at = key.lastIndexOf(' ');
  return { mail: key.slice(0, at), n: Number(key.slice(at + 1)) };
}

function refusedAtEntry(delivery: QueuedDelivery): Outcome {
  const { refused, service, because = 'verdict' } = notesOf(delivery);
  // That a service failed says nothing of the content.
  const by = { service: service ?? '', because, isOnContent: because === 'verdict' };
  return { kind: 'failed', reply: refused as Reply, by };
}

function caseOf({ mail, deliveries, content, route }: Task): Case {
  return { mail, deliveries, content, nextHop: showNextHop(route.nextHop) };
}

/** Where no hop is, or was, asked. */
function caseAtRest(mail: StoredMail, deliveries: readonly QueuedDelivery[], content: Content): Case {
  return { mail, deliveries, content, nextHop: undefined };
}

function laneOf(mail: StoredMail, delivery: QueuedDelivery): 'refused' | 'held' | 'damaged' | 'adapt' | 'relay' {
  if (delivery.hold !== undefined) return 'held';
  if (!isReadable(mail, delivery)) return 'damaged';
  return notesOf(delivery).refused === undefined ? delivery.lane : 'refused';
}
