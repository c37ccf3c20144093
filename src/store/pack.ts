/**
 * A unit as operations: checked, its values as text, its octets copied behind those of the units before it. What breaks the
 * rules of `ports.ts` is a mistake of the caller and refused before anything is written.
 */
import type { Op } from './engine.ts';
import { type Change, type Json, type NewContent, type NewDelivery, StoreError, type Unit } from './ports.ts';

/** One session's data in a callout answer is the largest thing here; beyond it the rows are no index any more. */
const MAX_JSON = 64 * 1024;
const MAX_REPLY = 4096;
const MAX_ID = 200;

export interface Packed {
  readonly ops: readonly Op[];
  /** Contents in the order of the operations that name them; ranges are relative to the unit. */
  readonly octets: readonly Uint8Array[];
  readonly length: number;
  /** Nothing waits for it: it may ride with the next one. */
  readonly isPatient: boolean;
}

/** `leaseMs`: until when new deliveries are ours. */
export function packUnit(unit: Unit, leaseMs: number): Packed {
  const ops: Op[] = [];
  const octets: Uint8Array[] = [];
  let length = 0;
  const addContent = (mail: string, content: NewContent): void => {
    checkContentId(mail, content.id);
    if (content.octets === 'written') {
      ops.push(['bind', content.id]);
      return;
    }
    const from = length;
    for (const piece of content.octets) {
      octets.push(piece);
      length += piece.length;
    }
    ops.push(['content', content.id, from, length - from, 0]);
  };
  for (const mail of unit.mails ?? []) {
    checkMailId(mail.id);
    if (mail.deliveries.length === 0) throw misuse(`mail ${mail.id} has no delivery`);
    ops.push(['mail', mail.id, mail.acceptedMs, mail.reversePath, json(mail.params), json(mail.facts)]);
    for (const content of mail.contents) addContent(mail.id, content);
    for (const delivery of mail.deliveries) {
      if (!mail.contents.some(({ id }) => id === delivery.content))
        throw misuse(`delivery ${mail.id} ${delivery.n} names content ${delivery.content}, which its mail has not`);
      ops.push(packDelivery(mail.id, delivery, leaseMs));
    }
  }
  for (const { mail, content } of unit.contents ?? []) {
    checkMailId(mail);
    addContent(mail, content);
  }
  for (const change of unit.changes ?? []) ops.push(packChange(change));
  return { ops, octets, length, isPatient: ops.every(([op, , , as]) => op === 'end' && as === 'delivered') };
}

function packDelivery(mail: string, delivery: NewDelivery, leaseMs: number): Op {
  const { n, content, forwardPath, params, destination, lane, hold, nextMs, expiresMs, notes } = delivery;
  return [
    'delivery',
    mail,
    n,
    content,
    forwardPath,
    json(params),
    destination,
    lane,
    hold?.service ?? null,
    hold?.reason ?? null,
    hold?.heldMs ?? null,
    nextMs,
    expiresMs,
    json(notes),
    // What is held is nobody's work: an operator may have it at once.
    hold === undefined ? leaseMs : 0,
  ];
}

function packChange(change: Change): Op {
  const { mail, n } = change;
  switch (change.kind) {
    case 'end':
      return ['end', mail, n, change.as];
    case 'retry': {
      const { attempts, nextMs, lastReply, isWarned, notes } = change;
      return [
        'retry',
        mail,
        n,
        attempts,
        nextMs,
        lastReply?.slice(0, MAX_REPLY) ?? null,
        isWarned ? 1 : 0,
        jsonIfAny(notes),
      ];
    }
    case 'hold': {
      const { hold, expiresMs } = change;
      return ['hold', mail, n, hold.service, hold.reason, hold.heldMs, expiresMs];
    }
    case 'queue': {
      const { nextMs, lane, content, expiresMs, notes } = change;
      if (content !== undefined) checkContentId(mail, content);
      return ['queue', mail, n, nextMs, lane ?? null, content ?? null, expiresMs ?? null, jsonIfAny(notes)];
    }
  }
}

function json(value: Json): string {
  const text = JSON.stringify(value);
  if (text.length > MAX_JSON) throw misuse(`a value has ${text.length} characters as JSON, more than ${MAX_JSON}`);
  return text;
}

function jsonIfAny(value: Json | undefined): string | null {
  return value === undefined ? null : json(value);
}

function checkMailId(id: string): void {
  if (!/^[!-.0-~]+$/.test(id) || id.length > MAX_ID)
    throw misuse(`"${id}" is no id of a mail: at most ${MAX_ID} visible characters of ASCII, no slash`);
}

/** Contents are removed with their mail by what their ids begin with. */
function checkContentId(mail: string, id: string): void {
  if (!id.startsWith(`${mail}/`) || !/^[!-.0-~]+$/.test(id.slice(mail.length + 1)) || id.length > 2 * MAX_ID)
    throw misuse(`content id "${id}" is not "${mail}/" and a name without slash`);
}

/** Of a content that comes before its mail. */
export function checkLooseId(id: string): void {
  const slash = id.lastIndexOf('/');
  checkMailId(id.slice(0, Math.max(slash, 0)));
  checkContentId(id.slice(0, slash), id);
}

function misuse(message: string): StoreError {
  return new StoreError('failed', message);
}
