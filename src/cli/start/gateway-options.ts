/** From the effective configuration to what the gateway takes: the two things only a start can know are filled in. */
import type { EffectiveConfig } from '../../config/index.ts';
import type { GatewayOptions } from '../../gateway/index.ts';

/** What only a start can know, or make. */
export interface StartedParts extends Pick<GatewayOptions, 'services' | 'store' | 'log' | 'metrics' | 'onSilent'> {
  readonly mailbox: { readonly host: string; readonly port: number } | undefined;
}

export function gatewayOptions(config: EffectiveConfig, { mailbox, ...parts }: StartedParts): GatewayOptions {
  const { routes, services: _, console: __, source: ___, file: ____, dataDir: _____, ...rest } = config;
  const { metrics: ______, user: _______, group: ________, store: _________, ...settings } = rest;
  return {
    ...settings,
    ...parts,
    routes: routes.map((route) => {
      if (route.nextHop !== 'mailbox') return { ...route, nextHop: route.nextHop };
      if (mailbox === undefined) throw new Error('a route to the mailbox, and no mailbox');
      return { ...route, nextHop: { kind: 'smtp', host: mailbox.host, port: mailbox.port } };
    }),
  };
}
