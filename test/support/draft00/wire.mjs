// Octets of OCP messages, read and written by the grammar of RFC 4037 section 3.1 alone.
//
// This is the test suite's own second reading of the specification: it shares no line with src/ocp, so that a mistake
// made there cannot hide here. It is written for clarity, not for speed: a message is read again from its first octet
// whenever more arrives, which is quadratic for very large messages in very small pieces.
//
// Values: an atom is a string (one character an octet), a list an array, a structure {anonymous, named}.

const CR = 13;
const LF = 10;
const MAX_NUMBER = 2147483647;
/** Nesting and head length are ours to limit (RFC 4037 section 13). */
const MAX_DEPTH = 16;
const MAX_VALUE = 1 << 20;

/** Thrown inside this file when the octets so far are a good beginning. */
class More extends Error {}
/** The octets break the grammar: the connection cannot go on. */
export class Broken extends Error {}

const isAlpha = (c) => (c >= 65 && c <= 90) || (c >= 97 && c <= 122);
const isDigit = (c) => c >= 48 && c <= 57;
const isSafe = (c) => isAlpha(c) || isDigit(c) || c === 45 || c === 95;

/** dec-number of section 3.1: digits, no leading zero, at most 2147483647; undefined otherwise. */
export function number(text) {
  if (typeof text !== 'string' || !/^(0|[1-9][0-9]{0,9})$/.test(text)) return undefined;
  const n = Number(text);
  return n <= MAX_NUMBER ? n : undefined;
}

class Cursor {
  constructor(octets) {
    this.octets = octets;
    this.at = 0;
  }
  peek(ahead = 0) {
    if (this.at + ahead >= this.octets.length) throw new More();
    return this.octets[this.at + ahead];
  }
  /** Takes exactly these characters. */
  take(text) {
    for (const ch of text) {
      if (this.peek() !== ch.charCodeAt(0)) throw new Broken(`expected ${JSON.stringify(text)} at ${this.at}`);
      this.at++;
    }
  }
  is(text) {
    return this.peek() === text.charCodeAt(0);
  }
  while(test) {
    const from = this.at;
    while (test(this.peek())) this.at++;
    return this.octets.toString('latin1', from, this.at);
  }
}

/** data = size ":" *OCTET */
function data(c, max) {
  const size = number(c.while(isDigit));
  if (size === undefined || size > max) throw new Broken(`bad size at ${c.at}`);
  c.take(':');
  if (c.octets.length - c.at < size) throw new More();
  const octets = c.octets.subarray(c.at, c.at + size);
  c.at += size;
  return octets;
}

function value(c, depth) {
  if (depth > MAX_DEPTH) throw new Broken('nested too deep');
  if (c.is('{')) return structure(c, depth);
  if (c.is('(')) return list(c, depth);
  if (c.is('"')) {
    c.take('"');
    const octets = data(c, MAX_VALUE);
    c.take('"');
    return octets.toString('latin1');
  }
  const bare = c.while(isSafe);
  if (bare === '') throw new Broken(`no value at ${c.at}`);
  return bare;
}

function list(c, depth) {
  const items = [];
  c.take('(');
  if (!c.is(')')) {
    items.push(value(c, depth + 1));
    while (c.is(',')) {
      c.take(',');
      items.push(value(c, depth + 1));
    }
  }
  c.take(')');
  return items;
}

function structure(c, depth) {
  const anonymous = [];
  let named = new Map();
  c.take('{');
  if (!c.is('}') && c.peek() !== CR) {
    anonymous.push(value(c, depth + 1));
    while (c.is(' ')) {
      c.take(' ');
      anonymous.push(value(c, depth + 1));
    }
  }
  if (c.peek() === CR) {
    c.take('\r\n');
    named = namedValues(c, depth);
  }
  c.take('}');
  return { anonymous, named };
}

/** named-values, each with the CRLF behind it; stands behind the block's last CRLF afterwards. */
function namedValues(c, depth) {
  const named = new Map();
  do {
    if (!isAlpha(c.peek())) throw new Broken(`no parameter name at ${c.at}`);
    const name = c.while(isSafe);
    c.take(': ');
    const v = value(c, depth + 1);
    // Section 11: two parameters of one name make the message invalid. Without a scope to blame: the connection.
    if (named.has(name)) throw new Broken(`two parameters ${name}`);
    named.set(name, v);
    c.take('\r\n');
  } while (isAlpha(c.peek()));
  return named;
}

function message(c) {
  if (!isAlpha(c.peek())) throw new Broken('a message begins with a letter');
  const m = { name: c.while(isSafe), anonymous: [], named: new Map(), payload: undefined };
  while (c.is(' ')) {
    c.take(' ');
    m.anonymous.push(value(c, 0));
  }
  if (c.peek() === CR) {
    c.take('\r\n');
    if (isAlpha(c.peek())) m.named = namedValues(c, 0);
    // Behind a named block a payload has a CRLF of its own; without a block the one just taken was it.
    else if (!isDigit(c.peek())) throw new Broken(`neither parameter nor payload at ${c.at}`);
    if (isDigit(c.peek()) || c.peek() === CR) {
      if (c.peek() === CR) c.take('\r\n');
      m.payload = data(c, MAX_NUMBER);
      c.take('\r\n');
    }
  }
  c.take(';\r\n');
  return m;
}

/** Collects octets and yields whole messages; throws Broken where the grammar is broken. */
export class Reader {
  #held = Buffer.alloc(0);

  *feed(chunk) {
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    while (this.#held.length > 0) {
      const c = new Cursor(this.#held);
      let m;
      try {
        m = message(c);
      } catch (e) {
        if (e instanceof More) return;
        throw e;
      }
      this.#held = this.#held.subarray(c.at);
      yield m;
    }
  }
}

/** An atom: bare where the grammar lets it, else quoted with its size. */
export function atom(text) {
  return /^[A-Za-z0-9_-]+$/.test(text) ? text : `"${text.length}:${text}"`;
}

/** One value as text, each character an octet. */
export function write(v) {
  if (typeof v === 'number') return String(v);
  if (typeof v === 'string') return atom(v);
  if (Array.isArray(v)) return `(${v.map(write).join(',')})`;
  const head = v.anonymous.map(write).join(' ');
  return `{${head}${v.named.size > 0 ? `\r\n${lines(v.named)}` : ''}}`;
}

const lines = (named) => [...named].map(([name, v]) => `${name}: ${write(v)}\r\n`).join('');

/** A whole message. `named` is an object or a Map; a payload makes it a DUM. */
export function compose(name, anonymous = [], named = {}, payload) {
  const map = named instanceof Map ? named : new Map(Object.entries(named));
  let head = [name, ...anonymous.map(write)].join(' ');
  if (map.size > 0) head += `\r\n${lines(map)}`;
  if (payload === undefined) return Buffer.from(`${head};\r\n`, 'latin1');
  return Buffer.concat([Buffer.from(`${head}\r\n${payload.length}:`, 'latin1'), payload, Buffer.from('\r\n;\r\n')]);
}

/** The result structure of section 10.10. */
export const result = (code, reason) => ({
  anonymous: reason === undefined ? [code] : [code, reason],
  named: new Map(),
});
export const CRLF = Buffer.from([CR, LF]);
