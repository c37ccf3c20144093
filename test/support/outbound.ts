/** Sends mails through a `NextHop` as a relay would, and keeps everything it was told. */
import assert from 'node:assert/strict';
import {
  type ClientIdentity,
  type HopTls,
  NextHop,
  type NextHopLimits,
  type NextHopOptions,
  type Outbound,
  type OutboundEnvelope,
  type OutboundEvents,
  type OutboundFailure,
  type Reply,
} from '../../src/smtp/index.ts';
import { Sink, type SinkOptions } from './sink.ts';

export interface TestMail {
  readonly mail?: string;
  readonly params?: ReadonlyMap<string, string | true>;
  readonly rcpts?: readonly string[];
  readonly client?: ClientIdentity;
  readonly ident?: string;
  readonly content?: readonly Uint8Array[];
  readonly exact?: boolean;
  /** `data()` is called right behind `rcpt()`, before any answer. */
  readonly ahead?: boolean;
  /** Called in place of going on by itself, when the recipients have their replies. */
  readonly onEnvelope?: (sent: SentMail) => void;
  /** Called in place of the content, when 354 came. */
  readonly onGo?: (sent: SentMail) => void;
}

/** A `NextHop`, or whatever else mails can be begun with. */
export interface Opens {
  open(envelope: OutboundEnvelope, events: OutboundEvents): Outbound;
}

export class SentMail implements OutboundEvents {
  readonly out: Outbound;
  readonly mail: TestMail;
  readonly rcptReplies: (Reply | undefined)[] = [];
  dataReply: Reply | undefined;
  finalReply: Reply | undefined;
  failure: OutboundFailure | undefined;
  drains = 0;
  /** Every event in order, for tests of the order. */
  readonly events: string[] = [];
  /** Resolves with the last event: the final reply, the refusal of DATA, or the failure. */
  readonly done: Promise<void>;
  readonly #content: readonly Uint8Array[];
  #resolve: () => void = () => {};
  #next = 0;
  #owed: number;
  #isOver = false;

  constructor(hop: Opens, mail: TestMail) {
    this.mail = mail;
    this.#content = mail.content ?? [Buffer.from('Subject: x\r\n\r\nHello\r\n')];
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    const rcpts = mail.rcpts ?? ['<b@example.com>'];
    this.#owed = rcpts.length;
    const { client, ident } = mail;
    const envelope = { mail: mail.mail ?? '<a@example.org>', params: mail.params ?? new Map(), client, ident };
    this.out = hop.open(envelope, this);
    for (const rcpt of rcpts) this.out.rcpt(rcpt);
    if (mail.ahead === true) this.out.data({ exact: mail.exact === true });
  }

  /** The code of the last event, or the reason of the failure. */
  get result(): number | string | undefined {
    return this.failure?.reason ?? this.finalReply?.code ?? this.dataReply?.code;
  }

  onRcptReply(index: number, reply: Reply): void {
    this.#tell(`rcpt ${index} ${reply.code}`);
    this.rcptReplies[index] = reply;
    if (--this.#owed > 0) return;
    if (this.mail.ahead === true) return;
    if (this.mail.onEnvelope !== undefined) this.mail.onEnvelope(this);
    else this.goOn();
  }

  /** What a relay does once every recipient has its reply. */
  goOn(): void {
    if (this.rcptReplies.some((reply) => reply !== undefined && reply.code < 300)) {
      this.out.data({ exact: this.mail.exact === true });
      return;
    }
    this.out.abort();
    this.#end();
  }

  onDataReply(reply: Reply): void {
    this.#tell(`data ${reply.code}`);
    this.dataReply = reply;
    if (reply.code !== 354) this.#end();
    else if (this.mail.onGo !== undefined) this.mail.onGo(this);
    else this.pour();
  }

  /** Gives content until it is all given or there is no room. */
  pour(): void {
    while (this.#next < this.#content.length) {
      const chunk = this.#content[this.#next++] as Uint8Array;
      if (!this.out.content([chunk], this.#next === this.#content.length)) return;
    }
  }

  onDrain(): void {
    this.drains++;
    this.pour();
  }

  onFinalReply(reply: Reply, each?: readonly (Reply | undefined)[]): void {
    this.#tell(`final ${reply.code}${each === undefined ? '' : ` ${each.map((one) => one?.code ?? '-').join(',')}`}`);
    this.finalReply = reply;
    this.#end();
  }

  onFailed(failure: OutboundFailure): void {
    this.#tell(`failed ${failure.stage} ${failure.reason}${failure.sent ? ' sent' : ''}`);
    this.failure = failure;
    this.#end();
  }

  #tell(event: string): void {
    // Thrown from here it would be the connection's fault, and caught there.
    if (this.#isOver)
      queueMicrotask(() => {
        throw new Error(`an event behind the last one: ${event}`);
      });
    this.events.push(event);
  }

  #end(): void {
    this.#isOver = true;
    this.#resolve();
  }
}

export async function sendMail(hop: Opens, mail: TestMail = {}): Promise<SentMail> {
  const sent = new SentMail(hop, mail);
  await sent.done;
  return sent;
}

export interface HopTestOptions extends Partial<Pick<NextHopOptions, 'auth' | 'identity' | 'log'>> {
  readonly limits?: Partial<NextHopLimits>;
  readonly tls?: HopTls['policy'] | HopTls;
  readonly kind?: 'smtp' | 'smtps' | 'lmtp';
}

/** A sink and a hop to it, both closed behind the test. The client must never have broken a rule. */
export async function withHop(
  script: SinkOptions,
  options: HopTestOptions,
  body: (hop: NextHop, sink: Sink) => Promise<void>,
): Promise<void> {
  const sink = await Sink.listen(script);
  const { kind = 'smtp', tls = 'none', limits, ...rest } = options;
  const hop = new NextHop({
    address:
      script.path === undefined
        ? { kind, host: '127.0.0.1', port: sink.port }
        : { kind: 'lmtp-unix', path: script.path },
    tls: typeof tls === 'string' ? { policy: tls } : tls,
    helo: 'us.example',
    limits: { tickMs: 5, ...limits },
    ...rest,
  });
  try {
    await body(hop, sink);
    assert.deepEqual(sink.complaints, []);
  } finally {
    await hop.close(0);
    await sink.close();
  }
}
