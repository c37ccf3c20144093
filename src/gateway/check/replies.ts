/** The client of a mail that is checked: it asks, one command after the other, and is answered. */
import { overallReply, type Reply, replies } from '../../smtp/index.ts';
import type { MailPeer } from '../dialog/world.ts';

/** Answers by ticket, and whoever waits for one. */
export class Replies implements MailPeer {
  each: readonly Reply[] | undefined;
  readonly #waiting = new Map<number, (answer: Reply) => void>();
  #tickets = 0;

  ask(command: (ticket: number) => void): Promise<Reply> {
    const ticket = ++this.#tickets;
    return new Promise((resolve) => {
      this.#waiting.set(ticket, resolve);
      command(ticket);
    });
  }

  answer(ticket: number, answer: Reply): void {
    const then = this.#waiting.get(ticket);
    this.#waiting.delete(ticket);
    then?.(answer);
  }

  answerEach(ticket: number, each: readonly Reply[]): void {
    this.each = each;
    this.answer(ticket, overallReply(each));
  }

  go(ticket: number): void {
    this.answer(ticket, replies.goAhead);
  }

  pauseContent(): void {}

  resumeContent(): void {}
}
