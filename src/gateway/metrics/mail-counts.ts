/** What is counted at the end of each mail: an addition a figure, nothing looked up by labels, nothing made. */
import type { Counter, Histogram, Metrics } from '../../base/index.ts';
import type { MailOutcome } from '../options.ts';

interface OutcomeCounts {
  readonly mails: Counter;
  readonly seconds: Histogram;
}

export class MailCounts {
  readonly #metrics: Metrics;
  readonly #outcomes = new Map<MailOutcome, OutcomeCounts>();
  readonly #received: Counter;
  readonly #relayed: Counter;
  /** By the first digit of the reply; at 0 those that got none. */
  readonly #recipients: readonly Counter[];

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    this.#received = metrics.counter('opes_mail_octets_total', { direction: 'received' });
    this.#relayed = metrics.counter('opes_mail_octets_total', { direction: 'relayed' });
    this.#recipients = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'].map((name) =>
      metrics.counter('opes_recipients_total', { class: name }),
    );
  }

  ended(id: string, outcome: MailOutcome, ms: number, received: number, relayed: number): void {
    const counts = this.#outcomes.get(outcome) ?? this.#resolve(outcome);
    counts.mails.add();
    counts.seconds.observe(ms / 1000, id);
    this.#received.add(received);
    if (outcome === 'relayed') this.#relayed.add(relayed);
  }

  /** `code`: of its reply; 0 where there was none. */
  recipient(code: number): void {
    this.#recipients[Math.trunc(code / 100)]?.add();
  }

  #resolve(outcome: MailOutcome): OutcomeCounts {
    const found = {
      mails: this.#metrics.counter('opes_mails_total', { outcome }),
      seconds: this.#metrics.histogram('opes_mail_seconds', { outcome }),
    };
    this.#outcomes.set(outcome, found);
    return found;
  }
}
