/** Writes the golden reports anew, to be read before they are committed: `node -C opes-source test/vectors/reports/write.ts`. */
import { writeFileSync } from 'node:fs';
import { makeReport } from '../../../src/mail/index.ts';
import { octetsOf, reportCases } from '../../support/report-cases.ts';

for (const [name, input] of reportCases) {
  writeFileSync(new URL(`${name}.eml`, import.meta.url), octetsOf(makeReport(input)));
}
