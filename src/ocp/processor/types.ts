import type { CodecLimits, Named, Payload, Result, Structure } from '../codec/index.ts';
import type { ConnectionEnd, TransactionEnd } from '../flow/result.ts';
import type { AgentLimits } from '../negotiation/limits.ts';

/** How `Kept` is written: as the structure the grammar demands, as the bare pair of RFC 4236's samples, or not at all. */
export type KeptForm = 'structure' | 'pair' | 'off';

export interface ProcessorOptions {
  /** Features offered right after CS, most wanted first; an empty list sends `NO ();`. */
  readonly offer: readonly Structure[];
  /** The services of the one group transactions use; it is created when the first Negotiation Phase has closed. */
  readonly services: readonly Structure[];
  readonly kept: KeptForm;
  readonly limits?: Partial<AgentLimits> & { readonly codec?: Partial<CodecLimits> };
  /** Whether two features exclude each other on one connection (section 6). Core knows of none that do. */
  readonly conflict?: (enabled: Structure, offered: Structure) => boolean;
  /** What `AQ` is answered with: whether we support the feature now. Absent: nothing is supported. */
  readonly supports?: (feature: Structure) => boolean;
  /** First identifiers to create; 1 where absent. */
  readonly firstXid?: number;
  readonly groupId?: number;
}

/** What the peer's NR said besides its choice (section 11.19). */
export interface AnswerDetails {
  readonly rejects: readonly Structure[];
  readonly unknowns: readonly Structure[];
}

/**
 * What the owner of a connection is told. Handlers run inside `recv` and may call anything of the agent and of its
 * transactions but `recv` itself.
 */
export interface ProcessorEvents {
  /** The peer's answer to an offer of ours: the feature it chose, now in force. A returned text ends the connection (CE 400). */
  onSelected(feature: Structure | undefined, details: AnswerDetails): string | undefined;
  /** The first phase closed and the group is created: transactions may start. */
  onReady(): void;
  /** The outbox is about to become non-empty: flush it later in this turn of the event loop, never from within. */
  onOutput(): void;
  /** Once. Every live transaction was told its own end before. Output may be left (a CE): flush it, then close. */
  onEnd(end: ConnectionEnd): void;
  /** AA, in the order of `queryAbility`; `named` holds what the feature's own specification adds. */
  onAbility?(supported: boolean, named: Named): void;
  /** An offer of the peer, without what conflicts with features in force; absent: every offer is declined. */
  onOffer?(features: readonly Structure[]): Structure | undefined;
}

/** One transaction's handler. Events end with `onEnd`, which comes exactly once. */
export interface ProcessorTransactionEvents {
  /** AMS of the peer; the services it applies, where it named them. */
  onAdaptedStart(services: readonly Structure[] | undefined): void;
  /** One DUM begins; its offset was checked. Its octets are tentative until `onDataEnd`. */
  onData(size: number, named: Named): void;
  /** Free to keep. */
  onDataOctets(octets: Buffer): void;
  /** In place of `onDataOctets`, if it is there: the octets are [from, to) of a chunk that is gone after the call. */
  onDataIn?(chunk: Buffer, from: number, to: number): void;
  onDataEnd(named: Named): void;
  /** DUY: use that range of the original here. It lies in what is kept, is not disposable, and was sent. */
  onUseYours(orgOffset: number, size: number, named: Named): void;
  /** DPI: only this range of the original may still be named by `onUseYours`. */
  onDisposable(orgOffset: number, size: number): void;
  /** AME: 200 for a whole adapted message; for any failure what came so far is void. Usually followed by `end()`. */
  onAdaptedEnd(result: Result): void;
  /** May send one DUM now. */
  onTurn(): void;
  onEnd(end: TransactionEnd): void;
}

/** The processor's end of one transaction. After `onEnd` all of it does nothing. */
export interface ProcessorTransaction {
  readonly xid: number;
  /** Features in force when it started (section 11.18): later ones do not apply to it. */
  readonly features: readonly Structure[];
  /** Offset of the next original octet to send. */
  readonly orgOffset: number;
  /** The peer wants no data now. What is sent nevertheless waits here, so ask for turns instead. */
  readonly isPaused: boolean;
  readonly isEnded: boolean;
  startMessage(): void;
  /**
   * DUM at `orgOffset`: `size` octets in `payload`, at most 64 KiB, a text or pieces taken by reference. `block` holds rendered named
   * lines, each ending CRLF, or is empty. `kept` is what the caller keeps from now on: it may grow, and may shrink only
   * by what became disposable; the agent announces as much of it as section 12 allows and says nothing twice.
   */
  sendData(
    block: string,
    payload: Payload,
    size: number,
    kept?: { readonly offset: number; readonly size: number },
  ): void;
  /** AME. A failure may come without `startMessage`: it refuses to process the other side's message. */
  endMessage(result?: Result): void;
  /** TE. After it no event but `onEnd({by: 'us'})`, told at once. */
  end(result?: Result): void;
  /** `onTurn` is called, maybe at once, when this transaction may send one DUM. Asking again before that changes nothing. */
  requestTurn(): void;
  /** DWP at the adapted offset reached: no more adapted data for now, please. */
  wantPause(): void;
  /** DWM. */
  wantMore(): void;
}
