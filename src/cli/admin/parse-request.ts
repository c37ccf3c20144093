/** A line of the admin socket as a request. Whoever may write there may do anything to the queue; what it says may still be wrong. */
import type { QueueAct, QueueFilter, QueueOrder, QueuePlace } from '../../gateway/index.ts';
import { type ErrorAnswer, type Request, VERSION } from './protocol.ts';

type Parsed = { readonly request: Request } | { readonly error: ErrorAnswer };
type Fields = Readonly<Record<string, unknown>>;

export function parseRequest(line: string): Parsed {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return bad('a request is one line of JSON');
  }
  if (!isFields(value)) return bad('a request is an object');
  if (value['v'] !== VERSION) {
    const message = `this gateway speaks version ${VERSION} of the admin protocol: use the opes command of the same release`;
    return { error: { code: 'version', message } };
  }
  const request = requestOf(value);
  return request === undefined ? bad('not a request this version knows') : { request };
}

function requestOf(value: Fields): Request | undefined {
  const { id } = value;
  switch (value['do']) {
    case 'counters':
      return { do: 'counters' };
    case 'show':
    case 'message':
    case 'trace':
      return typeof id === 'string' ? { do: value['do'], id } : undefined;
    case 'list':
      return listOf(value);
    case 'act':
      return actOf(value['order']);
    default:
      return undefined;
  }
}

function listOf({ filter, limit, after }: Fields): Request | undefined {
  if (!isFields(filter) || !isCount(limit) || limit === 0) return undefined;
  const { state, id, text } = filter;
  if (state !== undefined && state !== 'queued' && state !== 'held') return undefined;
  if (!isTextOrNothing(id) || !isTextOrNothing(text)) return undefined;
  const wanted: QueueFilter = {
    ...(state !== undefined && { state }),
    ...(id !== undefined && { id }),
    ...(text !== undefined && { text: asOctets(text) }),
  };
  if (after !== undefined && !isPlace(after)) return undefined;
  return { do: 'list', filter: wanted, limit, after };
}

function actOf(order: unknown): Request | undefined {
  if (!isFields(order)) return undefined;
  const { act, id, only, destination } = order;
  if (typeof id === 'string') {
    if (!isAct(act) || (only !== undefined && only !== 'held')) return undefined;
    return { do: 'act', order: { act, id, only } };
  }
  if (id !== undefined || act !== 'retry' || !isTextOrNothing(destination)) return undefined;
  const all: QueueOrder = { act, destination: destination === undefined ? undefined : asOctets(destination) };
  return { do: 'act', order: all };
}

/** Addresses beyond ASCII are UTF-8 where mail is kept, one character an octet. */
function asOctets(typed: string): string {
  return Buffer.from(typed).toString('latin1');
}

const ACTS: ReadonlySet<unknown> = new Set<QueueAct>(['retry', 'hold', 'release', 'remove']);

function isAct(value: unknown): value is QueueAct {
  return ACTS.has(value);
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isTextOrNothing(value: unknown): value is string | undefined {
  return value === undefined || typeof value === 'string';
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isPlace(value: unknown): value is QueuePlace {
  return isFields(value) && isCount(value['seq']) && isCount(value['n']);
}

function bad(message: string): Parsed {
  return { error: { code: 'bad-request', message } };
}
