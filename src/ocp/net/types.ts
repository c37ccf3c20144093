import type { SecureContextOptions } from 'node:tls';
import type { Deadlines, Log } from '../../base/index.ts';
import type { CalloutAgent } from '../callout/agent.ts';
import type { CalloutOptions } from '../callout/types.ts';
import type { ProcessorEvents, ProcessorOptions } from '../processor/types.ts';

/** Certificates of one end of a TLS channel. TLS 1.3 only; the peer's certificate must come from `ca`, or the system's. */
export interface TlsOptions extends Pick<SecureContextOptions, 'key' | 'cert' | 'ca' | 'passphrase'> {
  /** Name the server's certificate must carry; the endpoint's host where absent. Client side only. */
  readonly serverName?: string;
}

/** Where a callout server listens. */
export type Endpoint =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'tls'; readonly host: string; readonly port: number; readonly tls: TlsOptions }
  | { readonly kind: 'unix'; readonly path: string };

/** Deadlines of a connection; the shell counts, the agents are told. Defaults and reasons: `timeouts.ts`. */
export interface ChannelTimeouts {
  readonly connectMs?: number;
  readonly negotiationMs?: number;
  readonly silenceMs?: number;
  readonly stallMs?: number;
  readonly idleMs?: number;
  readonly closeMs?: number;
}

interface ShellOptions {
  readonly timeouts?: ChannelTimeouts;
  /** Plain TCP with other hosts than this one: nobody protects what is sent (D10). */
  readonly insecure?: boolean;
  /** Who counts; absent: one timer for all channels of the process. */
  readonly deadlines?: Deadlines;
  /** Told of handlers that threw, which ends their connection. Without a log the error is thrown on, outside. */
  readonly log?: Log;
}

export interface ChannelOptions extends ProcessorOptions, ShellOptions {}

/** The channel flushes by itself. */
export type ChannelEvents = Omit<ProcessorEvents, 'onOutput'>;

export interface ListenOptions extends CalloutOptions, ShellOptions {
  /** Connections at a time; more are refused with CE 400. */
  readonly maxConnections?: number;
}

/** One accepted connection, as its handler sees it. */
export interface CalloutChannel {
  readonly agent: CalloutAgent;
  /** Address of the processor; empty for a socket file. */
  readonly remoteAddress: string;
}

export interface CalloutListener {
  /** Where it listens really: with the port that was given for port 0. */
  readonly endpoint: Endpoint;
  readonly connections: number;
  /** Accepts no more; connections get `drainMs` to finish their transactions, then CE 400. Done when all are closed. */
  close(drainMs: number): Promise<void>;
}
