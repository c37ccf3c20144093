/**
 * One SMTP dialog from the client's side, for people to read: each line goes to `print` as it is said. Without
 * PIPELINING on purpose: questions and answers alternate.
 */
import { connect, type Socket } from 'node:net';
import { printable } from '../../base/index.ts';
import { isPositive, type Reply, ReplyParser, replyLimits, writePath } from '../../smtp/index.ts';
import { Failure, socketProblem } from '../exit.ts';

/** The gateway's own deadline is 4 minutes (design, section 2); after it comes a 451, which we want to see. */
const SILENCE_MS = 300_000;

export interface Letter {
  readonly from: string;
  readonly to: readonly string[];
  /** Lines end with CRLF; not dot-stuffed. */
  readonly content: Buffer;
  readonly helo: string;
  /** The server speaks LMTP (RFC 2033). */
  readonly lmtp?: boolean | undefined;
}

export class Dialog {
  readonly #socket: Socket;
  readonly #print: (line: string) => void;
  readonly #parser = new ReplyParser(replyLimits);
  readonly #place: string;
  readonly #replies: Reply[] = [];
  #line = '';
  #wake: (() => void) | undefined;
  #ended: Error | undefined;

  constructor(
    place: { readonly host: string; readonly port: number } | { readonly path: string },
    print: (line: string) => void,
  ) {
    this.#place = 'path' in place ? `unix:${place.path}` : `${place.host}:${place.port}`;
    this.#print = print;
    const to = 'path' in place ? { path: place.path } : { host: place.host, port: place.port };
    this.#socket = connect({ ...to, noDelay: true, timeout: SILENCE_MS });
    this.#socket.on('data', (chunk) => this.#hear(chunk));
    this.#socket.on('timeout', () => this.#socket.destroy(new Error('the server said nothing for 5 minutes')));
    this.#socket.on('error', (error) => this.#end(error));
    this.#socket.on('close', () => this.#end(new Error('the server hung up')));
  }

  /** Sends one mail. True where the server took it for every recipient. */
  async send(letter: Letter): Promise<boolean> {
    try {
      const accepted = await this.#envelope(letter);
      if (accepted === 0) return false;
      this.#print(`C: (the mail, ${letter.content.length} octets)`);
      let taken = (await this.#say('.', stuffed(letter.content))).code === 250 ? 1 : 0;
      // RFC 2033, 4.2: LMTP has one reply for each recipient that was accepted.
      const more = letter.lmtp === true ? accepted - 1 : 0;
      for (let i = 0; i < more; i++) if ((await this.#reply()).code === 250) taken++;
      return taken === 1 + more && accepted === letter.to.length;
    } finally {
      if (this.#ended === undefined) await this.#say('QUIT').catch(() => undefined);
      this.#socket.destroy();
    }
  }

  /** For how many recipients the server waits for the mail. */
  async #envelope(letter: Letter): Promise<number> {
    if (!isPositive(await this.#reply())) return 0;
    const hello = await this.#say(`${letter.lmtp === true ? 'LHLO' : 'EHLO'} ${letter.helo}`);
    if (!isPositive(hello)) return 0;
    if (!isPositive(await this.#say(`MAIL FROM:${path(letter.from)}${mailParameters(letter, hello)}`))) return 0;
    let accepted = 0;
    for (const to of letter.to) {
      if (isPositive(await this.#say(`RCPT TO:${path(to)}`))) accepted++;
    }
    if (accepted === 0) return 0;
    const data = await this.#say('DATA');
    return data.code === 354 ? accepted : 0;
  }

  async #say(line: string, before?: Buffer): Promise<Reply> {
    this.#print(`C: ${fromOctets(line)}`);
    if (before !== undefined) this.#socket.write(before);
    this.#socket.write(`${line}\r\n`, 'latin1');
    return await this.#reply();
  }

  async #reply(): Promise<Reply> {
    for (;;) {
      const reply = this.#replies.shift();
      if (reply !== undefined) return reply;
      if (this.#parser.rule !== undefined)
        throw new Failure(`${this.#place} does not speak SMTP (${this.#parser.rule})`);
      if (this.#ended !== undefined) throw new Failure(this.#ended.message);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #hear(chunk: Buffer): void {
    const lines = (this.#line + chunk.toString('latin1')).split('\r\n');
    this.#line = lines.pop() ?? '';
    for (const line of lines) this.#print(`S: ${printable(line, 1000)}`);
    this.#parser.feed(chunk);
    for (let reply = this.#parser.next(); reply !== undefined; reply = this.#parser.next()) this.#replies.push(reply);
    this.#wake?.();
  }

  #end(error: Error): void {
    this.#ended ??= new Error(socketProblem(error, this.#place) ?? error.message);
    this.#wake?.();
  }
}

/** `a@b`, `<a@b>` or `<>`, as a path. */
function path(address: string): string {
  const bare = address.replace(/^<(.*)>$/, '$1');
  return bare === '' ? writePath(null) : `<${toOctets(bare)}>`;
}

/** What this mail needs and the server offers. */
function mailParameters(letter: Letter, hello: Reply): string {
  const offered = new Set(hello.text.slice(1).map((line) => line.split(' ')[0]?.toUpperCase()));
  const addresses = [letter.from, ...letter.to].join('');
  let parameters = '';
  if (offered.has('SIZE')) parameters += ` SIZE=${letter.content.length}`;
  if (offered.has('8BITMIME') && letter.content.some((octet) => octet > 127)) parameters += ' BODY=8BITMIME';
  if (offered.has('SMTPUTF8') && /[^\x00-\x7f]/.test(addresses)) parameters += ' SMTPUTF8';
  return parameters;
}

/** On the wire a line is octets; an address may hold UTF-8 (RFC 6531). */
const toOctets = (text: string) => Buffer.from(text, 'utf8').toString('latin1');
const fromOctets = (line: string) => Buffer.from(line, 'latin1').toString('utf8');

/** RFC 5321, 4.5.2: a dot at the start of a line is doubled. */
function stuffed(content: Buffer): Buffer {
  const text = content.toString('latin1').replace(/^\./gm, '..');
  return Buffer.from(text.endsWith('\r\n') || text === '' ? text : `${text}\r\n`, 'latin1');
}
