import { type Result, type Structure, type TypedOf, writeAms, writeDpi, writeDuy } from '../codec/index.ts';
import { ReusableArea } from '../flow/preservation.ts';
import type { Rule } from '../flow/rules.ts';
import { type OwnMessage, Transaction } from '../flow/transaction.ts';
import type { CalloutTransaction, CalloutTransactionEvents } from './types.ts';

/**
 * A transaction at the callout server: receives the original, sends the adapted message as new data (DUM) and ranges of
 * the original (DUY), RFC 4037, sections 11.7 to 11.11. Never asks to stop early, so a permission to (DSS) is invalid.
 */
export class CalloutTx extends Transaction<CalloutTransactionEvents> implements CalloutTransaction {
  readonly #reusable = new ReusableArea();

  get adpOffset(): number {
    return this.sent.nextOffset;
  }

  get orgData(): number | undefined {
    return this.received.isOpen ? this.received.received : undefined;
  }

  canUseYours(orgOffset: number, size: number): boolean {
    return !this.isEnded && this.#reusable.canUse(orgOffset, size, this.received.received);
  }

  startMessage(services?: readonly Structure[]): void {
    if (this.isEnded) return;
    this.sent.sendStart();
    writeAms(this.host.flowOut, this.xid, services);
  }

  sendData(block: string, payload: readonly Uint8Array[], size: number): void {
    this.send(block, payload, size, undefined);
  }

  useYours(orgOffset: number, size: number, block = ''): void {
    if (this.isEnded) return;
    if (!this.canUseYours(orgOffset, size)) throw new RangeError('these octets of the original cannot be used');
    if (this.claim(size) === undefined) return;
    this.#reusable.sendUseYours();
    if (this.sent.mustWait) this.#useYoursLater(orgOffset, size, block);
    else this.#writeUseYours(orgOffset, size, block);
  }

  disposeOutside(orgOffset: number, size: number): void {
    if (this.isEnded) return;
    const rule = this.#reusable.sendInterest(orgOffset, size);
    if (rule !== undefined) throw new RangeError(rule);
    // Behind any DUY that still waits: those may name what this gives up.
    if (this.sent.mustWait) this.sent.wait(() => writeDpi(this.host.flowOut, this.xid, orgOffset, size));
    else writeDpi(this.host.flowOut, this.xid, orgOffset, size);
  }

  override endMessage(result?: Result): void {
    if (result?.code === 206 && !this.isEnded)
      throw new RangeError('the adapted message cannot be cut short without permission');
    super.endMessage(result);
  }

  protected override recvOwnData({ offset, size, kept, named }: TypedOf<'DUM'>): Rule | undefined {
    const rule =
      this.received.recvData(offset, size) ??
      (kept === undefined ? undefined : this.#reusable.recvKept(kept.offset, kept.size));
    if (rule === undefined) this.handler?.onData(offset, size, named);
    return rule;
  }

  protected override recvOwn(message: OwnMessage): Rule | undefined {
    switch (message.kind) {
      case 'AMS':
        return this.#recvStart();
      case 'AME':
        return this.#recvEnd(message.result);
      case 'DSS':
        return this.sent.state === 'ended' ? undefined : 'stop-sending-unasked';
      case 'DUY':
      case 'DPI':
      case 'DWSR':
      case 'DWSS': // only the processor understands them
        return undefined;
    }
  }

  #recvStart(): Rule | undefined {
    const rule = this.received.recvStart();
    if (rule === undefined) this.handler?.onOriginalStart();
    return rule;
  }

  #recvEnd(result: Result): Rule | undefined {
    const rule = this.received.recvEnd(result);
    if (rule === undefined) this.handler?.onOriginalEnd(result);
    return rule;
  }

  #useYoursLater(orgOffset: number, size: number, block: string): void {
    this.sent.wait(() => this.#writeUseYours(orgOffset, size, block));
  }

  #writeUseYours(orgOffset: number, size: number, block: string): void {
    writeDuy(this.host.flowOut, this.xid, orgOffset, size, block);
    this.wroteData(size);
  }
}
