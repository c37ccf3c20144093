/** One try: a task's content and recipients, given to its next hop, and what came of each recipient. */
import type { Parameters, Reply } from '../../smtp/index.ts';
import { bypassField } from '../bypass/index.ts';
import { passedOn } from '../dsn/index.ts';
import { MailRelay, type MailRelayEvents } from '../relay/mail-relay.ts';
import type { OpenRelay, RelayEnvelope } from '../relay/open-relay.ts';
import { spoolReplies } from './replies.ts';
import { type DeliveryNotes, hasAny, mailNotes, parametersOf, spooledIdentity } from './rows.ts';
import { type Outcome, outcomeOf, type Task } from './task.ts';

export interface TransactionResult {
  /** By the task's deliveries. */
  readonly outcomes: readonly Outcome[];
  /** Nobody answered there: the next mail need not try at once. */
  readonly isUnreachable: boolean;
}

export class Transaction implements MailRelayEvents {
  readonly #task: Task;
  readonly #done: (result: TransactionResult) => void;
  readonly #failed: (error: unknown) => void;
  readonly #open: OpenRelay;
  #relay: MailRelay | undefined;
  readonly #refusals: (Reply | undefined)[] = [];
  #answers = 0;
  #refused = 0;
  #isOver = false;

  /** One of `done` and `failed` is called, once, unless it is aborted. */
  constructor(
    open: OpenRelay,
    task: Task,
    done: (result: TransactionResult) => void,
    failed: (error: unknown) => void,
  ) {
    this.#open = open;
    this.#task = task;
    this.#done = done;
    this.#failed = failed;
  }

  start(): void {
    const { mail, deliveries, route, content } = this.#task;
    const { session } = mailNotes(mail);
    const envelope: RelayEnvelope = {
      mail: `<${mail.reversePath}>`,
      params: parametersOf(mail.params),
      client: route.identity === 'none' ? undefined : spooledIdentity(session),
      domain: deliveries[0]?.destination,
    };
    const isUtf8 = mail.params['SMTPUTF8'] !== undefined;
    const relay = new MailRelay(this.#open, route, envelope, this);
    this.#relay = relay;
    for (const { forwardPath, params, notes } of deliveries) {
      const { named } = notes as DeliveryNotes;
      const passed = named === undefined ? params : passedOn(params, named, forwardPath, isUtf8);
      relay.rcpt(`<${forwardPath}>`, hasAny(passed) ? parametersOf(passed) : undefined);
    }
    const isAsked = [mail, ...deliveries].some((one) => one.params['OPESBYPASS'] !== undefined);
    relay.send(content, isAsked ? () => this.#requestField(envelope.params) : undefined);
  }

  /** Whom the hop refused has no say in it. */
  #requestField(ofMail: Parameters): string | undefined {
    const accepted = this.#task.deliveries.filter((_, i) => this.#refusals[i] === undefined);
    return bypassField(
      ofMail,
      accepted.map(({ params }) => parametersOf(params)),
    );
  }

  /** Given up: nothing is told any more. */
  abort(): void {
    this.#isOver = true;
    this.#relay?.abort();
  }

  onRcptReply(index: number, answer: Reply): void {
    if (answer.code >= 300) {
      this.#refusals[index] = answer;
      this.#refused++;
    }
    this.#answers++;
    // Where all are refused there is no content to be answered for, and no other answer comes.
    if (this.#refused < this.#task.deliveries.length) return;
    this.#relay?.abort();
    this.#end(answer, false);
  }

  onRelayed(answer: Reply, each?: readonly (Reply | undefined)[]): void {
    this.#end(answer, this.#answers === 0 && answer.code >= 400 && answer.code < 500, each);
  }

  onLost(answer: Reply): void {
    this.#end(answer, this.#answers === 0);
  }

  onStoreFailed(): void {
    this.#relay?.abort();
    this.#end(spoolReplies.unreadable, false);
  }

  onFault(error: unknown): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#failed(error);
  }

  #end(answer: Reply, isUnreachable: boolean, each?: readonly (Reply | undefined)[]): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const passesDsn = this.#relay?.passesDsn === true;
    const outcomes = this.#task.deliveries.map((_, i) =>
      outcomeOf(this.#refusals[i] ?? each?.[i] ?? answer, passesDsn),
    );
    this.#done({ outcomes, isUnreachable });
  }
}
