/**
 * The texts of a report for people, one set a language (`texts/`). `{name}` is replaced by a value; `languages.test.ts` holds
 * every language to the same texts and the same names in them. Plain, short and kind: whoever reads this has a mail that
 * did not arrive, and did not choose our software.
 */
import type { ReportKind, Why } from './input.ts';

/** What the sender can do. */
export type Advice = 'address' | 'again' | 'ask' | 'wait';

export interface ReportTexts {
  readonly subject: Readonly<Record<ReportKind, string>>;
  /** {date}; the recipients follow. */
  readonly intro: Readonly<Record<ReportKind, string>>;
  /** {count} */
  readonly more: string;
  /** {server}, {host} or {until} */
  readonly why: Readonly<Record<Why, string>>;
  /** {reply} */
  readonly answer: string;
  /** {uri} of the service */
  readonly service: string;
  /** `ask`: {contact} */
  readonly advice: Readonly<Record<Advice, string>>;
  /** Two URIs follow, on lines of their own. */
  readonly bypass: string;
  /** {host} */
  readonly from: string;
  readonly id: string;
  readonly system: string;
  readonly contact: string;
}

/** What is to be done about it; undefined: nothing. */
export const adviceOn: Readonly<Record<Why, Advice | undefined>> = {
  refused: 'address',
  expired: 'again',
  service: 'ask',
  'service-failed': 'again',
  'service-delayed': 'ask',
  'cannot-carry': 'ask',
  'no-route': 'address',
  loop: 'ask',
  delayed: 'wait',
  delivered: undefined,
  relayed: undefined,
  expanded: undefined,
};

/** `values` are put in as they are: clean them first. */
export function filled(text: string, values: Readonly<Record<string, string>>): string {
  const known = new Map(Object.entries(values));
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => known.get(name) ?? whole);
}
