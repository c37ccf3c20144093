/**
 * From the checked file to what it comes to: paths made absolute, certificates read, defaults that depend on other values
 * filled in. Files that cannot be used are problems at the place that names them.
 */
import { readFileSync, statSync } from 'node:fs';
import { resolve as resolvePath } from 'node:path';
import { createSecureContext } from 'node:tls';
import type {
  CalloutEndpoint,
  CalloutTls,
  FailureAction,
  FailureReason,
  ListenAddress,
  ListenerOptions,
  Permission,
  TlsKeys,
  UserOptions,
} from '../gateway/options.ts';
import { bypassable, lockedFor, neverBecause } from './checks.ts';
import { isOnThisMachine } from './checks-entry.ts';
import { loginNotices, tlsPolicy } from './checks-routes.ts';
import type { EffectiveConfig, EffectiveRoute, EffectiveService } from './effective.ts';
import { certificateNotice, keysComplaint, type Material } from './pem.ts';
import { type PlacedProblem, type Problem, showPath } from './problem.ts';
import type { RawConfig } from './schema.ts';
import { isLoopback } from './units.ts';
import { readUsersFile } from './users/users-file.ts';

export interface ResolveContext {
  /** The file as named, its absolute path, and the directory its relative paths start from. */
  readonly source: string;
  readonly file: string | undefined;
  readonly baseDir: string;
  readonly hostname: string;
  /** Services that come with the program, for `run: builtin:NAME`. */
  readonly builtins: ReadonlySet<string>;
  /** The number of a group of this machine. */
  readonly findGroup: (name: string) => number | undefined;
}

export interface Resolved {
  readonly config: EffectiveConfig;
  readonly problems: readonly Problem[];
  /** Not wrong, but worth a word. */
  readonly notices: readonly Problem[];
  /** In files that the configuration names. */
  readonly elsewhere: readonly PlacedProblem[];
}

export function resolve(raw: RawConfig, context: ResolveContext): Resolved {
  const files = new Files(context.baseDir, context.findGroup);
  const dataDir = files.absolute(raw.dataDir);
  const showMail = raw.console?.showMail === true;
  const config: EffectiveConfig = {
    source: context.source,
    file: context.file,
    dataDir,
    spillDir: resolvePath(dataDir, 'spill'),
    hostname: raw.hostname ?? context.hostname,
    system: { uri: raw.system.uri, contact: raw.system.contact, privacyPolicy: raw.system.privacyPolicy },
    listeners: raw.listeners.map((listener, at) => resolveListener(listener, files, ['listeners', at])),
    routes: raw.routes.map((route, at) => resolveRoute(route, files, ['routes', at])),
    services: Object.entries(raw.services).map(([name, service]) =>
      resolveService(name, service, files, context.builtins),
    ),
    pipeline: raw.pipeline.map((entry) => ({
      service: entry.service,
      when: entry.when,
      requires: new Set(entry.requires),
      buildsOn: entry.buildsOn,
      onFailure: failureActions(entry.onFailure),
      timeoutMs: entry.timeout,
    })),
    deadlineMs: raw.deadline,
    limits: {
      memoryOctets: raw.limits.memory,
      spillOctets: raw.limits.spill,
      headerOctets: raw.limits.header,
      maxHops: raw.limits.hops,
      nextHopConnections: raw.limits.nextHopConnections,
      inquiries: raw.limits.inquiries,
      inquiriesPerPeer: raw.limits.inquiriesPerPeer,
    },
    store: { url: raw.store, directory: resolvePath(dataDir, 'store') },
    dns: { servers: raw.dns.servers, trustAd: raw.dns.trustAd },
    queue: {
      mode: raw.queue.mode,
      retryMs: raw.queue.retry,
      lifetimeMs: raw.queue.lifetime,
      warnAfterMs: raw.queue.warnAfter,
      perDestination: raw.queue.perDestination,
      keepMs: raw.quarantine.keep,
      notice: raw.quarantine.notice,
    },
    reports: {
      ...raw.reports,
      languages: [...new Set(raw.reports.languages)],
      postmaster: raw.reports.postmaster,
    },
    recentMails: raw.console === undefined ? 0 : raw.console.keep,
    recentOctets: showMail ? SHOWN_OCTETS : 0,
    console: raw.console === undefined ? undefined : { ...raw.console.address, showMail },
    metrics: raw.metrics?.address,
    user: raw.user,
    group: raw.group,
  };
  return { config, problems: files.problems, notices: files.notices, elsewhere: files.elsewhere };
}

/** Of a mail on the console page. Two such copies of each of the last mails are held in memory. */
const SHOWN_OCTETS = 64 * 1024;

function resolveListener(
  raw: RawConfig['listeners'][number],
  files: Files,
  path: readonly PropertyKey[],
): ListenerOptions {
  const { tls, auth } = raw;
  const isOnLoopback = raw.address.kind === 'tcp' && isLoopback(raw.address.host);
  const isClearAllowed = isOnThisMachine(raw) && raw.requireTls === false;
  const keys = tls === undefined ? undefined : files.keys(tls.cert, tls.key, [...path, 'tls']);
  return {
    name: raw.name,
    address: listenAddress(raw, files, path),
    side: raw.side,
    protocol: raw.protocol,
    tls: tls === undefined || keys === undefined ? undefined : { ...keys, implicit: tls.implicit },
    requireTls: raw.requireTls ?? false,
    auth: auth === undefined ? undefined : { users: files.users(auth, [...path, 'auth']), isClearAllowed },
    isOnLoopback,
    relayFrom: raw.relayFrom,
    proxyFrom: raw.proxy === 'required' ? raw.proxyFrom : undefined,
    xclientFrom: raw.xclientFrom,
    xforwardFrom: raw.xforwardFrom,
    bypassFrom: raw.bypassFrom,
    maxSizeOctets: raw.maxSize,
    maxRecipients: raw.maxRecipients,
    maxConnections: raw.maxConnections,
    maxConnectionsPerPeer: raw.maxConnectionsPerPeer,
    idleMs: raw.idleTimeout,
    bareNewline: raw.bareNewline,
  };
}

/** Its own user and group, and nobody else: who puts `mode: "0666"` lets all of this machine in. */
const SOCKET_MODE = 0o660;

function listenAddress(
  { address, mode = SOCKET_MODE, group }: RawConfig['listeners'][number],
  files: Files,
  path: readonly PropertyKey[],
): ListenAddress {
  if (address.kind === 'tcp') return address;
  return { ...address, mode, gid: group === undefined ? undefined : files.group(group, [...path, 'group']) };
}

function resolveRoute(raw: RawConfig['routes'][number], files: Files, path: readonly PropertyKey[]): EffectiveRoute {
  const { nextHop, auth } = raw;
  const password = auth && files.password(auth.passwordFile, [...path, 'auth', 'passwordFile']);
  return {
    to: raw.to.toLowerCase(),
    nextHop: nextHop.kind === 'mailbox' ? 'mailbox' : nextHop,
    tls: tlsPolicy(raw),
    tlsCa: raw.tlsCa === undefined ? undefined : files.trust(raw.tlsCa, [...path, 'tlsCa']),
    tlsName: raw.tlsName?.toLowerCase(),
    identity: raw.identity,
    auth: auth && password !== undefined ? { user: auth.user, password } : undefined,
  };
}

function resolveService(
  name: string,
  raw: RawConfig['services'][string],
  files: Files,
  builtins: ReadonlySet<string>,
): EffectiveService {
  const path = ['services', name];
  const tls = raw.tls === undefined ? {} : files.calloutTls(raw.tls, [...path, 'tls']);
  const endpoints = (raw.connect ?? []).map((endpoint): CalloutEndpoint => {
    if (endpoint.kind === 'unix') return endpoint;
    const { host, port } = endpoint;
    return endpoint.kind === 'tls' ? { kind: 'tls', host, port, tls } : { kind: 'tcp', host, port };
  });
  return {
    name,
    uri: raw.uri,
    may: new Set(raw.may),
    commands: new Set(raw.commands),
    bypassable: bypassable(raw),
    neverBecause: neverBecause(raw),
    consent: 'operator',
    kept: raw.kept,
    insecure: raw.insecure,
    from: raw.run === undefined ? { kind: 'connect', endpoints } : files.program(raw.run, [...path, 'run'], builtins),
  };
}

function failureActions(raw: RawConfig['pipeline'][number]['onFailure']): Record<FailureReason, FailureAction> {
  const action = (reason: FailureReason) => (typeof raw === 'string' ? raw : (raw[reason] ?? raw['*'] ?? 'tempfail'));
  return {
    timeout: action('timeout'),
    unreachable: action('unreachable'),
    crash: action('crash'),
    invalid: action('invalid'),
    overload: action('overload'),
  };
}

/** Files that the configuration names; what is wrong with them is gathered. */
class Files {
  readonly problems: Problem[] = [];
  readonly notices: Problem[] = [];
  readonly elsewhere: PlacedProblem[] = [];
  readonly #users = new Map<string, readonly UserOptions[]>();
  readonly #baseDir: string;
  readonly #findGroup: ResolveContext['findGroup'];

  constructor(baseDir: string, findGroup: ResolveContext['findGroup']) {
    this.#baseDir = baseDir;
    this.#findGroup = findGroup;
  }

  absolute(path: string): string {
    return resolvePath(this.#baseDir, path);
  }

  program(run: string, path: readonly PropertyKey[], builtins: ReadonlySet<string>): EffectiveService['from'] {
    const builtin = /^builtin:(.*)$/.exec(run)?.[1];
    if (builtin !== undefined) {
      if (!builtins.has(builtin))
        this.#add(path, `no service "${builtin}" comes with this program`, `these do: ${[...builtins].join(', ')}`);
      return { kind: 'builtin', name: builtin };
    }
    const file = this.absolute(run);
    const found = statSync(file, { throwIfNoEntry: false });
    if (found === undefined) this.#add(path, `there is no file ${file}`, RELATIVE);
    else if (!found.isFile()) this.#add(path, `${file} is no file`, 'name the TypeScript or JavaScript file in it');
    return { kind: 'run', file };
  }

  /** No file of the configuration's, but as outside of it. */
  group(name: string, path: readonly PropertyKey[]): number | undefined {
    const gid = this.#findGroup(name);
    if (gid === undefined)
      this.#add(path, `there is no group "${name}" on this machine`, 'make it (groupadd), or name another');
    return gid;
  }

  keys(cert: string, key: string, path: readonly PropertyKey[]): TlsKeys | undefined {
    const certPem = this.#read(cert, [...path, 'cert']);
    const keyPem = this.#read(key, [...path, 'key']);
    if (certPem === undefined || keyPem === undefined) return undefined;
    if (!this.#usable({ cert: certPem, key: keyPem }, path)) return undefined;
    const notice = certificateNotice(certPem, Date.now());
    if (notice !== undefined) {
      const at = [...path, 'cert'];
      const fix = 'renew it; SIGHUP (systemctl reload) takes the new one';
      this.notices.push({ path: at, what: `${showPath(at)}: ${notice}`, fix });
    }
    return { cert: certPem, key: keyPem };
  }

  /** Two listeners may share a file; its problems are told once. */
  users(name: string, path: readonly PropertyKey[]): readonly UserOptions[] {
    const file = this.absolute(name);
    const known = this.#users.get(file);
    if (known !== undefined) return known;
    let users: readonly UserOptions[] = [];
    try {
      const read = readUsersFile(file);
      this.elsewhere.push(...read.problems);
      users = read.users;
    } catch (error) {
      this.#addUnreadable(file, error, path);
    }
    this.#users.set(file, users);
    return users;
  }

  calloutTls(raw: NonNullable<RawConfig['services'][string]['tls']>, path: readonly PropertyKey[]): CalloutTls {
    const ca = raw.ca === undefined ? undefined : this.trust(raw.ca, [...path, 'ca']);
    const keys = raw.cert === undefined || raw.key === undefined ? undefined : this.keys(raw.cert, raw.key, path);
    const serverName = raw.serverName;
    return { ...(ca && { ca }), ...keys, ...(serverName !== undefined && { serverName }) };
  }

  /** Certificates of who vouches for a peer. */
  trust(file: string, path: readonly PropertyKey[]): Buffer | undefined {
    const ca = this.#read(file, path);
    return ca !== undefined && this.#usable({ ca }, path) ? ca : undefined;
  }

  /** The text of a file that nobody else may read; the line end that editors add is not part of it. */
  password(name: string, path: readonly PropertyKey[]): string | undefined {
    const octets = this.#read(name, path);
    if (octets === undefined) return undefined;
    const file = this.absolute(name);
    if ((statSync(file).mode & 0o007) !== 0) {
      this.#add(path, `everybody on this machine can read ${file}, or write to it`, `run: chmod 600 ${file}`);
      return undefined;
    }
    const password = octets.toString('utf8').replace(/\r?\n$/, '');
    if (/^[^\x00-\x1f\x7f]{1,1000}$/.test(password)) return password;
    this.#add(path, `${file} holds no password, or more than one line`, 'write the password into it, and nothing else');
    return undefined;
  }

  #usable(material: Material, path: readonly PropertyKey[]): boolean {
    try {
      createSecureContext({ ...material });
      return true;
    } catch (error) {
      const { what, fix } = keysComplaint(material, error as Error);
      this.#add(path, what, fix);
      return false;
    }
  }

  #read(name: string, path: readonly PropertyKey[]): Buffer | undefined {
    const file = this.absolute(name);
    try {
      return readFileSync(file);
    } catch (error) {
      this.#addUnreadable(file, error, path);
      return undefined;
    }
  }

  #addUnreadable(file: string, error: unknown, path: readonly PropertyKey[]): void {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') this.#add(path, `there is no file ${file}`, RELATIVE);
    else this.#add(path, `${file} cannot be read (${code ?? 'unknown error'})`, 'let the user that runs opes read it');
  }

  #add(path: readonly PropertyKey[], what: string, fix: string): void {
    this.problems.push({ path, what: `${showPath(path)}: ${what}`, fix });
  }
}

const RELATIVE = 'a relative path starts at the directory of the configuration file';

/** Permissions of the configuration's contract that nothing in the gateway acts on. */
const NOT_YET: ReadonlySet<Permission> = new Set(['add-recipient', 'remove-recipient', 'route', 'notify']);

/** What is permitted but may surprise; told once, at load. */
export function notices(raw: RawConfig): Problem[] {
  const called = new Set(raw.pipeline.map((entry) => entry.service));
  const ofServices = Object.entries(raw.services).flatMap(([name, service]): Problem[] => {
    const found: Problem[] = [];
    if (!called.has(name)) {
      found.push({
        path: ['services', name],
        what: `services.${name} is not in the pipeline, so no mail goes through it`,
        fix: undefined,
        atKey: true,
      });
    }
    const locked = lockedFor(service);
    if (service.bypassable === 'allowed' && locked !== undefined) {
      const path = ['services', name, 'bypassable'];
      found.push({
        path,
        what: `services.${name}.bypassable: the service ${locked}, and whoever may ask for it sends mail without it`,
        fix: undefined,
      });
    }
    if (service.bypassable === 'never' && locked === undefined) {
      const what = `services.${name}.bypassable: 'never' stands here without a reason why no mail goes without the service`;
      const fix = 'write bypassable: { never: "the reason" }';
      found.push({ path: ['services', name, 'bypassable'], what, fix });
    }
    if (service.commands.length === 0 && service.may.includes('rewrite-command')) {
      const what = `services.${name}.may: 'rewrite-command' does nothing without commands: the service is asked about none`;
      found.push({ path: ['services', name, 'may', service.may.indexOf('rewrite-command')], what, fix: undefined });
    }
    for (const [at, permission] of service.may.entries()) {
      if (!NOT_YET.has(permission)) continue;
      const what = `services.${name}.may: this version does not carry out '${permission}' yet, whatever the service asks`;
      found.push({ path: ['services', name, 'may', at], what, fix: undefined });
    }
    return found;
  });
  return [...loginNotices(raw), ...ofServices, ...skippedBases(raw)];
}

/** Mail may do without the one, and not without the other: then it does not get past the first one's failure (decision 0058). */
function skippedBases(raw: RawConfig): Problem[] {
  const actions = new Map(raw.pipeline.map(({ service, onFailure }) => [service, failureActions(onFailure)]));
  return raw.pipeline.flatMap((entry, at) =>
    entry.buildsOn.flatMap((base, i): Problem[] => {
      const own = failureActions(entry.onFailure);
      const skips = Object.entries(actions.get(base) ?? {}).filter(([, action]) => action === 'skip');
      const stopping = skips.flatMap(([reason]) => {
        const action = own[reason as FailureReason];
        return action === 'skip' ? [] : [action];
      });
      if (stopping.length === 0) return [];
      const path = ['pipeline', at, 'buildsOn', i];
      const what = `${showPath(path)}: where "${base}" fails and is skipped, "${entry.service}" has failed, too: then its own onFailure holds (${[...new Set(stopping)].join(', ')})`;
      return [{ path, what, fix: undefined }];
    }),
  );
}
