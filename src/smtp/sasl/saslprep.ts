/**
 * SASLprep (RFC 4013): one form for the ways in which a person may type the same user name or password. Code points that
 * Unicode 3.2 had not assigned pass as they are ("query" rules, RFC 3454 section 7): whoever has one in a password could
 * otherwise not log in at all, and both sides treat it alike.
 */
import { LEFT_TO_RIGHT, NOTHING, PROHIBITED, RIGHT_TO_LEFT, SPACES } from './saslprep-tables.ts';

/** `undefined`: it holds what the profile prohibits. */
export function saslprep(text: string): string | undefined {
  if (/^[\x20-\x7e]*$/.test(text)) return text;
  const mapped = text.replace(new RegExp(set(SPACES), 'gu'), ' ').replace(new RegExp(set(NOTHING), 'gu'), '');
  const normal = mapped.normalize('NFKC');
  if (set(PROHIBITED).test(normal)) return undefined;
  return isBidiClean(normal) ? normal : undefined;
}

/** RFC 3454, 6: text with right-to-left letters begins and ends with one, and holds no others. */
function isBidiClean(text: string): boolean {
  if (!set(RIGHT_TO_LEFT).test(text)) return true;
  if (set(LEFT_TO_RIGHT).test(text)) return false;
  const letters = Array.from(text);
  return set(RIGHT_TO_LEFT).test(letters[0] ?? '') && set(RIGHT_TO_LEFT).test(letters.at(-1) ?? '');
}

const sets = new Map<string, RegExp>();

/** A class of characters; made when it is first needed, which with ASCII names and passwords is never. */
function set(table: string): RegExp {
  let found = sets.get(table);
  if (found === undefined) {
    const ranges = table.split(' ').map((range) =>
      range
        .split('-')
        .map((point) => `\\u{${point}}`)
        .join('-'),
    );
    found = new RegExp(`[${ranges.join('')}]`, 'u');
    sets.set(table, found);
  }
  return found;
}
