/**
 * Service files: TypeScript or JavaScript modules whose exports are services. They write `import ... from
 * 'opes-smtp/callout'` wherever they lie; outside a project that has the package installed, the import is led to the one
 * that runs here.
 */
import { registerHooks } from 'node:module';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Service } from '../../callout/index.ts';
import { EXIT, Failure } from '../exit.ts';
import { programFile } from '../program-files.ts';

const OURS: ReadonlyMap<string, string> = new Map([
  ['opes-smtp/callout', 'callout/index'],
  ['opes-smtp/callout/testing', 'callout/testing'],
]);

export async function loadServices(files: readonly string[]): Promise<Service[]> {
  // Two copies of the SDK would not know each other's values, so ours is taken even where another is installed.
  registerHooks({
    resolve(specifier, context, next) {
      const ours = OURS.get(specifier);
      return next(ours === undefined ? specifier : pathToFileURL(programFile(ours)).href, context);
    },
  });
  const services: Service[] = [];
  for (const file of files) services.push(...(await loadFile(file)));
  return services;
}

async function loadFile(file: string): Promise<Service[]> {
  const exports = (await importFile(file)) as Readonly<Record<string, unknown>>;
  // A service that is exported as default and by name is one service.
  const found = new Set(Object.values(exports).flat().filter(isService));
  if (found.size > 0) return [...found];
  throw new Failure(`${file} exports no service; write: export default defineService({ ... })`, EXIT.config);
}

async function importFile(file: string): Promise<unknown> {
  try {
    return await import(pathToFileURL(resolve(file)).href);
  } catch (error) {
    const { code, message, stack } = error as NodeJS.ErrnoException;
    if (code === 'ERR_MODULE_NOT_FOUND') throw new Failure(missing(file, message), EXIT.config);
    if (code === 'ERR_UNKNOWN_FILE_EXTENSION')
      throw new Failure(`${file} is no TypeScript or JavaScript module`, EXIT.config);
    throw new Failure(`${file} cannot be loaded: ${stack ?? String(error)}`, EXIT.config);
  }
}

/** The file itself, or what it or a file it imports has need of. Node's message has both names and no other field has. */
function missing(file: string, message: string): string {
  const [, kind, what, importer] = MISSING.exec(message) ?? [];
  const path = resolve(file);
  if (what === path) return `there is no file ${file}`;
  if (what === undefined || importer === undefined) return `${file} cannot be loaded: ${message}`;
  const by = importer === path ? 'it' : importer;
  const fix = kind === 'package' ? `install it beside the file: npm install ${what}` : 'check the name after from';
  return `${file} cannot be loaded: ${by} imports ${what}, which is not there\n    ${fix}`;
}

const MISSING = /^Cannot find (package|module) '(.+?)' imported from (.+)$/;

function isService(value: unknown): value is Service {
  return typeof value === 'object' && value !== null && 'uri' in value && 'wants' in value && 'timeoutMs' in value;
}
