import type { SecureContextOptions } from 'node:tls';
import type { CalloutAgent } from '../callout/agent.ts';
import type { CalloutOptions } from '../callout/types.ts';
import type { ProcessorOptions } from '../processor/types.ts';

/** Certificates of one end of a TLS channel. TLS 1.3 only; with `ca`, the peer's certificate must come from it. */
export interface TlsOptions extends Pick<SecureContextOptions, 'key' | 'cert' | 'ca' | 'passphrase'> {
  /** Name the server's certificate must carry; the endpoint's host where absent. Client side only. */
  readonly serverName?: string;
}

/** Where a callout server listens. */
export type Endpoint =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'tls'; readonly host: string; readonly port: number; readonly tls: TlsOptions }
  | { readonly kind: 'unix'; readonly path: string };

/** Deadlines of a channel; the shell counts, the agents are told. Defaults in `deadlines.ts`. */
export interface ChannelTimeouts {
  readonly connectMs?: number;
  readonly negotiationMs?: number;
  readonly silenceMs?: number;
  readonly idleMs?: number;
  readonly stallMs?: number;
  readonly closeMs?: number;
}

export interface ChannelOptions extends ProcessorOptions {
  readonly timeouts?: ChannelTimeouts;
  /** Plain TCP to other hosts than this one: nobody protects what is sent (D10). */
  readonly insecure?: boolean;
}

export interface ListenOptions extends CalloutOptions {
  readonly timeouts?: ChannelTimeouts;
  readonly insecure?: boolean;
  readonly maxConnections?: number;
}

/** One accepted connection, as its handler sees it. */
export interface CalloutChannel {
  readonly agent: CalloutAgent;
  /** Address of the processor, or of the socket file. */
  readonly remote: string;
}

export interface CalloutListener {
  /** Where it listens really: with the port that was given for port 0. */
  readonly endpoint: Endpoint;
  readonly connections: number;
  /** Accepts no more; connections get `drainMs` to finish their transactions, then CE 400. */
  close(drainMs: number): Promise<void>;
}
