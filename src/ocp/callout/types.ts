import type { CodecLimits, Named, Result, Structure } from '../codec/index.ts';
import type { ConnectionEnd, TransactionEnd } from '../flow/result.ts';
import type { AgentLimits } from '../negotiation/limits.ts';
import type { Ability } from '../negotiation/negotiator.ts';

export interface CalloutOptions {
  /** Which form of `Kept` is read: the grammar's structure, or also the bare pair of RFC 4236's samples (A-01). */
  readonly kept?: 'structure' | 'pair';
  readonly limits?: Partial<AgentLimits> & { readonly codec?: Partial<CodecLimits> };
  /** Whether two features exclude each other on one connection (section 6). Core knows of none that do. */
  readonly conflict?: (enabled: Structure, offered: Structure) => boolean;
}

/** What the owner of a connection is told; handlers may call anything of the agent but `recv`. */
export interface CalloutEvents {
  /** The processor's offer, without what conflicts with features in force: the feature for the NR, or none. */
  onOffer(features: readonly Structure[]): Structure | undefined;
  /** TS: a handler for it, or a result to refuse it with (TE). `transaction` may be used at once. */
  onTransaction(transaction: CalloutTransaction, services: readonly Structure[]): CalloutTransactionEvents | Result;
  /** The outbox is about to become non-empty: flush it later in this turn of the event loop, never from within. */
  onOutput(): void;
  /** Once. Every live transaction was told its own end before. Output may be left (a CE): flush it, then close. */
  onEnd(end: ConnectionEnd): void;
  /** AQ: whether we support the feature now, and nothing changes by it (section 11.20). Absent: nothing is supported. */
  onAbilityQuery?(feature: Structure, named: Named): Ability;
  /** The processor's answer to an offer of ours. A returned text ends the connection (CE 400). */
  onSelected?(feature: Structure | undefined): string | undefined;
}

/** One transaction's handler. Events end with `onEnd`, which comes exactly once. */
export interface CalloutTransactionEvents {
  onOriginalStart(): void;
  /** One DUM begins at this offset of the original. Its octets are tentative until `onDataEnd`. */
  onData(offset: number, size: number, named: Named): void;
  /** Free to keep. */
  onDataOctets(octets: Buffer): void;
  /** In place of `onDataOctets`, if it is there: the octets are [from, to) of a chunk that is gone after the call. */
  onDataIn?(chunk: Buffer, from: number, to: number): void;
  onDataEnd(named: Named): void;
  /** AME: 200 for a whole original, 206 for one cut short; for any failure what came so far is void. */
  onOriginalEnd(result: Result): void;
  /** May send one DUM or DUY now. */
  onTurn(): void;
  onEnd(end: TransactionEnd): void;
}

/** The callout server's end of one transaction. After `onEnd` all of it does nothing. */
export interface CalloutTransaction {
  readonly xid: number;
  /** Features in force when it started (section 11.18): later ones do not apply to it. */
  readonly features: readonly Structure[];
  /** Offset of the next adapted octet; a DUY counts as if its octets had come in a DUM. */
  readonly adpOffset: number;
  /** The peer wants no data now. What is sent nevertheless waits here, so ask for turns instead. */
  readonly isPaused: boolean;
  readonly isEnded: boolean;
  /** Whether this range may be named by `useYours`: kept by the processor, delivered to us, not given up. */
  canUseYours(orgOffset: number, size: number): boolean;
  /** AMS; `services` only if they differ from what was asked for. */
  startMessage(services?: readonly Structure[]): void;
  /** DUM at `adpOffset`: at most 64 KiB, taken by reference. `block`: rendered named lines, each ending CRLF, or ''. */
  sendData(block: string, payload: readonly Uint8Array[], size: number): void;
  /** DUY. Throws where `canUseYours` is false: the processor would end the transaction. */
  useYours(orgOffset: number, size: number, block?: string): void;
  /** DPI: from now on only this range will be named by `useYours`. Throws where it is not inside the last one. */
  disposeOutside(orgOffset: number, size: number): void;
  /** AME. A failure may come without `startMessage`: it refuses to process the other side's message. */
  endMessage(result?: Result): void;
  /** TE. After it no event but `onEnd({by: 'us'})`, told at once. */
  end(result?: Result): void;
  /** `onTurn` is called, maybe at once, when this transaction may send one DUM or DUY. */
  requestTurn(): void;
  /** DWP at the original offset reached. */
  wantPause(): void;
  /** DWM. */
  wantMore(): void;
}
