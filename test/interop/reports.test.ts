/** Our reports as somebody else's program reads them: Python's email package. */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { beforeAll, test } from 'vitest';
import { makeReport } from '../../src/mail/index.ts';
import { run } from '../support/child.ts';
import { needPrograms } from '../support/programs.ts';
import { octetsOf, reportCases } from '../support/report-cases.ts';

interface Told {
  readonly type: string;
  readonly fields: readonly (readonly [string, string])[];
  readonly defects: readonly string[];
  readonly text?: string;
  readonly parts?: readonly Told[];
}

const reader = fileURLToPath(new URL('../support/read-mail.py', import.meta.url));
let read: Readonly<Record<string, Told>> = {};

beforeAll(async () => {
  const { python3 } = await needPrograms('python3');
  const mails = [...reportCases].map(([name, input]) => [name, octetsOf(makeReport(input)).toString('base64')]);
  const done = await run(python3, [reader], { input: JSON.stringify(Object.fromEntries(mails)) });
  assert.equal(done.code, 0, done.stderr);
  read = JSON.parse(done.stdout) as Record<string, Told>;
});

function value(part: Told | undefined, name: string): string | undefined {
  return part?.fields.find(([key]) => key.toLowerCase() === name)?.[1];
}

/** That octets beyond ASCII stand bare is what RFC 6532 is about. */
const UTF8 = /^(?:NonASCIILocalPartDefect|UndecodableBytesDefect\('Non-ASCII)/;

/** Defects of the report; the mail inside is its author's. */
function defects(part: Told, depth = 0): readonly string[] {
  return [...part.defects, ...(depth < 2 ? (part.parts ?? []).flatMap((child) => defects(child, depth + 1)) : [])];
}

for (const [name, input] of reportCases) {
  test(`${name}: three parts without a defect`, () => {
    const report = read[name] as Told;
    const found = defects(report).filter((defect) => !(input.mail.isUtf8 && UTF8.test(defect)));
    assert.deepEqual(found, []);
    assert.equal(report.type, 'multipart/report');
    assert.match(value(report, 'content-type') ?? '', /report-type="?delivery-status"?/);
    assert.match(value(report, 'to') ?? '', new RegExp(`^<?${input.to.replaceAll('.', '\\.')}>?$`));
    assert.equal(value(report, 'auto-submitted'), 'auto-replied');
    const [text, status, returned] = report.parts ?? [];
    assert.equal(report.parts?.length, 3);
    for (const { final } of input.recipients) assert.ok(text?.text?.split(/\r?\n/).includes(`    ${final}`), final);
    assert.ok(text?.text?.includes(input.mail.systemEntry));
    const kept = `${returned?.text ?? ''}${JSON.stringify(returned?.parts?.[0]?.fields ?? '')}`;
    assert.ok(kept.includes(name.includes('utf8') || name.includes('eight') ? 'Grüße' : 'OPES-System'), kept);
    if (status?.type !== 'message/delivery-status') return;
    const [mail, ...recipients] = status.parts ?? [];
    assert.equal(value(mail, 'reporting-mta'), `dns; ${input.hostname}`);
    assert.equal(value(mail, 'opes-system'), input.mail.systemEntry);
    assert.deepEqual(
      recipients.map((one) => [value(one, 'final-recipient'), value(one, 'action'), value(one, 'status')]),
      input.recipients.map(({ final, action, status: code }) => [`rfc822; ${final}`, action, code]),
    );
  });
}

test('subjects are read in every language', () => {
  assert.equal(value(read['failed-full'], 'subject'), 'Votre message n’a pas pu être remis');
  assert.equal(value(read['failed'], 'subject'), 'Your mail could not be delivered');
});

test('a report beyond ASCII is of the types of RFC 6533', () => {
  const types = (name: string) => read[name]?.parts?.map(({ type }) => type);
  assert.deepEqual(types('failed-utf8'), ['text/plain', 'message/global-delivery-status', 'message/global-headers']);
  assert.equal(types('failed-utf8-full')?.[2], 'message/global');
});
