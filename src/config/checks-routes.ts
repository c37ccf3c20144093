/** What the keys of one route must have to do with each other: its next hop, TLS, and what is told there. */
import type { TlsPolicy } from '../gateway/options.ts';
import { type Problem, showPath } from './problem.ts';
import type { RawConfig } from './schema.ts';
import { isLoopback, showHostPort } from './units.ts';

type Route = RawConfig['routes'][number];
type RouteCheck = (route: Route, at: number) => Problem[];

/** What holds where the file says nothing: the most that is sure to be there. */
export function tlsPolicy({ nextHop, tls, auth }: Route): TlsPolicy {
  if (tls !== undefined) return tls;
  if (nextHop.kind === 'mx') return 'dane';
  if (!isNetwork(nextHop)) return 'none';
  if (nextHop.kind === 'smtps') return 'verify';
  return auth !== undefined && !isLoopback(nextHop.host) ? 'verify' : 'may';
}

type NetworkHop = Extract<Route['nextHop'], { readonly host: string }>;

function isNetwork(hop: Route['nextHop']): hop is NetworkHop {
  return 'host' in hop;
}

const tlsFitsHop: RouteCheck = ({ nextHop, tls }, at) => {
  if (tls === undefined) return [];
  const path = ['routes', at, 'tls'];
  if (nextHop.kind === 'smtps' && (tls === 'none' || tls === 'may')) {
    return [
      problem(
        path,
        `smtps:// is TLS from the first octet on, so tls: ${tls} cannot be had`,
        'write tls: verify, or tls: require if any certificate will do, or nextHop: "smtp://..."',
      ),
    ];
  }
  if (nextHop.kind === 'mx') return [];
  if (tls === 'dane' || tls === 'mta-sts')
    return [problem(path, `${tls} is for mail hosts that are found by DNS`, 'write tls: verify, or nextHop: mx')];
  if (isNetwork(nextHop) || tls === 'none') return [];
  return [
    problem(path, 'the way to this next hop does not leave the machine, so there is no TLS on it', 'take tls out'),
  ];
};

const namesAreVerified: RouteCheck = (route, at) => {
  if (tlsPolicy(route) === 'verify' || route.nextHop.kind === 'mx') return [];
  return (['tlsCa', 'tlsName'] as const)
    .filter((key) => route[key] !== undefined)
    .map((key) =>
      problem(['routes', at, key], `is looked at with tls: verify only`, `write tls: verify, or take ${key} out`),
    );
};

/** RFC 4954 section 4: a password never crosses a network in the clear; with `may`, whoever cuts TLS off would have it. */
const passwordIsSafe: RouteCheck = (route, at) => {
  const { nextHop, auth } = route;
  const tls = tlsPolicy(route);
  if (auth === undefined || !isNetwork(nextHop) || isLoopback(nextHop.host)) return [];
  if (tls !== 'none' && tls !== 'may') return [];
  return [
    problem(
      ['routes', at, 'auth'],
      `with tls: ${tls} the password could cross the network to ${showHostPort(nextHop)} in the clear`,
      'write tls: verify (with tlsCa, where no public authority knows the next hop)',
    ),
  ];
};

/** The world's mail hosts know neither our login nor our word on who a client is. */
const mxKnowsNobody: RouteCheck = ({ nextHop, auth, identity, tlsCa, tlsName }, at) => {
  if (nextHop.kind !== 'mx') return [];
  const given = { auth, identity: identity === 'none' ? undefined : identity, tlsCa, tlsName };
  return Object.entries(given)
    .filter(([, value]) => value !== undefined)
    .map(([key]) =>
      problem(['routes', at, key], 'mail hosts that are found by DNS are told nothing of ours', `take ${key} out`),
    );
};

const mailboxNeedsNothing: RouteCheck = ({ nextHop, auth, identity }, at) => {
  if (nextHop.kind !== 'mailbox') return [];
  const found: Problem[] = [];
  if (auth !== undefined) found.push(problem(['routes', at, 'auth'], 'the mailbox asks for no login', 'take auth out'));
  if (identity !== 'none')
    found.push(problem(['routes', at, 'identity'], 'the mailbox does not ask whose mail it is', 'take identity out'));
  return found;
};

function problem(path: readonly PropertyKey[], what: string, fix: string): Problem {
  return { path, what: `${showPath(path)}: ${what}`, fix };
}

export const ROUTE_CHECKS = [tlsFitsHop, namesAreVerified, passwordIsSafe, mailboxNeedsNothing, mxKnowsNobody].map(
  (check) =>
    (raw: RawConfig): Problem[] =>
      raw.routes.flatMap(check),
);

/** TLS with anybody still shows the password to somebody: permitted, and said. */
export function loginNotices(raw: RawConfig): Problem[] {
  return raw.routes.flatMap((route, at) => {
    const path = ['routes', at, 'auth'];
    if (route.auth === undefined || tlsPolicy(route) !== 'require') return [];
    if (isNetwork(route.nextHop) && isLoopback(route.nextHop.host)) return [];
    const what = `${showPath(path)}: with tls: require any certificate will do, so whoever stands in between can have the password`;
    return [{ path, what, fix: 'write tls: verify' }];
  });
}
