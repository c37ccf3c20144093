/** From the effective configuration to what the gateway takes: the two things only a start can know are filled in. */
import type { Log, Metrics } from '../../base/index.ts';
import type { EffectiveConfig } from '../../config/index.ts';
import type { GatewayOptions, ServiceOptions } from '../../gateway/index.ts';
import type { Store } from '../../store/index.ts';

export function gatewayOptions(
  config: EffectiveConfig,
  services: readonly ServiceOptions[],
  store: Store | undefined,
  mailbox: { readonly host: string; readonly port: number } | undefined,
  log: Log,
  metrics: Metrics,
): GatewayOptions {
  const { routes, services: _, console: __, source: ___, file: ____, dataDir: _____, ...rest } = config;
  const { metrics: ______, user: _______, group: ________, store: _________, ...settings } = rest;
  return {
    ...settings,
    services,
    store,
    log,
    metrics,
    routes: routes.map((route) => {
      if (route.nextHop !== 'mailbox') return { ...route, nextHop: route.nextHop };
      if (mailbox === undefined) throw new Error('a route to the mailbox, and no mailbox');
      return { ...route, nextHop: { kind: 'smtp', host: mailbox.host, port: mailbox.port } };
    }),
  };
}
