/** The spool over a real SQLite store, with a clock of its own and next hops that say what a test wants. */
import { setImmediate as turn } from 'node:timers/promises';
import { Deadlines, type Log, noMetrics, silentLog } from '../../src/base/index.ts';
import { Content, FixedOctets } from '../../src/gateway/content/index.ts';
import { Dispatcher } from '../../src/gateway/dispatch/dispatcher.ts';
import { type QueueOptions, type RouteOptions, showNextHop } from '../../src/gateway/options.ts';
import { RecentMailRing } from '../../src/gateway/record/recent-mails.ts';
import type { OpenRelay } from '../../src/gateway/relay/open-relay.ts';
import { Notices } from '../../src/gateway/spool/notices.ts';
import type { Acceptance, ReportEvent, Reports, SpoolPort, SpoolVariant } from '../../src/gateway/spool/port.ts';
import { Spool } from '../../src/gateway/spool/spool.ts';
import type { AdaptJob, AdaptResult } from '../../src/gateway/spool/world.ts';
import {
  type DataOptions,
  type Outbound,
  type OutboundEnvelope,
  type OutboundEvents,
  type Reply,
  replies,
  reply,
} from '../../src/smtp/index.ts';
import { openStore, type Store } from '../../src/store/index.ts';
import { plainRoute } from './routes.ts';
import { scratchFolder } from './scratch.ts';

const MINUTE = 60_000;
export const QUEUE: QueueOptions = {
  mode: 'spool',
  retryMs: [5 * MINUTE],
  lifetimeMs: 60 * MINUTE,
  warnAfterMs: 30 * MINUTE,
  perDestination: 3,
  keepMs: 100 * MINUTE,
  notice: false,
};
/** Of whoever sent the mails of these tests. */
export const SPOOLED_SESSION = {
  id: 'session',
  listener: 'mx',
  clientAddress: '192.0.2.1',
  verb: 'EHLO',
  helo: 'client.example',
  tls: false,
  user: '',
} as const;
export const QUEUED = reply(250, '2.0.0', 'queued');

export interface SentTo {
  readonly hop: string;
  readonly mail: string;
  readonly rcpts: string[];
  octets: string;
}

/** How the hops behave. */
export interface HopScript {
  /** `lost`: nobody answers. */
  rcpt(argument: string, hop: string): Reply | 'lost' | 'mute';
  final(hop: string): Reply;
}

export class SpoolRig implements OpenRelay {
  readonly dir: string;
  readonly deadlines = new Deadlines();
  readonly sent: SentTo[] = [];
  readonly events: ReportEvent[] = [];
  readonly jobs: AdaptJob[] = [];
  hops: HopScript = { rcpt: () => replies.rcptOk, final: () => QUEUED };
  adapt: (job: AdaptJob) => AdaptResult = () => ({ kind: 'later', reply: reply(451, '4.7.1', 'not now') });
  reports: (event: ReportEvent) => Reports = ({ failed }) => ({
    mails: [],
    held: new Set(),
    excepted: new Map(failed.map(({ delivery }) => [delivery.n, 'test'])),
  });
  /** In place of `reports`, where it is given. */
  make: ((event: ReportEvent) => Promise<Reports>) | undefined;
  /** When the services of a stored mail end. */
  adaptLater: (then: () => void) => void = queueMicrotask;
  /** What the spool asks of its world; may throw. */
  keyOf: () => string = () => '';
  random: () => number = () => 0.5;
  readonly logged: { readonly event: string; readonly fields: Readonly<Record<string, unknown>> }[] = [];
  nowMs = Date.UTC(2026, 10, 22);
  /** Whether the hops offer DSN. */
  speaksDsn = false;
  speaksOpes = true;
  /** The last mails, as far as a test keeps any. */
  readonly recent = new RecentMailRing(10);
  /** Whether half of the memory for contents is used. */
  memory = { isHalfUsed: true };
  tries = 0;
  /** Transactions open at a time, now and at most. */
  open_ = 0;
  most = 0;
  readonly #mute: (() => void)[] = [];
  store!: Store;
  spool!: Spool;

  constructor(dir = scratchFolder('spool')) {
    this.dir = `${dir}/store`;
  }

  async start(
    options: Partial<QueueOptions> = {},
    wrap: (store: Store) => Store = (store) => store,
    maxTasks?: number,
  ): Promise<Spool> {
    this.store = wrap(await openStore({ dataDir: this.dir, url: 'sqlite', clock: () => this.nowMs }));
    const routes: RouteOptions[] = [plainRoute('two.example', 'two', 25), plainRoute('*', 'one', 25)];
    this.spool = new Spool(
      { ...QUEUE, ...options },
      {
        store: this.store,
        dispatcher: new Dispatcher(routes, [], silentLog),
        relay: this,
        reports: {
          make: async (event) => {
            this.events.push(event);
            return this.make?.(event) ?? this.reports(event);
          },
        },
        notices:
          options.notice === true
            ? new Notices({
                hostname: 'mx.example.com',
                contact: 'postmaster@example.com',
                languages: ['en'],
                headerOctets: 10_000,
                lifetimeMs: 60 * MINUTE,
                perHour: 2,
              })
            : undefined,
        adapt: {
          keyOf: () => this.keyOf(),
          run: (job, done) => {
            this.jobs.push(job);
            this.adaptLater(() => done(this.adapt(job)));
          },
        },
        reviveServices: () => undefined,
        book: this.recent,
        memory: this.memory,
        deadlines: this.deadlines,
        wallClock: () => this.nowMs,
        random: () => this.random(),
        log: this.#log(),
        metrics: noMetrics,
      },
      maxTasks,
    );
    this.spool.start();
    return this.spool;
  }

  #log(): Log {
    const log = (event: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      this.logged.push({ event, fields });
    };
    return { ...silentLog, info: log, warn: log, error: log };
  }

  /** The lines of an event. */
  lines(event: string): readonly Readonly<Record<string, unknown>>[] {
    return this.logged.filter((line) => line.event === event).map(({ fields }) => fields);
  }

  async stop(): Promise<void> {
    const closed = this.spool.close(1);
    const ticks = setInterval(() => this.tick(10_000), 5);
    await closed;
    clearInterval(ticks);
    await this.store.close();
  }

  tick(byMs: number): void {
    this.nowMs += byMs;
    this.deadlines.tick(this.deadlines.nowMs + byMs);
  }

  accept(
    id: string,
    to: readonly string[],
    more: Partial<SpoolVariant> & { octets?: string } = {},
  ): Promise<Error | undefined> {
    return new Promise((resolve) => (this.spool as SpoolPort).accept(this.acceptance(id, to, more), resolve));
  }

  acceptance(id: string, to: readonly string[], more: Partial<SpoolVariant> & { octets?: string } = {}): Acceptance {
    return {
      id,
      acceptedMs: this.nowMs,
      session: SPOOLED_SESSION,
      variants: [
        {
          reversePath: '<a@src.example>',
          params: new Map([['BODY', '8BITMIME']]),
          content: contentOf(more.octets ?? 'Subject: x\r\n\r\nHello\r\n'),
          lane: 'relay',
          resume: undefined,
          recipients: to.map((address) => ({
            argument: `<${address}>`,
            domain: address.replace(/.*@/, ''),
            named: undefined,
            fate: { kind: 'deliver' },
          })),
          ...more,
        },
      ],
      dispose: () => undefined,
    };
  }

  /** Hops that said nothing so far take their recipients. */
  answerMute(): void {
    for (const answer of this.#mute.splice(0)) answer();
  }

  /** Lets things happen until `check` holds. Time does not move. */
  async until(check: () => boolean | Promise<boolean>, what: string): Promise<void> {
    const end = Date.now() + 20_000;
    while (!(await check())) {
      if (Date.now() > end) throw new Error(`${what}: never`);
      await turn();
    }
  }

  open(route: RouteOptions, envelope: OutboundEnvelope, events: OutboundEvents): Outbound {
    const hop = showNextHop(route.nextHop).replace(/:.*/, '');
    const sent: SentTo = { hop, mail: envelope.mail, rcpts: [], octets: '' };
    let isOver = false;
    let rcpts = 0;
    this.tries++;
    this.open_++;
    this.most = Math.max(this.most, this.open_);
    const later = (event: () => void): void => {
      setImmediate(() => {
        if (!isOver) event();
      });
    };
    let isDataAsked = false;
    let withoutOpes: DataOptions['withoutOpes'];
    const goAhead = (): void =>
      later(() => {
        if (!this.speaksOpes) sent.octets = Buffer.from(withoutOpes?.() ?? '').toString('latin1');
        events.onDataReply(replies.goAhead);
      });
    const end = (event: () => void): void =>
      later(() => {
        isOver = true;
        this.open_--;
        event();
      });
    return {
      passesDsn: this.speaksDsn,
      rcpt: (argument, params) => {
        const index = rcpts++;
        const answer = this.hops.rcpt(argument, hop);
        if (answer === 'mute') {
          this.#mute.push(() => {
            sent.rcpts.push(argument);
            later(() => events.onRcptReply(index, replies.rcptOk));
            if (isDataAsked) goAhead();
          });
          return;
        }
        if (answer === 'lost') end(() => events.onFailed({ stage: 'connect', reason: 'unreachable', sent: false }));
        else {
          if (answer.code === 250) sent.rcpts.push([argument, ...asWords(params)].join(' '));
          later(() => events.onRcptReply(index, answer));
        }
      },
      data: (options) => {
        isDataAsked = true;
        withoutOpes = options?.withoutOpes;
        later(() => (sent.rcpts.length > 0 ? goAhead() : undefined));
      },
      content: (octets, last) => {
        sent.octets += Buffer.concat(octets).toString('latin1');
        if (!last) later(() => events.onDrain());
        else
          end(() => {
            const answer = this.hops.final(hop);
            if (answer.code === 250) this.sent.push(sent);
            events.onFinalReply(answer);
          });
        return last;
      },
      abort: () => {
        if (!isOver) this.open_--;
        isOver = true;
      },
    };
  }
}

export function contentOf(text: string): Content {
  const content = new Content();
  const octets = new FixedOctets(Buffer.from(text, 'latin1'));
  content.append(octets, 0, octets.size);
  return content;
}

function asWords(params: ReadonlyMap<string, string | true> | undefined): string[] {
  return [...(params ?? [])].map(([keyword, value]) => (value === true ? keyword : `${keyword}=${value}`));
}
