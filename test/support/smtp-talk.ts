/**
 * A client that says exactly what the test says, and hears replies whole. Independent of src: a second reading of RFC 5321's
 * reply syntax.
 */
import net from 'node:net';

export interface Heard {
  readonly code: number;
  /** Lines without their code and CRLF. */
  readonly lines: readonly string[];
}

/** What a mail met, reply by reply. */
export interface Outcome {
  readonly mail: Heard;
  readonly rcpts: readonly Heard[];
  /** The reply to DATA, if it was sent. */
  readonly data: Heard | undefined;
  /** The reply behind the content. */
  readonly content: Heard | undefined;
}

export interface Mail {
  readonly from: string;
  readonly to: readonly string[];
  readonly content: Buffer;
  /** Of MAIL, behind the path. */
  readonly params?: string;
}

const PATIENCE_MS = 30_000;

export class SmtpTalk {
  readonly socket: net.Socket;
  #held = '';
  #closed = false;
  #error: Error | undefined;
  #wake: () => void = () => undefined;

  private constructor(socket: net.Socket) {
    this.socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.#held += chunk.toString('latin1');
      this.#wake();
    });
    socket.on('error', (error) => {
      this.#error = error;
    });
    socket.on('close', () => {
      this.#closed = true;
      this.#wake();
    });
  }

  /** Connects to a port of loopback, or to a Unix socket by its path, and hears the greeting. */
  static async connect(at: number | string): Promise<SmtpTalk> {
    const socket = typeof at === 'string' ? net.connect(at) : net.connect(at, '127.0.0.1');
    const talk = new SmtpTalk(socket);
    const greeting = await talk.hear();
    if (greeting.code !== 220) throw new Error(`greeted with ${greeting.code} ${greeting.lines.join(' / ')}`);
    return talk;
  }

  /** Connects and says EHLO. */
  static async hello(at: number | string, name = 'client.test'): Promise<SmtpTalk> {
    const talk = await SmtpTalk.connect(at);
    await talk.say(`EHLO ${name}`);
    return talk;
  }

  send(octets: Uint8Array | string): void {
    this.socket.write(typeof octets === 'string' ? Buffer.from(octets, 'latin1') : octets);
  }

  /** One command, one reply. */
  async say(line: string): Promise<Heard> {
    this.send(`${line}\r\n`);
    return await this.hear();
  }

  /** The next whole reply. */
  async hear(patienceMs = PATIENCE_MS): Promise<Heard> {
    const heard = await this.#until(() => this.#takeReply(), patienceMs, 'reply');
    if (heard === undefined)
      throw new Error(`closed without a reply${this.#error === undefined ? '' : `: ${this.#error.message}`}`);
    return heard;
  }

  /** Everything said until the server closes. */
  async rest(patienceMs = PATIENCE_MS): Promise<string> {
    await this.#until(() => (this.#closed ? true : undefined), patienceMs, 'close');
    return this.#held;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  async #until<T>(pick: () => T | undefined, patienceMs: number, what: string): Promise<T | undefined> {
    const found = pick();
    if (found !== undefined || this.#closed) return found;
    return await new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#wake = () => undefined;
        reject(new Error(`no ${what} in ${patienceMs} ms; heard ${JSON.stringify(this.#held)}`));
      }, patienceMs);
      this.#wake = () => {
        const value = pick();
        if (value === undefined && !this.#closed) return;
        clearTimeout(timer);
        this.#wake = () => undefined;
        resolve(value);
      };
    });
  }

  #takeReply(): Heard | undefined {
    const whole = /^(?:(\d{3})-[^\r\n]*\r\n)*(\d{3})(?: [^\r\n]*)?\r\n/.exec(this.#held);
    if (whole === null) return undefined;
    this.#held = this.#held.slice(whole[0].length);
    const lines = whole[0].split('\r\n').slice(0, -1);
    const code = whole[2] ?? '';
    if (lines.some((line) => !line.startsWith(code))) throw new Error(`a reply of several codes: ${whole[0]}`);
    return { code: Number(code), lines: lines.map((line) => line.slice(4)) };
  }

  /** One mail, command by command. DATA is sent only if a recipient was accepted; the content is dot-stuffed here. */
  async mail(mail: Mail): Promise<Outcome> {
    const from = await this.say(`MAIL FROM:<${mail.from}>${mail.params === undefined ? '' : ` ${mail.params}`}`);
    if (from.code !== 250) return { mail: from, rcpts: [], data: undefined, content: undefined };
    const rcpts: Heard[] = [];
    for (const to of mail.to) rcpts.push(await this.say(`RCPT TO:<${to}>`));
    if (!rcpts.some((r) => r.code === 250)) return { mail: from, rcpts, data: undefined, content: undefined };
    const data = await this.say('DATA');
    if (data.code !== 354) return { mail: from, rcpts, data, content: undefined };
    this.send(stuff(mail.content));
    return { mail: from, rcpts, data, content: await this.hear() };
  }

  async quit(): Promise<void> {
    if (!this.#closed) await this.say('QUIT').catch(() => undefined);
    this.socket.destroy();
  }
  destroy(): void {
    this.socket.destroy();
  }
}

/** Content as DATA carries it: dots doubled, CRLF at the end if it lacks, the final dot. */
export function stuff(content: Buffer): Buffer {
  const text = content.toString('latin1');
  const doubled = (text.startsWith('.') ? `.${text}` : text).replaceAll('\r\n.', '\r\n..');
  return Buffer.from(`${doubled}${doubled === '' || doubled.endsWith('\r\n') ? '' : '\r\n'}.\r\n`, 'latin1');
}

/** The code that decided the mail: of the content, of DATA, else of the first recipient or of MAIL. */
export function verdict(outcome: Outcome): number {
  return (outcome.content ?? outcome.data ?? outcome.rcpts[0] ?? outcome.mail).code;
}
