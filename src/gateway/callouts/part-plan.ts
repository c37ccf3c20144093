/**
 * What a callout server is sent of each part, and what is said with it: follows from what it selected and from what the
 * service may do, so it is settled once for a connection and not for each mail.
 */
import { ALLOW_NOTHING, type Allow, dataBlock, type Part, type Selection } from '../../profile/index.ts';
import type { Permission } from '../options.ts';

export interface PartPlan {
  readonly isSeen: boolean;
  /** An answer is owed, and taken. */
  readonly isAdaptive: boolean;
  /** The named lines of the part's DUM. */
  readonly block: string;
  /**
   * The same for a part that was answered already: told for information, and marked so (D4). What is known of the client is
   * told so in each mail: it needs the mark only where a service is asked about it elsewhere (decision 0051).
   */
  readonly replayBlock: string;
}

export type PartPlans = Readonly<Record<Part, PartPlan>>;

export function planParts(selection: Selection, may: ReadonlySet<Permission>): PartPlans {
  const onCommand: Allow = { smtpError: may.has('refuse') || may.has('tempfail'), addHeader: false, advice: false };
  const onData: Allow = {
    ...onCommand,
    addHeader: may.has('add-header') || may.has('edit-header'),
    advice: may.has('quarantine') || may.has('delay'),
  };
  const plan = (part: Part, allow: Allow): PartPlan => {
    const isAdaptive = selection.adaptive.has(part);
    return {
      isSeen: selection.sees(part),
      isAdaptive,
      block: dataBlock(part, isAdaptive ? allow : ALLOW_NOTHING),
      replayBlock: dataBlock(part, ALLOW_NOTHING, { replayed: true }),
    };
  };
  const fact = (part: Part): PartPlan => {
    const planned = plan(part, onCommand);
    return planned.isAdaptive ? planned : { ...planned, replayBlock: planned.block };
  };
  return {
    IP: fact('IP'),
    EHLO: fact('EHLO'),
    HELO: fact('HELO'),
    MAIL: plan('MAIL', onCommand),
    RCPT: plan('RCPT', onCommand),
    VRFY: plan('VRFY', onCommand),
    EXPN: plan('EXPN', onCommand),
    RAWDATA: plan('RAWDATA', onData),
  };
}
