/** Services behind a port or a Unix socket: the callout server. */
import type { Log } from '../../base/index.ts';
import {
  type CalloutListener,
  type Endpoint,
  type ListenOptions,
  listenCallout,
  parseEndpoint,
} from '../../ocp/net/index.ts';
import { ServiceSet } from '../server.ts';
import type { Service } from '../service.ts';
import { startClock } from './clock.ts';

export interface ServeOptions
  extends Pick<ListenOptions, 'insecure' | 'timeouts' | 'maxConnections' | 'kept' | 'limits'> {
  /** `ocp://127.0.0.1:4037` (port 0: any), `ocp+unix:/path`, or an endpoint with its TLS certificates. */
  readonly listen: string | Endpoint;
  readonly log?: Log;
  /** Octets of mails in memory at most, for services that want whole messages and processors that keep no copy. */
  readonly maxHeldOctets?: number;
}

export interface CalloutServer {
  /** Where it listens really. */
  readonly endpoint: Endpoint;
  readonly connections: number;
  /** Takes no new mails, gives those in work `drainMs` to be finished, and resolves when all connections are closed. */
  close(drainMs: number): Promise<void>;
}

/** Time limits of handlers are seconds; a quarter of one is exact enough. */
const TICK_MS = 250;

/**
 * Serves `services` to OPES processors until closed.
 * @example
 * const server = await serve([banner], { listen: 'ocp://127.0.0.1:4037' });
 * process.once('SIGTERM', () => void server.close(10_000));
 */
export async function serve(services: readonly Service[], options: ServeOptions): Promise<CalloutServer> {
  const { listen, log, maxHeldOctets, ...rest } = options;
  const endpoint = typeof listen === 'string' ? parseEndpoint(listen) : listen;
  if ('error' in endpoint) throw new TypeError(`not an endpoint to listen at: ${endpoint.error}`);
  const clock = startClock(TICK_MS);
  const set = new ServiceSet(services, {
    deadlines: clock.deadlines,
    ...(log === undefined ? {} : { log }),
    ...(maxHeldOctets === undefined ? {} : { maxHeldOctets }),
  });
  const nothing = { onOutput() {}, onEnd() {} };
  // What we read is generous, what we write is strict: the bare pair of RFC 4236 is understood too.
  const listenOptions = { kept: 'pair' as const, ...rest, ...(log === undefined ? {} : { log }) };
  let listener: CalloutListener;
  try {
    listener = await listenCallout(endpoint, () => set.connect(nothing), listenOptions);
  } catch (error) {
    clock.stop();
    throw error;
  }
  return {
    endpoint: listener.endpoint,
    get connections() {
      return listener.connections;
    },
    async close(drainMs) {
      await listener.close(drainMs);
      clock.stop();
    },
  };
}
