/**
 * What a configuration comes to once every default is applied and every check has passed: what `opes start` acts on and
 * `opes check` prints. Two things are still open in it, because only whoever starts them can know: the address of the
 * built-in mailbox, and the sockets of embedded services.
 */
import type {
  CalloutEndpoint,
  GatewaySettings,
  NextHopAddress,
  RouteOptions,
  ServiceRules,
} from '../gateway/options.ts';
import type { HostPort } from './units.ts';

export interface EffectiveConfig extends Omit<GatewaySettings, 'routes'> {
  /** The file as it was named, for messages. */
  readonly source: string;
  /** Its absolute path; undefined where the text came from elsewhere (the demo). */
  readonly file: string | undefined;
  /** Absolute. */
  readonly dataDir: string;
  /** Where the store is; opened by whoever starts the gateway. */
  readonly store: { readonly url: string; readonly directory: string };
  readonly routes: readonly EffectiveRoute[];
  readonly services: readonly EffectiveService[];
  readonly console: ConsoleSettings | undefined;
  readonly metrics: HostPort | undefined;
  /** Who to be once the ports are open, where we are root. */
  readonly user: string | undefined;
  readonly group: string | undefined;
}

export interface EffectiveRoute extends Omit<RouteOptions, 'nextHop'> {
  readonly nextHop: NextHopAddress | 'mailbox';
}

export interface EffectiveService extends ServiceRules {
  readonly from:
    | { readonly kind: 'connect'; readonly endpoints: readonly CalloutEndpoint[] }
    /** An absolute path, or the name of one that comes with the program. */
    | { readonly kind: 'run'; readonly file: string }
    | { readonly kind: 'builtin'; readonly name: string };
}

export interface ConsoleSettings extends HostPort {
  readonly showMail: boolean;
}
