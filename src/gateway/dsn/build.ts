/** From the plan of a report to its octets, and to the envelope it goes with. */
import { asBuffer } from '../../base/index.ts';
import {
  chooseLanguages,
  MAX_RETURNED_FULL,
  makeReport,
  originalFacts,
  type ReportedRecipient,
  type ReportReply,
} from '../../mail/index.ts';
import type { ReportOptions, SystemOptions } from '../options.ts';
import { mailUri } from '../trace/index.ts';
import { askedOfMail, askedOfRcpt, type StoredParameters } from './asked.ts';
import type { ReportPlan } from './decide.ts';
import type { DeliveryOfReport } from './fate.ts';

export interface ReportSettings {
  readonly hostname: string;
  readonly system: Pick<SystemOptions, 'uri' | 'contact'>;
  readonly reports: ReportOptions;
}

/** What is there of the mail the report is about: the header as it stands, our trace on top. */
export interface OriginalMail {
  readonly header: Uint8Array;
  /** The whole mail, header included; read only as far as it may be returned, and only where the plan says `full`. */
  readonly full?: AsyncIterable<Uint8Array> | undefined;
}

export interface NewReport {
  /** The mail's id with `.r<k>`. */
  readonly id: string;
  /** At least 64 random bits as letters and digits, made for this report: its boundary. */
  readonly nonce: string;
  readonly nowMs: number;
}

/** A mail to be put in the spool: its reverse-path is the null path, and a failure of it is not reported. */
export interface BuiltReport {
  readonly id: string;
  readonly reversePath: '';
  readonly params: StoredParameters;
  readonly forwardPath: string;
  readonly rcptParams: StoredParameters;
  readonly chunks: readonly Uint8Array[];
  readonly size: number;
}

export async function buildReport(
  plan: ReportPlan,
  original: OriginalMail,
  made: NewReport,
  settings: ReportSettings,
): Promise<BuiltReport> {
  const { mail, deliveries } = plan;
  const { hostname, system, reports } = settings;
  const header = asBuffer(original.header);
  const facts = originalFacts(header);
  const systemEntry = mailUri(system.uri, mail.id);
  const isUtf8 = mail.params['SMTPUTF8'] !== undefined;
  const report = makeReport({
    kind: plan.kind,
    hostname,
    ...made,
    to: unicode(plan.to),
    languages: chooseLanguages(facts.languages, reports.languages),
    contact: system.contact ?? `postmaster@${hostname}`,
    mail: {
      id: mail.id,
      systemEntry,
      // The first one, and only if it is ours: an older one would speak for another System.
      via: facts.via?.startsWith(systemEntry) === true ? facts.via : undefined,
      envelopeId: askedOfMail(mail.params).envid,
      arrivalMs: mail.acceptedMs,
      receivedFrom: mail.client,
      messageId: facts.messageId,
      isUtf8,
      isEightBit: isUtf8 || String(mail.params['BODY']).toUpperCase() === '8BITMIME',
    },
    recipients: deliveries.map(reportedRecipient),
    returned: { header, full: plan.returns === 'full' ? await upToCap(original.full) : undefined },
  });
  return {
    id: made.id,
    reversePath: '',
    params: { ...(report.isEightBit && { BODY: '8BITMIME' }), ...(report.isUtf8 && { SMTPUTF8: true as const }) },
    forwardPath: plan.to,
    // RFC 3461, 6.1: nobody is told of the fate of a report.
    rcptParams: { NOTIFY: 'NEVER' },
    chunks: report.chunks,
    size: report.size,
  };
}

/** `undefined`: it is larger than what is returned, or not there. */
async function upToCap(full: AsyncIterable<Uint8Array> | undefined): Promise<readonly Uint8Array[] | undefined> {
  if (full === undefined) return undefined;
  const kept: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of full) {
    size += chunk.length;
    if (size > MAX_RETURNED_FULL) return undefined;
    kept.push(Buffer.from(chunk)); // a copy: the source may reuse its memory
  }
  return kept;
}

/** Octets, one a character, as text. */
function unicode(text: string): string {
  return /[\x80-\xff]/.test(text) && !/[^\x00-\xff]/.test(text) ? Buffer.from(text, 'latin1').toString() : text;
}

function reportedRecipient({ recipient, params, fate, lastAttemptMs }: DeliveryOfReport): ReportedRecipient {
  const { orcpt } = askedOfRcpt(params);
  const reply = 'reply' in fate ? fate.reply : undefined;
  const base = {
    original: orcpt && { type: orcpt.type, address: unicode(orcpt.address) },
    final: unicode(recipient),
    remote: 'hop' in fate ? fate.hop : undefined,
    reply,
    lastAttemptMs,
    retryUntilMs: undefined,
    cause: undefined,
  };
  switch (fate.kind) {
    case 'relayed':
    case 'delivered':
    case 'expanded':
      return { ...base, action: fate.kind, why: fate.kind, status: statusOf(reply, '2.0.0') };
    case 'delayed':
      return {
        ...base,
        action: 'delayed',
        why: 'delayed',
        status: statusOf(reply, '4.4.1'),
        retryUntilMs: fate.untilMs,
      };
    case 'refused':
      return { ...base, action: 'failed', why: 'refused', status: statusOf(reply, '5.0.0') };
    case 'cannot-carry':
      return { ...base, action: 'failed', why: 'cannot-carry', status: statusOf(reply, '5.6.3') };
    case 'no-route':
      return { ...base, action: 'failed', why: 'no-route', status: statusOf(reply, '5.1.2') };
    case 'loop':
      return { ...base, action: 'failed', why: 'loop', status: '5.4.6' };
    case 'expired':
      // RFC 3463, 3.5: the time is what failed; what the hop said last stands in Diagnostic-Code.
      return { ...base, action: 'failed', why: 'expired', status: '4.4.7' };
    case 'blocked': {
      const { uri, isBypassable } = fate.service;
      const { why, kind, status } = BLOCKED[fate.by];
      return {
        ...base,
        action: 'failed',
        why,
        // The time is what failed of a mail that was put off, whatever it is told meanwhile.
        status: fate.by === 'delay' ? status : statusOf(reply, status),
        cause: { service: uri, kind, reason: fate.reason, isBypassable },
      };
    }
  }
}

const BLOCKED = {
  verdict: { why: 'service', kind: 'refused', status: '5.7.1' },
  failure: { why: 'service-failed', kind: 'failed', status: '4.3.0' },
  delay: { why: 'service-delayed', kind: 'delayed', status: '4.4.7' },
} as const;

function statusOf(reply: ReportReply | undefined, otherwise: string): string {
  return reply?.enhanced ?? otherwise;
}
