/** Reports on the fate of a mail. `makeReport(input)` builds one; `originalFacts`, `chooseLanguages` help to fill the input. */
export type {
  Action,
  Report,
  ReportCause,
  ReportedMail,
  ReportedRecipient,
  ReportInput,
  ReportKind,
  ReportReply,
  Why,
} from './input.ts';
export { chooseLanguages, REPORT_LANGUAGES, type ReportLanguage } from './languages.ts';
export { MAX_RETURNED_FULL } from './limits.ts';
export { makeNotice, type NoticeInput } from './notice.ts';
export { type OriginalFacts, originalFacts } from './original.ts';
export { makeReport } from './report.ts';
