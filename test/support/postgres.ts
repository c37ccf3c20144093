/** A private PostgreSQL server: its files in a folder of its own, a socket in that folder, no TCP. Debian's package is installed where it is missing. */
import { chownSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Child, run } from './child.ts';
import { needPrograms } from './programs.ts';
import { eventually, scratchFolder } from './scratch.ts';

const DEBIAN = '/usr/lib/postgresql';

export class Postgres {
  readonly #bin: string;
  readonly #folder: string;
  readonly #user: readonly string[];
  #server: Child | undefined;

  private constructor(bin: string, folder: string, user: readonly string[]) {
    this.#bin = bin;
    this.#folder = folder;
    this.#user = user;
  }

  /** Runs until the end of the test file. */
  static async start(): Promise<Postgres> {
    const bin = await findServer();
    const folder = scratchFolder('pg');
    // The server refuses root: another user of every Debian takes its place.
    const isRoot = process.getuid?.() === 0;
    if (isRoot) chownSync(folder, NOBODY, NOBODY);
    const user = isRoot ? ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups'] : [];
    const postgres = new Postgres(bin, folder, user);
    const args = ['-D', join(folder, 'data'), '-U', 'opes', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'];
    const made = await postgres.#run('initdb', args);
    if (made !== '') throw new Error(`initdb: ${made}`);
    await postgres.up();
    return postgres;
  }

  get socketFolder(): string {
    return this.#folder;
  }

  /** A new, empty database. */
  async database(name: string): Promise<string> {
    const failed = await this.#run('psql', [
      '-h',
      this.#folder,
      '-U',
      'opes',
      '-qc',
      `create database ${name}`,
      'postgres',
    ]);
    if (failed !== '') throw new Error(failed);
    return `postgres://opes@/${name}?host=${encodeURIComponent(this.#folder)}`;
  }

  async up(): Promise<void> {
    const settings = ['listen_addresses=', `unix_socket_directories=${this.#folder}`, 'fsync=on', 'max_connections=40'];
    const args = ['-D', join(this.#folder, 'data'), ...settings.flatMap((one) => ['-c', one])];
    const [command = '', ...rest] = [...this.#user, join(this.#bin, 'postgres'), ...args];
    this.#server = new Child(command, rest, { cwd: this.#folder });
    const ready = async (): Promise<boolean> => (await this.#run('pg_isready', ['-h', this.#folder, '-q'])) === '';
    await eventually(ready, `PostgreSQL\n${this.#server.stderr.join('\n')}`, 60_000);
  }

  /** As a crash would: without asking. */
  async kill(): Promise<void> {
    await this.#server?.stop('SIGQUIT');
  }

  /** What it complained about; empty: it did what it should. */
  async #run(program: string, args: readonly string[]): Promise<string> {
    const [command = '', ...rest] = [...this.#user, join(this.#bin, program), ...args];
    const { code, stderr, stdout } = await run(command, rest, { cwd: this.#folder });
    return code === 0 ? '' : `${program} ended with ${code}: ${stderr}${stdout}`;
  }
}

const NOBODY = 65534;

async function findServer(): Promise<string> {
  for (const bin of places()) if (existsSync(join(bin, 'initdb')) && existsSync(join(bin, 'postgres'))) return bin;
  await needPrograms('pg_lsclusters');
  const found = places().find((bin) => existsSync(join(bin, 'initdb')));
  if (found === undefined) throw new Error(`no initdb below ${DEBIAN}, though Debian's postgresql is installed`);
  return found;
}

function places(): string[] {
  const versions = existsSync(DEBIAN) ? readdirSync(DEBIAN).toSorted((a, b) => Number(b) - Number(a)) : [];
  return [...versions.map((version) => join(DEBIAN, version, 'bin')), '/usr/local/bin'];
}
