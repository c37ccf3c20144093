/** The campaign's clients: each sends mail after mail, and promises are written down only where a 250 was heard. */
import { setTimeout as pause } from 'node:timers/promises';
import { SmtpTalk } from '../support/smtp-talk.ts';
import type { Ledger } from './ledger.ts';

export interface ClientsOptions {
  readonly port: number;
  readonly clients: number;
  readonly ledger: Ledger;
  /** 0 up to 1. */
  readonly random: () => number;
}

/** One mail in ten is larger than what goes into one unit of the store. */
const LARGE = 300_000;

export class Clients {
  /** Mails sent to the end, whatever the answer. */
  sent = 0;
  readonly #options: ClientsOptions;
  readonly #loops: Promise<void>[];
  #isOver = false;
  #tokens = 0;

  constructor(options: ClientsOptions) {
    this.#options = options;
    this.#loops = Array.from({ length: options.clients }, () => this.#loop());
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#loops);
  }

  async #loop(): Promise<void> {
    while (!this.#isOver) {
      let talk: SmtpTalk | undefined;
      try {
        talk = await SmtpTalk.hello(this.#options.port);
        while (!this.#isOver) await this.#mail(talk);
        await talk.quit();
      } catch {
        // The gateway was killed, or is not back yet.
        talk?.socket.destroy();
        await pause(30);
      }
    }
  }

  async #mail(talk: SmtpTalk): Promise<void> {
    const { random, ledger } = this.#options;
    const token = `t${++this.#tokens}`;
    const hops = random() < 0.3 ? ['one', 'two'] : [random() < 0.5 ? 'one' : 'two'];
    const body = `${'x'.repeat(70)}\r\n`.repeat(random() < 0.1 ? LARGE / 72 : 1 + Math.floor(random() * 50));
    const head = `From: <a@src.test>\r\nX-Token: ${token}\r\nX-Size: ${body.length - 2}\r\n\r\n`;
    const outcome = await talk.mail({
      from: 'a@src.test',
      to: hops.map((hop) => `b@${hop}.test`),
      content: Buffer.from(head + body, 'latin1'),
    });
    this.sent++;
    const isPromised = outcome.content?.code === 250;
    // A recipient that was refused was promised nothing.
    if (isPromised)
      ledger.promise(
        token,
        hops.filter((_, i) => outcome.rcpts[i]?.code === 250),
      );
    else await pause(20);
  }
}
