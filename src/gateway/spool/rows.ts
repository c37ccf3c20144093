/** Between what the dialog hands over and what the store keeps: rows with plain values, and the way back. */
import { type Parameters, parseRcptArgument, writePath } from '../../smtp/index.ts';
import type { Json, NewDelivery, NewMail, StoredDelivery, StoredMail } from '../../store/index.ts';
import type { Judged } from '../dispatch/dispatcher.ts';
import type { ClientIdentity } from '../relay/open-relay.ts';
import type { ViaEntry } from '../trace/index.ts';
import type { Acceptance, HoldReason, SpooledSession, SpoolRecipient, SpoolVariant } from './port.ts';

/** A delivery as we work on it: its place in the order of acceptance does not matter. */
export type QueuedDelivery = Omit<StoredDelivery, 'seq'>;

/** `facts` of a stored mail. */
export interface MailNotes {
  /** The id in trace, reply and log; the stored mail's own has a suffix where a mail has several variants. */
  readonly mail: string;
  readonly session: SpooledSession;
  /** The reverse-path as the client named it, where a service made another of it: rules are judged by it. */
  readonly sender?: string;
}

/** What services made of the envelope after the mail was stored: the rows themselves stay as they were accepted. */
export interface Rewritten {
  readonly from?: { readonly path: string; readonly params: StoredMail['params'] };
  readonly to?: { readonly path: string; readonly params: StoredMail['params']; readonly destination: string };
}

/** `notes` of a stored delivery. */
export interface DeliveryNotes {
  /** In lane `adapt`: the service to go on with, and what those before it did. */
  readonly service?: string;
  readonly via?: readonly ViaEntry[];
  /** Services that a request came too late for when the mail was taken. */
  readonly late?: readonly string[];
  /** The recipient as the client named it, where a service made another of it. */
  readonly named?: string;
  /** What rules said of the message as it came, where services have changed it since. */
  readonly judged?: Judged;
  /** Refused because of `service` when the mail was taken. */
  readonly refused?: { readonly code: number; readonly enhanced: string | undefined; readonly text: readonly string[] };
  /** Of `refused`; a verdict where it is absent. */
  readonly because?: 'verdict' | 'failure';
  readonly rewritten?: Rewritten;
  /** Released from quarantine by an operator: services that may be bypassed are. */
  readonly isReleased?: boolean;
  /** Services whose verdict that it be held an operator overruled so. */
  readonly releasedFrom?: readonly string[];
}

export interface RowTimes {
  readonly nowMs: number;
  readonly lifetimeMs: number;
  readonly keepMs: number;
}

export function mailRow(acceptance: Acceptance, variant: SpoolVariant, at: number, times: RowTimes): NewMail {
  // The first one has the mail's own id.
  const id = at === 0 ? acceptance.id : `${acceptance.id}.v${at + 1}`;
  const { namedSender } = variant;
  const facts: MailNotes = {
    mail: acceptance.id,
    session: acceptance.session,
    ...(namedSender !== undefined && { sender: withoutBrackets(namedSender) }),
  };
  return {
    id,
    acceptedMs: acceptance.acceptedMs,
    reversePath: withoutBrackets(variant.reversePath),
    params: Object.fromEntries(variant.params),
    facts: facts as unknown as Json,
    contents: [],
    deliveries: variant.recipients.map((recipient, n) => deliveryRow(`${id}/0`, variant, recipient, n, times)),
  };
}

function deliveryRow(
  content: string,
  { lane, resume }: SpoolVariant,
  recipient: SpoolRecipient,
  n: number,
  { nowMs, lifetimeMs, keepMs }: RowTimes,
): NewDelivery {
  const { argument, domain, fate } = recipient;
  const parsed = parseRcptArgument(argument);
  if (parsed.kind !== 'got') throw new Error('an accepted recipient that is none');
  const hold =
    fate.kind === 'hold'
      ? { service: fate.service, reason: holdReason(fate.reason, fate.words), heldMs: nowMs }
      : undefined;
  const expiresMs = nowMs + (hold === undefined ? lifetimeMs : keepMs);
  return {
    n,
    content,
    forwardPath: withoutBrackets(writePath(parsed.value.path)),
    params: Object.fromEntries(parsed.value.params),
    destination: domain,
    lane,
    hold,
    // Whoever waits longest is still seen once more before its time is over.
    nextMs: fate.kind === 'delay' ? Math.min(nowMs + fate.forMs, expiresMs) : nowMs,
    expiresMs,
    notes: deliveryNotes(resume, recipient) as unknown as Json,
  };
}

/** For operators: the reason, with the service's own words behind it. */
export function holdReason(reason: HoldReason, words: string | undefined): string {
  return words === undefined || words === '' ? reason : `${reason}: ${words}`;
}

export function isVerdict(reason: string): boolean {
  return reason === 'verdict' || reason.startsWith('verdict: ');
}

function deliveryNotes(resume: SpoolVariant['resume'], { named, judged, fate }: SpoolRecipient): DeliveryNotes {
  return {
    ...(resume?.service !== undefined && { service: resume.service }),
    ...(resume !== undefined && resume.via.length > 0 && { via: resume.via }),
    ...(resume?.late !== undefined && resume.late.length > 0 && { late: resume.late }),
    ...(named !== undefined && { named }),
    ...(judged !== undefined && { judged }),
    ...(fate.kind === 'refused' && { service: fate.service, refused: fate.reply, because: fate.because }),
  };
}

/** What the store would give back for rows that were just committed. */
export function storedMail({ id, acceptedMs, reversePath, params, facts }: NewMail): StoredMail {
  return { id, acceptedMs, reversePath, params, facts };
}

export function storedDeliveries(mail: NewMail): QueuedDelivery[] {
  return mail.deliveries.map((row) => ({
    ...row,
    mail: mail.id,
    attempts: 0,
    lastReply: undefined,
    isWarned: false,
  }));
}

export function mailNotes(mail: StoredMail): MailNotes {
  return mail.facts as unknown as MailNotes;
}

export function notesOf(delivery: QueuedDelivery): DeliveryNotes {
  return delivery.notes as unknown as DeliveryNotes;
}

/** The mail and the delivery as they go out. */
export function mailAsSent(mail: StoredMail, delivery: QueuedDelivery): StoredMail {
  const from = notesOf(delivery).rewritten?.from;
  return from === undefined ? mail : { ...mail, reversePath: from.path, params: from.params };
}

export function deliveryAsSent(delivery: QueuedDelivery): QueuedDelivery {
  const notes = notesOf(delivery);
  const to = notes.rewritten?.to;
  if (to === undefined) return delivery;
  const named = notes.named ?? delivery.forwardPath;
  return {
    ...delivery,
    forwardPath: to.path,
    params: to.params,
    destination: to.destination,
    notes: { ...notes, named } as unknown as Json,
  };
}

/** RCPT's argument: the path, and its parameters behind it. */
export function recipientArgument({ forwardPath, params }: Pick<QueuedDelivery, 'forwardPath' | 'params'>): string {
  let argument = `<${forwardPath}>`;
  for (const [keyword, value] of Object.entries(params))
    argument += value === true ? ` ${keyword}` : ` ${keyword}=${value}`;
  return argument;
}

export function parametersOf(params: StoredMail['params']): Parameters {
  return new Map(Object.entries(params));
}

export function hasAny(params: StoredMail['params']): boolean {
  for (const _ in params) return true;
  return false;
}

/** Who the client was, for next hops that are told. */
export function spooledIdentity({ clientAddress, verb, helo, greeting, user }: SpooledSession): ClientIdentity {
  const login = user === '' ? undefined : user;
  return { address: clientAddress, helo: greeting?.helo ?? helo, protocol: verb === 'EHLO' ? 'ESMTP' : 'SMTP', login };
}

/** Paths are kept without their brackets. */
export function withoutBrackets(path: string): string {
  return path.slice(1, -1);
}
