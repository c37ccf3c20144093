/**
 * Reports on mail that we accepted: who is told, and what.
 *
 *   new ReportDecider(options, log, metrics).decideReports(mail, deliveries, nowMs): Decision
 *   buildReport(plan, original, { id, nonce, nowMs }, settings): Promise<BuiltReport>
 *   passedOn(params, recipient, forwardPath, isUtf8)              parameters of RCPT towards the next hop
 */
export { passedOn, type StoredParameters } from './asked.ts';
export { ReportBudget } from './budget.ts';
export {
  type BuiltReport,
  buildReport,
  type NewReport,
  type OriginalMail,
  type ReportSettings,
} from './build.ts';
export { type Decision, type ExceptionReason, isOwnReport, ReportDecider, type ReportPlan } from './decide.ts';
export type { DeliveryOfReport, Fate, MailOfReport } from './fate.ts';
