/** How the deliveries of a stored mail ended, for the record of the last mails: told by the spool and by operators once it is stored. */
import type { Change, StoredDelivery } from '../../store/index.ts';
import type { MailRecord } from '../options.ts';

export interface DeliveryRecord {
  /** `<mail>#<n>`, as the queue names it. */
  readonly id: string;
  /** The recipient as it was sent. */
  readonly to: string;
  /** `reported`: failed, and its sender is told; `excepted`: failed or expired, and nobody is; `queued`: to be tried again. */
  readonly state: 'delivered' | 'reported' | 'excepted' | 'removed' | 'held' | 'queued';
  /** Where it went; undefined where no hop was asked. */
  readonly nextHop: string | undefined;
  /** The last reply, the reason of a hold, or what an operator did. */
  readonly said: string;
  /** Time of day. */
  readonly atMs: number;
  /** Of what is queued: when it is due. */
  readonly nextMs: number | undefined;
}

/** Where deliveries are written down; of mails it does not know, nothing is. */
export interface DeliveryBook {
  knows(mail: string): boolean;
  /** `mail`: the id of trace and log. What was told of the same deliveries before counts no more. */
  tell(mail: string, deliveries: readonly DeliveryRecord[]): void;
}

/** What is known of a delivery before its change is stored. */
export type DeliveryFacts = Pick<DeliveryRecord, 'to' | 'nextHop' | 'said'>;

export function deliveryRecord(change: Change, facts: DeliveryFacts, atMs: number): DeliveryRecord {
  const { mail, n } = change;
  const { to, nextHop, said } = facts;
  const common = { id: `${mail}#${n}`, to, nextHop, atMs };
  switch (change.kind) {
    case 'end':
      return { ...common, state: change.as, said, nextMs: undefined };
    case 'hold':
      return { ...common, state: 'held', said: heldWords(change.hold), nextMs: undefined };
    case 'retry':
    case 'queue':
      return { ...common, state: 'queued', said, nextMs: change.nextMs };
  }
}

/** Held when the mail was taken. */
export function heldAtEntry({ mail, n, forwardPath, hold }: Omit<StoredDelivery, 'seq'>, atMs: number): DeliveryRecord {
  const said = hold === undefined ? '' : heldWords(hold);
  return { id: `${mail}#${n}`, to: forwardPath, state: 'held', nextHop: undefined, said, atMs, nextMs: undefined };
}

function heldWords({ service, reason }: NonNullable<StoredDelivery['hold']>): string {
  return service === reason ? `by ${service}` : `by ${service} (${reason})`;
}

/** All of a stored mail in a word; `stored` while something of it is to be tried, or nothing is known of it. */
export function fateOf({
  recipients,
  deliveries,
}: Pick<MailRecord, 'recipients' | 'deliveries'>): 'stored' | 'delivered' | 'failed' | 'held' | 'removed' {
  const has = (...states: DeliveryRecord['state'][]): boolean => deliveries.some(({ state }) => states.includes(state));
  if (has('reported', 'excepted')) return 'failed';
  if (has('held')) return 'held';
  const accepted = recipients.filter(({ reply }) => reply !== undefined && reply.code < 300);
  if (has('queued') || deliveries.length === 0 || deliveries.length < accepted.length) return 'stored';
  return has('removed') ? 'removed' : 'delivered';
}

/** What is known of the next hop's answer to the client's own transaction, where it has no single one. */
export function hopSilence({
  nextHop,
  outcome,
}: Pick<MailRecord, 'outcome'> & { nextHop: NonNullable<MailRecord['nextHop']> }): string {
  if (!nextHop.wasSent) return 'asked about recipients, not sent the content';
  if (outcome === 'relayed') return 'answered for each recipient';
  return outcome === 'aborted' ? 'no answer' : 'did not take it';
}
