/**
 * What no single value can tell: that names fit together, that nothing relays for strangers, that no mail goes round in a
 * circle, that nothing confidential crosses a network in the clear. Each check is a function from the whole file to
 * problems; none stops at the first.
 */
import { posix } from 'node:path';
import type { ListenerOptions } from '../gateway/options.ts';
import { entryChecks } from './checks-entry.ts';
import { groupWithUser, hostnameIsName, metricsOnLoopback } from './checks-process.ts';
import { ROUTE_CHECKS } from './checks-routes.ts';
import { unixChecks } from './checks-unix.ts';
import { type Problem, showPath } from './problem.ts';
import type { RawConfig } from './schema.ts';
import { suggest } from './suggest.ts';
import { isLoopback, type ListenText, showHostPort, showListen } from './units.ts';

/** What the checks need to know of the world. */
export interface World {
  /** Addresses of this machine's interfaces. */
  readonly ownAddresses: ReadonlySet<string>;
  readonly hostname: string;
  /** Whether a stranger could send through a listener by a route (D14): the gateway's own decision. */
  readonly isOpenRelay: IsOpenRelay;
}

/** Arguments as the gateway has them. */
export type IsOpenRelay = (
  route: { readonly to: string; readonly nextHop: unknown },
  listener: Pick<ListenerOptions, 'isOnLoopback' | 'relayFrom' | 'proxyFrom' | 'xclientFrom'>,
) => boolean;

export type Check = (raw: RawConfig, world: World) => Problem[];

export function crossCheck(raw: RawConfig, world: World): Problem[] {
  return CHECKS.flatMap((check) => check(raw, world));
}

const listenerNames: Check = (raw) =>
  repeated(raw.listeners, (listener) => listener.name).map(([at, first, name]) => ({
    path: ['listeners', at, 'name'],
    what: `${showPath(['listeners', at, 'name'])}: "${name}" is already the name of listeners[${first}]`,
    fix: 'give each listener its own name',
  }));

const listenerAddresses: Check = (raw) => {
  const places: { readonly path: PropertyKey[]; readonly address: ListenText }[] = raw.listeners.map(
    ({ address }, at) => ({ path: ['listeners', at, 'address'], address }),
  );
  for (const key of ['console', 'metrics'] as const) {
    const page = raw[key];
    if (page !== undefined) places.push({ path: [key, 'address'], address: { kind: 'tcp', ...page.address } });
  }
  const taken = ({ address }: (typeof places)[number]) =>
    address.kind === 'tcp' && address.port === 0 ? undefined : showListen(address);
  return repeated(places, taken).map(([at, first, address]) => ({
    path: places[at]?.path ?? [],
    what: `${showPath(places[at]?.path ?? [])}: ${address} is already taken by ${showPath(places[first]?.path ?? [])}`,
    fix: address.startsWith('unix:') ? 'choose another path' : 'choose another port',
  }));
};

const routeOrder: Check = (raw) => {
  const star = raw.routes.findIndex((route) => route.to === '*');
  if (star < 0 || star === raw.routes.length - 1) return [];
  return [
    {
      path: ['routes', star],
      what: `routes[${star}]: the route to "*" matches every mail, so nothing below it is ever used`,
      fix: 'move it to the end of the list',
    },
  ];
};

const routeNames: Check = (raw) =>
  repeated(raw.routes, (route) => (route.to === '*' ? undefined : route.to.toLowerCase())).map(([at, first, to]) => ({
    path: ['routes', at, 'to'],
    what: `routes[${at}].to: "${to}" is already routed by routes[${first}]; the first match wins`,
    fix: 'keep one of the two',
  }));

const routeToOurselves: Check = (raw, world) =>
  raw.routes.flatMap((route, at) => {
    const hop = route.nextHop;
    const listener = raw.listeners.find(({ address }) => leadsTo(address, hop, world));
    if (listener === undefined) return [];
    return [
      {
        path: ['routes', at, 'nextHop'],
        what: `routes[${at}].nextHop: ${'host' in hop ? showHostPort(hop) : showListen(listener.address)} is our own listener "${listener.name}": mail would go round in a circle`,
        fix: 'name the server that takes the mail after us',
      },
    ];
  });

function leadsTo(address: ListenText, hop: RawConfig['routes'][number]['nextHop'], world: World): boolean {
  if (address.kind === 'unix') return 'path' in hop && posix.normalize(hop.path) === address.path;
  return 'host' in hop && address.port === hop.port && isSame(address.host, hop.host, world);
}

function isSame(listening: string, hop: string, world: World): boolean {
  if (listening === hop) return true;
  const hopIsHere = isLoopback(hop) || world.ownAddresses.has(hop) || hop === world.hostname.toLowerCase();
  if (!hopIsHere) return false;
  return (
    listening === '0.0.0.0' ||
    listening === '::' ||
    (isLoopback(listening) && isLoopback(hop)) ||
    hop === world.hostname.toLowerCase()
  );
}

const serviceSource: Check = (raw) =>
  Object.entries(raw.services).flatMap(([name, service]) => {
    const path = ['services', name];
    if ((service.connect === undefined) !== (service.run === undefined)) return [];
    if (service.connect === undefined) {
      return [
        {
          path,
          what: `services.${name} has neither connect nor run`,
          fix: 'say where it is (connect: "ocp://HOST:PORT") or which file to run (run: ./service.ts)',
        },
      ];
    }
    return [
      {
        path: [...path, 'run'],
        atKey: true,
        what: `services.${name} has both connect and run`,
        fix: 'keep one of the two',
      },
    ];
  });

/** D10: mail does not cross a network in the clear unless somebody said so. */
const plaintext: Check = (raw) =>
  Object.entries(raw.services).flatMap(([name, service]) =>
    (service.connect ?? []).flatMap((endpoint) =>
      endpoint.kind !== 'tcp' || isLoopback(endpoint.host) || service.insecure
        ? []
        : [
            {
              path: ['services', name, 'connect'],
              what: `services.${name}.connect: ocp://${showHostPort(endpoint)} would carry mail over the network in plaintext`,
              fix: `write ocp+tls://${showHostPort(endpoint)}, or add insecure: true if that network is yours alone`,
            },
          ],
    ),
  );

const calloutTls: Check = (raw) =>
  Object.entries(raw.services).flatMap(([name, service]): Problem[] => {
    const { tls } = service;
    if (tls === undefined) return [];
    const path = ['services', name, 'tls'];
    if (!(service.connect ?? []).some((endpoint) => endpoint.kind === 'tls')) {
      return [
        {
          path,
          what: `services.${name}.tls: none of its servers is reached over TLS`,
          fix: 'write connect: "ocp+tls://HOST:PORT", or take tls out',
        },
      ];
    }
    if ((tls.cert === undefined) === (tls.key === undefined)) return [];
    return [
      {
        path,
        what: `services.${name}.tls: a certificate and its key go together`,
        fix: 'write both cert and key, or neither',
      },
    ];
  });

const serviceUris: Check = (raw) => {
  const services = Object.entries(raw.services);
  return repeated(services, ([, service]) => service.uri).map(([at, first, uri]) => ({
    path: ['services', services[at]?.[0] ?? '', 'uri'],
    what: `services.${services[at]?.[0]}.uri: "${uri}" is already the identity of services.${services[first]?.[0]}`,
    fix: 'give each service its own URI: the trace tells them apart by it',
  }));
};

const pipelineNames: Check = (raw) =>
  raw.pipeline.flatMap((entry, at) => {
    if (Object.hasOwn(raw.services, entry.service)) return [];
    const names = Object.keys(raw.services);
    const near = suggest(entry.service, names);
    const fix =
      near !== undefined
        ? `did you mean ${near}?`
        : names.length > 0
          ? `the services are: ${names.join(', ')}`
          : 'add it under services:';
    return [
      {
        path: ['pipeline', at, 'service'],
        what: `pipeline[${at}].service: there is no service "${entry.service}"`,
        fix,
      },
    ];
  });

const pipelineTwice: Check = (raw) =>
  repeated(raw.pipeline, (entry) => entry.service).map(([at, first, name]) => ({
    path: ['pipeline', at, 'service'],
    what: `pipeline[${at}].service: "${name}" is already called by pipeline[${first}]`,
    fix: 'keep one entry; join two rules with ||',
  }));

/** D8: what may never be bypassed on request may not drop out through a failure either. */
const neverSkipped: Check = (raw) =>
  raw.pipeline.flatMap((entry, at) => {
    const service = Object.hasOwn(raw.services, entry.service) ? raw.services[entry.service] : undefined;
    if (service === undefined || bypassable(service) !== 'never') return [];
    const { onFailure } = entry;
    const skips = typeof onFailure === 'string' ? onFailure === 'skip' : Object.values(onFailure).includes('skip');
    if (!skips) return [];
    const why =
      service.bypassable !== undefined
        ? 'is bypassable: never'
        : `${lockedFor(service)}, so it is bypassable: never unless you say otherwise`;
    return [
      {
        path: ['pipeline', at, 'onFailure'],
        what: `pipeline[${at}].onFailure: skip lets mail pass without "${entry.service}", but that service ${why}`,
        fix: `write onFailure: tempfail (or reject), or services.${entry.service}.bypassable: allowed if mail may do without it`,
      },
    ];
  });

/** REQ-079: what a service counts on is not asked away from under it. */
const buildsOn: Check = (raw) =>
  raw.pipeline.flatMap((entry, at) =>
    entry.buildsOn.flatMap((name, i) => {
      const path = ['pipeline', at, 'buildsOn', i];
      const before = raw.pipeline.slice(0, at).map(({ service }) => service);
      if (!before.includes(name)) {
        const near = suggest(name, before);
        const fix = near === undefined ? 'name a service of an entry above' : `did you mean ${near}?`;
        return [{ path, what: `${showPath(path)}: no entry above calls "${name}"`, fix }];
      }
      const [own, other] = [entry.service, name].map((one) =>
        Object.hasOwn(raw.services, one) ? raw.services[one] : undefined,
      );
      if (own === undefined || other === undefined || bypassable(own) !== 'never' || bypassable(other) === 'never')
        return [];
      const what = `${showPath(path)}: "${entry.service}" is never bypassed and counts on "${name}", which may be`;
      return [{ path, what, fix: `write services.${name}.bypassable: never, or take it out of the list` }];
    }),
  );

const consoleOnLoopback: Check = (raw) =>
  raw.console === undefined || isLoopback(raw.console.address.host)
    ? []
    : [
        {
          path: ['console', 'address'],
          what: `console.address: ${showHostPort(raw.console.address)} can be reached from other machines, and the page shows mail without asking who looks`,
          fix: 'write 127.0.0.1, and reach it from elsewhere through an SSH tunnel',
        },
      ];

const CHECKS: readonly Check[] = [
  listenerNames,
  listenerAddresses,
  routeOrder,
  routeNames,
  ...entryChecks,
  ...unixChecks,
  routeToOurselves,
  ...ROUTE_CHECKS,
  serviceSource,
  plaintext,
  calloutTls,
  serviceUris,
  pipelineNames,
  pipelineTwice,
  neverSkipped,
  buildsOn,
  consoleOnLoopback,
  metricsOnLoopback,
  groupWithUser,
  hostnameIsName,
];

const decides = (permission: string) =>
  permission === 'refuse' || permission === 'tempfail' || permission === 'quarantine';

/**
 * The default of D8: what may keep a mail from arriving cannot be asked away, nor can what only looks at it, as whatever logs, counts
 * or keeps mail does (REQ-080).
 */
export function bypassable(service: RawConfig['services'][string]): 'never' | 'allowed' {
  const said = service.bypassable;
  if (said === undefined) return lockedFor(service) === undefined ? 'allowed' : 'never';
  return typeof said === 'object' ? 'never' : said;
}

/** The reason recorded with each `never` (REQ-071): the operator's, or the one for which it is so without his word. */
export function neverBecause(service: RawConfig['services'][string]): string | undefined {
  if (bypassable(service) !== 'never') return undefined;
  if (typeof service.bypassable === 'object') return service.bypassable.never;
  const locked = lockedFor(service);
  return locked === undefined ? 'the operator lets no mail go without it' : `it ${locked}`;
}

/** Why it is never bypassed unless the operator says so. */
export function lockedFor({ may }: RawConfig['services'][string]): string | undefined {
  if (may.length === 0) return 'only reads';
  const decisive = may.find(decides);
  return decisive === undefined ? undefined : `may ${decisive}`;
}

/** `[index, index of the first with the same key, key]` for each that repeats an earlier one. */
function repeated<T>(items: readonly T[], key: (item: T) => string | undefined): [number, number, string][] {
  const first = new Map<string, number>();
  const found: [number, number, string][] = [];
  for (const [at, item] of items.entries()) {
    const name = key(item);
    if (name === undefined) continue;
    const before = first.get(name);
    if (before === undefined) first.set(name, at);
    else found.push([at, before, name]);
  }
  return found;
}
