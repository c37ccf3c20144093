/** What the running gateway answers on its admin socket. */
import type { Log } from '../../base/index.ts';
import type { Finding, MailRecord, QueueAdmin, QueueEntry, QueuePlace, RecentMails } from '../../gateway/index.ts';
import { type Answers, type ErrorAnswer, type Request, type TraceReport, VERSION } from './protocol.ts';

/** Deliveries of one mail and its reports that a trace shows. */
const MAX_TRACED = 200;
/** Mails that are named where an id fits several. */
const MAX_NAMED = 5;

export interface AdminWorld {
  readonly queue: QueueAdmin;
  readonly recent: RecentMails;
  readonly log: Log;
}

export class AdminHandler {
  readonly #world: AdminWorld;

  constructor(world: AdminWorld) {
    this.#world = world;
  }

  /** Lines, and octets where a message was asked for. Rejects where octets that were announced cannot be had. */
  async *answer(request: Request): AsyncGenerator<string | Uint8Array> {
    if (request.do === 'message') {
      yield* this.#message(request.id);
      return;
    }
    let answer: string;
    try {
      answer = await this.#line(request);
    } catch (error) {
      this.#world.log.error('admin.failed', { request: request.do, error: String(error) });
      answer = errorLine({ code: 'failed', message: messageOf(error) });
    }
    yield answer;
  }

  async #line(request: Exclude<Request, { readonly do: 'message' }>): Promise<string> {
    const { queue } = this.#world;
    switch (request.do) {
      case 'list':
        return okLine<'list'>(await queue.list(request.filter, request.limit, request.after));
      case 'counters':
        return okLine<'counters'>(await queue.counters());
      case 'show':
        return findingLine<'show'>(await queue.show(request.id), request.id);
      case 'act':
        return findingLine<'act'>(await queue.act(request.order), 'id' in request.order ? request.order.id : '');
      case 'trace':
        return findingLine<'trace'>(await this.#trace(request.id), request.id);
    }
  }

  async *#message(id: string): AsyncGenerator<string | Uint8Array> {
    const finding = await this.#world.queue.message(id);
    if ('missing' in finding) {
      yield findingLine<'message'>(finding, id);
      return;
    }
    const { octets, chunks } = finding.found;
    yield okLine<'message'>({ octets });
    try {
      yield* chunks;
    } catch (error) {
      this.#world.log.error('admin.failed', { request: 'message', id, error: String(error) });
      throw error;
    }
    // Whoever does not see this did not get all of it.
    yield okLine<'message'>({ octets });
  }

  /** The whole id of a mail goes before the beginning of others: `x.1` is not `x.10`. Nothing known of it is no error here. */
  async #trace(typed: string): Promise<Finding<TraceReport>> {
    const whole = await this.#known(typed);
    if (isKnown(whole)) return { found: whole };
    const ids = await this.#begunBy(typed);
    const [only] = ids;
    if (ids.length > 1) return { missing: 'ambiguous', some: ids };
    return { found: only === undefined ? whole : await this.#known(only) };
  }

  async #known(id: string): Promise<TraceReport> {
    const { queue, recent } = this.#world;
    const { entries: near } = await queue.list({ id }, MAX_TRACED);
    const isOf = ({ trace, id: own }: QueueEntry): boolean =>
      trace === id || own.startsWith(`${id}#`) || own.startsWith(`${id}.`);
    const entries = near.filter(isOf);
    // A variant's own id leads to the mail it belongs to.
    const mail = recent.find(id) === undefined ? (entries[0]?.trace ?? id.replace(/\.v\d+$/, '')) : id;
    const found = recent.find(mail);
    return {
      id: found === undefined ? id : mail,
      record: found === undefined ? undefined : withoutOctets(found),
      entries,
      remembered: recent.list().length,
    };
  }

  /** Ids of mails that begin so, at most `MAX_NAMED`; reports belong to the mails they are of. */
  async #begunBy(beginning: string): Promise<readonly string[]> {
    const { queue, recent } = this.#world;
    const remembered = recent.list().map(({ id }) => id);
    const ids = new Set(remembered.filter((id) => id.startsWith(beginning)));
    let after: QueuePlace | undefined;
    do {
      const page = await queue.list({ id: beginning }, MAX_TRACED, after);
      for (const { trace } of page.entries) ids.add(trace);
      after = page.after;
    } while (after !== undefined && ids.size < MAX_NAMED);
    const mails = [...ids].filter((id) => ![...ids].some((other) => id.startsWith(`${other}.`)));
    return mails.slice(0, MAX_NAMED);
  }
}

function isKnown({ record, entries }: TraceReport): boolean {
  return record !== undefined || entries.length > 0;
}

function withoutOctets(mail: MailRecord): NonNullable<TraceReport['record']> {
  const { before: _, after: __, ...record } = mail;
  return record;
}

function okLine<K extends keyof Answers>(ok: Answers[K]): string {
  return `${JSON.stringify({ v: VERSION, ok })}\n`;
}

function errorLine(error: ErrorAnswer): string {
  return `${JSON.stringify({ v: VERSION, error })}\n`;
}

function findingLine<K extends keyof Answers>(finding: Finding<Answers[K]>, id: string): string {
  if (!('missing' in finding)) return okLine<K>(finding.found);
  if (finding.missing === 'unknown')
    return errorLine({ code: 'unknown', message: `${id} is neither in the queue nor in quarantine` });
  const some = finding.some.join(', ');
  return errorLine({ code: 'ambiguous', message: `${id} begins more than one id: ${some}: write more of it` });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
