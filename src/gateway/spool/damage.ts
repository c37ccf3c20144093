/**
 * Rows that cannot be read as what they should be: another version's, a hand's, a failing disk's. They are looked at before
 * anything is done with them, and what is left of them (who sent it, to whom) is worked on like any delivery that fails for now:
 * tried later, and reported when its time is over.
 */
import type { Json, StoredMail } from '../../store/index.ts';
import { type MailNotes, mailNotes, type QueuedDelivery } from './rows.ts';

export function isReadable(mail: StoredMail, delivery: QueuedDelivery): boolean {
  return mail.isDamaged !== true && areFacts(mail.facts) && hasReadableNotes(delivery);
}

export function hasReadableNotes({ isDamaged, notes }: Pick<QueuedDelivery, 'isDamaged' | 'notes'>): boolean {
  return isDamaged !== true && areNotes(notes);
}

/** A mail of which only the id is known; nobody can be told of it. */
export function unknownMail(id: string, acceptedMs: number): StoredMail {
  return { id, acceptedMs, reversePath: '', params: {}, facts: null, isDamaged: true };
}

/** The same mail with what can be trusted of it, so that it can be ended. */
export function bareMail(mail: StoredMail): StoredMail {
  const { id, acceptedMs, reversePath } = mail;
  if (mail.isDamaged !== true && areFacts(mail.facts)) return mail;
  const session = { id: '', listener: '', clientAddress: '', verb: 'EHLO', helo: '', tls: false, user: '' } as const;
  const facts: MailNotes = { mail: traceOf(mail), session };
  return { id, acceptedMs, reversePath, params: {}, facts: facts as unknown as Json };
}

export function bareDelivery(delivery: QueuedDelivery): QueuedDelivery {
  if (hasReadableNotes(delivery)) return delivery;
  return { ...delivery, params: {}, notes: {} };
}

/** The id in trace, reply and log; of a row that does not tell it, the row's own. */
export function traceOf(mail: StoredMail): string {
  const name = isObject(mail.facts) ? mailNotes(mail).mail : undefined;
  return typeof name === 'string' ? name : mail.id;
}

const SESSION_TEXTS = ['id', 'listener', 'clientAddress', 'verb', 'helo', 'user'] as const;

function areFacts(facts: Json): boolean {
  if (!isObject(facts) || typeof facts['mail'] !== 'string') return false;
  const { session, sender } = facts;
  if (!isObject(session) || !isText(sender)) return false;
  for (const name of SESSION_TEXTS) if (typeof session[name] !== 'string') return false;
  const { greeting } = session;
  return (
    greeting === undefined ||
    (isObject(greeting) && typeof greeting['helo'] === 'string' && Array.isArray(greeting['via']))
  );
}

function areNotes(notes: Json): boolean {
  if (!isObject(notes)) return false;
  const { service, via, named, refused, because, judged, rewritten } = notes;
  if (!isText(service) || !isText(named)) return false;
  if (via !== undefined && !Array.isArray(via)) return false;
  if (refused !== undefined && !(isObject(refused) && Array.isArray(refused['text']))) return false;
  // Whose fault it was decides who is told (design D19), and what a rule said who is left out: neither is guessed.
  if (because !== undefined && because !== 'verdict' && because !== 'failure') return false;
  if (judged !== undefined && !areJudgements(judged)) return false;
  return rewritten === undefined || (isObject(rewritten) && isPath(rewritten['from']) && isPath(rewritten['to']));
}

function areJudgements(judged: Json): boolean {
  return isObject(judged) && Object.values(judged).every((said) => typeof said === 'boolean');
}

function isPath(part: Json | undefined): boolean {
  return part === undefined || (isObject(part) && typeof part['path'] === 'string' && isObject(part['params']));
}

function isText(value: Json | undefined): boolean {
  return value === undefined || typeof value === 'string';
}

function isObject(value: Json | undefined): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
