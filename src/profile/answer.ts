/** What a callout server says beside the octets it answers (draft section 3.3): a refusal, advice, or fields to add. */
import { atomText, isList, type Named, quoted, type Value } from '../ocp/index.ts';
import { parseReplyText, type Reply } from '../smtp/index.ts';
import { checkAddedField, MAX_ADDED_FIELDS } from './added-field.ts';
import { type Advice, adviceLine, readAdvice } from './advice.ts';
import type { Part } from './parts.ts';

export interface Answer {
  /** The part named, as sent; never on a DUY. */
  readonly part: string | undefined;
  /** The reply for the peer as text, CRLF between its lines; always a 4yz or 5yz one. */
  readonly smtpError: string | undefined;
  /** The same as a value. */
  readonly refusal: Reply | undefined;
  /** What is to become of the mail, in place of passing it on. */
  readonly advice: Advice | undefined;
  /** Whole fields without their last CRLF, each fit to stand in a header. */
  readonly addHeaders: readonly string[];
  /** To be logged: the reply sent was none we may pass on, and `smtpError` is ours in its place; or some advice is not known. */
  readonly flaw: 'reply-form' | 'reply-code' | 'advice-unknown' | undefined;
}

/** In place of a refusal that makes no sense: the mail is not accepted, and may be sent again (profile notes, question 11). */
export const BROKEN_REFUSAL = '451 4.3.0 Requested action aborted: error in processing';

/** The named lines of an answer; `part` is `undefined` for a DUY. Throws on a field that may not be added. */
export function answerBlock(
  part: Part | undefined,
  answer: { readonly smtpError?: string; readonly advice?: Advice; readonly addHeaders?: readonly string[] },
): string {
  let block = part === undefined ? '' : (PART_LINES[part] as string);
  if (answer.smtpError !== undefined) block += `SMTP-Error: ${quoted(answer.smtpError)}\r\n`;
  if (answer.advice !== undefined) block += adviceLine(answer.advice);
  const fields = answer.addHeaders;
  if (fields === undefined || fields.length === 0) return block;
  const broken = judgeFields(fields);
  if (broken !== undefined) throw new Error(`field to add: ${broken}`);
  const values = fields.map(quoted);
  // One field stays a single atom, the draft's form, which any peer understands.
  return `${block}Add-Header: ${values.length === 1 ? (values[0] as string) : `(${values.join(',')})`}\r\n`;
}

/**
 * Reads the named parameters of a DUM or DUY of the callout server; an error makes the message invalid. Say `on` where
 * it is known: a DUM has to name its part, and a DUY, which keeps the original, cannot refuse it.
 */
export function readAnswer(named: Named, on?: 'DUM' | 'DUY'): Answer | { readonly error: string } {
  if (named.size === 0) return on === 'DUM' ? { error: 'am-part-missing' } : NO_ANSWER;
  if (named.has('Allow')) return { error: 'allow-from-server' };
  const name = named.get('AM-Part');
  if (typeof name === 'object') return { error: 'am-part-type' };
  if (name === undefined && on === 'DUM') return { error: 'am-part-missing' };
  const error = named.get('SMTP-Error');
  if (error !== undefined && on === 'DUY') return { error: 'smtp-error-on-duy' };
  if (typeof error === 'object') return { error: 'smtp-error-type' };
  const added = named.get('Add-Header');
  const addHeaders = added === undefined ? NO_FIELDS : readFields(added);
  if (addHeaders === undefined) return { error: 'add-header-type' };
  const broken = judgeFields(addHeaders);
  if (broken !== undefined) return { error: broken };
  const read = readAdvice(named.get('Advice'));
  if ('error' in read) return read;
  const { advice } = read;
  const part = atomText(name);
  const smtpError = atomText(error);
  if (smtpError === undefined) {
    const flaw = read.hasUnknown ? 'advice-unknown' : undefined;
    return { part, smtpError, refusal: undefined, advice, addHeaders, flaw };
  }
  // Refused and taken at once is no answer.
  if (advice !== undefined) return { error: 'advice-with-smtp-error' };
  const refusal = parseReplyText(smtpError);
  if (refusal === undefined) return { part, ...BROKEN, advice, addHeaders, flaw: 'reply-form' };
  if (refusal.code < 400) return { part, ...BROKEN, advice, addHeaders, flaw: 'reply-code' };
  return { part, smtpError, refusal, advice, addHeaders, flaw: undefined };
}

const BROKEN = { smtpError: BROKEN_REFUSAL, refusal: parseReplyText(BROKEN_REFUSAL) };
const NO_FIELDS: readonly string[] = [];
const NO_ANSWER: Answer = {
  part: undefined,
  smtpError: undefined,
  refusal: undefined,
  advice: undefined,
  addHeaders: NO_FIELDS,
  flaw: undefined,
};

const PART_LINES: Readonly<Record<Part, string>> = {
  IP: 'AM-Part: IP\r\n',
  EHLO: 'AM-Part: EHLO\r\n',
  HELO: 'AM-Part: HELO\r\n',
  MAIL: 'AM-Part: MAIL\r\n',
  RCPT: 'AM-Part: RCPT\r\n',
  VRFY: 'AM-Part: VRFY\r\n',
  EXPN: 'AM-Part: EXPN\r\n',
  RAWDATA: 'AM-Part: RAWDATA\r\n',
};

function readFields(value: Value): readonly string[] | undefined {
  if (!isList(value)) {
    const single = atomText(value);
    return single === undefined ? undefined : [single];
  }
  const fields: string[] = [];
  for (const item of value) {
    const field = atomText(item);
    if (field === undefined) return undefined;
    fields.push(field);
  }
  return fields;
}

function judgeFields(fields: readonly string[]): string | undefined {
  if (fields.length > MAX_ADDED_FIELDS) return 'add-header-count';
  for (const field of fields) {
    const broken = checkAddedField(field);
    if (broken !== undefined) return broken;
  }
  return undefined;
}
