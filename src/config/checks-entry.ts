/** What the keys of a listener say together: who may come in, as whom, and how far (design D14, D20; RFC 4954, RFC 8314). */
import type { Check } from './checks.ts';
import type { Problem } from './problem.ts';
import type { RawConfig } from './schema.ts';
import { isLoopback, isWide, showListen } from './units.ts';

type Listener = RawConfig['listeners'][number];

/** A check of one listener; `at` is its place. */
function ofEach(check: (listener: Listener, name: string, at: number) => Problem[]): Check {
  return (raw) => raw.listeners.flatMap((listener, at) => check(listener, `listeners[${at}]`, at));
}

const tlsRequired = ofEach((listener, name, at) => {
  if (listener.requireTls !== true || listener.tls !== undefined) return [];
  return [
    {
      path: ['listeners', at, 'requireTls'],
      what: `${name}.requireTls: there is no certificate, so nobody could ever send a mail`,
      fix: 'write tls: { cert: mx.pem, key: mx.key }',
    },
  ];
});

const isOnLoopback = ({ address }: Listener) => address.kind === 'tcp' && isLoopback(address.host);
/** What is said there crosses no network. A Unix socket is no loopback address where relaying is concerned (decision 0057). */
export const isOnThisMachine = (listener: Listener) => listener.address.kind === 'unix' || isOnLoopback(listener);

/** RFC 4954, 4: passwords cross no network in the clear. */
const authInTheClear = ofEach((listener, name, at) => {
  const isAllowed = isOnThisMachine(listener) && listener.requireTls === false;
  if (listener.auth === undefined || listener.tls !== undefined || isAllowed) return [];
  const fix = isOnThisMachine(listener)
    ? 'write tls: { cert: mx.pem, key: mx.key }, or requireTls: false if passwords may cross this machine in the clear'
    : 'write tls: { cert: mx.pem, key: mx.key }';
  return [{ path: ['listeners', at, 'auth'], what: `${name}.auth: without TLS nobody could log in`, fix }];
});

const proxyPair = ofEach((listener, name, at): Problem[] => {
  const isRequired = listener.proxy === 'required';
  if (isRequired === listener.proxyFrom.length > 0) return [];
  if (isRequired) {
    const what = `${name}.proxy: required, and no proxy is named; whoever connects could say who he is`;
    return [
      { path: ['listeners', at, 'proxy'], what, fix: 'write proxyFrom: ["10.0.0.7"], the address of your proxy' },
    ];
  }
  const what = `${name}.proxyFrom: the PROXY header of these is not read`;
  return [{ path: ['listeners', at, 'proxyFrom'], what, fix: 'write proxy: required, or take proxyFrom out' }];
});

/** RFC 2033, 5: whoever connects to port 25 speaks SMTP, and would take the first of several replies for the only one. */
const lmtpPort = ofEach((listener, name, at) => {
  if (listener.protocol !== 'lmtp' || listener.address.kind !== 'tcp' || listener.address.port !== 25) return [];
  return [
    {
      path: ['listeners', at, 'protocol'],
      what: `${name}.protocol: LMTP must not be spoken on port 25 (RFC 2033), where everybody expects SMTP`,
      fix: 'choose another port, such as 24',
    },
  ];
});

/** Whoever is believed to speak for others, or may send anywhere, is somebody. */
const wideNetworks = ofEach((listener, name, at) =>
  (['proxyFrom', 'xclientFrom', 'xforwardFrom', 'bypassFrom'] as const).flatMap((key) =>
    listener[key].flatMap((network, i) =>
      isWide(network)
        ? [
            {
              path: ['listeners', at, key, i],
              what: `${name}.${key}[${i}]: ${network} covers more than any one organisation has, and whoever is in it may say that ${key === 'bypassFrom' ? 'services are to be left out' : 'he is somebody else'}`,
              fix: key === 'bypassFrom' ? 'name the hosts' : 'name the proxies',
            },
          ]
        : [],
    ),
  ),
);

const isFarRoute = (route: RawConfig['routes'][number]) => route.to === '*' || route.nextHop.kind === 'mx';

/** D14: a stranger may not send to any domain through us. */
const openRelay: Check = (raw, { isOpenRelay }) => {
  const far = raw.routes.find(isFarRoute);
  if (far === undefined) return [];
  return raw.listeners.flatMap((listener, at) => {
    const isOpen = isOpenRelay(far, {
      isOnLoopback: isOnLoopback(listener),
      relayFrom: listener.relayFrom,
      proxyFrom: listener.proxy === 'required' ? listener.proxyFrom : undefined,
      xclientFrom: listener.xclientFrom,
    });
    const wide = listener.relayFrom.findIndex(isWide);
    if (!isOpen && wide < 0) return [];
    const place = Math.max(0, wide);
    const network = listener.relayFrom[place] ?? '';
    return [
      {
        path: ['listeners', at, 'relayFrom', place],
        what: `listeners[${at}].relayFrom[${place}]: open relay: anybody in ${network} could send anywhere`,
        fix: 'name your own networks; who comes from elsewhere logs in (auth)',
      },
    ];
  });
};

/** A route that leads anywhere, and nobody who may use it, is a mistake that shows only when mail is refused. */
const uselessRoute: Check = (raw) => {
  const at = raw.routes.findIndex(isFarRoute);
  const route = raw.routes[at];
  if (route === undefined) return [];
  const isUsed = raw.listeners.some(
    (listener) =>
      listener.auth !== undefined ||
      listener.relayFrom.length > 0 ||
      listener.xclientFrom.length > 0 ||
      (isOnLoopback(listener) && route.nextHop.kind !== 'mx'),
  );
  if (isUsed) return [];
  const where = raw.listeners.map((listener) => `"${listener.name}" (${showListen(listener.address)})`).join(', ');
  const hasUnix = raw.listeners.some(({ address }) => address.kind === 'unix');
  return [
    {
      path: ['routes', at, 'to'],
      what: `routes[${at}].to: nobody may send by this route: it leads anywhere, and on ${where} nobody logs in and no network is ours`,
      fix: `name the domains this system takes mail for in place of "*", or add auth or relayFrom to the listener of your own users${hasUnix ? ' (relayFrom: [unix]: whoever may open the Unix socket)' : ''}`,
    },
  ];
};

export const entryChecks: readonly Check[] = [
  tlsRequired,
  authInTheClear,
  proxyPair,
  lmtpPort,
  wideNetworks,
  openRelay,
  uselessRoute,
];
