/** Where a recipient's mail goes, as a key: mails with equal keys share connections and a fate. */
import { createHash } from 'node:crypto';
import type { Dispatcher } from '../dispatch/dispatcher.ts';
import { showNextHop } from '../options.ts';

/** The key of a recipient's destination; '' where no route leads there. */
export function destinationOf(dispatcher: Dispatcher, domain: string): string {
  const route = dispatcher.routeOf(domain);
  if (route === undefined) return '';
  const name = showNextHop(route.nextHop);
  // By MX each domain has hosts of its own.
  if (route.nextHop.kind === 'mx') return `${name} ${route.tls} ${domain}`;
  // No transaction serves two logins, two authorities to be trusted, or two ways of saying who the client was.
  const { tls, tlsCa, tlsName = '', identity, auth } = route;
  return `${name} ${tls} ${tlsCa === undefined ? '' : digestOf(tlsCa)} ${tlsName} ${identity} ${auth?.user ?? ''}`;
}

const digests = new WeakMap<Buffer, string>();

/** Certificates are long, and each delivery asks. */
function digestOf(pem: Buffer): string {
  let digest = digests.get(pem);
  if (digest === undefined) {
    digest = createHash('sha256').update(pem).digest('base64');
    digests.set(pem, digest);
  }
  return digest;
}
