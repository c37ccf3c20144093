/**
 * One mail at the services of its group: the processor's parts in, answers out (RFC 4037, section 11; the SMTP profiles).
 * Whatever goes wrong here ends this mail and no other.
 */
import type { Deadlines, Log } from '../base/index.ts';
import {
  type CalloutTransaction,
  type CalloutTransactionEvents,
  internText,
  isStructure,
  type Named,
  type Result,
} from '../ocp/index.ts';
import {
  type Advice,
  canFollow,
  MAX_ARGUMENT_OCTETS,
  type Part,
  type PartData,
  readData,
  type Selection,
} from '../profile/index.ts';
import { CallContext } from './calls.ts';
import { type Attendance, Commands } from './commands.ts';
import { failed } from './failed.ts';
import { Held, type HeldBudget } from './held.ts';
import { Link } from './link.ts';
import { ORIGINAL } from './outlet.ts';
import type { Service } from './service.ts';
import { SessionFacts } from './session.ts';
import { append } from './short-lists.ts';
import { Stage } from './stage.ts';
import { WireOutlet } from './wire-outlet.ts';

export interface ServerTools {
  readonly log: Log;
  readonly deadlines: Deadlines;
  readonly budget: HeldBudget;
}

const NO_STAGES: readonly Stage[] = [];
const NO_LINKS: readonly Link[] = [];

function attend(service: Service, session: SessionFacts, log: Log): Attendance {
  return { service, context: new CallContext(log), session, recipients: [] };
}

/*
 *   commands -- first RAWDATA --> message -- AME, or a verdict that ends it --> over
 */
export class ServiceTransaction implements CalloutTransactionEvents {
  readonly transaction: CalloutTransaction;
  readonly log: Log;
  readonly deadlines: Deadlines;
  readonly budget: HeldBudget;
  readonly isOnly: boolean;
  readonly #selection: Selection;
  readonly #attendances: readonly Attendance[];
  readonly #commands: Commands;
  #stages: readonly Stage[] = NO_STAGES;
  #links: readonly Link[] = NO_LINKS;
  #outlet: WireOutlet | undefined;
  #isStarted = false;
  #isOriginalEnded = false;
  #lastPart: Part | undefined;
  /** The DUM being received, where it is of a part we know. */
  #data: PartData | undefined;
  #offset = 0;
  /** Octets of the command being received, one character each. */
  #argument = '';
  #base = 0;
  #held: Held | undefined;
  #isHoldingThis = false;
  #mayHold = true;
  #keptFrom = 0;
  #keptTo = 0;
  #pauses = 0;

  constructor(transaction: CalloutTransaction, services: readonly Service[], selection: Selection, tools: ServerTools) {
    this.transaction = transaction;
    this.log = tools.log;
    this.deadlines = tools.deadlines;
    this.budget = tools.budget;
    this.isOnly = services.length === 1;
    this.#selection = selection;
    const session = new SessionFacts();
    const [only] = services;
    this.#attendances =
      this.isOnly && only !== undefined
        ? [attend(only, session, tools.log)]
        : services.map((service) => attend(service, session, tools.log));
    this.#commands = new Commands(this, this.#attendances);
  }

  get held(): Held {
    this.#held ??= new Held(this.budget);
    return this.#held;
  }

  get isHolding(): boolean {
    return this.#held !== undefined && this.#held.octets > 0;
  }

  onOriginalStart(): void {}

  onData(offset: number, size: number, named: Named): void {
    this.#readKept(named);
    const data = readData(named);
    if ('error' in data) {
      this.#end(data.error);
      return;
    }
    const { part } = data;
    this.#data = part === undefined ? undefined : data;
    if (part === undefined) return;
    if (!this.#selection.sees(part)) this.#end('part-not-selected');
    else if (!canFollow(this.#lastPart, part)) this.#end('part-order');
    else if (part !== 'RAWDATA' && size > MAX_ARGUMENT_OCTETS) this.#end('argument-size');
    else this.#onPart(data, part, offset, size);
  }

  onDataIn(chunk: Buffer, from: number, to: number): void {
    const part = this.#data?.part;
    if (part === undefined) return;
    if (part !== 'RAWDATA') {
      const text = internText(chunk, from, to);
      this.#argument = this.#argument === '' ? text : this.#argument + text;
      return;
    }
    const start = this.#offset - this.#base;
    this.#offset += to - from;
    const first = this.#stages[0];
    if (!this.#isHoldingThis || !this.#mayHold) {
      first?.feedIn(chunk, from, to);
      return;
    }
    const octets = this.held.add(start, chunk, from, to);
    if (octets === undefined) this.#end('no-memory');
    else first?.feed(octets);
  }

  onDataOctets(octets: Buffer): void {
    this.onDataIn(octets, 0, octets.length);
  }

  onDataEnd(): void {
    const data = this.#data;
    if (data?.part === undefined) return;
    if (data.part === 'RAWDATA') this.#stages[0]?.mark();
    else this.#onCommand(data, data.part);
  }

  onOriginalEnd(result: Result): void {
    // We never ask to stop early, so a message cut short is not what the services shall judge.
    if (result.code !== 200) this.#end('original-incomplete');
    this.#isOriginalEnded = true;
    const [first] = this.#stages;
    if (first === undefined) this.#endWithoutMessage();
    else first.end();
  }

  onTurn(): void {
    this.#outlet?.onTurn();
  }

  onEnd(): void {
    for (const { context } of this.#attendances) context.abort();
    for (const stage of this.#stages) stage.over();
    for (const link of this.#links) link.drop();
    this.#held?.clear();
    this.#stages = NO_STAGES;
    this.#argument = '';
  }

  startMessage(): void {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.transaction.startMessage();
  }

  stopHolding(): void {
    this.#mayHold = false;
    this.#held?.clear();
  }

  onRoom(): void {
    this.#stages.at(-1)?.onRoom();
  }

  onAnswered(): void {
    if (this.#stages.length > 0) this.#begin();
    else if (this.#isOriginalEnded) this.#endWithoutMessage();
  }

  wantPause(): void {
    if (this.#pauses++ === 0) this.transaction.wantPause();
  }

  wantMore(): void {
    if (--this.#pauses === 0) this.transaction.wantMore();
  }

  #onPart(data: PartData, part: Part, offset: number, size: number): void {
    const isFirst = this.#lastPart !== part;
    this.#lastPart = part;
    this.#offset = offset;
    if (part !== 'RAWDATA') {
      this.#argument = '';
      return;
    }
    if (isFirst) this.#startStages(data, offset);
    // With a second service the octets are needed here; else only where the processor cannot be referred to its copy.
    this.#isHoldingThis = !this.isOnly || offset < this.#keptFrom || offset + size > this.#keptTo;
  }

  #onCommand(data: PartData, part: Part): void {
    const text = this.#argument;
    this.#argument = '';
    if (part !== 'IP' && part !== 'RAWDATA') {
      const { allow, replayed } = data;
      const isAdaptive = this.#selection.adaptive.has(part) && !replayed;
      const isAnswered = isAdaptive || (!replayed && this.#commands.hasHandler(part));
      if (isAnswered || part === 'MAIL' || part === 'RCPT') {
        this.#commands.add({ part, offset: this.#offset, text, isAdaptive, allow, replayed });
        return;
      }
    }
    for (const { session } of this.#attendances) session.learn(part, text);
  }

  /** The services in a row, the last one's answer going to the wire. */
  #startStages({ allow }: PartData, base: number): void {
    this.#base = base;
    const isAdaptive = this.#selection.adaptive.has('RAWDATA');
    const part = { base, isAdaptive, allow };
    if (!this.isOnly) this.#makeLinks();
    const outlet = new WireOutlet(this, part, this.#links.at(-1) ?? ORIGINAL);
    this.#outlet = outlet;
    let stages: Stage[] = [];
    for (const { service, context } of this.#attendances) {
      const link = this.#links[stages.length];
      const canAddFields = link === undefined && allow.addHeader && isAdaptive;
      stages = append(stages, new Stage(service, context, this, link ?? outlet, canAddFields));
    }
    this.#stages = stages;
    for (let i = 0; i < this.#links.length; i++) this.#links[i]?.connect(this.#stages[i + 1] as Stage);
    if (this.#commands.isAnswered) this.#begin();
  }

  #makeLinks(): void {
    const fails = {
      refuse: (reply: string) => this.#outlet?.refuse(reply),
      advise: (advice: Advice) => this.#outlet?.advise(advice),
      fail: (reason: string) => this.#outlet?.fail(reason),
    };
    const links: Link[] = [];
    for (let i = 1; i < this.#attendances.length; i++) {
      links.push(new Link(links.at(-1) ?? ORIGINAL, this.held, this.budget, fails));
    }
    this.#links = links;
  }

  #begin(): void {
    const stages = this.#stages;
    for (let i = 0; i < stages.length; i++) stages[i]?.begin(this.#attendances[i] as Attendance);
  }

  /** Commands were all there was. */
  #endWithoutMessage(): void {
    if (!this.#commands.isAnswered || this.transaction.isEnded) return;
    this.startMessage();
    this.transaction.endMessage();
    this.transaction.end();
  }

  #readKept(named: Named): void {
    const kept = named.get('Kept');
    if (!isStructure(kept)) return;
    const [offset, size] = kept.anonymous;
    if (typeof offset !== 'number' || typeof size !== 'number') return;
    this.#keptFrom = offset;
    this.#keptTo = offset + size;
  }

  #end(reason: string): void {
    this.transaction.end(failed(reason));
  }
}
