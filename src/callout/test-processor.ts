/**
 * An OPES processor for tests: both agents of a connection wired in memory, the octets between them cut as one likes. It
 * speaks the SMTP profile as the gateway does: commands first, then the message, kept from the first part that may be
 * changed.
 */
import {
  CalloutAgent,
  type KeptForm,
  type Named,
  ProcessorAgent,
  type ProcessorTransaction,
  type ProcessorTransactionEvents,
  type TransactionEnd,
} from '../ocp/index.ts';
import {
  ALLOW_NOTHING,
  type Allow,
  type Answer,
  dataBlock,
  makeOffer,
  makeService,
  type Offered,
  type Part,
  readAnswer,
  readSelection,
  type Selection,
} from '../profile/index.ts';
import type { ServiceSet } from './server.ts';

export interface WireOptions {
  readonly offered: Offered;
  readonly kept: KeptForm;
  readonly allow: Allow;
  /** Sizes the octets on the wire are cut into, asked for each piece. */
  readonly cut: () => number;
}

/** Something the callout server said to a part. */
export type Piece =
  | { readonly kind: 'use'; readonly offset: number; readonly size: number; readonly answer: Answer }
  | { readonly kind: 'data'; readonly octets: Buffer; readonly answer: Answer };

/** One connection. */
export class TestProcessor {
  readonly agent: ProcessorAgent;
  readonly callout: CalloutAgent;
  readonly options: WireOptions;
  readonly #ready = Promise.withResolvers<void>();
  #selection: Selection | undefined;
  #isPumping = false;
  /** Octets that went to the server and back. */
  sentOctets = 0;
  receivedOctets = 0;

  constructor(set: ServiceSet, uris: readonly string[], options: WireOptions) {
    this.options = options;
    this.agent = new ProcessorAgent(
      { offer: [makeOffer(options.offered)], services: uris.map((uri) => makeService(uri)), kept: options.kept },
      {
        onSelected: (feature) => {
          const judged =
            feature === undefined ? { error: 'nothing selected' } : readSelection(feature, options.offered);
          if ('error' in judged) return judged.error;
          this.#selection = judged.selection;
          return undefined;
        },
        onReady: () => this.#ready.resolve(),
        onOutput: () => this.pump(),
        onEnd: (end) => this.#ready.reject(new Error(`the connection ended: ${end.result.reason}`)),
      },
    );
    const events = set.connect({ onOutput: () => this.pump(), onEnd() {} });
    this.callout = new CalloutAgent({ kept: options.kept === 'pair' ? 'pair' : 'structure' }, events);
  }

  get selection(): Selection {
    if (this.#selection === undefined) throw new Error('no profile was selected');
    return this.#selection;
  }

  async open(): Promise<TestMail> {
    this.callout.start();
    this.agent.start();
    await this.#ready.promise;
    return this.mail();
  }

  mail(): TestMail {
    const mail = new TestMail(this);
    const transaction = this.agent.startTransaction(mail);
    if (transaction === undefined) throw new Error('the agent starts no transaction');
    mail.start(transaction);
    return mail;
  }

  /** Moves what both have to say, once the caller is done. */
  pump(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    queueMicrotask(() => {
      this.#isPumping = false;
      this.sentOctets += this.#move(this.agent, this.callout);
      this.receivedOctets += this.#move(this.callout, this.agent);
    });
  }

  #move(from: Pick<ProcessorAgent, 'outbox' | 'drained'>, to: Pick<ProcessorAgent, 'recv'>): number {
    let moved = 0;
    for (const buffer of from.outbox.take()) {
      moved += buffer.length;
      for (let at = 0; at < buffer.length; ) {
        const end = Math.min(buffer.length, at + Math.max(1, this.options.cut()));
        // Each piece in memory that is used again as soon as it was read, as a socket's is.
        const piece = Buffer.from(buffer.subarray(at, end));
        to.recv(piece);
        piece.fill('#');
        at = end;
      }
    }
    from.drained();
    return moved;
  }
}

/** One transaction, from the processor's side. */
export class TestMail implements ProcessorTransactionEvents {
  /** Everything said to the message, in order. */
  readonly pieces: Piece[] = [];
  /** Rules of the profile the server broke. */
  readonly broken: string[] = [];
  readonly #processor: TestProcessor;
  readonly #ended = Promise.withResolvers<TransactionEnd>();
  readonly #waiting: ((piece: Piece | undefined) => void)[] = [];
  #transaction: ProcessorTransaction | undefined;
  #end: TransactionEnd | undefined;
  #keptFrom: number | undefined;
  #receiving: Buffer[] = [];
  #rest: Buffer = Buffer.alloc(0);
  #allOctets: Buffer[] = [];
  #fragment = 0;
  #sent: (() => void) | undefined;
  messageBase = 0;
  adaptedResult: number | undefined;
  disposed: { readonly offset: number; readonly size: number } | undefined;
  pausesSeen = 0;

  constructor(processor: TestProcessor) {
    this.#processor = processor;
  }

  get transaction(): ProcessorTransaction {
    if (this.#transaction === undefined) throw new Error('not started');
    return this.#transaction;
  }

  get isEnded(): boolean {
    return this.#end !== undefined;
  }

  get ended(): Promise<TransactionEnd> {
    return this.#ended.promise;
  }

  start(transaction: ProcessorTransaction): void {
    this.#transaction = transaction;
    transaction.startMessage();
  }

  /** Sends a command part; resolves with the answer where one is owed, with nothing where none is or comes. */
  async command(part: Part, text: string, flags?: { readonly replayed?: boolean }): Promise<Piece | undefined> {
    const { selection, options } = this.#processor;
    if (!selection.sees(part) || this.isEnded) return undefined;
    const isAdaptive = selection.adaptive.has(part) && flags?.replayed !== true;
    const octets = Buffer.from(text);
    const block = dataBlock(
      part,
      isAdaptive ? { ...options.allow, addHeader: false, advice: false } : ALLOW_NOTHING,
      flags,
    );
    this.#send(block, octets, isAdaptive);
    if (!isAdaptive) return undefined;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** Sends octets of the message in fragments of at most `fragment`; resolves when they are sent, or nobody wants them. */
  async data(octets: Buffer, fragment = 64 * 1024): Promise<void> {
    if (!this.#processor.selection.sees('RAWDATA') || this.isEnded) return;
    if (this.#allOctets.length === 0) this.messageBase = this.transaction.orgOffset;
    this.#allOctets.push(octets);
    this.#rest = octets;
    this.#fragment = Math.min(fragment, 64 * 1024);
    await new Promise<void>((resolve) => {
      this.#sent = resolve;
      this.transaction.requestTurn();
    });
  }

  /** Ends the message and waits for the end of all. */
  async finish(): Promise<TransactionEnd> {
    this.transaction.endMessage();
    return this.#ended.promise;
  }

  /** The original octets a piece refers to. */
  octetsOf(piece: Piece): Buffer {
    if (piece.kind === 'data') return piece.octets;
    return Buffer.concat(this.#allOctets).subarray(
      piece.offset - this.messageBase,
      piece.offset - this.messageBase + piece.size,
    );
  }

  onAdaptedStart(): void {}

  onData(_size: number, _named: Named): void {
    this.#receiving = [];
  }

  onDataOctets(octets: Buffer): void {
    this.#receiving.push(Buffer.from(octets));
  }

  onDataEnd(named: Named): void {
    const answer = readAnswer(named, 'DUM');
    if ('error' in answer) this.#break(answer.error);
    else this.#take({ kind: 'data', octets: Buffer.concat(this.#receiving), answer });
  }

  onUseYours(offset: number, size: number, named: Named): void {
    const answer = readAnswer(named, 'DUY');
    if ('error' in answer) this.#break(answer.error);
    else this.#take({ kind: 'use', offset, size, answer });
  }

  onDisposable(offset: number, size: number): void {
    this.disposed = { offset, size };
  }

  onAdaptedEnd({ code }: { readonly code: number }): void {
    this.adaptedResult = code;
  }

  onTurn(): void {
    const fragment = this.#rest.subarray(0, this.#fragment);
    this.#rest = this.#rest.subarray(fragment.length);
    this.#send(dataBlock('RAWDATA', this.#processor.options.allow), fragment, true);
    if (this.#rest.length > 0) this.transaction.requestTurn();
    else this.#sent?.();
  }

  onEnd(end: TransactionEnd): void {
    this.#end = end;
    this.#sent?.();
    for (const resolve of this.#waiting.splice(0)) resolve(undefined);
    this.#ended.resolve(end);
  }

  #send(block: string, octets: Buffer, isAdaptive: boolean): void {
    const { transaction } = this;
    if (isAdaptive) this.#keptFrom ??= transaction.orgOffset;
    const from = this.#keptFrom;
    const kept = from === undefined ? undefined : { offset: from, size: transaction.orgOffset + octets.length - from };
    transaction.sendData(block, [octets], octets.length, kept);
  }

  #take(piece: Piece): void {
    const { smtpError, flaw, addHeaders, advice } = piece.answer;
    if (flaw !== undefined) this.#break(flaw);
    if (smtpError !== undefined && piece.kind === 'data' && piece.octets.length > 0) this.#break('refusal-with-data');
    if (addHeaders.length > 0 && !this.#processor.options.allow.addHeader) this.#break('add-header-not-allowed');
    if (advice !== undefined && !this.#processor.options.allow.advice) this.#break('advice-not-allowed');
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.pieces.push(piece);
    else waiting(piece);
  }

  #break(rule: string): void {
    this.broken.push(rule);
  }
}
