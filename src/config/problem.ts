/**
 * What is wrong with a configuration: where, what, and what to do. A problem is a value; whoever loads prints them all,
 * not only the first.
 */
export interface Problem {
  /** Keys and indexes from the top: `['listeners', 0, 'address']`. */
  readonly path: readonly PropertyKey[];
  readonly what: string;
  /** What to do about it, as an instruction. */
  readonly fix: string | undefined;
  /** Points at the key instead of its value. */
  readonly atKey?: boolean;
  /** Octets into the value, where the trouble lies inside it (a rule). */
  readonly inside?: number;
}

export interface PlacedProblem {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly what: string;
  readonly fix: string | undefined;
}

/**
 * `opes.yaml:4:14: listeners[0].maxSize: "big" is not a size`, and below it, indented, what to do. The first line has the
 * form that editors and terminals turn into a link.
 */
export function showProblem(problem: PlacedProblem): string {
  const head = `${problem.file}:${problem.line}:${problem.column}: ${problem.what}`;
  return problem.fix === undefined ? head : `${head}\n    ${problem.fix.replaceAll('\n', '\n    ')}`;
}

/** `listeners[0].address`; '' at the top. */
export function showPath(path: readonly PropertyKey[]): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else text += text === '' ? String(step) : `.${String(step)}`;
  }
  return text;
}
