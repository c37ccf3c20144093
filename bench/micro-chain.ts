/**
 * What one service costs a mail in the gateway: dialog, dispatcher, chain and the processor's agent, without a socket.
 *   node -C opes-source bench/micro-chain.ts [SEGMENTS [NAME]]
 * Three figures, or the one that NAME begins, each the best of many short segments: no service; the service of target g1 in memory, both sides of
 * OCP counted; and that service's recorded answers, which cost next to nothing, so that the gateway's side stands alone.
 */
import { Deadlines, noMetrics, silentLog } from '../src/base/index.ts';
import { ServiceSet } from '../src/callout/server.ts';
import type { OpenChannel, OpenedChannel } from '../src/gateway/callouts/callout-channel.ts';
import { CalloutService } from '../src/gateway/callouts/callout-service.ts';
import { AcceptingRelay } from '../src/gateway/check/accepting-relay.ts';
import { MemoryBudget } from '../src/gateway/content/index.ts';
import { Dialog, type DialogConnection } from '../src/gateway/dialog/dialog.ts';
import { InquiryPlaces } from '../src/gateway/dialog/inquiry-places.ts';
import type { MailWorld } from '../src/gateway/dialog/world.ts';
import { Dispatcher } from '../src/gateway/dispatch/dispatcher.ts';
import { MailCounts } from '../src/gateway/metrics/index.ts';
import type { ListenerOptions, PipelineEntry, ServiceOptions } from '../src/gateway/options.ts';
import { mailLimits } from '../src/mail/index.ts';
import {
  CalloutAgent,
  ProcessorAgent,
  type ProcessorEvents,
  type ProcessorOptions,
  Scratch,
} from '../src/ocp/index.ts';
import { makeServerOptions, NO_ATTRIBUTES, ServerSession } from '../src/smtp/index.ts';
import { LISTENER as RIG_LISTENER } from '../test/support/mail-rig.ts';
import { plainRoute } from '../test/support/routes.ts';
import headerService from './header-service.ts';

const SESSIONS = 20;
/** Mails of each session in a segment. */
const ROUNDS = 20;
const segments = Number(process.argv[2] ?? 100);
const only = process.argv[3];

const deadlines = new Deadlines();
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const LISTENER: ListenerOptions = { ...RIG_LISTENER, maxSizeOctets: 50e6 };

/** The far end of the one OCP connection. */
interface Peer {
  /** The octets of one turn. */
  recv(octets: Buffer): void;
}

/** A connection in memory; octets move in later turns, as they do on a socket. */
function openChannel(peerOf: (agent: ProcessorAgent) => Peer): OpenChannel {
  return (_endpoint, options: ProcessorOptions, events: ProcessorEvents): OpenedChannel => {
    const agent = new ProcessorAgent(
      { ...options, firstXid: FIRST_XID },
      {
        onSelected: (feature, details) => events.onSelected(feature, details),
        onReady: () => events.onReady(),
        onOutput: () => setImmediate(flush),
        onEnd: (end) => {
          throw new Error(`connection ended: ${end.result.reason}`);
        },
      },
    );
    const peer = peerOf(agent);
    const scratch = new Scratch();
    const flush = (): void => {
      for (const octets of agent.outbox.take(scratch)) peer.recv(octets);
      scratch.giveBack(false);
      agent.drained();
    };
    queueMicrotask(() => agent.start());
    return { agent, close() {} };
  };
}

const FIRST_XID = 1_000_000;

/** The callout server of target g1, with what it says in reach. */
class ServicePeer implements Peer {
  readonly #server: CalloutAgent;
  #said = '';

  constructor(agent: ProcessorAgent) {
    const set = new ServiceSet([headerService], { deadlines });
    const flush = (): void => {
      for (const octets of this.#server.outbox.take()) {
        this.#said += octets.toString('latin1');
        agent.recv(octets);
      }
      this.#server.drained();
    };
    this.#server = new CalloutAgent({}, set.connect({ onOutput: () => setImmediate(flush), onEnd() {} }));
    queueMicrotask(() => this.#server.start());
  }

  recv(octets: Buffer): void {
    this.#server.recv(octets);
  }

  /** What it said since it was last asked. */
  takeSaid(): string {
    const said = this.#said;
    this.#said = '';
    return said;
  }
}

/** Says what the service said in its first mail, once for each session, when told to. */
class RecordedPeer implements Peer {
  readonly #agent: ProcessorAgent;
  readonly #record: Record;
  #xid = FIRST_XID;
  /** Where the mail data is, read off the first data message of a turn: those of a round are alike. */
  #data = '';

  constructor(agent: ProcessorAgent, record: Record) {
    this.#agent = agent;
    this.#record = record;
  }

  recv(octets: Buffer): void {
    const head = octets.toString('latin1', 0, 200);
    if (head.startsWith('CS')) this.#agent.recv(Buffer.from(this.#record.greeting, 'latin1'));
    else if (head.startsWith('DUM')) {
      const [, offset, size] = /^DUM \d+ (\d+)[\s\S]*?\r\n\r\n(\d+):/.exec(head) ?? [];
      this.#data = `${offset} ${size}`;
    }
  }

  answerRecipients(): void {
    this.#say(this.#record.recipient);
  }

  answerData(): void {
    this.#say(this.#record.data.map((text) => text.replace('DATA', this.#data)));
    this.#xid += SESSIONS;
  }

  /** `template`: what stands between the xids. */
  #say(template: readonly string[]): void {
    let out = '';
    for (let i = 0; i < SESSIONS; i++) out += template.join(`${this.#xid + i}`);
    this.#agent.recv(Buffer.from(out, 'latin1'));
  }
}

interface Record {
  readonly greeting: string;
  readonly recipient: readonly string[];
  readonly data: readonly string[];
}

class Client implements DialogConnection {
  readonly remoteAddress = '127.0.0.1';
  readonly isSecure = false;
  readonly user = '';
  readonly client = NO_ATTRIBUTES;
  readonly forwarded = NO_ATTRIBUTES;
  readonly #session: ServerSession;
  #replies = '';

  constructor(world: MailWorld) {
    const options = makeServerOptions({ hostname: 'gw.test' });
    const dialog = new Dialog(world, LISTENER, this, 'abcdefghijkl');
    this.#session = new ServerSession({ ...options, limits: { ...options.limits, commands: 1e9 } }, dialog, {
      write: (text) => {
        this.#replies += text;
      },
      startTls() {},
      close() {},
      pauseInput() {},
      resumeInput() {},
    });
    this.#session.greet();
    this.send(Buffer.from('EHLO client.test\r\n'));
    this.#replies = '';
  }

  send(octets: Buffer): void {
    this.#session.recv(octets);
  }

  hears(text: string): boolean {
    if (!this.#replies.includes(text)) return false;
    this.#replies = '';
    return true;
  }

  get replies(): string {
    return this.#replies;
  }

  pauseContent(): void {}
  resumeContent(): void {}
  answerAuth(): void {}

  answerEach(...[ticket, each]: Parameters<DialogConnection['answerEach']>): void {
    this.#session.answerEach(ticket, each);
  }

  answer(...[ticket, reply]: Parameters<DialogConnection['answer']>): void {
    this.#session.answer(ticket, reply);
  }
  answerHello(ticket: number): void {
    this.#session.answerHello(ticket);
  }
  go(ticket: number): void {
    this.#session.go(ticket);
  }
}

/** What a bench needs to know of its callout side: nothing, or when to have it answer. */
interface Callout {
  readonly open: OpenChannel | undefined;
  afterRecipients?(): void;
  afterData?(): void;
}

const ENVELOPE = [Buffer.from('MAIL FROM:<a@src.test>\r\n'), Buffer.from('RCPT TO:<b@dst.test>\r\n')];
const DATA = Buffer.from('DATA\r\n');
const CONTENT = Buffer.from(
  `From: a@src.test\r\nTo: b@dst.test\r\nSubject: test\r\nMessage-ID: <1@x>\r\n\r\n${`${'x'.repeat(73)}\r\n`.repeat(136)}.\r\n`,
);

class Bench {
  readonly #callout: Callout;
  readonly #clients: Client[];
  /** CPU of a mail. */
  us = Number.POSITIVE_INFINITY;
  /** Octets set aside for a mail. */
  garbage = 0;

  constructor(callout: Callout, sessions = SESSIONS) {
    this.#callout = callout;
    const world = makeWorld(callout.open);
    this.#clients = Array.from({ length: sessions }, () => new Client(world));
  }

  /** A mail of each session, side by side. */
  async round(): Promise<void> {
    for (const client of this.#clients) for (const line of ENVELOPE) client.send(line);
    await turn();
    this.#callout.afterRecipients?.();
    await this.#all('2.1.5');
    for (const client of this.#clients) {
      client.send(DATA);
      client.send(CONTENT);
    }
    await turn();
    this.#callout.afterData?.();
    await this.#all('accepted');
  }

  /** One segment, the best one counts. */
  async segment(): Promise<void> {
    const heap = process.memoryUsage().heapUsed;
    const started = process.cpuUsage();
    for (let i = 0; i < ROUNDS; i++) await this.round();
    const { user, system } = process.cpuUsage(started);
    this.us = Math.min(this.us, (user + system) / (ROUNDS * SESSIONS));
    // A segment that no scavenge came into shows what was set aside in it.
    this.garbage = Math.max(this.garbage, (process.memoryUsage().heapUsed - heap) / (ROUNDS * SESSIONS));
  }

  async #all(reply: string): Promise<void> {
    for (const client of this.#clients) {
      for (let turns = 0; !client.hears(reply); turns++) {
        if (turns > 1000) throw new Error(`no "${reply}": ${client.replies}`);
        await turn();
      }
    }
  }
}

function makeWorld(open: OpenChannel | undefined): MailWorld {
  const steps = open === undefined ? [] : [makeStep(open)];
  return {
    hostname: 'gw.test',
    system: { uri: 'https://gw.test/opes', contact: undefined, privacyPolicy: undefined },
    limits: {
      memoryOctets: 4 << 20,
      spillOctets: 1 << 30,
      headerOctets: 256 * 1024,
      maxHops: 50,
      nextHopConnections: 10,
      inquiries: 1,
      inquiriesPerPeer: 1,
    },
    headerLimits: mailLimits,
    deadlineMs: 240_000,
    dispatcher: new Dispatcher([plainRoute('*', 'hop', 25)], steps, silentLog),
    relay: new AcceptingRelay(),
    spool: undefined,
    inquiries: new InquiryPlaces({ inquiries: 1, inquiriesPerPeer: 1 }),
    budget: new MemoryBudget(),
    spill: {
      isFull: false,
      open: () => {
        throw new Error('nothing is spilled here');
      },
    },
    deadlines,
    clock: () => performance.now(),
    wallClock: Date.now,
    log: silentLog,
    metrics: noMetrics,
    counts: new MailCounts(noMetrics),
    keep: undefined,
    keepOctets: 0,
  };
}

function makeStep(open: OpenChannel) {
  const options: ServiceOptions = {
    name: 'header',
    uri: headerService.uri,
    may: new Set(['refuse', 'add-header']),
    bypassable: 'never',
    commands: new Set(),
    neverBecause: undefined,
    consent: 'operator',
    kept: 'structure',
    insecure: false,
    endpoints: [{ kind: 'tcp', host: '127.0.0.1', port: 4037 }],
  };
  const entry: PipelineEntry = {
    service: 'header',
    when: undefined,
    requires: new Set(['RCPT', 'RAWDATA']),
    buildsOn: [],
    onFailure: {
      timeout: 'tempfail',
      unreachable: 'tempfail',
      crash: 'tempfail',
      invalid: 'tempfail',
      overload: 'tempfail',
    },
    timeoutMs: 30_000,
  };
  const service = new CalloutService(options, {
    onSilent: () => undefined,
    openChannel: open,
    deadlines,
    log: { ...silentLog, warn: (event, fields) => console.error(event, fields) },
    metrics: noMetrics,
  });
  service.start();
  return { index: 0, entry, service, rule: undefined };
}

/** One mail through the service, and what it said in each phase. */
async function record(): Promise<Record> {
  let peer: ServicePeer | undefined;
  let greeting = '';
  let recipient = '';
  const bench = new Bench(
    {
      open: openChannel((agent) => {
        peer = new ServicePeer(agent);
        return peer;
      }),
      afterData: () => {
        recipient = peer?.takeSaid() ?? '';
      },
    },
    1,
  );
  for (let i = 0; i < 10; i++) await turn();
  greeting = peer?.takeSaid() ?? '';
  await bench.round();
  for (let i = 0; i < 10; i++) await turn();
  const data = peer?.takeSaid() ?? '';
  const { length } = `${FIRST_XID}`;
  return {
    greeting,
    recipient: recipient.split(`${FIRST_XID}`),
    data: data.replace(new RegExp(`(?<=DUY \\d{${length}} )\\d+ \\d+`), 'DATA').split(`${FIRST_XID}`),
  };
}

const recorded = await record();
let peer: RecordedPeer | undefined;
const callouts: { readonly [name: string]: Callout } = {
  'no service': { open: undefined },
  'recorded answers': {
    open: openChannel((agent) => {
      peer = new RecordedPeer(agent, recorded);
      return peer;
    }),
    afterRecipients: () => peer?.answerRecipients(),
    afterData: () => peer?.answerData(),
  },
  'service in memory': { open: openChannel((agent) => new ServicePeer(agent)) },
};
const benches = new Map<string, Bench>();
for (const [name, callout] of Object.entries(callouts)) {
  if (only === undefined || name.startsWith(only)) benches.set(name, new Bench(callout));
}
for (let i = 0; i < 10; i++) await turn();
for (const bench of benches.values()) for (let i = 0; i < 500; i++) await bench.round();
// In turn, so that all of them meet the same machine.
for (let i = 0; i < segments; i++) for (const bench of benches.values()) await bench.segment();
for (const [name, { us, garbage }] of benches)
  console.log(`${name.padEnd(20)} ${us.toFixed(1)} us, ${(garbage / 1024).toFixed(1)} KiB of garbage`);
const without = benches.get('no service');
const withOne = benches.get('recorded answers');
if (without !== undefined && withOne !== undefined) {
  const garbage = (withOne.garbage - without.garbage) / 1024;
  console.log(`the gateway's side: ${(withOne.us - without.us).toFixed(1)} us, ${garbage.toFixed(1)} KiB of garbage`);
}
