/** What a mail that is checked would be kept for, where it is not relayed at once: in the spool, in quarantine, for a report. */
import type { Mail } from '../dialog/mail.ts';
import type { KeptRecord, MailRecord, QueueOptions } from '../options.ts';
import type { Acceptance, SpoolPort, SpoolRecipient, SpoolVariant } from '../spool/port.ts';
import { holdReason } from '../spool/rows.ts';

export interface Kept extends KeptRecord {
  /** The service that it waits for. */
  readonly failed?: string | undefined;
}

/** A spool that takes every mail and does nothing with it but to say what it would have done. */
export class TakesAll implements SpoolPort {
  readonly mode: SpoolPort['mode'];
  readonly isFull = false;
  readonly hasNotice: boolean;
  /** By the recipient as the client named it. */
  readonly kept = new Map<string, Kept>();

  constructor({ mode, notice }: Pick<QueueOptions, 'mode' | 'notice'>) {
    this.mode = mode;
    this.hasNotice = notice;
  }

  accept(acceptance: Acceptance, done: (error: Error | undefined) => void): void {
    for (const variant of acceptance.variants)
      for (const recipient of variant.recipients)
        this.kept.set(recipient.named ?? recipient.argument.slice(1, -1), becomes(recipient, variant));
    queueMicrotask(() => {
      done(undefined);
      acceptance.dispose();
    });
  }
}

function becomes({ fate }: SpoolRecipient, { resume, lane }: SpoolVariant): Kept {
  switch (fate.kind) {
    case 'hold':
      return { where: 'quarantine', what: `held by ${fate.service} (${holdReason(fate.reason, fate.words)})` };
    case 'delay': {
      const what = `shown to ${resume?.service} again in ${fate.forMs / 1000} s, and passed on when that says so`;
      return { where: 'spool', what };
    }
    case 'refused':
      return { where: 'report', what: `${fate.service} refused it` };
    case 'deliver':
      return lane === 'adapt' ? waitsFor(resume?.service) : { where: 'spool', what: 'delivered from the queue' };
  }
}

function waitsFor(service: string | undefined): Kept {
  return { where: 'spool', what: `waits for ${service}, which failed`, failed: service };
}

/** A service failed before there was any content: what would become of the mail when it came. */
export function becomesLater(mail: Mail, kept: Map<string, Kept>): void {
  for (const { chain, accepted } of mail.variants.all) {
    const aside = chain.asideToCome;
    if (aside === undefined) continue;
    const { service, action, reason } = aside;
    const record: Kept =
      action === 'spool' ? waitsFor(service) : { where: 'quarantine', what: `held by ${service} (${reason})` };
    for (const { command } of accepted) kept.set(command.forwardPath.text, record);
  }
}

/** The record of the service that failed says why it did. */
export function withReason(kept: Kept | undefined, calls: MailRecord['calls']): KeptRecord | undefined {
  if (kept === undefined) return undefined;
  const { where, what, failed } = kept;
  const call = calls.find(({ service, verdict }) => service === failed && verdict === 'failed');
  return { where, what: call === undefined ? what : `${what} (${call.detail})` };
}
