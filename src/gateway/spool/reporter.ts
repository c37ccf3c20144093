/** Reports for the spool: what became of deliveries in the words of `gateway/dsn`, and its reports as mails for the store. */
import { lowerAscii } from '../../smtp/index.ts';
import type { Json, NewMail } from '../../store/index.ts';
import { loadHeader } from '../content/compare.ts';
import type { Content } from '../content/index.ts';
import {
  buildReport,
  type DeliveryOfReport,
  type Fate,
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
    // Read before anything is decided: where it cannot be read the whole is made anew, and the sender's share of reports is used once.
    const header = await headerOf(event.content, this.#options.headerOctets);
    const { reports, excepted, quarantine } = this.#decider.decideReports(about, deliveries, nowMs);
    const mails: NewMail[] = [];
    // The clock tells a delivery's tries apart, its number those of one instant, the last digit the reports of one try.
    for (const [k, plan] of reports.entries()) {
      const n = plan.deliveries[0]?.n ?? 0;
      mails.push(await this.#build(plan, `${nowMs}${n}${k}`, event, header, nowMs));
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

  async #build(plan: ReportPlan, k: string, event: ReportEvent, top: Buffer, nowMs: number): Promise<NewMail> {
    const id = `${event.mail.id}.r${k}`;
    const notes = mailNotes(event.mail);
    // What waited for its services has no block of ours yet: the System is named all the same (REQ-043).
    const isTraced = [...event.delivered, ...event.failed, ...event.delayed].some(
      ({ delivery }) => delivery.lane === 'relay',
    );
    const header = isTraced ? top : this.#named(top, notes.mail);
    const full = plan.returns === 'full' ? octetsOf(event.content) : undefined;
    const built = await buildReport(plan, { header, full }, { id, nonce: this.#options.nonce(), nowMs }, this.#options);
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
          destination: lowerAscii(built.forwardPath.replace(/^.*@/s, '')),
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

/** Reports name a host, not a port, and an address as a literal (RFC 5321, 4.1.3). By MX, or a Unix socket, there is none to name. */
function hostOf(nextHop: string | undefined): string | undefined {
  const host = /^(?:[a-z]+:\/\/)?([^/]+):\d+$/.exec(nextHop ?? '')?.[1];
  if (host === undefined) return undefined;
  // No name of a host ends with a number.
  if (/^[\d.]+$/.test(host)) return `[${host}]`;
  return host.startsWith('[') ? `[IPv6:${host.slice(1)}` : host;
}

function headerOf(content: Content, maxOctets: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    loadHeader(content, maxOctets, (error, octets) => (error === undefined ? resolve(octets) : reject(error)));
  });
}

async function* octetsOf(content: Content): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.size; at += PORTION)
    yield* await load(content, at, Math.min(PORTION, content.size - at));
}
