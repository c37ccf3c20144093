/**
 * Both OCP agents under script: a bench holds one agent, feeds it the peer's octets, makes it send what a line of a
 * session says by calling the method that does so, and writes down what its handlers were told.
 */
import {
  CalloutAgent,
  type CalloutOptions,
  type CalloutTransaction,
  type CalloutTransactionEvents,
  ProcessorAgent,
  type ProcessorOptions,
  type ProcessorTransaction,
  type ProcessorTransactionEvents,
  type Result,
  readMessage,
  type Structure,
  structure,
  type TypedMessage,
  uriOf,
} from '../../src/ocp/index.ts';
import { octets, parseOne } from '../vectors/ocp/vectors.ts';
import { recvOver } from './overwritten.ts';

export interface Line {
  readonly by: 'P' | 'S';
  readonly wire: string;
}

/** `P> TS 1 1;\r\n` as the vectors print it. */
export function lineOf(text: string): Line {
  return { by: text.startsWith('P') ? 'P' : 'S', wire: text.slice(3) };
}

export const UPPER = structure(['http://svc.example/upper']);

interface Said {
  readonly message: TypedMessage;
  readonly payload: Buffer;
}

function said(wire: string): Said {
  const { message, payload } = parseOne(wire);
  const typed = readMessage(message);
  if (typed.kind === 'broken') throw new Error(`no valid message: ${wire}`);
  return { message: typed, payload: octets(payload ?? '') };
}

const resultOf = (result: Result): Result | undefined => (result.code === 200 ? undefined : result);
const resultText = ({ code, reason }: Result): string => (reason === '' ? `${code}` : `${code} ${reason}`);

interface End {
  readonly by: string;
  readonly result: Result;
  readonly rule?: string;
  readonly incomplete?: true;
}

function endText({ by, result, rule, incomplete }: End): string {
  return `${by} ${resultText(result)}${rule === undefined ? '' : ` (${rule})`}${incomplete === true ? ' incomplete' : ''}`;
}

/** What both benches do. Subclasses own the agent. */
abstract class Bench {
  /** All octets the agent sent. */
  sent = '';
  readonly log: string[] = [];
  abstract readonly agent: ProcessorAgent | CalloutAgent;

  feed(wire: Uint8Array | string): void {
    recvOver(this.agent, typeof wire === 'string' ? octets(wire) : wire);
    this.pump();
  }

  /** Takes the output as a shell would. */
  pump(): void {
    while (this.agent.outbox.pendingOctets > 0) {
      this.sent += Buffer.concat(this.agent.outbox.take()).toString('latin1');
      this.agent.drained();
    }
  }

  /** Makes the agent say this line. False where it does so by itself, or has no way to. */
  act(wire: string): boolean {
    const acted = this.perform(said(wire));
    this.pump();
    return acted;
  }

  protected abstract perform(line: Said): boolean;

  protected note(xid: number | undefined, text: string): void {
    this.log.push(xid === undefined ? text : `${xid} ${text}`);
  }
}

export class ProcessorBench extends Bench {
  readonly agent: ProcessorAgent;
  readonly transactions = new Map<number, ProcessorTransaction>();
  /** What offers of the peer are answered with, in turn. */
  readonly answers: (Structure | undefined)[] = [];
  /** Told in `onSelected`: why to end the connection. */
  displeased: string | undefined;
  #started: TypedMessage | undefined;

  constructor(options: Partial<ProcessorOptions> = {}) {
    super();
    this.agent = new ProcessorAgent(
      { offer: [], services: [UPPER], kept: 'structure', ...options },
      {
        onSelected: (feature) => {
          this.note(undefined, `selected ${feature === undefined ? 'nothing' : uriOf(feature)}`);
          return this.displeased;
        },
        onReady: () => this.note(undefined, 'ready'),
        onOutput: () => undefined,
        onEnd: (end) => this.note(undefined, `end by ${endText(end)}`),
        onOffer: () => this.answers.shift(),
        onAbility: (supported, named) => this.note(undefined, `ability ${supported} ${[...named.keys()].join()}`),
      },
    );
  }

  protected perform({ message, payload }: Said): boolean {
    const first = this.#started === undefined;
    this.#started = message;
    switch (message.kind) {
      case 'CS':
        this.agent.start();
        return true;
      case 'NO':
        if (first) this.agent.start();
        else if (this.agent.isReady) {
          this.agent.offer(message.features, message.sg === undefined ? {} : { sg: message.sg });
        }
        return true;
      case 'TS': {
        const tx = this.agent.startTransaction(this.#events(message.xid));
        if (tx === undefined || tx.xid !== message.xid) throw new Error(`started ${tx?.xid}, not ${message.xid}`);
        this.transactions.set(tx.xid, tx);
        return true;
      }
      case 'AMS':
        this.transactions.get(message.xid)?.startMessage();
        return true;
      case 'DUM':
        this.transactions.get(message.xid)?.sendData('', [payload], payload.length, message.kept);
        return true;
      case 'AME':
        this.transactions.get(message.xid)?.endMessage(resultOf(message.result));
        return true;
      case 'TE':
        this.transactions.get(message.xid)?.end(resultOf(message.result));
        return true;
      case 'CE':
        this.agent.close(message.result);
        return true;
      case 'AA':
      case 'AQ':
      case 'DPI':
      case 'DPM':
      case 'DSS':
      case 'DUY':
      case 'DWM':
      case 'DWP':
      case 'DWSR':
      case 'DWSS':
      case 'NR':
      case 'PA':
      case 'PQ':
      case 'PR':
      case 'SGC':
      case 'SGD':
      case 'unknown':
        return false;
    }
  }

  #events(xid: number): ProcessorTransactionEvents {
    let data = '';
    return {
      onAdaptedStart: (services) => this.note(xid, `start${services === undefined ? '' : ` ${services.length}`}`),
      onData: () => {
        data = '';
      },
      onDataOctets: (octets) => {
        data += octets.toString('latin1');
      },
      onDataEnd: () => this.note(xid, `data ${data}`),
      onUseYours: (offset, size) => this.note(xid, `yours ${offset} ${size}`),
      onDisposable: (offset, size) => this.note(xid, `reusable ${offset} ${size}`),
      onAdaptedEnd: (result) => this.note(xid, `message end ${resultText(result)}`),
      onTurn: () => this.note(xid, 'turn'),
      onEnd: (end) => this.note(xid, `end by ${endText(end)}`),
    };
  }
}

export class CalloutBench extends Bench {
  readonly agent: CalloutAgent;
  readonly transactions = new Map<number, CalloutTransaction>();
  /** What offers of the peer are answered with, in turn: the feature, and whether an offer of ours will follow. */
  readonly answers: { readonly feature: Structure | undefined; readonly pending: boolean }[] = [];
  /** Makes the handlers in place of the bench. */
  onBegin: ((tx: CalloutTransaction) => CalloutTransactionEvents) | undefined;
  /** Transactions to refuse. */
  readonly refusals = new Map<number, Result>();
  /** Told in `onSelected`: why to end the connection. */
  displeased: string | undefined;

  constructor(options: CalloutOptions = {}) {
    super();
    this.agent = new CalloutAgent(options, {
      onOffer: () => {
        const answer = this.answers.shift();
        if (answer?.pending === true) this.agent.promiseOffer();
        return answer?.feature;
      },
      onTransaction: (tx, services) => {
        this.note(tx.xid, `begin ${services.length}`);
        if (this.onBegin !== undefined) return this.onBegin(tx);
        const refusal = this.refusals.get(tx.xid);
        if (refusal !== undefined) return refusal;
        this.transactions.set(tx.xid, tx);
        return this.#events(tx.xid);
      },
      onOutput: () => undefined,
      onEnd: (end) => this.note(undefined, `end by ${endText(end)}`),
      onSelected: (feature) => {
        this.note(undefined, `selected ${feature === undefined ? 'nothing' : uriOf(feature)}`);
        return feature === undefined ? this.displeased : undefined;
      },
    });
  }

  protected perform({ message, payload }: Said): boolean {
    switch (message.kind) {
      case 'CS':
        this.agent.start();
        return true;
      case 'NO':
        this.agent.offer(message.features, { mayOfferMore: message.offerPending });
        return true;
      case 'AMS':
        this.transactions.get(message.xid)?.startMessage(message.services);
        return true;
      case 'DUM':
        this.transactions.get(message.xid)?.sendData(this.#block(message), [payload], payload.length);
        return true;
      case 'DUY':
        this.transactions.get(message.xid)?.useYours(message.offset, message.size);
        return true;
      case 'DPI':
        this.transactions.get(message.xid)?.disposeOutside(message.offset, message.size);
        return true;
      case 'DWP':
        this.transactions.get(message.xid)?.wantPause();
        return true;
      case 'DWM':
        this.transactions.get(message.xid)?.wantMore();
        return true;
      case 'AME':
        this.transactions.get(message.xid)?.endMessage(resultOf(message.result));
        return true;
      case 'TE':
        this.transactions.get(message.xid)?.end(resultOf(message.result));
        return true;
      case 'CE':
        this.agent.close(message.result);
        return true;
      case 'AA':
      case 'AQ':
      case 'DPM':
      case 'DSS':
      case 'DWSR':
      case 'DWSS':
      case 'NR':
      case 'PA':
      case 'PQ':
      case 'PR':
      case 'SGC':
      case 'SGD':
      case 'TS':
      case 'unknown':
        return false;
    }
  }

  #block(message: Extract<TypedMessage, { kind: 'DUM' }>): string {
    const asIs = message.asIs === undefined ? '' : `As-is: ${message.asIs}\r\n`;
    return message.modp === undefined ? asIs : `${asIs}Modp: ${message.modp}\r\n`;
  }

  #events(xid: number): CalloutTransactionEvents {
    let data = '';
    return {
      onOriginalStart: () => this.note(xid, 'start'),
      onData: () => {
        data = '';
      },
      onDataOctets: (octets) => {
        data += octets.toString('latin1');
      },
      onDataEnd: () => this.note(xid, `data ${data}`),
      onOriginalEnd: (result) => this.note(xid, `message end ${resultText(result)}`),
      onTurn: () => this.note(xid, 'turn'),
      onEnd: (end) => this.note(xid, `end by ${endText(end)}`),
    };
  }
}
