/** Where a route leads, as a name for logs and as a key: mails with equal keys share connections and a fate. */
import type { Dispatcher } from '../dispatch/dispatcher.ts';
import { type RouteOptions, showNextHop } from '../options.ts';

export function nextHopName({ nextHop }: RouteOptions): string {
  return showNextHop(nextHop);
}

/** The key of a recipient's destination; '' where no route leads there. */
export function destinationOf(dispatcher: Dispatcher, domain: string): string {
  const route = dispatcher.routeOf(domain);
  if (route === undefined) return '';
  // By MX each domain has hosts of its own.
  return `${nextHopName(route)} ${route.tls}${route.nextHop.kind === 'mx' ? ` ${domain}` : ''}`;
}
