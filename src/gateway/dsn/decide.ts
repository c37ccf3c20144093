/**
 * Who is told of what: one report for all recipients of a mail that met the same kind of fate at the same time, or none and
 * why (RFC 3461, 4.1 and 5.2; RFC 5321, 4.5.5 and 6.1; design D18, D19). Time comes in; nothing is sent here.
 */
import type { Log, Metrics } from '../../base/index.ts';
import type { ReportKind } from '../../mail/index.ts';
import type { ReportOptions } from '../options.ts';
import { askedOfMail, askedOfRcpt } from './asked.ts';
import { ReportBudget } from './budget.ts';
import { classOf, type DeliveryOfReport, type MailOfReport } from './fate.ts';

export interface ReportPlan {
  readonly kind: ReportKind;
  readonly mail: MailOfReport;
  /** The reverse-path, or the postmaster where that is the null path. */
  readonly to: string;
  readonly deliveries: readonly DeliveryOfReport[];
  /** `full` only where nobody can be hurt by it; the mail must also be fit for it (`buildReport`). */
  readonly returns: 'headers' | 'full';
}

/** Why a failure is not reported. Stable words for logs and metrics. */
export type ExceptionReason =
  | 'never' // NOTIFY=NEVER
  | 'not-asked' // NOTIFY without FAILURE
  | 'null-path' // nobody to tell: it is a report itself, or bulk mail that wants none
  | 'rate'; // this reverse-path had its reports of the hour

export interface Decision {
  /** Each delivery that failed and stands here is `reported`. */
  readonly reports: readonly ReportPlan[];
  /** Failures that end without a report: the store's `excepted`. */
  readonly excepted: readonly { readonly n: number; readonly why: ExceptionReason }[];
  /** Verdicts on content that may not be reported: to be held, with notice to the recipient (D19). */
  readonly quarantine: readonly number[];
  /** Delays and successes that would have been told, had the rate allowed it. */
  readonly suppressed: readonly number[];
}

type Verdict = ReportKind | 'postmaster' | 'quarantine' | 'nothing' | Exclude<ExceptionReason, 'rate'>;

export class ReportDecider {
  readonly #options: ReportOptions;
  readonly #budget: ReportBudget;
  readonly #log: Log;
  readonly #metrics: Metrics;

  constructor(options: ReportOptions, log: Log, metrics: Metrics) {
    this.#options = options;
    this.#budget = new ReportBudget(options.perSenderPerHour);
    this.#log = log;
    this.#metrics = metrics;
  }

  /** `deliveries`: those of the mail that ended, or are to be told of as delayed, now. */
  decideReports(mail: MailOfReport, deliveries: readonly DeliveryOfReport[], nowMs: number): Decision {
    const by = Map.groupBy(deliveries, (delivery) => this.#judge(mail, delivery));
    const reports: ReportPlan[] = [];
    const excepted: { n: number; why: ExceptionReason }[] = [];
    const suppressed: number[] = [];
    for (const why of ['never', 'not-asked', 'null-path'] as const)
      for (const { n } of by.get(why) ?? []) excepted.push({ n, why });
    // Failures first: they are what must be known.
    for (const kind of ['failed', 'postmaster', 'delayed', 'success'] as const) {
      const told = by.get(kind);
      if (told === undefined) continue;
      const plan = this.#plan(kind, mail, told);
      if (this.#budget.take(plan.to, nowMs)) reports.push(plan);
      else if (plan.kind === 'failed') excepted.push(...told.map(({ n }) => ({ n, why: 'rate' as const })));
      else suppressed.push(...told.map(({ n }) => n));
    }
    const quarantine = (by.get('quarantine') ?? []).map(({ n }) => n);
    const decision = { reports, excepted, quarantine, suppressed };
    this.#tell(mail, decision);
    return decision;
  }

  #judge(mail: MailOfReport, delivery: DeliveryOfReport): Verdict {
    const { fate } = delivery;
    const { notify } = askedOfRcpt(delivery.params);
    const hasSender = mail.reversePath !== '';
    switch (classOf(fate)) {
      case 'success':
        // RFC 3461, 5.2.1: a hop that speaks DSN was told of the wish, and will see to it.
        if (fate.kind === 'relayed' && fate.speaksDsn) return 'nothing';
        return hasSender && notify?.includes('SUCCESS') === true ? 'success' : 'nothing';
      case 'delayed':
        return hasSender && notify?.includes('DELAY') !== false ? 'delayed' : 'nothing';
      case 'failed':
        // Before all wishes: with NOTIFY=NEVER a forger would have the mail vanish.
        if (fate.kind === 'blocked' && fate.isOnContent && !(mail.isSenderTrusted && hasSender)) return 'quarantine';
        if (notify?.includes('FAILURE') === false) return notify.length === 0 ? 'never' : 'not-asked';
        if (hasSender) return 'failed';
        return this.#options.postmaster === undefined || isOwnReport(mail.id) ? 'null-path' : 'postmaster';
    }
  }

  #plan(kind: ReportKind | 'postmaster', mail: MailOfReport, deliveries: readonly DeliveryOfReport[]): ReportPlan {
    if (kind === 'postmaster')
      return { kind: 'failed', mail, to: this.#options.postmaster ?? '', deliveries, returns: 'headers' };
    const wish = askedOfMail(mail.params).ret ?? (this.#options.returnContent === 'full' ? 'FULL' : 'HDRS');
    const isOnContent = deliveries.some(({ fate }) => fate.kind === 'blocked' && fate.isOnContent);
    // RFC 3461, 4.3: RET is about failures only. To a sender who may be forged no content goes (decision 0031).
    const isFull = wish === 'FULL' && kind === 'failed' && mail.isSenderTrusted && !isOnContent;
    return { kind, mail, to: mail.reversePath, deliveries, returns: isFull ? 'full' : 'headers' };
  }

  #tell(mail: MailOfReport, { reports, excepted, quarantine, suppressed }: Decision): void {
    for (const { kind } of reports) this.#metrics.count('opes_reports_total', { kind });
    for (const [why, all] of Map.groupBy(excepted, (one) => one.why)) {
      this.#metrics.count('opes_report_exceptions_total', { why }, all.length);
      this.#log.warn('report.excepted', { mail: mail.id, why, recipients: all.length });
    }
    if (quarantine.length > 0) this.#log.info('report.quarantine', { mail: mail.id, recipients: quarantine.length });
    if (suppressed.length > 0) this.#log.info('report.suppressed', { mail: mail.id, recipients: suppressed.length });
  }
}

/** `.r<k>` behind the id of the mail it is about. */
export function isOwnReport(mailId: string): boolean {
  return /\.r\d+$/.test(mailId);
}
