/** The languages a report can speak, and the choice among them. */
import { MAX_ASKED_LANGUAGES } from './limits.ts';
import { de } from './texts/de.ts';
import { en } from './texts/en.ts';
import { es } from './texts/es.ts';
import { fr } from './texts/fr.ts';
import { nl } from './texts/nl.ts';
import type { ReportTexts } from './texts.ts';

export const REPORT_LANGUAGES = ['en', 'de', 'fr', 'es', 'nl'] as const;
export type ReportLanguage = (typeof REPORT_LANGUAGES)[number];

export const reportTexts: Readonly<Record<ReportLanguage, ReportTexts>> = { en, de, fr, es, nl };

/**
 * The sender's own language where the mail tells one that we have: what the sender wants to read (Accept-Language) before
 * what the mail is written in (Content-Language, RFC 3282). Else the operator's list.
 */
export function chooseLanguages(
  asked: { readonly accept: string | undefined; readonly content: string | undefined },
  configured: readonly ReportLanguage[],
): readonly ReportLanguage[] {
  for (const tag of [...tags(asked.accept ?? ''), ...tags(asked.content ?? '')]) {
    const found = REPORT_LANGUAGES.find((language) => tag === language || tag.startsWith(`${language}-`));
    if (found !== undefined) return [found];
  }
  return configured.length > 0 ? configured : ['en'];
}

/** `de-CH, fr;q=0.7 , *;q=0`: tags in lower case, best first; q=0 means never. */
function tags(value: string): readonly string[] {
  const ranked = value
    .replace(/\([^()]{0,100}\)/g, ' ')
    .split(',', MAX_ASKED_LANGUAGES)
    .map((item) => {
      const [tag = '', ...params] = item.split(';').map((word) => word.trim().toLowerCase());
      const q = params.find((param) => /^q *= *(?:0|1|0?\.\d{1,3}|[01]\.\d{1,3})$/.test(param));
      return { tag, q: q === undefined ? 1 : Number(q.slice(q.indexOf('=') + 1)) };
    });
  return ranked
    .filter(({ q }) => q > 0)
    .toSorted((a, b) => b.q - a.q)
    .map(({ tag }) => tag);
}
