/** What a reload changed, in names an operator knows; and which parts of it stay as they are. */
import { isDeepStrictEqual } from 'node:util';
import type { GatewayOptions, ListenerOptions } from './options.ts';

export interface Changes {
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
}

export interface ReloadReport {
  /** Counts from 1 at the start of the gateway. */
  readonly generation: number;
  readonly listeners: Changes;
  readonly services: Changes;
  /** Routes, pipeline and everything else: what differs, by the name of its key. */
  readonly settings: readonly string[];
  /** Sessions that were open, and go on with what they began with. */
  readonly sessions: number;
  /** Resolves when the last of them is over. */
  readonly retired: Promise<void>;
}

export function compareOptions(
  before: GatewayOptions,
  after: GatewayOptions,
): Pick<ReloadReport, 'listeners' | 'services' | 'settings'> {
  return {
    listeners: compareByName(before.listeners, after.listeners),
    services: compareByName(before.services, after.services),
    settings: SETTINGS.filter((key) => !isDeepStrictEqual(before[key], after[key])),
  };
}

const SETTINGS = [
  'hostname',
  'system',
  'routes',
  'pipeline',
  'deadlineMs',
  'limits',
  'dns',
  'reports',
  'recentMails',
  'recentOctets',
] as const;

interface Named {
  readonly name: string;
}

function compareByName(before: readonly Named[], after: readonly Named[]): Changes {
  const old = new Map(before.map((one) => [one.name, one]));
  const names = new Set(after.map((one) => one.name));
  return {
    added: after.filter((one) => !old.has(one.name)).map((one) => one.name),
    changed: after
      .filter((one) => old.has(one.name) && !isDeepStrictEqual(old.get(one.name), one))
      .map((one) => one.name),
    removed: before.filter((one) => !names.has(one.name)).map((one) => one.name),
  };
}

/** Listeners of one place share its socket through a reload. Port 0 is a place of its own for each name; a Unix socket's mode is none. */
export function placeOf({ name, address }: Pick<ListenerOptions, 'name' | 'address'>): string {
  if (address.kind === 'unix') return `unix ${address.path}`;
  const { host, port } = address;
  return port === 0 ? `${host} 0 ${name}` : `${host} ${port}`;
}
