/** Where a route leads, as a name for logs and as a key: mails with equal keys share connections and a fate. */
import type { Dispatcher } from '../dispatch/dispatcher.ts';
import type { RouteOptions } from '../options.ts';

export function nextHopName({ nextHop }: RouteOptions): string {
  return `${nextHop.host}:${nextHop.port}`;
}

/** The key of a recipient's destination; '' where no route leads there. */
export function destinationOf(dispatcher: Dispatcher, domain: string): string {
  const route = dispatcher.routeOf(domain);
  return route === undefined ? '' : `${nextHopName(route)} ${route.tls}`;
}
