/**
 * A next hop that keeps what it is given, octet by octet, and misbehaves where it is told: it refuses, dies, falls silent, talks
 * nonsense or slowly, at a command or after so many octets. In the test's own process; no line of src.
 */
import net from 'node:net';

/** One mail that arrived whole: its terminator (or last chunk) was seen. */
export interface Delivered {
  /** Argument of MAIL behind `FROM:`, as sent. */
  readonly mail: string;
  /** Accepted recipients, arguments behind `TO:`. */
  readonly rcpts: readonly string[];
  /** Unstuffed, without the final dot. Empty if the next hop was told not to keep contents. */
  readonly content: Buffer;
  readonly octets: number;
  readonly by: 'DATA' | 'BDAT';
  /** On which connection, and the how manieth on it. */
  readonly connection: number;
}

export type Point = 'CONNECT' | 'EHLO' | 'MAIL' | 'RCPT' | 'DATA' | 'CONTENT' | 'RSET';

export interface NextHopFault {
  readonly kind: 'die' | 'reset' | 'mute' | 'garbage' | 'slow';
  /** In place of the reply to this; CONTENT is the reply behind the final dot. */
  readonly on?: Point;
  /** Or after so many octets received since MAIL. */
  readonly received?: number;
  /** How often; then honest again. Absent: always. */
  readonly times?: number;
}

export interface NextHopScript {
  /** Replies in place of the usual 250, without the final CRLF: by point, and by argument where a function. */
  readonly replies?: Readonly<Partial<Record<Point, string | ((argument: string) => string | undefined)>>>;
  readonly extensions?: readonly string[];
  readonly fault?: NextHopFault;
  readonly keepContent?: boolean;
}

const DEFAULT_EXTENSIONS = ['PIPELINING', '8BITMIME', 'SMTPUTF8', 'ENHANCEDSTATUSCODES'];
const DOT = Buffer.from('\r\n.\r\n');

export class NextHop {
  readonly mails: Delivered[] = [];
  /** Command lines as they came, over all connections. */
  readonly commands: string[] = [];
  connections = 0;
  faultsUsed = 0;
  script: NextHopScript = {};
  readonly #server: net.Server;
  readonly #sockets = new Set<net.Socket>();
  readonly #waiters = new Set<() => void>();
  #port = 0;

  private constructor() {
    this.#server = net.createServer({ noDelay: true }, (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      new Conversation(socket, this, ++this.connections);
    });
  }

  static async listen(script: NextHopScript = {}): Promise<NextHop> {
    const hop = new NextHop();
    hop.script = script;
    await hop.open();
    return hop;
  }

  get port(): number {
    return this.#port;
  }
  get url(): string {
    return `smtp://127.0.0.1:${this.#port}`;
  }

  /** Opens the door (again, at the same port). */
  async open(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(this.#port, '127.0.0.1', 4096, resolve);
    });
    const address = this.#server.address();
    if (address !== null && typeof address !== 'string') this.#port = address.port;
  }

  /** Takes a new script and forgets what came before; connections stay. */
  reset(script: NextHopScript = {}): void {
    this.script = script;
    this.faultsUsed = 0;
    this.mails.length = 0;
    this.commands.length = 0;
  }

  deliver(mail: Delivered): void {
    this.mails.push(mail);
    for (const waiter of this.#waiters) waiter();
  }

  async waitForMails(count: number, timeoutMs = 20_000): Promise<readonly Delivered[]> {
    if (this.mails.length >= count) return this.mails;
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiters.delete(check);
        reject(new Error(`${this.mails.length} of ${count} mails after ${timeoutMs} ms`));
      }, timeoutMs);
      const check = (): void => {
        if (this.mails.length < count) return;
        clearTimeout(timer);
        this.#waiters.delete(check);
        resolve(this.mails);
      };
      this.#waiters.add(check);
    });
  }

  /** Cuts all connections; the door stays as it is. */
  drop(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.drop();
    await closed;
  }
}

type State =
  | { at: 'command' }
  | { at: 'data'; pieces: Buffer[] }
  | { at: 'chunk'; left: number; last: boolean }
  | { at: 'deaf' };

class Conversation {
  readonly #socket: net.Socket;
  readonly #hop: NextHop;
  readonly #number: number;
  #held: Buffer = Buffer.alloc(0);
  #state: State = { at: 'command' };
  #mail: string | undefined;
  #rcpts: string[] = [];
  #chunks: Buffer[] = [];
  #received = 0;

  constructor(socket: net.Socket, hop: NextHop, number: number) {
    this.#socket = socket;
    this.#hop = hop;
    this.#number = number;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => this.#onChunk(chunk));
    this.#reply('CONNECT', '', '220 hop.test ESMTP');
  }

  #onChunk(chunk: Buffer): void {
    if (this.#state.at === 'deaf') return;
    const fault = this.#fault();
    if (this.#mail !== undefined) this.#received += chunk.length;
    if (fault?.received !== undefined && this.#mail !== undefined && this.#received >= fault.received) {
      this.#strike(fault);
      return;
    }
    this.#held = this.#held.length === 0 ? chunk : Buffer.concat([this.#held, chunk]);
    while (this.#held.length > 0 && this.#step(this.#state)) {}
  }

  /** Takes what it can from the held octets; false: more must come. */
  #step(state: State): boolean {
    switch (state.at) {
      case 'deaf':
        return false;
      case 'chunk':
        return this.#takeChunk(state);
      case 'data':
        return this.#takeContent(state);
      case 'command': {
        const end = this.#held.indexOf('\r\n');
        if (end < 0) return false;
        const line = this.#held.toString('latin1', 0, end);
        this.#held = this.#held.subarray(end + 2);
        this.#onCommand(line);
        return true;
      }
    }
  }

  #onCommand(line: string): void {
    this.#hop.commands.push(line);
    const verb = line.slice(0, 4).toUpperCase();
    switch (verb) {
      case 'EHLO':
      case 'HELO':
        this.#onHello(verb);
        break;
      case 'MAIL':
        this.#received = line.length;
        this.#mail = line.slice(10);
        this.#rcpts = [];
        if (!this.#reply('MAIL', this.#mail, '250 2.1.0 ok').startsWith('2')) this.#mail = undefined;
        break;
      case 'RCPT':
        this.#onRcpt(line.slice(8));
        break;
      case 'DATA':
        if (this.#rcpts.length === 0) this.#say('554 5.5.1 no valid recipients');
        else if (this.#reply('DATA', '', '354 go').startsWith('354')) this.#state = { at: 'data', pieces: [] };
        break;
      case 'BDAT':
        this.#onBdat(line);
        break;
      case 'RSET':
        this.#mail = undefined;
        this.#reply('RSET', '', '250 2.0.0 ok');
        break;
      case 'QUIT':
        this.#say('221 2.0.0 bye');
        this.#socket.end();
        break;
      default:
        this.#say(verb === 'NOOP' ? '250 2.0.0 ok' : '500 5.5.2 what');
    }
  }

  #onHello(verb: string): void {
    this.#mail = undefined;
    const lines = verb === 'HELO' ? [] : (this.#hop.script.extensions ?? DEFAULT_EXTENSIONS);
    const all = ['hop.test', ...lines];
    this.#reply('EHLO', '', all.map((l, i) => `250${i === all.length - 1 ? ' ' : '-'}${l}`).join('\r\n'));
  }

  #onRcpt(argument: string): void {
    if (this.#mail === undefined) this.#say('503 5.5.1 MAIL first');
    else if (this.#reply('RCPT', argument, '250 2.1.5 ok').startsWith('2')) this.#rcpts.push(argument);
  }

  #onBdat(line: string): void {
    const [, size, last] = /^BDAT (\d+)( LAST)?$/i.exec(line) ?? [];
    if (size === undefined) {
      this.#say('501 5.5.4 BDAT size');
      return;
    }
    const state: State = { at: 'chunk', left: Number(size), last: last !== undefined };
    this.#state = state;
    if (state.left === 0) this.#takeChunk(state);
  }

  /** Whether the chunk is whole. */
  #takeChunk(state: State & { at: 'chunk' }): boolean {
    const take = this.#held.subarray(0, state.left);
    this.#held = this.#held.subarray(take.length);
    this.#chunks.push(take);
    state.left -= take.length;
    if (state.left > 0) return false;
    this.#state = { at: 'command' };
    if (this.#rcpts.length === 0) this.#say('554 5.5.1 no valid recipients');
    else if (state.last) this.#onMail(Buffer.concat(this.#chunks.splice(0)), 'BDAT');
    else this.#say('250 2.0.0 chunk ok');
    return true;
  }

  /** The terminator may lie across two reads, and stands at the very beginning of an empty content. */
  #takeContent(state: State & { at: 'data' }): boolean {
    const before = state.pieces.length === 0 ? Buffer.from('\r\n') : (state.pieces.pop() ?? Buffer.alloc(0));
    const joined = Buffer.concat([before, this.#held]);
    this.#held = Buffer.alloc(0);
    const end = joined.indexOf(DOT);
    if (end < 0) {
      // All but what may be the beginning of the terminator is put by.
      const cut = Math.max(0, joined.length - 4);
      state.pieces.push(joined.subarray(0, cut), joined.subarray(cut));
      return false;
    }
    const wire = Buffer.concat([...state.pieces, joined.subarray(0, end + 2)]).subarray(2);
    this.#state = { at: 'command' };
    this.#held = joined.subarray(end + DOT.length);
    this.#onMail(unstuffed(wire), 'DATA');
    return true;
  }

  #onMail(content: Buffer, by: 'DATA' | 'BDAT'): void {
    const { keepContent, replies } = this.#hop.script;
    const refusal = typeof replies?.CONTENT === 'string' && !replies.CONTENT.startsWith('2');
    const [mail, rcpts] = [this.#mail ?? '', this.#rcpts];
    this.#mail = undefined;
    this.#rcpts = [];
    if (!refusal) {
      const kept = keepContent === false ? Buffer.alloc(0) : content;
      this.#hop.deliver({ mail, rcpts, content: kept, octets: content.length, by, connection: this.#number });
    }
    this.#reply('CONTENT', '', '250 2.0.0 kept');
  }

  /** Sends the scripted reply or the usual one, or lets the fault strike; returns what was meant to be sent. */
  #reply(point: Point, argument: string, usual: string): string {
    const fault = this.#fault();
    if (fault?.on === point) {
      this.#strike(fault);
      return '';
    }
    const scripted = this.#hop.script.replies?.[point];
    const text = (typeof scripted === 'function' ? scripted(argument) : scripted) ?? usual;
    this.#say(text);
    return text;
  }

  #fault(): NextHopFault | undefined {
    const fault = this.#hop.script.fault;
    return fault !== undefined && this.#hop.faultsUsed < (fault.times ?? Infinity) ? fault : undefined;
  }

  #strike(fault: NextHopFault): void {
    this.#hop.faultsUsed++;
    this.#state = { at: 'deaf' };
    switch (fault.kind) {
      case 'die':
        this.#socket.destroy();
        return;
      case 'reset':
        this.#socket.resetAndDestroy();
        return;
      case 'mute':
        return;
      case 'garbage':
        this.#socket.write(Buffer.from('\0\xff<html>\r\n250\r\n2x0 what\r\n', 'latin1'));
        return;
      case 'slow': {
        // A reply that never ends, an octet at a time.
        const timer = setInterval(() => this.#socket.write('2'), 50);
        this.#socket.once('close', () => clearInterval(timer));
        return;
      }
    }
  }

  #say(reply: string): void {
    this.#socket.write(`${reply}\r\n`, 'latin1');
  }
}

function unstuffed(wire: Buffer): Buffer {
  const text = wire.toString('latin1');
  return Buffer.from((text.startsWith('.') ? text.slice(1) : text).replaceAll('\r\n.', '\r\n'), 'latin1');
}
