/** Rows as values. Numbers of 64 bits come as text from PostgreSQL; ours fit a double. */
import type { Row } from './engine.ts';
import type { Counters, Json, StoredContent, StoredDelivery, StoredMail } from './ports.ts';

type Params = Readonly<Record<string, string | true>>;

/** Of one row: it must not keep those it is read with from being read. */
const DAMAGED = { params: {}, isDamaged: true } as const;

export function toMail(row: Row): StoredMail {
  return {
    id: text(row, 'id'),
    acceptedMs: number(row, 'accepted_ms'),
    reversePath: text(row, 'reverse_path'),
    ...(parsed(row, 'facts') ?? { ...DAMAGED, facts: null }),
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
    ...(parsed(row, 'notes') ?? { ...DAMAGED, notes: null }),
  };
}

function parsed<Name extends 'facts' | 'notes'>(
  row: Row,
  name: Name,
): ({ params: Params } & Record<Name, Json>) | undefined {
  try {
    const params = JSON.parse(text(row, 'params')) as Params;
    return { params, [name]: JSON.parse(text(row, name)) as Json } as { params: Params } & Record<Name, Json>;
  } catch {
    return undefined;
  }
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
