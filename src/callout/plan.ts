/** An edit as what is done for it: fields the processor adds, and splices of the message. */
import { checkAddedField, MAX_ADDED_FIELDS, MAX_ADDED_OCTETS } from '../profile/index.ts';
import type { Changes, HeaderChanges, NewField, RangeChange } from './changes.ts';
import { writeField } from './field-text.ts';
import type { Field, Headers } from './headers.ts';
import { type Splice, sortSplices } from './splice.ts';

export interface Plan {
  /** Fields for the processor to add; none where it takes none. */
  readonly fields: readonly string[];
  readonly splices: readonly Splice[];
}

export const NO_PLAN: Plan = { fields: [], splices: [] };

/** Whether the header has to be known to carry the changes out. */
export function needsHeader({ headers }: Changes, canAddFields: boolean): boolean {
  if (headers === undefined) return false;
  const { add, remove, replace } = headers;
  return (!canAddFields && add !== undefined && add.length > 0) || namesField(remove) || namesField(replace);
}

/** Throws where the changes cannot be carried out: a bug of the service, or a message it did not expect. */
export function makePlan(changes: Changes, header: Headers | undefined, canAddFields: boolean): Plan {
  const { add = NO_FIELDS, remove = NO_REMOVALS, replace = NO_REPLACEMENTS } = changes.headers ?? NO_HEADERS;
  if (header?.isWhole === false && (namesField(remove) || namesField(replace))) {
    throw new RangeError('the header is too large to find fields in');
  }
  const texts = add.map(([name, value]) => checked(name, value));
  const splices: Splice[] = [];
  for (const { start, end, data } of changes.ranges ?? NO_RANGES) splices.push({ start, end, data: asOctets(data) });
  for (const field of remove) {
    for (const { start, end } of find(field, header)) splices.push({ start, end, data: NOTHING });
  }
  for (const [field, value] of replace) {
    const [old] = find(field, header);
    if (old === undefined) texts.push(checked(nameOf(field), value));
    else splices.push({ start: old.start, end: old.end, data: asOctets(`${checked(old.name, value)}\r\n`) });
  }
  if (texts.length > MAX_ADDED_FIELDS) throw new RangeError(`more than ${MAX_ADDED_FIELDS} fields to add`);
  if (texts.reduce((sum, text) => sum + text.length, 0) > MAX_ADDED_OCTETS)
    throw new RangeError(`more than ${MAX_ADDED_OCTETS} octets of fields to add`);
  const byProcessor = canAddFields ? texts : NO_TEXTS;
  if (!canAddFields && texts.length > 0) {
    const at = belowTrace(header);
    splices.unshift({ start: at, end: at, data: asOctets(texts.map((text) => `${text}\r\n`).join('')) });
  }
  const sorted = sortSplices(splices);
  if (sorted === undefined) throw new RangeError('two changes overlap');
  if (sorted.length > 0 && header !== undefined) refuseTrace(sorted, header);
  return { fields: byProcessor, splices: sorted };
}

const NOTHING = new Uint8Array(0);
// Most changes say one thing only: what they do not say is one empty list for all.
const NO_HEADERS: HeaderChanges = {};
const NO_FIELDS: readonly NewField[] = [];
const NO_REPLACEMENTS: NonNullable<HeaderChanges['replace']> = [];
const NO_REMOVALS: NonNullable<HeaderChanges['remove']> = [];
const NO_RANGES: readonly RangeChange[] = [];
const NO_TEXTS: readonly string[] = [];

function namesField(list: readonly (Field | string | readonly [Field | string, string])[] | undefined): boolean {
  if (list === undefined || list.length === 0) return false;
  return list.some((item) => typeof item === 'string' || (Array.isArray(item) && typeof item[0] === 'string'));
}

function find(field: Field | string, header: Headers | undefined): readonly Field[] {
  if (typeof field !== 'string') return [field];
  return header?.all(field) ?? [];
}

function nameOf(field: Field | string): string {
  return typeof field === 'string' ? field : field.name;
}

function checked(name: string, value: string): string {
  const text = writeField(name, value);
  const broken = checkAddedField(text);
  if (broken !== undefined) throw new TypeError(`the field ${name} cannot be written: ${broken}`);
  return text;
}

/** RFC 5321, section 4.4, and RFC 3897: what was traced stays as it is. The processor restores it; here its author learns why. */
function refuseTrace(splices: readonly Splice[], header: Headers): void {
  for (const field of header) {
    if (!TRACE_NAME.test(field.name)) continue;
    if (splices.some(({ start, end }) => start < field.end && end > field.start))
      throw new TypeError(`services may not touch ${field.name}`);
  }
}

const TRACE_NAME = /^(?:received|return-path|opes-.*)$/i;

/** Where new fields go: trace fields stay on top, in the block each hop made (RFC 5321, section 4.4). */
export function belowTrace(header: Headers | undefined): number {
  for (const field of header ?? []) {
    if (!TRACE_NAME.test(field.name)) return field.start;
  }
  // Nothing but trace, or no field at all: in front of the empty line, if there is one.
  let at = 0;
  for (const field of header ?? []) at = field.end;
  return at;
}

function asOctets(data: Uint8Array | string): Uint8Array {
  return typeof data === 'string' ? Buffer.from(data) : data;
}
