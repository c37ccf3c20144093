/**
 * Two texts side by side, line by line (Myers, "An O(ND) difference algorithm", 1986), and inside a changed line the
 * words that differ. For showing only: what was done to a mail is what the callout's answer says, not what we find here.
 */
export type Row =
  | { readonly kind: 'same'; readonly left: number; readonly right: number; readonly text: string }
  | { readonly kind: 'removed'; readonly left: number; readonly before: Marked }
  | { readonly kind: 'added'; readonly right: number; readonly after: Marked }
  | {
      readonly kind: 'changed';
      readonly left: number;
      readonly right: number;
      readonly before: Marked;
      readonly after: Marked;
    };

/** A line, and which part of it differs from the other side. */
export interface Marked {
  readonly start: string;
  readonly differs: string;
  readonly end: string;
}

/** More differences than this are not searched for: what remains is shown as replaced. Bounds time and memory. */
const MAX_DIFFERENCES = 400;

/** Rows in reading order; `left` and `right` are line numbers from 1. */
export function diffLines(before: readonly string[], after: readonly string[]): Row[] {
  let start = 0;
  while (start < before.length && start < after.length && before[start] === after[start]) start++;
  let end = 0;
  const most = Math.min(before.length, after.length) - start;
  while (end < most && before[before.length - 1 - end] === after[after.length - 1 - end]) end++;
  const comparison = new Comparison(before, after);
  for (let i = 0; i < start; i++) comparison.same();
  const middle = commonLines(before.slice(start, before.length - end), after.slice(start, after.length - end));
  for (const [left, right] of middle) {
    comparison.replaceUntil(start + left, start + right);
    comparison.same();
  }
  comparison.replaceUntil(before.length - end, after.length - end);
  for (let i = 0; i < end; i++) comparison.same();
  return comparison.rows;
}

/** Builds rows; stands at one line of each side. */
class Comparison {
  readonly rows: Row[] = [];
  readonly #before: readonly string[];
  readonly #after: readonly string[];
  #left = 0;
  #right = 0;

  constructor(before: readonly string[], after: readonly string[]) {
    this.#before = before;
    this.#after = after;
  }

  same(): void {
    this.rows.push({
      kind: 'same',
      left: this.#left + 1,
      right: this.#right + 1,
      text: this.#before[this.#left] ?? '',
    });
    this.#left++;
    this.#right++;
  }

  /** Everything up to `left` was replaced by everything up to `right`: lines that are alike come to stand side by side. */
  replaceUntil(left: number, right: number): void {
    const [fromLeft, fromRight] = [this.#left, this.#right];
    const pairs = alikeLines(this.#before.slice(fromLeft, left), this.#after.slice(fromRight, right));
    for (const [l, r] of pairs) {
      this.#unlikeUntil(fromLeft + l, fromRight + r);
      this.#changed();
    }
    this.#unlikeUntil(left, right);
  }

  #unlikeUntil(left: number, right: number): void {
    while (this.#left < left && this.#right < right) this.#changed();
    while (this.#left < left)
      this.rows.push({ kind: 'removed', left: this.#left + 1, before: whole(this.#before[this.#left++]) });
    while (this.#right < right)
      this.rows.push({ kind: 'added', right: this.#right + 1, after: whole(this.#after[this.#right++]) });
  }

  #changed(): void {
    const [before, after] = markWords(this.#before[this.#left] ?? '', this.#after[this.#right] ?? '');
    this.rows.push({ kind: 'changed', left: ++this.#left, right: ++this.#right, before, after });
  }
}

const whole = (line: string | undefined): Marked => ({ start: '', differs: line ?? '', end: '' });

const WORD_EDGES = /(?<=[^\p{L}\p{N}])|(?=[^\p{L}\p{N}])/u;

/** What differs between two versions of a line, widened to whole words. */
function markWords(before: string, after: string): [Marked, Marked] {
  const a = before.split(WORD_EDGES);
  const b = after.split(WORD_EDGES);
  const [start, end] = sharedEnds(a, b);
  const cut = (words: readonly string[]): Marked => ({
    start: words.slice(0, start).join(''),
    differs: words.slice(start, words.length - end).join(''),
    end: words.slice(words.length - end).join(''),
  });
  return [cut(a), cut(b)];
}

/** How much two sequences share at their starts, and at their ends. */
function sharedEnds(a: ArrayLike<string>, b: ArrayLike<string>): [number, number] {
  const most = Math.min(a.length, b.length);
  let start = 0;
  while (start < most && a[start] === b[start]) start++;
  let end = 0;
  while (end < most - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end++;
  return [start, end];
}

/** Comparing each line with each costs their product; beyond it lines are paired in order. */
const MAX_COMPARED = 4000;
/** Of the longer line, so much must be shared at its start and end for the two to be versions of one line. */
const ALIKE = 0.4;

/** Pairs of lines that look like versions of each other, in order, with the most in common altogether. */
function alikeLines(a: readonly string[], b: readonly string[]): [number, number][] {
  if (a.length * b.length > MAX_COMPARED) return [];
  // best[i][j]: the most that a[i..] and b[j..] can have in common.
  const best = Array.from({ length: a.length + 1 }, () => Array.from({ length: b.length + 1 }, () => 0));
  const at = (i: number, j: number) => best[i]?.[j] ?? 0;
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      const row = best[i];
      if (row !== undefined)
        row[j] = Math.max(at(i + 1, j), at(i, j + 1), at(i + 1, j + 1) + likeness(a[i] ?? '', b[j] ?? ''));
    }
  }
  const pairs: [number, number][] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    if (at(i, j) === at(i + 1, j)) i++;
    else if (at(i, j) === at(i, j + 1)) j++;
    else pairs.push([i++, j++]);
  }
  return pairs;
}

function likeness(a: string, b: string): number {
  const longer = Math.max(a.length, b.length);
  if (longer === 0) return 0;
  const [start, end] = sharedEnds(a, b);
  const share = (start + end) / longer;
  return share < ALIKE ? 0 : share;
}

/** Indexes of a longest common sequence, as pairs; without any where the texts differ too much. */
function commonLines(a: readonly string[], b: readonly string[]): [number, number][] {
  const furthest = new Map<number, number>([[1, 0]]);
  const history: Map<number, number>[] = [];
  const most = Math.min(a.length + b.length, MAX_DIFFERENCES);
  for (let d = 0; d <= most; d++) {
    history.push(new Map(furthest));
    for (let k = -d; k <= d; k += 2) {
      let x = stepsDown(furthest, k, d) ? (furthest.get(k + 1) ?? 0) : (furthest.get(k - 1) ?? 0) + 1;
      while (x < a.length && x - k < b.length && a[x] === b[x - k]) x++;
      furthest.set(k, x);
      if (x >= a.length && x - k >= b.length) return walkBack(history, a.length, b.length);
    }
  }
  return [];
}

function stepsDown(furthest: ReadonlyMap<number, number>, k: number, d: number): boolean {
  return k === -d || (k !== d && (furthest.get(k - 1) ?? 0) < (furthest.get(k + 1) ?? 0));
}

function walkBack(history: readonly ReadonlyMap<number, number>[], endX: number, endY: number): [number, number][] {
  const pairs: [number, number][] = [];
  let x = endX;
  let y = endY;
  for (let d = history.length - 1; d >= 0; d--) {
    const furthest = history[d] ?? new Map<number, number>();
    const k = x - y;
    const before = stepsDown(furthest, k, d) ? k + 1 : k - 1;
    const fromX = furthest.get(before) ?? 0;
    const fromY = fromX - before;
    while (x > fromX && y > fromY && x > 0 && y > 0) pairs.push([--x, --y]);
    x = fromX;
    y = fromY;
  }
  return pairs.reverse();
}
