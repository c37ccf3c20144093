/**
 * One service at one message: octets in as they come, its handler called when what it wishes to see is there, and its
 * verdict carried out towards the outlet.
 *
 *     gathering -- wishes met --> asked -- verdict --> splicing -- message whole --> over
 *                                   |                  replacing -- content made --/
 *                                   '-- refused, advised, failed, mail over -----> over
 */
import type { Deadlines, Log } from '../base/index.ts';
import { copyOctets } from '../ocp/index.ts';
import { type CallContext, isPromise, isVerdict, logFailure } from './calls.ts';
import { HeaderCollector } from './header-collector.ts';
import type { HeldBudget } from './held.ts';
import { MailStream, type StreamOwner } from './mail-stream.ts';
import { type MailFacts, MailView } from './mail-view.ts';
import type { Outlet } from './outlet.ts';
import { makePlan, NO_PLAN, needsHeader, type Plan } from './plan.ts';
import { Replacement } from './replacement.ts';
import type { Service } from './service.ts';
import { Splicer } from './splice.ts';
import { TimeLimit } from './time-limit.ts';
import { type Content, type Edit, keep, type MessageVerdict } from './verdict.ts';
import { WholeMessage } from './whole-message.ts';

export interface StageHost {
  readonly transaction: { readonly xid: number };
  readonly log: Log;
  readonly deadlines: Deadlines;
  readonly budget: HeldBudget;
  /** Octets of the original are held: what can be sent of them should be sent soon. */
  readonly isHolding: boolean;
  wantPause(): void;
  wantMore(): void;
}

/** What a reader of the message gets where it reads on after the end; one for all, for nobody needs its stack. */
const MAIL_OVER = new Error('the mail is over');

const VERDICTS: readonly MessageVerdict['kind'][] = ['keep', 'refuse', 'edit', 'replace', 'quarantine', 'delay'];

export class Stage implements StreamOwner {
  readonly #service: Service;
  readonly #host: StageHost;
  readonly #outlet: Outlet;
  readonly #canAddFields: boolean;
  readonly #context: CallContext;
  /** Made when a handler takes its time: most answer at once. */
  #limit: TimeLimit | undefined;
  readonly #stream: MailStream | undefined;
  readonly #whole: WholeMessage | undefined;
  #header: HeaderCollector | undefined;
  #facts: MailFacts | undefined;
  #state: 'gathering' | 'asked' | 'planning' | 'splicing' | 'replacing' | 'over' = 'gathering';
  #edit: Edit | undefined;
  #splicer: Splicer | undefined;
  #received = 0;
  /** Octets that can be referred to: those of whole data messages. */
  #marked = 0;
  #isWhole = false;
  #isTooLarge = false;
  #replacement: Replacement | undefined;

  constructor(service: Service, context: CallContext, host: StageHost, outlet: Outlet, canAddFields: boolean) {
    this.#service = service;
    this.#context = context;
    this.#host = host;
    this.#outlet = outlet;
    this.#canAddFields = canAddFields;
    const { body, whole, headers } = service.wants;
    if (service.message === undefined) return;
    if (body === 'stream') this.#stream = new MailStream(this);
    if (whole !== undefined) this.#whole = new WholeMessage(whole.maxOctets, host.budget);
    if (headers === true || body !== undefined || whole !== undefined) this.#header = new HeaderCollector();
  }

  /** All commands are answered: from now on the handler may be called. */
  begin(facts: MailFacts): void {
    this.#facts = facts;
    this.#askIfReady();
  }

  /** In place of `feed` where the octets are there until it returns: those that somebody will read are copied. */
  feedIn(chunk: Buffer, from: number, to: number): void {
    if (this.#state === 'splicing') this.#received += to - from;
    else this.feed(this.#keeps(to - from) ? copyOctets(chunk, from, to) : chunk.subarray(from, to));
  }

  /** Octets that stay as they are. */
  feed(octets: Buffer): void {
    if (this.#state === 'over') return;
    // Until it is known what will be done, the header may be needed for it.
    if (this.#received === 0 && this.#isUndecided()) this.#header ??= new HeaderCollector();
    this.#received += octets.length;
    this.#header?.feed(octets);
    if (this.#stream?.push(octets) === false) this.#fail('too-much-at-once');
    if (this.#state === 'gathering') this.#gather(octets);
  }

  /** What was fed so far can be referred to. */
  mark(): void {
    this.#marked = this.#received;
    if (this.#state === 'planning') this.#planIfReady();
    if (this.#state === 'splicing') this.#advance();
  }

  /** The message is whole. */
  end(): void {
    if (this.#state === 'over') return;
    this.#isWhole = true;
    this.#marked = this.#received;
    this.#header?.end();
    this.#stream?.end();
    if (this.#state === 'gathering') this.#askIfReady();
    this.mark();
    this.#replacement?.whole();
  }

  /** The outlet has room again. */
  onRoom(): void {
    this.#replacement?.goOn();
  }

  /** The mail is over, whatever ended it. */
  over(): void {
    this.#state = 'over';
    this.#limit?.stop();
    this.#whole?.drop();
    this.#stream?.fail(MAIL_OVER);
    this.#replacement?.stop();
  }

  onReaderWaits(): void {
    this.#limit?.stop();
  }

  onReaderFed(): void {
    if (this.#state === 'asked' || this.#state === 'replacing') this.#timeLimit().start();
  }

  wantPause(): void {
    this.#host.wantPause();
  }

  wantMore(): void {
    this.#host.wantMore();
  }

  /** Whether the next octets are kept for the handler; what is kept of the header is a copy in any case. */
  #keeps(octets: number): boolean {
    if (this.#state === 'over') return false;
    return this.#stream?.keeps(octets) === true || (this.#state === 'gathering' && this.#whole?.fits(octets) === true);
  }

  #isUndecided(): boolean {
    return this.#state === 'gathering' || this.#state === 'asked' || this.#state === 'planning';
  }

  #gather(octets: Buffer): void {
    const fit = this.#isTooLarge ? 'too-large' : this.#whole?.add(octets);
    if (fit === 'no-room') this.#fail('no-memory');
    else {
      // What is said to that comes behind the answers to the commands, like every answer to the message.
      this.#isTooLarge = fit === 'too-large';
      this.#askIfReady();
    }
  }

  #tooLarge(): void {
    const beyond = this.#service.wants.whole?.beyond;
    if (beyond === undefined) this.#fail('message-too-large');
    else this.#decide(beyond);
  }

  #askIfReady(): void {
    if (this.#state !== 'gathering' || this.#facts === undefined) return;
    if (this.#service.message === undefined) this.#decide(keep());
    else if (this.#isTooLarge) this.#tooLarge();
    else if (this.#seesEnough()) this.#ask(this.#service.message, this.#facts);
  }

  #seesEnough(): boolean {
    const { headers, body, whole } = this.#service.wants;
    if (whole !== undefined) return this.#isWhole;
    if (headers === true || body !== undefined) return this.#header?.headers !== undefined;
    return true;
  }

  #ask(handler: NonNullable<Service['message']>, facts: MailFacts): void {
    this.#state = 'asked';
    try {
      const answer = handler(new MailView(facts, this.#header?.headers, this.#stream, this.#whole), this.#context);
      if (isPromise(answer)) this.#await(answer);
      else this.#decide(answer);
    } catch (error) {
      this.#threw(error);
    }
  }

  #await(answer: Promise<MessageVerdict>): void {
    this.#timeLimit().start();
    answer
      .then((verdict) => {
        if (this.#state === 'asked') this.#decide(verdict);
      })
      .catch((error: unknown) => this.#threw(error));
  }

  #decide(verdict: MessageVerdict): void {
    this.#limit?.stop();
    if (!isVerdict(verdict, VERDICTS)) {
      this.#threw(new TypeError('not a verdict on a message: keep(), edit(), refuse() and their like make one'));
      return;
    }
    if (verdict.kind === 'replace') {
      this.#replace(verdict.content);
      return;
    }
    this.#whole?.drop();
    this.#stream?.leave();
    if (verdict.kind === 'refuse') {
      this.#state = 'over';
      this.#outlet.refuse(verdict.reply);
    } else if (verdict.kind === 'quarantine' || verdict.kind === 'delay') {
      this.#state = 'over';
      this.#outlet.advise(verdict);
    } else if (verdict.kind === 'edit') {
      this.#state = 'planning';
      this.#edit = verdict;
      this.#planIfReady();
    } else {
      this.#splice(NO_PLAN);
    }
  }

  #planIfReady(): void {
    const changes = this.#edit?.changes;
    const header = this.#header?.headers;
    if (changes === undefined) return;
    if (header === undefined && needsHeader(changes, this.#canAddFields)) {
      this.#header ??= new HeaderCollector();
      return;
    }
    let plan: Plan;
    try {
      plan = makePlan(changes, header, this.#canAddFields);
    } catch (error) {
      this.#threw(error);
      return;
    }
    this.#splice(plan);
  }

  #splice({ fields, splices }: Plan): void {
    this.#state = 'splicing';
    this.#header = undefined;
    if (fields.length > 0) this.#outlet.addFields(fields);
    this.#splicer = new Splicer(splices);
    // In the middle of a data message there is nothing to refer to yet; its end comes, or the message's.
    if (this.#isWhole || (this.#received > 0 && this.#marked === this.#received)) this.#advance();
  }

  #advance(): void {
    const isEager = this.#host.isHolding;
    if (this.#splicer?.advance(this.#outlet, this.#marked, this.#isWhole, isEager) === false) {
      this.#threw(new RangeError('a change lies behind the end of the message'));
      return;
    }
    this.#outlet.flush();
    if (!this.#isWhole || this.#state !== 'splicing') return;
    this.#state = 'over';
    this.#outlet.finish();
  }

  #replace(content: Content): void {
    this.#state = 'replacing';
    this.#outlet.useNothing();
    this.#replacement = new Replacement(content, this.#outlet, this.#timeLimit(), this.#isWhole);
    this.#replacement
      .run(() => this.#stream?.leave())
      .then((isMade) => {
        if (!isMade || this.#state !== 'replacing') return;
        this.#state = 'over';
        this.#outlet.finish();
      })
      .catch((error: unknown) => this.#threw(error));
  }

  #timeLimit(): TimeLimit {
    this.#limit ??= new TimeLimit(this.#host.deadlines, this.#service.timeoutMs, () => this.#expired());
    return this.#limit;
  }

  #expired(): void {
    const { log, transaction } = this.#host;
    const { uri, timeoutMs } = this.#service;
    log.error('service-too-slow', { service: uri, xid: transaction.xid, limitMs: timeoutMs });
    this.#fail('time-limit');
  }

  #threw(error: unknown): void {
    if (this.#state === 'over') return; // what a handler does after its mail is over concerns nobody
    logFailure(this.#host.log, this.#service, this.#host.transaction.xid, error);
    this.#fail('service-failed');
  }

  #fail(reason: string): void {
    if (this.#state === 'over') return;
    this.#state = 'over';
    this.#outlet.fail(reason);
  }
}
