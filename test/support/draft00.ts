/** The independent callout server (draft00-server.mjs) as a child process, scripted while it runs. */
import { fileURLToPath } from 'node:url';
import { Child } from './child.ts';

/** What becomes of a part; the first rule that matches its octets counts. */
export interface Draft00Rule {
  readonly part: 'EHLO' | 'VRFY' | 'EXPN' | 'MAIL' | 'RCPT' | 'RAWDATA';
  readonly match?: string;
  readonly error?: string;
  readonly rewrite?: string;
  readonly upper?: true;
  readonly replace?: readonly [string, string];
  readonly content?: string;
  readonly addHeader?: readonly string[];
  /** In the draft's own words: an atom. */
  readonly advice?: string;
}

export type WireFault = 'die' | 'reset' | 'exit' | 'mute' | 'slow' | 'garbage' | 'end';

/** A lie in place of an answer, or a fault of the wire at a message or an octet. */
export interface Draft00Fault {
  readonly times?: number;
  readonly lie?: string;
  readonly kind?: WireFault;
  /** In place of the answer to this message or part. */
  readonly on?: string;
  readonly nth?: number;
  /** After so many octets of its output, or input, of a transaction. */
  readonly sent?: number;
  readonly received?: number;
  readonly since?: 'connection';
  readonly octets?: number;
  readonly count?: number;
  readonly everyMs?: number;
  readonly step?: number;
}

export interface Draft00Script {
  readonly feature?: string;
  readonly adaptive?: readonly string[];
  readonly informative?: readonly string[];
  readonly alias?: boolean;
  readonly yours?: boolean;
  readonly eager?: boolean;
  readonly modp?: boolean;
  /** Refuse and add headers whether or not the processor allowed it. */
  readonly overstep?: boolean;
  /** Octets of new content in one DUM. */
  readonly chunk?: number;
  readonly addHeaderForm?: 'atom' | 'list';
  readonly rules?: readonly Draft00Rule[];
  readonly fault?: Draft00Fault;
}

/** One transaction as the server saw it. */
export interface Draft00Transaction {
  readonly event: 'transaction';
  readonly xid: number;
  readonly ended: 'by-us' | 'by-peer';
  readonly code: number;
  readonly octets: number;
  readonly parts: readonly { readonly part: string; readonly text: string }[];
  readonly outcome: readonly string[];
}

const PROGRAM = fileURLToPath(new URL('draft00-server.mjs', import.meta.url));

export class Draft00 {
  readonly child: Child;
  readonly port: number;
  #commands = 0;

  private constructor(child: Child, port: number) {
    this.child = child;
    this.port = port;
  }

  static async start(script: Draft00Script = {}): Promise<Draft00> {
    const child = new Child(process.execPath, [PROGRAM, '--control', '--script', JSON.stringify(script)]);
    const ready = await child.event<{ port: number }>('ready');
    return new Draft00(child, ready.port);
  }

  get endpoint(): string {
    return `ocp://127.0.0.1:${this.port}`;
  }

  /** Takes effect for open connections too, before this returns. */
  async script(script: Draft00Script): Promise<void> {
    await this.#command({ script });
  }
  async listen(open: boolean): Promise<void> {
    await this.#command({ listen: open });
  }
  async drop(): Promise<void> {
    await this.#command({ drop: true });
  }

  /** Cuts all connections and waits for the processor to come back and be answered, honestly or not. */
  async renegotiate(): Promise<void> {
    const before = this.child.events('negotiated').length;
    await this.drop();
    await this.child.until(() => this.child.events('negotiated')[before], 'a new negotiation');
  }

  async #command(command: object): Promise<void> {
    const id = ++this.#commands;
    this.child.write(`${JSON.stringify({ ...command, id })}\n`);
    await this.child.until(() => this.child.events<{ id: number }>('done').find((e) => e.id === id), `answer ${id}`);
  }

  transactions(): Draft00Transaction[] {
    return this.child.events<Draft00Transaction>('transaction');
  }

  async stop(): Promise<void> {
    await this.child.stop();
  }
}
