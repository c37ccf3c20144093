/** One try: a task's content and recipients, given to its next hop, and what came of each recipient. */
import { type Parameters, type Reply, reply } from '../../smtp/index.ts';
import { MailRelay, type MailRelayEvents } from '../relay/mail-relay.ts';
import type { OpenRelay } from '../relay/open-relay.ts';
import { recipientArgument } from './rows.ts';
import { type Outcome, outcomeOf, type Task } from './task.ts';

export interface TransactionResult {
  /** By the task's deliveries. */
  readonly outcomes: readonly Outcome[];
  /** Nobody answered there: the next mail need not try at once. */
  readonly isUnreachable: boolean;
}

const UNREADABLE = reply(451, '4.3.0', 'The stored message cannot be read; see the log');

export class Transaction implements MailRelayEvents {
  readonly #task: Task;
  readonly #done: (result: TransactionResult) => void;
  readonly #relay: MailRelay;
  readonly #refusals: (Reply | undefined)[] = [];
  #answers = 0;
  #refused = 0;
  #isOver = false;

  constructor(relay: OpenRelay, task: Task, done: (result: TransactionResult) => void) {
    this.#task = task;
    this.#done = done;
    const { mail, deliveries, route, content } = task;
    const params: Parameters = new Map(Object.entries(mail.params));
    this.#relay = new MailRelay(relay, route, `<${mail.reversePath}>`, params, this);
    for (const delivery of deliveries) this.#relay.rcpt(recipientArgument(delivery));
    this.#relay.send(content);
  }

  /** Given up: nothing is told any more. */
  abort(): void {
    this.#isOver = true;
    this.#relay.abort();
  }

  onRcptReply(index: number, answer: Reply): void {
    if (answer.code >= 300) {
      this.#refusals[index] = answer;
      this.#refused++;
    }
    this.#answers++;
    // Where all are refused no DATA is sent, and no other answer comes.
    if (this.#refused < this.#task.deliveries.length) return;
    this.#relay.abort();
    this.#end(answer, false);
  }

  onRelayed(answer: Reply): void {
    this.#end(answer, this.#answers === 0 && answer.code >= 400 && answer.code < 500);
  }

  onLost(answer: Reply): void {
    this.#end(answer, this.#answers === 0);
  }

  onStoreFailed(): void {
    this.#relay.abort();
    this.#end(UNREADABLE, false);
  }

  #end(answer: Reply, isUnreachable: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const outcomes = this.#task.deliveries.map((_, i) => outcomeOf(this.#refusals[i] ?? answer));
    this.#done({ outcomes, isUnreachable });
  }
}
