/** Reports made of hostile addresses, envelope ids, answers and headers. FUZZ_RUNS says how many. */
import { test } from 'vitest';
import { checkHostileReports } from '../support/report-fuzz.ts';

test('whatever strangers write, a report keeps its structure', () => {
  // A report is made whole, and read again: it takes some twenty times as long as a line of a parser's.
  checkHostileReports(Math.ceil(Number(process.env['FUZZ_RUNS'] ?? 100_000) / 20));
});
