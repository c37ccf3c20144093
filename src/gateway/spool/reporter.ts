/** Reports for the spool: what became of deliveries in the words of `gateway/dsn`, and its reports as mails for the store. */
import type { Json, NewMail } from '../../store/index.ts';
import { loadHeader } from '../content/compare.ts';
import type { Content } from '../content/index.ts';
import {
  buildReport,
  type DeliveryOfReport,
  type Fate,
  type OriginalMail,
  type ReportDecider,
  type ReportPlan,
  type ReportSettings,
} from '../dsn/index.ts';
import { mailUri } from '../trace/index.ts';
import { load } from './intake.ts';
import type { ReportEvent, ReportMaker, Reports } from './port.ts';
import { type MailNotes, mailNotes, notesOf } from './rows.ts';
import type { Ended } from './settle.ts';

/** What a service is called in a report. */
export interface NamedService {
  readonly uri: string;
  readonly isBypassable: boolean;
}

export interface ReporterOptions extends ReportSettings {
  readonly headerOctets: number;
  readonly lifetimeMs: number;
  /** By name; `undefined` for one that is gone from the configuration. */
  serviceOf(name: string): NamedService | undefined;
  wallClock(): number;
  /** Letters and digits, at least 64 random bits. */
  nonce(): string;
}

const PORTION = 64 * 1024;

export class Reporter implements ReportMaker {
  readonly #decider: ReportDecider;
  readonly #options: ReporterOptions;

  constructor(decider: ReportDecider, options: ReporterOptions) {
    this.#decider = decider;
    this.#options = options;
  }

  async make(event: ReportEvent): Promise<Reports> {
    const { mail, nextHop } = event;
    const nowMs = this.#options.wallClock();
    const notes = mailNotes(mail);
    const deliveries = [
      ...event.delivered.map((one) => this.#told(one, nowMs, relayed(one, nextHop))),
      ...event.failed.map((one) => this.#told(one, nowMs, this.#failed(one, nextHop))),
      ...event.delayed.map((one) => this.#told(one, nowMs, delayed(one, nextHop))),
    ];
    const about = {
      ...mail,
      // The one in trace, reply and log; that of a variant's row is the store's own.
      id: notes.mail,
      isSenderTrusted: notes.session.user !== '',
      client: { name: notes.session.helo, address: notes.session.clientAddress },
    };
    const { reports, excepted, quarantine } = this.#decider.decideReports(about, deliveries, nowMs);
    const mails: NewMail[] = [];
    // The clock tells a delivery's tries apart, its number those of one instant, the last digit the reports of one try.
    for (const [k, plan] of reports.entries()) {
      const n = plan.deliveries[0]?.n ?? 0;
      mails.push(await this.#build(plan, `${nowMs}${n}${k}`, event, notes, nowMs));
    }
    return { mails, excepted: new Map(excepted.map(({ n, why }) => [n, why])), held: new Set(quarantine) };
  }

  #told({ delivery }: Ended, nowMs: number, fate: Fate): DeliveryOfReport {
    const recipient = notesOf(delivery).named ?? delivery.forwardPath;
    return { n: delivery.n, params: delivery.params, recipient, fate, lastAttemptMs: nowMs };
  }

  #failed({ reply, by }: Ended, nextHop: string | undefined): Fate {
    if (by !== undefined) {
      const service = this.#options.serviceOf(by.service) ?? { uri: this.#options.system.uri, isBypassable: false };
      return { kind: 'blocked', by: by.because, service, reason: undefined, reply, isOnContent: by.isOnContent };
    }
    if (reply.code < 500) return { kind: 'expired', hop: hostOf(nextHop), reply };
    return nextHop === undefined ? { kind: 'no-route', reply } : { kind: 'refused', hop: hostOf(nextHop) ?? '', reply };
  }

  #named(header: Uint8Array, mail: string): Buffer {
    return Buffer.concat([Buffer.from(`OPES-System: ${mailUri(this.#options.system.uri, mail)}\r\n`), header]);
  }

  async #build(plan: ReportPlan, k: string, event: ReportEvent, notes: MailNotes, nowMs: number): Promise<NewMail> {
    const id = `${event.mail.id}.r${k}`;
    const original = await originalOf(event.content, this.#options.headerOctets, plan.returns === 'full');
    // What waited for its services has no block of ours yet: the System is named all the same (REQ-043).
    const isTraced = [...event.delivered, ...event.failed, ...event.delayed].some(
      ({ delivery }) => delivery.lane === 'relay',
    );
    const header = isTraced ? original.header : this.#named(original.header, notes.mail);
    const built = await buildReport(
      plan,
      { ...original, header },
      { id, nonce: this.#options.nonce(), nowMs },
      this.#options,
    );
    const facts: MailNotes = { mail: id, session: { ...notes.session, user: '' } };
    return {
      id,
      acceptedMs: nowMs,
      reversePath: built.reversePath,
      params: built.params,
      facts: facts as unknown as Json,
      contents: [{ id: `${id}/0`, octets: built.chunks }],
      deliveries: [
        {
          n: 0,
          content: `${id}/0`,
          forwardPath: built.forwardPath,
          params: built.rcptParams,
          destination: built.forwardPath.replace(/^.*@/s, '').toLowerCase(),
          lane: 'relay',
          hold: undefined,
          nextMs: nowMs,
          expiresMs: nowMs + this.#options.lifetimeMs,
          notes: {},
        },
      ],
    };
  }
}

function relayed({ reply, speaksDsn }: Ended, nextHop: string | undefined): Fate {
  const hop = hostOf(nextHop);
  // Behind LMTP is the mailbox.
  if (nextHop?.startsWith('lmtp') === true) return { kind: 'delivered', hop, reply };
  return { kind: 'relayed', hop: hop ?? '', speaksDsn, reply };
}

function delayed({ delivery, reply }: Ended, nextHop: string | undefined): Fate {
  return { kind: 'delayed', hop: hostOf(nextHop), reply, untilMs: delivery.expiresMs };
}

/** Reports name a host, not a port. */
function hostOf(nextHop: string | undefined): string | undefined {
  return nextHop?.replace(/^[a-z]+:\/\//, '').replace(/:\d+$/, '');
}

async function originalOf(content: Content, headerOctets: number, isFull: boolean): Promise<OriginalMail> {
  const header = await new Promise<Buffer>((resolve, reject) => {
    loadHeader(content, headerOctets, (error, octets) => (error === undefined ? resolve(octets) : reject(error)));
  });
  return { header, full: isFull ? octetsOf(content) : undefined };
}

async function* octetsOf(content: Content): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.size; at += PORTION)
    yield* await load(content, at, Math.min(PORTION, content.size - at));
}
