import type { Payload, Range, Result, Structure, TypedOf } from '../codec/index.ts';
import { writeAms } from '../codec/index.ts';
import { Commitment } from '../flow/preservation.ts';
import type { Rule } from '../flow/rules.ts';
import { type OwnMessage, Transaction, type TransactionHost } from '../flow/transaction.ts';
import type { KeptForm, ProcessorTransaction, ProcessorTransactionEvents } from './types.ts';

/**
 * A transaction at the processor: sends the original, receives the adapted message (RFC 4037, sections 11.7 to 11.11).
 * Requests to stop early (DWSS, DWSR) are heard and not granted, as section 11.12 and 11.13 allow.
 */
export class ProcessorTx extends Transaction<ProcessorTransactionEvents> implements ProcessorTransaction {
  readonly #commitment = new Commitment();
  readonly #kept: KeptForm;

  constructor(
    xid: number,
    features: readonly Structure[],
    host: TransactionHost,
    handler: ProcessorTransactionEvents,
    kept: KeptForm,
  ) {
    super(xid, features, host, handler);
    this.#kept = kept;
  }

  get orgOffset(): number {
    return this.sent.nextOffset;
  }

  get orgData(): number | undefined {
    return this.sent.inProgress;
  }

  startMessage(): void {
    if (this.isEnded) return;
    this.sent.sendStart();
    writeAms(this.host.flowOut, this.xid);
  }

  sendData(block: string, payload: Payload, size: number, kept?: Range): void {
    this.send(block, payload, size, this.#kept === 'off' ? undefined : kept);
  }

  protected override keptLine(kept: Range, delivered: number): string {
    const range = this.#commitment.announce(kept.offset, kept.size, delivered);
    if (range === undefined) return '';
    // RFC 4236's samples print the bare pair, which no grammar allows; for peers that read nothing else (A-01).
    if (this.#kept === 'pair') return `Kept: ${range.offset} ${range.size}\r\n`;
    return `Kept: {${range.offset} ${range.size}}\r\n`;
  }

  protected override recvOwnData({ offset, size, named }: TypedOf<'DUM'>): Rule | undefined {
    const rule = this.received.recvData(offset, size);
    if (rule === undefined) this.handler?.onData(size, named);
    return rule;
  }

  protected override recvOwn(message: OwnMessage): Rule | undefined {
    switch (message.kind) {
      case 'AMS':
        return this.#recvStart(message.services);
      case 'DUY':
        return this.#recvUseYours(message);
      case 'DPI':
        return this.#recvInterest(message);
      case 'AME':
        return this.#recvEnd(message.result);
      case 'DWSR':
      case 'DWSS': // the flows just go on
      case 'DSS':
        return undefined;
    }
  }

  #recvStart(services: readonly Structure[] | undefined): Rule | undefined {
    const rule = this.received.recvStart();
    if (rule === undefined) this.handler?.onAdaptedStart(services);
    return rule;
  }

  #recvUseYours({ offset, size, named }: TypedOf<'DUY'>): Rule | undefined {
    const rule = this.#commitment.recvUseYours(offset, size) ?? this.received.recvUseYours(size);
    if (rule === undefined) this.handler?.onUseYours(offset, size, named);
    return rule;
  }

  #recvInterest({ offset, size }: TypedOf<'DPI'>): Rule | undefined {
    const rule = this.#commitment.recvInterest(offset, size);
    if (rule === undefined) this.handler?.onDisposable(offset, size);
    return rule;
  }

  #recvEnd(result: Result): Rule | undefined {
    // Only DSS allows the adapted flow to be cut short, and we send none (section 11.13).
    if (result.code === 206) return 'partial-without-permission';
    const rule = this.received.recvEnd(result);
    if (rule === undefined) this.handler?.onAdaptedEnd(result);
    return rule;
  }
}
