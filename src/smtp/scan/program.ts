/**
 * The scanner's inner loop as WebAssembly: sixteen octets at a time, which JavaScript cannot do. It is short enough to be
 * written down as the instructions themselves; `line-scan.test.ts` holds it against a loop over octets.
 *
 *     scan(at, end): the first address from `at` on, below `end`, behind which is an LF and no CR on it, or no LF and a CR
 *     on it, or a dot and an LF on it; `end` or more where there is none. Reads up to 16 octets past `end`.
 */

/** What is scanned lies below this; one more page of 64 KiB is read past it. */
export const DATA_OCTETS = 3 * 65_536;
const PAGES = 4;
const I32 = 0x7f;
const V128 = 0x7b;

// Instructions, and the numbers of the parameter and the locals.
const get = (local: number) => [0x20, local];
const set = (local: number) => [0x21, local];
/** Signed LEB128, below 2^13. */
const i32 = (value: number) => (value < 64 ? [0x41, value] : [0x41, (value & 127) | 128, value >> 7]);
const ADD = 0x6a;
const LESS = 0x49;
const TRAILING_ZEROS = 0x68;
const LOOP = [0x03, 0x40];
const IF = [0x04, 0x40];
const END = 0x0b;
/** Again from the loop around the `if`. */
const AGAIN = [0x0c, 1];
const REPEAT = [0x0c, 0];
const BLOCK = [0x02, 0x40];
/** Out of the block around the loop, if so. */
const LEAVE = [0x0d, 1];
const RETURN = 0x0f;
/** The sixteen octets from the address on the stack, plus `offset`, on. */
const load = (offset: number) => [0xfd, 0x00, 0, offset];
const sixteen = (octet: number) => [0xfd, 0x0c, ...Array.from({ length: 16 }, () => octet)];
const EQUAL = [0xfd, 0x23];
const AND = [0xfd, 0x4e];
const OR = [0xfd, 0x50];
const XOR = [0xfd, 0x51];
const ANY = [0xfd, 0x53];
/** One bit for each octet, the first the lowest. */
const BITS = [0xfd, 0xe4, 0x00];
const [AT, LIMIT, HERE, BEFORE, HITS] = [0, 1, 2, 3, 4];
const [LF, CR, DOT] = [0x0a, 0x0d, 0x2e];

/** The hits among the sixteen octets behind `AT` + `offset`. */
const hitsBehind = (offset: number) => [
  [get(AT), load(offset + 1), set(HERE), get(AT), load(offset), set(BEFORE)],
  // One of: an LF here, a CR before.
  [get(HERE), sixteen(LF), EQUAL, get(BEFORE), sixteen(CR), EQUAL, XOR],
  // Or both: a dot here, an LF before.
  [get(HERE), sixteen(DOT), EQUAL, get(BEFORE), sixteen(LF), EQUAL, AND, OR],
];

const instructions = [
  // While 64 octets are left and clean: on.
  [BLOCK, LOOP, get(LIMIT), get(AT), i32(64), ADD, LESS, LEAVE],
  [hitsBehind(0), hitsBehind(16), OR, hitsBehind(32), OR, hitsBehind(48), OR, ANY, LEAVE],
  [get(AT), i32(64), ADD, set(AT), REPEAT, END, END],
  // Then sixteen by sixteen.
  [LOOP, get(AT), get(LIMIT), LESS, IF, hitsBehind(0), set(HITS)],
  [get(HITS), ANY, IF, get(AT), get(HITS), BITS, TRAILING_ZEROS, ADD, RETURN, END],
  [get(AT), i32(16), ADD, set(AT), AGAIN, END, END],
  [get(LIMIT), END],
].flat(5);

/** An unsigned number below 2^14, as LEB128. */
const number = (n: number) => (n < 128 ? [n] : [(n & 127) | 128, n >> 7]);
const sized = (content: readonly number[]) => [...number(content.length), ...content];
const named = (name: string) => sized([...Buffer.from(name, 'latin1')]);
const section = (id: number, content: readonly number[]) => [id, ...sized(content)];

export const program = Uint8Array.from(
  [
    [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    section(1, [1, 0x60, 2, I32, I32, 1, I32]),
    section(3, [1, 0]),
    section(5, [1, 0x01, PAGES, PAGES]),
    section(7, [2, ...named('memory'), 2, 0, ...named('scan'), 0, 0]),
    section(10, [1, ...sized([1, 3, V128, ...instructions])]),
  ].flat(),
);
