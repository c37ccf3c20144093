/**
 * Values as octets (RFC 4037, section 3.1), for strings of one character an octet. Whatever stands in an atom, framing
 * holds: what is not made of safe octets is quoted, and a quoted value is known by its size alone.
 */
import { isBare, isName } from './octet-classes.ts';
import { isList, MAX_NUMBER, type Named, type Structure, type Value } from './values.ts';

export function quoted(latin1: string): string {
  return `"${latin1.length}:${latin1}"`;
}

export function writeValue(value: Value): string {
  if (typeof value === 'number') return writeNumber(value);
  if (typeof value === 'string') return isBare(value) ? value : quoted(value);
  return isList(value) ? `(${value.map(writeValue).join(',')})` : writeStructure(value);
}

/** One named parameter with its line end: `Modp: 75\r\n`. Such lines make up the block of a DUM or DUY. */
export function writeNamed(name: string, value: Value): string {
  if (!isName(name)) throw new RangeError('not an OCP name');
  return `${name}: ${writeValue(value)}\r\n`;
}

/** All of `named` as lines, '' if there are none. */
export function writeBlock(named: Named): string {
  let block = '';
  for (const [name, value] of named) block += writeNamed(name, value);
  return block;
}

function writeStructure({ anonymous, named }: Structure): string {
  const block = named.size === 0 ? '' : `\r\n${writeBlock(named)}`;
  return `{${anonymous.map(writeValue).join(' ')}${block}}`;
}

function writeNumber(n: number): string {
  // No peer's number gets here unchecked, so this is a bug of ours: better a throw than a message of another meaning.
  if (!Number.isInteger(n) || n < 0 || n > MAX_NUMBER) throw new RangeError('not an OCP number');
  return String(n);
}
