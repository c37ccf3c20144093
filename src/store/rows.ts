/** Rows as values. Numbers of 64 bits come as text from PostgreSQL; ours fit a double. */
import type { Row } from './engine.ts';
import type { Counters, Json, StoredContent, StoredDelivery, StoredMail } from './ports.ts';

type Params = Readonly<Record<string, string | true>>;

export function toMail(row: Row): StoredMail {
  return {
    id: text(row, 'id'),
    acceptedMs: number(row, 'accepted_ms'),
    reversePath: text(row, 'reverse_path'),
    params: JSON.parse(text(row, 'params')) as Params,
    facts: JSON.parse(text(row, 'facts')) as Json,
  };
}

export function toContent(row: Row): StoredContent {
  return { id: text(row, 'id'), size: number(row, 'size') };
}

export function toDelivery(row: Row): StoredDelivery {
  const service = row['hold_service'];
  return {
    seq: number(row, 'mail'),
    mail: text(row, 'id'),
    n: number(row, 'n'),
    content: text(row, 'content'),
    forwardPath: text(row, 'forward_path'),
    params: JSON.parse(text(row, 'params')) as Params,
    destination: text(row, 'destination'),
    lane: text(row, 'lane') === 'adapt' ? 'adapt' : 'relay',
    hold:
      typeof service === 'string'
        ? { service, reason: text(row, 'hold_reason'), heldMs: number(row, 'held_ms') }
        : undefined,
    attempts: number(row, 'attempts'),
    nextMs: number(row, 'next_ms'),
    expiresMs: number(row, 'expires_ms'),
    lastReply: row['last_reply'] === null ? undefined : text(row, 'last_reply'),
    isWarned: number(row, 'is_warned') === 1,
    notes: JSON.parse(text(row, 'notes')) as Json,
  };
}

export function toCounters(sums: Row, heldRow: Row): Counters {
  const accepted = number(sums, 'accepted');
  const delivered = number(sums, 'delivered');
  const reported = number(sums, 'reported');
  const excepted = number(sums, 'excepted');
  const removed = number(sums, 'removed');
  const held = number(heldRow, 'held');
  const queued = accepted - delivered - reported - excepted - removed - held;
  return { accepted, delivered, reported, excepted, removed, queued, held };
}

export function text(row: Row, column: string): string {
  return String(row[column]);
}

export function number(row: Row, column: string): number {
  return Number(row[column]);
}

export function octetsOf(row: Row, column: string): Uint8Array | undefined {
  const value = row[column];
  return value instanceof Uint8Array ? value : undefined;
}
