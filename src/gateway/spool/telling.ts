/**
 * Who is told of what came of stored mail: reports to senders, notices to recipients of what is kept aside, and the ends they
 * go with. A failure ends as an exception only where no report can be made of it at all.
 */
import { Armed, stackOf } from '../../base/index.ts';
import type { Change, Ending, NewMail, StoredMail } from '../../store/index.ts';
import { Content } from '../content/index.ts';
import type { QueueOptions } from '../options.ts';
import { isPassing } from './commits.ts';
import type { Case } from './ends.ts';
import type { ReportEvent } from './port.ts';
import type { QueuedDelivery } from './rows.ts';
import type { Settlement } from './settle.ts';
import type { SpoolWorld } from './world.ts';

/** To be stored in one unit. */
export interface Told {
  readonly mails: readonly NewMail[];
  readonly ends: readonly Change[];
}

/** While the store does not give the octets that a report returns. */
const PAUSE_MS = 5000;
const NOTHING: Told = { mails: [], ends: [] };

type TellingWorld = Pick<SpoolWorld, 'reports' | 'notices' | 'deadlines' | 'wallClock' | 'log'>;

export class Telling {
  readonly #options: Pick<QueueOptions, 'keepMs'>;
  readonly #world: TellingWorld;
  #isGivenUp = false;

  constructor(options: Pick<QueueOptions, 'keepMs'>, world: TellingWorld) {
    this.#options = options;
    this.#world = world;
  }

  /** Nothing is waited for any more. */
  abort(): void {
    this.#isGivenUp = true;
  }

  /**
   * Reports to the sender, notices to recipients of what may not be reported, and the ends of what failed. Where the store is
   * away it is waited for; octets that cannot be read for good do not keep the rest of the report from its sender. Never
   * rejects. Given up before that, nothing has failed yet: the next start finds it as it was.
   */
  async report(about: Case, settlement: Settlement): Promise<Told> {
    const event: ReportEvent = { ...about, ...settlement };
    const { mail } = about;
    for (;;) {
      try {
        return await this.#told(event);
      } catch (error) {
        if (!isPassing(error)) return await this.#toldWithoutOctets(event, error);
        this.#world.log.error('report.put-off', { mail: mail.id, error: stackOf(error) });
      }
      if (!this.#isGivenUp) await this.#pause();
      if (this.#isGivenUp) return NOTHING;
    }
  }

  /** Notices to those of whom something is `held`. Never rejects: it is held all the same, and an operator finds it. */
  async notices(mail: StoredMail, held: readonly QueuedDelivery[], content: Content): Promise<readonly NewMail[]> {
    const { wallClock, log } = this.#world;
    try {
      const { notices } = this.#world;
      if (notices === undefined || held.length === 0) return [];
      const expiresMs = wallClock() + this.#options.keepMs;
      return await notices.make(
        mail,
        held.map((one) => ({ ...one, expiresMs })),
        content,
        wallClock(),
      );
    } catch (error) {
      log.error('notice.failed', { mail: mail.id, error: String(error) });
      return [];
    }
  }

  hold({ mail, n }: QueuedDelivery, service: string, reason: string): Change {
    const heldMs = this.#world.wallClock();
    return { kind: 'hold', mail, n, hold: { service, reason, heldMs }, expiresMs: heldMs + this.#options.keepMs };
  }

  async #told(event: ReportEvent): Promise<Told> {
    const { mail, failed, content } = event;
    const { mails, excepted, held } = await this.#world.reports.make(event);
    const ends = failed.map(({ delivery, by }) => {
      if (held.has(delivery.n)) return this.hold(delivery, by?.service ?? '', 'refused');
      return ending(delivery, excepted.has(delivery.n) ? 'excepted' : 'reported');
    });
    const kept = failed.flatMap(({ delivery }) => (held.has(delivery.n) ? [delivery] : []));
    return { mails: [...mails, ...(await this.notices(mail, kept, content))], ends };
  }

  async #toldWithoutOctets(event: ReportEvent, error: unknown): Promise<Told> {
    const { mail, failed } = event;
    const { log } = this.#world;
    log.error('report.incomplete', { mail: mail.id, error: stackOf(error) });
    try {
      return await this.#told({ ...event, content: new Content() });
    } catch (reason) {
      log.error('report.failed', { mail: mail.id, error: stackOf(reason) });
      return { mails: [], ends: failed.map(({ delivery }) => ending(delivery, 'excepted')) };
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => this.#world.deadlines.arm(new Armed({ onDeadline: () => resolve() }), PAUSE_MS));
  }
}

export function ending({ mail, n }: Pick<QueuedDelivery, 'mail' | 'n'>, as: Ending): Change {
  return { kind: 'end', mail, n, as };
}
