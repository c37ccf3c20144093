/**
 * The real `AskDns`: one question, over the servers in turn, until one gives an answer or the deadline is over. A server
 * that fails (SERVFAIL, REFUSED, silence, nonsense) is left for the next one. Questions beyond the cap wait for their turn.
 */
import { randomInt } from 'node:crypto';
import type { DnsLimits } from '../limits.ts';
import { isAboutEdns, type Question } from '../message.ts';
import type { Asked } from '../resolver.ts';
import { type Exchange, type Exchanged, exchangeTcp, exchangeUdp } from './exchange.ts';
import { type DnsServer, isOnLoopback } from './servers.ts';
import { Turns } from './turns.ts';

export interface DnsTransportOptions {
  /** At least one. */
  readonly servers: readonly DnsServer[];
  /** Believe the AD bit of servers that are not on this machine. */
  readonly trustAd: boolean;
  readonly limits: DnsLimits;
}

const BUSY: Asked = { kind: 'failed', detail: 'too many questions at once' };
const CLOSED: Asked = { kind: 'failed', detail: 'the resolver is closed' };

export class DnsTransport {
  readonly #options: DnsTransportOptions;
  readonly #turns: Turns;
  readonly #underWay = new Set<Exchange>();
  #isClosed = false;

  constructor(options: DnsTransportOptions) {
    if (options.servers.length === 0) throw new TypeError('no DNS server is given');
    this.#options = options;
    this.#turns = new Turns(options.limits.parallel, options.limits.waiting);
  }

  readonly ask = async (question: Question): Promise<Asked> => {
    const { deadlineMs } = this.#options.limits;
    const untilMs = performance.now() + deadlineMs;
    if (!(await this.#turns.take(deadlineMs))) return this.#isClosed ? CLOSED : BUSY;
    try {
      return await this.#askServers(question, untilMs);
    } finally {
      this.#turns.release();
    }
  };

  /** Whatever is under way fails now. */
  close(): void {
    this.#isClosed = true;
    this.#turns.close();
    for (const exchange of this.#underWay) exchange.abort();
  }

  async #askServers(question: Question, untilMs: number): Promise<Asked> {
    const { servers, limits } = this.#options;
    let detail = 'no answer in time';
    for (let round = 0; round < limits.rounds; round++) {
      for (const server of servers) {
        if (this.#isClosed) return CLOSED;
        if (untilMs - performance.now() < 1) return { kind: 'failed', detail };
        const outcome = await this.#askServer(server, question, untilMs);
        if (outcome.kind === 'answer') return this.#believed(server, outcome);
        detail = `${server.host}: ${inWords(outcome)}`;
      }
    }
    return { kind: 'failed', detail };
  }

  /** With EDNS, and without where the server does not know it (RFC 6891 section 6.2.2); by TCP where UDP is too small. */
  async #askServer(server: DnsServer, question: Question, untilMs: number): Promise<Exchanged> {
    const first = await this.#askOnce(server, question, true, untilMs);
    return first.kind === 'error' && isAboutEdns(first.rcode)
      ? await this.#askOnce(server, question, false, untilMs)
      : first;
  }

  async #askOnce(server: DnsServer, question: Question, edns: boolean, untilMs: number): Promise<Exchanged> {
    const byUdp = await this.#exchange(exchangeUdp, server, question, edns, untilMs);
    return byUdp.kind === 'truncated' ? await this.#exchange(exchangeTcp, server, question, edns, untilMs) : byUdp;
  }

  async #exchange(
    exchange: typeof exchangeUdp,
    server: DnsServer,
    question: Question,
    edns: boolean,
    untilMs: number,
  ): Promise<Exchanged> {
    const { limits } = this.#options;
    const timeoutMs = Math.max(1, Math.min(limits.attemptMs, untilMs - performance.now()));
    const started = exchange(server, { ...question, id: randomInt(0x1_0000), edns }, limits, timeoutMs);
    this.#underWay.add(started);
    if (this.#isClosed) started.abort();
    try {
      return await started.done;
    } finally {
      this.#underWay.delete(started);
    }
  }

  #believed(server: DnsServer, { answer }: Extract<Exchanged, { kind: 'answer' }>): Asked {
    const isTrusted = this.#options.trustAd || isOnLoopback(server);
    return { kind: 'answer', answer: isTrusted ? answer : { ...answer, isAuthentic: false } };
  }
}

function inWords(outcome: Exclude<Exchanged, { kind: 'answer' }>): string {
  switch (outcome.kind) {
    case 'error':
      return outcome.rcode;
    case 'lost':
      return outcome.detail;
    case 'bad':
      return `an answer that breaks the rule ${outcome.rule}`;
    case 'truncated':
      return 'truncated';
  }
}
