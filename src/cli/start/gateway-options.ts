/** From the effective configuration to what the gateway takes: the two things only a start can know are filled in. */
import { type Log, noMetrics } from '../../base/index.ts';
import type { EffectiveConfig } from '../../config/index.ts';
import type { GatewayOptions, ServiceOptions } from '../../gateway/index.ts';

export function gatewayOptions(
  config: EffectiveConfig,
  services: readonly ServiceOptions[],
  mailbox: { readonly host: string; readonly port: number } | undefined,
  log: Log,
): GatewayOptions {
  const { routes, services: _, console: __, source: ___, file: ____, dataDir: _____, ...settings } = config;
  return {
    ...settings,
    services,
    log,
    metrics: noMetrics,
    routes: routes.map((route) => {
      if (route.nextHop !== 'mailbox') return { ...route, nextHop: route.nextHop };
      if (mailbox === undefined) throw new Error('a route to the mailbox, and no mailbox');
      return { ...route, nextHop: { kind: 'smtp', host: mailbox.host, port: mailbox.port } };
    }),
  };
}
