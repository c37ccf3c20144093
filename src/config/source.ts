/**
 * YAML text as plain data that still knows where each value stood. Uses the well-kept `yaml` package; what is ours is the
 * way from a path (`listeners[0].address`) to line and column, and messages that do not presume knowledge of YAML.
 */
import { type Document, isMap, isNode, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import type { PlacedProblem, Problem } from './problem.ts';

/** Aliases may stand for this many nodes in all: a "billion laughs" file is refused, anchors for real use are not. */
const MAX_ALIAS_COUNT = 100;

/** A file somebody wrote by hand is far below this; more is a mistake (a mail, a log) or an attack. */
export const MAX_FILE_OCTETS = 1_000_000;

export class Source {
  readonly name: string;
  readonly value: unknown;
  /** Errors of YAML itself; where there are any, `value` is undefined. */
  readonly problems: readonly PlacedProblem[];
  readonly #doc: Document.Parsed;
  readonly #lines = new LineCounter();

  constructor(name: string, text: string) {
    this.name = name;
    this.#doc = parseDocument(text, { lineCounter: this.#lines, prettyErrors: false, uniqueKeys: true, merge: false });
    const all = this.#doc.errors.map((e) => this.#placeAt(e.pos[0], plain(e.code, e.message), fixFor(e.code)));
    // Where a line is broken, what the parser says of its rest is noise.
    const found = all.filter((one, at) => all.findIndex(({ line }) => line === one.line) === at);
    if (found.length === 0) {
      try {
        this.value = this.#doc.toJS({ maxAliasCount: MAX_ALIAS_COUNT });
      } catch (error) {
        found.push(
          this.#placeAt(
            0,
            `the aliases (*name) cannot be followed: ${(error as Error).message}`,
            'write the values out; where a star is meant as text, write it in quotes: "*"',
          ),
        );
      }
    }
    this.problems = found;
  }

  /** The problem with its line and column: of the value, of its key, or of the nearest thing above it that is there. */
  place(problem: Problem): PlacedProblem {
    const offset = problem.atKey === true ? this.#keyOffset(problem.path) : undefined;
    const at = offset ?? this.#valueOffset(problem.path, problem.inside ?? 0);
    return this.#placeAt(at, problem.what, problem.fix);
  }

  #placeAt(offset: number, what: string, fix: string | undefined): PlacedProblem {
    const { line, col } = this.#lines.linePos(offset);
    return { file: this.name, line: Math.max(1, line), column: Math.max(1, col), what, fix };
  }

  #keyOffset(path: readonly PropertyKey[]): number | undefined {
    const parent = this.#node(path.slice(0, -1));
    const key = path.at(-1);
    if (!isMap(parent)) return undefined;
    const pair = parent.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
    return isNode(pair?.key) ? pair.key.range?.[0] : undefined;
  }

  #valueOffset(path: readonly PropertyKey[], inside: number): number {
    for (let length = path.length; length >= 0; length--) {
      const node = this.#node(path.slice(0, length));
      if (node?.range === undefined || node.range === null) continue;
      // Inside a quoted scalar the text starts one further on; folded and escaped ones are pointed at as a whole.
      if (length < path.length || inside === 0 || !isScalar(node)) return node.range[0];
      const quote = node.type === 'QUOTE_DOUBLE' || node.type === 'QUOTE_SINGLE' ? 1 : 0;
      const straight = String(node.value).length + 2 * quote === node.range[1] - node.range[0];
      return node.range[0] + (straight ? quote + inside : 0);
    }
    return 0;
  }

  #node(path: readonly PropertyKey[]): Node | undefined {
    let node: unknown = this.#doc.contents;
    for (const step of path) {
      if (!isMap(node) && !isSeq(node)) return undefined;
      node = node.get(step, true);
    }
    return isNode(node) ? node : undefined;
  }
}

function plain(code: string, message: string): string {
  if (code === 'DUPLICATE_KEY') return 'this key stands here twice';
  if (code === 'BAD_ALIAS') return 'this is not YAML: a * outside of quotes begins an alias';
  return `this is not YAML: ${message.charAt(0).toLowerCase()}${message.slice(1)}`;
}

function fixFor(code: string): string | undefined {
  switch (code) {
    case 'DUPLICATE_KEY':
      return 'keep one of the two';
    case 'TAB_AS_INDENT':
      return 'indent with spaces';
    case 'BAD_ALIAS':
      return 'write it in quotes: "*"';
    case 'UNEXPECTED_TOKEN':
      return 'text with quotes, brackets or a colon in it goes in quotes of the other kind, such as "listener.side == \'recipient\'"';
    case 'BAD_INDENT':
    case 'MISSING_CHAR':
    case 'BLOCK_AS_IMPLICIT_KEY':
      return 'look at indentation, brackets and quotes here and on the line before';
    default:
      return undefined;
  }
}
