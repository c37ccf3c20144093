/** Where the program itself lies: as TypeScript in a clone, as JavaScript in an installed package. */
import { existsSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HERE = fileURLToPath(import.meta.url);
const EXTENSION = HERE.endsWith('.ts') ? '.ts' : '.js';
/** `src` or `dist`. */
const CODE = dirname(dirname(HERE));
const ROOT = dirname(CODE);

/** A file of the program by its name without ending, such as `cli/main`. */
export function programFile(name: string): string {
  return join(CODE, `${name}${EXTENSION}`);
}

/** Arguments that make Node run this program again, with `args`. */
export function selfArgs(args: readonly string[]): string[] {
  const condition = EXTENSION === '.ts' ? ['-C', 'opes-source'] : [];
  return [...condition, programFile('cli/main'), ...args];
}

/** What a child of ours must be able to read to run at all: the code, its packages, and nothing that lies beside them. */
export function readableForSelf(): string[] {
  // Installed as a package, its own packages may lie further up, in the `node_modules` it stands in.
  const packages = [join(ROOT, 'node_modules'), dirname(ROOT)].filter((dir) => dir.endsWith('node_modules'));
  const present = [CODE, join(ROOT, 'package.json'), ...packages].filter((path) => existsSync(path));
  // Node judges a file by its real place: a `node_modules` that is a link would be readable, and nothing in it.
  return [...new Set(present.flatMap((path) => [path, realpathSync(path)]))];
}

/** Services that come with the program, for `run: builtin:NAME`. */
export const BUILTINS: ReadonlyMap<string, string> = new Map([
  ['banner', programFile('services/banner/index')],
  ['attachments', programFile('services/attachments/index')],
]);
