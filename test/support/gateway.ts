/**
 * Our own gateway as its users run it: `bin/opes start --config FILE`, the ready line read from stdout, logs from stderr, ended by
 * SIGTERM. Knows only the documented command line and configuration (design, sections 4 and 5).
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Child, type Exit, type Signal } from './child.ts';
import { scratchFolder } from './scratch.ts';

export const ROOT = fileURLToPath(new URL('../..', import.meta.url));
/** The program under test: the clone's own, or an installed one where OPES_PROGRAM names it. */
export const OPES = process.env['OPES_PROGRAM'] ?? join(ROOT, 'bin', 'opes');
/** The identity all test configurations use. */
export const SYSTEM_URI = 'https://gw.test/opes';

export type Config = Readonly<Record<string, unknown>>;
export type FailureAction = 'tempfail' | 'skip' | 'reject' | 'quarantine' | 'spool';

export interface TestService {
  /** Its name for the server; made from the system's where absent. */
  readonly uri?: string;
  readonly connect: string | readonly string[];
  readonly may?: readonly string[];
  readonly commands?: readonly string[];
  readonly requires?: readonly string[];
  readonly onFailure?: FailureAction | Readonly<Record<string, FailureAction>>;
  readonly timeout?: string;
  readonly when?: string;
}

const EVERYTHING = [
  'refuse',
  'tempfail',
  'add-header',
  'edit-header',
  'edit-content',
  'rewrite-sender',
  'rewrite-recipient',
];

/** A configuration of one listener, one next hop and these services in order. */
export function config(
  nextHop: string,
  services: Readonly<Record<string, TestService>> = {},
  more: Config = {},
): Config {
  const names = Object.entries(services);
  return {
    version: 1,
    system: { uri: SYSTEM_URI, contact: 'postmaster@gw.test' },
    hostname: 'gw.test',
    dataDir: './data',
    listeners: [{ name: 'mx', address: '127.0.0.1:0', side: 'recipient' }],
    routes: [{ to: '*', nextHop }],
    services: Object.fromEntries(
      names.map(([name, s]) => [
        name,
        {
          uri: s.uri ?? `${SYSTEM_URI}/${name}`,
          connect: typeof s.connect === 'string' ? [s.connect] : s.connect,
          may: s.may ?? EVERYTHING,
          consent: 'operator',
          ...(s.commands === undefined ? {} : { commands: s.commands }),
          // `never` and `onFailure: skip` exclude each other (D8).
          bypassable: 'allowed',
        },
      ]),
    ),
    pipeline: names.map(([name, s]) => ({
      service: name,
      onFailure: s.onFailure ?? 'tempfail',
      timeout: s.timeout ?? '10s',
      ...(s.requires === undefined ? {} : { requires: s.requires }),
      ...(s.when === undefined ? {} : { when: s.when }),
    })),
    ...more,
  };
}

interface Ready {
  readonly metrics?: string;
  readonly console?: string;
  readonly listeners: readonly { readonly name: string; readonly address: string; readonly port: number }[];
  readonly pid: number;
}

export class Gateway {
  readonly child: Child;
  readonly ready: Ready;
  readonly folder: string;
  /** Its configuration. */
  readonly file: string;

  private constructor(child: Child, ready: Ready, file: string) {
    this.child = child;
    this.ready = ready;
    this.folder = dirname(file);
    this.file = file;
  }

  /** In a folder of its own, or once more in one that a former gateway left. */
  static async start(configuration: Config | string, folder = scratchFolder('gateway')): Promise<Gateway> {
    // JSON is YAML.
    const file = join(folder, 'opes.yaml');
    writeFileSync(file, textOf(configuration));
    const child = new Child(OPES, ['start', '--config', file]);
    return new Gateway(child, await child.event<Ready>('ready', 60_000), file);
  }

  /** Writes the configuration (text as it stands) and asks to reload it. Returns the log line that says how it went. */
  async reload(configuration: Config | string): Promise<Record<string, unknown>> {
    writeFileSync(this.file, textOf(configuration));
    const isEnd = ({ event }: Record<string, unknown>) => event === 'reloaded' || event === 'reload-failed';
    const before = this.logs().filter(isEnd).length;
    process.kill(this.child.pid, 'SIGHUP');
    return await this.child.until(() => this.logs().filter(isEnd)[before], 'end of the reload', 60_000);
  }

  /** The port of a listener; the first one without a name. */
  port(name?: string): number {
    const listener = this.ready.listeners.find((l) => name === undefined || l.name === name);
    if (listener === undefined) throw new Error(`no listener ${name}`);
    return listener.port;
  }

  /** Log lines so far, as JSON. */
  logs(): Record<string, unknown>[] {
    return this.child.stderr.flatMap((line) => {
      try {
        return [JSON.parse(line) as Record<string, unknown>];
      } catch {
        return [];
      }
    });
  }

  async stop(signal: Signal = 'SIGTERM'): Promise<Exit> {
    return await this.child.stop(signal);
  }

  /** Resident memory of the process in octets. */
  resident(): number {
    const status = readFileSync(`/proc/${this.child.pid}/status`, 'latin1');
    return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024;
  }
}

/** Text as it stands; JSON is YAML. */
function textOf(configuration: Config | string): string {
  return typeof configuration === 'string' ? configuration : JSON.stringify(configuration, null, 2);
}

/** A callout server of our SDK: `bin/opes serve FILE`. */
export async function serve(file: string, port = 0): Promise<{ readonly child: Child; readonly endpoint: string }> {
  const child = new Child(OPES, ['serve', file, '--listen', `127.0.0.1:${port}`]);
  const ready = await child.event<{ ocp: readonly { address: string; port: number }[] }>('ready', 60_000);
  const at = ready.ocp[0];
  if (at === undefined) throw new Error('serve said no port');
  return { child, endpoint: `ocp://${at.address}:${at.port}` };
}

const TRACE = /^(Received|OPES-System|OPES-Via):/i;

/** Divides a delivered content into the gateway's own lines on top and what stands behind them, octet by octet. */
export function withoutTrace(content: Buffer): { readonly trace: readonly string[]; readonly rest: Buffer } {
  const trace: string[] = [];
  let at = 0;
  while (TRACE.test(content.toString('latin1', at, at + 12))) {
    let end = at;
    do end = content.indexOf('\r\n', end) + 2;
    while (content[end] === 9 || content[end] === 32);
    trace.push(content.toString('latin1', at, end - 2));
    at = end;
  }
  return { trace, rest: content.subarray(at) };
}
