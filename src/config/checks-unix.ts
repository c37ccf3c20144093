/**
 * What makes sense on a Unix socket, and what only there (decision 0057). Whoever opens it has no address: `unix` names him in the lists
 * of networks, and a network names nobody there unless a proxy says whom it speaks for. A list that can match nobody is a
 * mistake that would show only when mail is refused.
 */
import type { Check } from './checks.ts';
import type { Problem } from './problem.ts';
import type { RawConfig } from './schema.ts';
import { UNIX } from './units.ts';

type Listener = RawConfig['listeners'][number];
type NetworkKey = 'relayFrom' | 'proxyFrom' | 'xclientFrom' | 'xforwardFrom' | 'bypassFrom';

const NETWORK_KEYS: readonly NetworkKey[] = ['relayFrom', 'proxyFrom', 'xclientFrom', 'xforwardFrom', 'bypassFrom'];

const permissions: Check = (raw) =>
  raw.listeners.flatMap((listener, at) => {
    if (listener.address.kind === 'unix') return [];
    return (['mode', 'group'] as const).flatMap((key): Problem[] =>
      listener[key] === undefined
        ? []
        : [
            {
              path: ['listeners', at, key],
              what: `listeners[${at}].${key}: only a Unix socket has one`,
              fix: `take it out, or write address: "unix:/run/opes/${listener.name}.sock"`,
            },
          ],
    );
  });

const peers: Check = (raw) =>
  raw.listeners.flatMap((listener, at) =>
    NETWORK_KEYS.flatMap((key) =>
      listener[key].flatMap((network, i): Problem[] => {
        const why = whyNobody(listener, key, network);
        const path = ['listeners', at, key, i];
        return why === undefined ? [] : [{ path, what: `listeners[${at}].${key}[${i}]: ${why[0]}`, fix: why[1] }];
      }),
    ),
  );

/** What is wrong, and what to do. */
function whyNobody(
  listener: Listener,
  key: NetworkKey,
  network: string,
): readonly [what: string, fix: string] | undefined {
  const isUnix = listener.address.kind === 'unix';
  if (network === UNIX && !isUnix) return ['nobody comes to a port from a Unix socket', 'name addresses or networks'];
  // Who is `unix` behind a proxy is one whose address the proxy does not know: a stranger may be that.
  if (network === UNIX && listener.proxy === 'required' && key !== 'proxyFrom')
    return ['with proxy: required it is the PROXY header that says who comes', 'name addresses or networks'];
  if (network === UNIX) return undefined;
  if (!isUnix || bringsAddresses(listener, key)) return undefined;
  return [
    `on a Unix socket nobody comes from ${network}`,
    `write ${key}: [${UNIX}] for whoever may open the socket (mode, group), or take it out`,
  ];
}

/** Whether addresses are known by the time the list is asked (decision 0029): by a PROXY header, by XCLIENT. */
function bringsAddresses({ proxy, xclientFrom }: Listener, key: NetworkKey): boolean {
  if (key === 'proxyFrom') return false;
  if (proxy === 'required') return true;
  return (key === 'relayFrom' || key === 'bypassFrom') && xclientFrom.length > 0;
}

export const unixChecks: readonly Check[] = [permissions, peers];
