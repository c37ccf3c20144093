/** One mail through the gateway's own code, without sockets: a scripted client before it, a recording hop behind it. */
import { type Log, noMetrics, silentLog } from '../../src/base/index.ts';
import { CalloutService } from '../../src/gateway/callouts/callout-service.ts';
import { MemoryBudget } from '../../src/gateway/content/index.ts';
import { InquiryPlaces } from '../../src/gateway/dialog/inquiry-places.ts';
import { Mail } from '../../src/gateway/dialog/mail.ts';
import { makeSessionView, type SessionOrigin, type SessionView } from '../../src/gateway/dialog/session-view.ts';
import type { MailPeer, MailWorld } from '../../src/gateway/dialog/world.ts';
import { Dispatcher } from '../../src/gateway/dispatch/dispatcher.ts';
import { MailCounts } from '../../src/gateway/metrics/index.ts';
import type {
  FailureAction,
  FailureReason,
  ListenerOptions,
  MailRecord,
  PipelineEntry,
  RouteOptions,
  ServiceOptions,
} from '../../src/gateway/options.ts';
import { showNextHop } from '../../src/gateway/options.ts';
import type { OpenRelay } from '../../src/gateway/relay/open-relay.ts';
import { makeRuleEngine } from '../../src/gateway/rules/index.ts';
import type { SpoolPort } from '../../src/gateway/spool/port.ts';
import { mailLimits } from '../../src/mail/index.ts';
import {
  type Outbound,
  type OutboundEnvelope,
  type OutboundEvents,
  overallReply,
  type Parameters,
  parseMailArgument,
  parseRcptArgument,
  type Reply,
  replies,
  reply,
} from '../../src/smtp/index.ts';
import type { MemoryCallouts } from './memory-callout.ts';
import { plainRoute } from './routes.ts';

export interface Delivered {
  readonly hop: string;
  readonly mail: string;
  /** What MAIL, and each RCPT, was passed on with. */
  readonly params: Parameters;
  readonly rcpts: string[];
  readonly rcptParams: (Parameters | undefined)[];
  content: Buffer;
  isComplete: boolean;
}

export interface PipelineScript {
  readonly options: ServiceOptions;
  readonly when?: string;
  readonly requires?: PipelineEntry['requires'];
  readonly buildsOn?: PipelineEntry['buildsOn'];
  readonly onFailure?: FailureAction;
  readonly timeoutMs?: number;
}

export const LISTENER: ListenerOptions = {
  name: 'mx',
  address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
  side: 'recipient',
  protocol: 'smtp',
  tls: undefined,
  requireTls: false,
  auth: undefined,
  isOnLoopback: true,
  relayFrom: [],
  proxyFrom: undefined,
  xclientFrom: [],
  xforwardFrom: [],
  bypassFrom: [],
  maxSizeOctets: 1024 * 1024,
  maxRecipients: 100,
  maxConnections: 10,
  maxConnectionsPerPeer: 10,
  idleMs: 1000,
  bareNewline: 'reject',
};

export class MailRig implements OpenRelay {
  readonly world: MailWorld;
  readonly delivered: Delivered[] = [];
  readonly records: MailRecord[] = [];
  readonly logged: { readonly event: string; readonly fields: Readonly<Record<string, unknown>> }[] = [];
  readonly services: CalloutService[];
  /** What the hop says to a recipient; 250 where absent. */
  hopRefuses = new Map<string, Reply>();
  /** What the hop of that name says to the content; 'nothing': it keeps silent. */
  hopFinals = new Map<string, Reply | 'nothing'>();
  /** What an LMTP hop says of a recipient behind the content; 250 where absent. */
  hopEach = new Map<string, Reply>();
  /** Hops that are lost when the first recipient was answered. */
  hopLost = new Set<string>();
  /** The login of the client; '' for none. */
  user = '';
  /** The listener it comes in by, and whether the hop offers OPES. */
  listener: ListenerOptions = LISTENER;
  speaksOpes = true;
  /** The client hears one reply behind the data, or one for each recipient: over LMTP, or by PRDR. */
  hears: 'one' | 'lmtp' | 'prdr' = 'one';
  #mails = 0;

  constructor(
    callouts: MemoryCallouts,
    pipeline: readonly PipelineScript[],
    routes?: readonly RouteOptions[],
    spool?: SpoolPort,
  ) {
    const engine = makeRuleEngine();
    this.services = pipeline.map((one) => new CalloutService(one.options, callouts.world));
    const steps = pipeline.map((one, index) => {
      const compiled = one.when === undefined ? undefined : engine.compile(one.when);
      if (compiled !== undefined && 'error' in compiled) throw new Error(compiled.error.message);
      const action = one.onFailure ?? 'tempfail';
      const onFailure: Record<FailureReason, FailureAction> = {
        timeout: action,
        unreachable: action,
        crash: action,
        invalid: action,
        overload: action,
      };
      const entry: PipelineEntry = {
        service: one.options.name,
        when: one.when,
        requires: one.requires ?? new Set(),
        buildsOn: one.buildsOn ?? [],
        onFailure,
        timeoutMs: one.timeoutMs ?? 5000,
      };
      return { index, entry, service: this.services[index] as CalloutService, rule: compiled?.ok };
    });
    const anywhere = plainRoute('*', 'hop', 25);
    this.world = {
      hostname: 'mx.example.com',
      system: { uri: 'https://mail.example.com/opes', contact: undefined, privacyPolicy: undefined },
      limits: {
        memoryOctets: 1 << 20,
        spillOctets: 1 << 20,
        headerOctets: 64 * 1024,
        maxHops: 5,
        nextHopConnections: 1,
        inquiries: 10,
        inquiriesPerPeer: 10,
      },
      headerLimits: { ...mailLimits, headerOctets: 64 * 1024 },
      deadlineMs: 60_000,
      dispatcher: new Dispatcher(routes ?? [anywhere], steps, this.#log()),
      relay: this,
      spool,
      inquiries: new InquiryPlaces({ inquiries: 10, inquiriesPerPeer: 10 }),
      budget: new MemoryBudget(),
      spill: {
        isFull: false,
        open: () => {
          throw new Error('nothing was to be spilled');
        },
      },
      deadlines: callouts.deadlines,
      clock: () => performance.now(),
      wallClock: () => Date.UTC(2026, 10, 22),
      log: this.#log(),
      metrics: noMetrics,
      counts: new MailCounts(noMetrics),
      keep: (record) => this.records.push(record),
      keepOctets: 10_000,
    };
  }

  /** A mail begun by MAIL; `reply` is its answer. */
  async begin(from = 'a@src.example', params = ''): Promise<{ mail: RigMail; reply: Reply }> {
    const argument = parseMailArgument(`<${from}> ${params}`);
    if (argument.kind !== 'got') throw new Error('address');
    const client = { user: this.user, hears: this.hears, listener: this.listener, params: argument.value.params };
    const mail = new RigMail(this.world, ++this.#mails, `<${from}>`, argument.value.path, client);
    return { mail, reply: await mail.began };
  }

  /** Everything at once: the answers to the recipients and to the content. */
  async send(
    content: string,
    to: readonly string[] = ['b@dst.example'],
  ): Promise<{ rcpts: Reply[]; final: Reply | undefined; each?: readonly Reply[] | undefined }> {
    const { mail, reply: mailReply } = await this.begin();
    if (mailReply.code !== 250) return { rcpts: [], final: mailReply };
    const rcpts = await Promise.all(to.map((one) => mail.rcpt(one)));
    if (!rcpts.some((one) => one.code === 250)) return { rcpts, final: undefined };
    return { rcpts, final: await mail.content(content), each: mail.each };
  }

  open(route: RouteOptions, envelope: OutboundEnvelope, events: OutboundEvents): Outbound {
    const delivered: Delivered = {
      hop: showNextHop(route.nextHop).replace(/:.*/, ''),
      mail: envelope.mail,
      params: envelope.params,
      rcpts: [],
      rcptParams: [],
      content: Buffer.alloc(0),
      isComplete: false,
    };
    this.delivered.push(delivered);
    let count = 0;
    let isOver = false;
    const accepted: (string | undefined)[] = [];
    const isLmtp = route.nextHop.kind.startsWith('lmtp');
    const taken = reply(250, '2.0.0', 'queued as 1');
    const answer = (): void => {
      const said = this.hopFinals.get(delivered.hop) ?? taken;
      if (said === 'nothing') return;
      const each = accepted.map((one) => (one === undefined ? undefined : (this.hopEach.get(one) ?? said)));
      if (isLmtp) events.onFinalReply(each.find((one) => one !== undefined && one.code !== 250) ?? said, each);
      else events.onFinalReply(said);
    };
    const later = (event: () => void): void => {
      setImmediate(() => {
        if (!isOver) event();
      });
    };
    return {
      passesDsn: true,
      rcpt: (argument, params) => {
        const index = count++;
        const refusal = this.hopRefuses.get(argument);
        if (refusal === undefined) {
          delivered.rcpts.push(argument);
          delivered.rcptParams.push(params);
        }
        accepted[index] = refusal === undefined ? argument : undefined;
        later(() => events.onRcptReply(index, refusal ?? replies.rcptOk));
        if (this.hopLost.has(delivered.hop))
          later(() => events.onFailed({ stage: 'envelope', reason: 'lost', sent: false }));
      },
      data: (options) =>
        later(() => {
          const ahead = this.speaksOpes ? undefined : options?.withoutOpes?.();
          if (ahead !== undefined) delivered.content = Buffer.from(ahead);
          events.onDataReply(replies.goAhead);
        }),
      content: (octets, last) => {
        delivered.content = Buffer.concat([delivered.content, ...octets]);
        if (last) delivered.isComplete = true;
        later(() => (last ? answer() : events.onDrain()));
        return false;
      },
      abort: () => {
        isOver = true;
      },
    };
  }

  #log(): Log {
    const log = (event: string, fields: Readonly<Record<string, unknown>> = {}): void => {
      this.logged.push({ event, fields });
    };
    return { ...silentLog, info: log, warn: log, error: log };
  }
}

export class RigMail implements MailPeer {
  /** What was said at the end of the data of each recipient, where the client hears that. */
  each: readonly Reply[] | undefined;
  readonly began: Promise<Reply>;
  readonly #paused = Promise.withResolvers<void>();
  readonly #resumed = Promise.withResolvers<void>();
  readonly #mail: Mail;
  readonly #waiting = new Map<number, (answer: Reply) => void>();
  #tickets = 0;
  #isReset = false;

  constructor(
    world: MailWorld,
    n: number,
    argument: string,
    path: ConstructorParameters<typeof Mail>[4]['reversePath'],
    client: Pick<MailRig, 'user' | 'hears'> & { readonly listener?: ListenerOptions; readonly params?: Parameters } = {
      user: '',
      hears: 'one',
    },
  ) {
    const { user, hears, listener: through = LISTENER, params = new Map<string, true>() } = client;
    const listener: ListenerOptions = { ...through, protocol: hears === 'lmtp' ? 'lmtp' : 'smtp' };
    const isUsual = user === '' && hears !== 'lmtp' && through === LISTENER;
    const session = isUsual ? SESSION : makeSessionView('mx.example.com', { ...ORIGIN, listener, user });
    const all: Parameters = hears === 'prdr' ? new Map([...params, ['PRDR', true]]) : params;
    this.#mail = new Mail(world, session, this, n, { argument, reversePath: path, params: all }, () => {});
    this.began = this.#ask((ticket) => this.#mail.begin(ticket));
  }

  /** `params`: as they stand behind the path. */
  rcpt(to: string, params = ''): Promise<Reply> {
    const argument = `<${to}> ${params}`.trimEnd();
    const parsed = parseRcptArgument(argument);
    if (parsed.kind !== 'got') throw new Error(to);
    const { path: forwardPath, params: read } = parsed.value;
    return this.#ask((ticket) => this.#mail.rcpt({ argument, forwardPath, params: read }, ticket));
  }

  /** `pieces`: how the content is cut as it comes in. Of a mail that is reset no more is sent, and nothing answered. */
  async content(text: string, pieces = 1): Promise<Reply> {
    const go = await this.#ask((ticket) => this.#mail.data(ticket));
    if (go.code !== 354) return go;
    const octets = Buffer.from(text, 'latin1');
    const step = Math.max(1, Math.ceil(octets.length / pieces));
    for (let at = 0; at < octets.length && !this.#isReset; at += step) {
      this.#mail.content(octets.subarray(at, at + step));
      if (pieces > 1) await new Promise(setImmediate);
    }
    return this.#ask((ticket) => {
      if (!this.#isReset) this.#mail.contentEnd(ticket, false);
    });
  }

  reset(): void {
    this.#isReset = true;
    this.#mail.reset('RSET');
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

  pauseContent(): void {
    this.#paused.resolve();
  }

  resumeContent(): void {
    this.#resumed.resolve();
  }

  /** When the client is held back, and let go, for the first time. */
  paused(): Promise<void> {
    return this.#paused.promise;
  }

  resumed(): Promise<void> {
    return this.#resumed.promise;
  }

  #ask(command: (ticket: number) => void): Promise<Reply> {
    const ticket = ++this.#tickets;
    return new Promise((resolve) => {
      this.#waiting.set(ticket, resolve);
      command(ticket);
    });
  }
}

const ORIGIN: SessionOrigin = {
  id: 'session',
  listener: LISTENER,
  clientAddress: '192.0.2.1',
  verb: 'EHLO',
  helo: 'client.example',
  tls: false,
};

const SESSION: SessionView = makeSessionView('mx.example.com', ORIGIN);
