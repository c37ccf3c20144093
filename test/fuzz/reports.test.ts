/** Reports made of hostile addresses, envelope ids, answers and headers. FUZZ_RUNS says how many. */
import { test } from 'vitest';
import { checkHostileReports } from '../support/report-fuzz.ts';

test('whatever strangers write, a report keeps its structure', () => {
  checkHostileReports(Number(process.env['FUZZ_RUNS'] ?? 5000));
});
