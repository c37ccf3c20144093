/** Notices to recipients of what is kept aside for them (design D18): one for each, so that none shows another's. */

import { makeNotice, originalFacts, type ReportLanguage } from '../../mail/index.ts';
import type { Json, NewMail, StoredMail } from '../../store/index.ts';
import { loadHeader } from '../content/compare.ts';
import type { Content } from '../content/index.ts';
import { ReportBudget } from '../dsn/index.ts';
import { type MailNotes, mailNotes, type QueuedDelivery } from './rows.ts';

export interface NoticeOptions {
  readonly hostname: string;
  readonly contact: string;
  readonly languages: readonly ReportLanguage[];
  readonly headerOctets: number;
  readonly lifetimeMs: number;
  /** Notices to one recipient in an hour; what is beyond is kept all the same, and the counters show it. */
  readonly perHour: number;
}

export class Notices {
  readonly #options: NoticeOptions;
  readonly #budget: ReportBudget;

  constructor(options: NoticeOptions) {
    this.#options = options;
    this.#budget = new ReportBudget(options.perHour);
  }

  /** Mails for the store, in the unit that holds `held`. Reports and notices are never held, so none is told of. */
  async make(mail: StoredMail, held: readonly QueuedDelivery[], content: Content, nowMs: number): Promise<NewMail[]> {
    const told = held.filter(({ forwardPath }) => this.#budget.take(forwardPath, nowMs));
    if (told.length === 0) return [];
    const { subject } = originalFacts(await headerOf(content, this.#options.headerOctets));
    return told.map((delivery) => this.#notice(mail, delivery, subject ?? '', nowMs));
  }

  #notice(mail: StoredMail, delivery: QueuedDelivery, subject: string, nowMs: number): NewMail {
    // The clock: what was released may be held again before the first notice has left.
    const id = `${mail.id}.q${nowMs}${delivery.n}`;
    const { hostname, contact, languages, lifetimeMs } = this.#options;
    const { mail: mailId, session } = mailNotes(mail);
    const { octets, isUtf8 } = makeNotice({
      hostname,
      contact,
      languages,
      id,
      mailId,
      to: delivery.forwardPath,
      from: mail.reversePath,
      subject,
      arrivalMs: mail.acceptedMs,
      untilMs: delivery.expiresMs,
      nowMs,
    });
    const facts: MailNotes = { mail: id, session: { ...session, user: '' } };
    return {
      id,
      acceptedMs: nowMs,
      reversePath: '',
      params: isUtf8 ? { SMTPUTF8: true, BODY: '8BITMIME' } : {},
      facts: facts as unknown as Json,
      contents: [{ id: `${id}/0`, octets: [octets] }],
      deliveries: [
        {
          n: 0,
          content: `${id}/0`,
          forwardPath: delivery.forwardPath,
          params: { NOTIFY: 'NEVER' },
          destination: delivery.destination,
          lane: 'relay',
          hold: undefined,
          nextMs: nowMs,
          expiresMs: nowMs + lifetimeMs,
          notes: {},
        },
      ],
    };
  }
}

function headerOf(content: Content, maxOctets: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    loadHeader(content, maxOctets, (error, octets) => (error === undefined ? resolve(octets) : reject(error)));
  });
}
