/**
 * A next hop for tests: an SMTP server that can be told to lie, stall and die. It records every envelope and the exact
 * octets of every content, and complains (in `complaints`) about a client that breaks the protocol. It shares no code with
 * our client, and takes the slow and simple way wherever there is one.
 *
 *     await using sink = await Sink.listen({ answer: (c) => (c.verb === 'RCPT' && c.nth === 1 ? '550 5.1.1 No\r\n' : undefined) });
 *     ... connect to 127.0.0.1, sink.port ...
 *     const [mail] = await sink.mailsOf(1);
 */
import { createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import { authenticate, type SinkUser } from './sink-auth.ts';

export interface SinkCommand {
  /** As sent, in upper case; also `CONNECT` for the greeting, and `CONTENT` for the end of data (final dot or BDAT LAST). */
  readonly verb: string;
  /** What follows the verb and a space. */
  readonly argument: string;
  /** Which connection, from 0. */
  readonly connection: number;
  /** How many of this verb came on this connection before, from 0. */
  readonly nth: number;
}

/** Octets for the wire, or what to do after them. */
export type SinkAnswer = string | { readonly say?: string; readonly next: 'close' | 'reset' | 'stall' };

export interface SinkOptions {
  /** Keyword lines of EHLO. Without `STARTTLS`; see `tls`. */
  readonly offers?: readonly string[];
  /** `true`: STARTTLS. `implicit`: before the greeting. */
  readonly tls?: boolean | 'implicit';
  /** PEM, in place of its own certificate for `sink.test`. */
  readonly keys?: { readonly key: string; readonly cert: string };
  /** Speaks LMTP: LHLO, and a `CONTENT` for each recipient, which is then its argument. */
  readonly lmtp?: boolean;
  /** A PROXY header, version 2, must open each connection. */
  readonly proxy?: boolean;
  /** Who may log in; offer `AUTH ...` in `offers`. */
  readonly user?: SinkUser;
  /** Listens on this Unix socket in place of a port. */
  readonly path?: string;
  /** The answer to a command; undefined for the usual one. A promise is waited for, and nothing read meanwhile. */
  readonly answer?: (command: SinkCommand) => SinkAnswer | undefined | Promise<SinkAnswer | undefined>;
  /** Told of content as it comes, with how many octets of it came; its answer goes out at once. */
  readonly duringContent?: (octets: number, connection: number) => SinkAnswer | undefined;
  /** A connection dies when it has read this many octets, and no octet beyond it counts. */
  readonly dieAfterRead?: (connection: number) => number | undefined;
  /** A connection dies when it has written this many octets. */
  readonly dieAfterWritten?: (connection: number) => number | undefined;
}

export interface SinkMail {
  /** Arguments behind `MAIL FROM:` and, of the accepted ones, `RCPT TO:`. */
  readonly mail: string;
  readonly rcpts: readonly string[];
  /** Exactly as it came, dots unstuffed, without the dot line. */
  readonly content: Buffer;
  readonly by: 'DATA' | 'BDAT';
  readonly isSecure: boolean;
  readonly connection: number;
  /** What was answered at the end; the answers, with LMTP. */
  readonly answer: string;
  /** XCLIENT of the session and XFORWARD of the mail, as `NAME=value` words. */
  readonly xclient: string;
  readonly xforward: string;
  /** `address:port` of the PROXY header, or `LOCAL`. */
  readonly proxied: string | undefined;
  readonly helo: string;
  readonly user: string | undefined;
}

export const SINK_OFFERS: readonly string[] = [
  'PIPELINING',
  '8BITMIME',
  'SMTPUTF8',
  'CHUNKING',
  'DSN',
  'SIZE 50000000',
];

export class Sink implements AsyncDisposable {
  readonly options: SinkOptions;
  readonly connections: SinkConnection[] = [];
  readonly mails: SinkMail[] = [];
  readonly complaints: string[] = [];
  readonly #server: Server;
  /** Made once, as sessions can be taken up again only where they began. */
  readonly #context: { made?: SecureContext } = {};
  readonly #waiting = new Set<() => void>();

  private constructor(options: SinkOptions) {
    this.options = options;
    this.#server = createServer({ noDelay: true }, (socket) => {
      this.connections.push(new SinkConnection(this, socket, this.connections.length));
      this.changed();
    });
  }

  static async listen(options: SinkOptions = {}): Promise<Sink> {
    const sink = new Sink(options);
    await new Promise<void>((resolve, reject) => {
      sink.#server.once('error', reject);
      if (options.path !== undefined) sink.#server.listen(options.path, resolve);
      else sink.#server.listen(0, '127.0.0.1', resolve);
    });
    return sink;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the sink does not listen');
    return address.port;
  }

  /** Connections not yet closed. */
  get open(): number {
    return this.connections.filter((connection) => !connection.isClosed).length;
  }

  /** Resolves when `done` holds; asked again whenever something happened here. */
  async until(done: (sink: Sink) => boolean): Promise<void> {
    while (!done(this)) {
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve);
      });
    }
  }

  async mailsOf(count: number): Promise<readonly SinkMail[]> {
    await this.until((sink) => sink.mails.length >= count);
    return this.mails;
  }

  secureContext(): SecureContext {
    const { key = SINK_KEY, cert = SINK_CERT } = this.options.keys ?? {};
    this.#context.made ??= createSecureContext({ key, cert });
    return this.#context.made;
  }

  /** For the connections: something happened. */
  changed(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }

  /** Ends every connection, then stops listening. */
  async close(): Promise<void> {
    for (const connection of this.connections) connection.end('reset');
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** What is read next. */
type Reading = 'proxy' | 'commands' | 'data' | 'chunk';

export class SinkConnection {
  /** Every octet read, TLS taken off. */
  readonly heard: Buffer[] = [];
  /** Command lines in order, without CRLF. */
  readonly commands: string[] = [];
  /** How many reads it took: what a client writes at once comes in one, as long as it then waits for the answer. */
  reads = 0;
  isClosed = false;
  isSecure = false;
  /** TLS took an earlier session up again. */
  isResumed = false;
  readonly #sink: Sink;
  readonly #index: number;
  readonly #counts = new Map<string, number>();
  #socket: Socket;
  #buffer: Buffer = Buffer.alloc(0);
  readOctets = 0;
  writtenOctets = 0;
  #isBusy = false;
  #isStalled = false;
  #reading: Reading = 'commands';
  #mail: string | undefined;
  #rcpts: string[] = [];
  /** The last RCPT had more behind it in one go: who sent that had no reply yet (RFC 2920). */
  #isPipelined = false;
  #content: Buffer[] = [];
  #contentOctets = 0;
  /** The end of the content so far, in which the dot line may have begun; a line starts before the first octet. */
  #tail: Buffer = Buffer.alloc(0);
  #chunkLeft = 0;
  #isLastChunk = false;
  #offers: readonly string[] = [];
  #helo = '';
  readonly #xclient = new Map<string, string>();
  #xforward = '';
  #proxied: string | undefined;
  #user: string | undefined;
  /** Where AUTH waits for a line. */
  #onLine: ((line: string) => void) | undefined;

  constructor(sink: Sink, socket: Socket, index: number) {
    this.#sink = sink;
    this.#index = index;
    this.#socket = socket;
    this.#listen(socket);
    if (sink.options.proxy === true) this.#reading = 'proxy';
    else this.#begin();
  }

  #begin(): void {
    if (this.#sink.options.tls === 'implicit') this.#secure();
    void this.#answer('CONNECT', '', '220 sink.test ESMTP\r\n');
  }

  /** Stops reading, as a busy hop does. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Says something nobody asked for. */
  say(wire: string): void {
    this.#write(wire);
  }

  /** Ends it: `close` sends FIN behind what was written, `reset` RST. */
  end(how: 'close' | 'reset'): void {
    if (how === 'close') this.#socket.end();
    // Neither TLS nor a Unix socket has a reset.
    else if (this.#socket instanceof TLSSocket || this.#socket.remoteAddress === undefined) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }

  #listen(socket: Socket): void {
    socket.on('data', (chunk: Buffer) => this.#onData(chunk));
    socket.on('error', () => {});
    socket.on('close', () => {
      this.isClosed = true;
      this.#sink.changed();
    });
  }

  #onData(chunk: Buffer): void {
    this.reads++;
    const dieAt = this.#sink.options.dieAfterRead?.(this.#index) ?? Number.POSITIVE_INFINITY;
    const counted = chunk.subarray(0, Math.max(0, dieAt - this.readOctets));
    this.readOctets += counted.length;
    this.heard.push(counted);
    this.#buffer = Buffer.concat([this.#buffer, counted]);
    void this.#advance();
    if (this.readOctets >= dieAt) this.end('reset');
    this.#sink.changed();
  }

  /** Reads on as long as something whole is there. One at a time: an answer may take its time. */
  async #advance(): Promise<void> {
    if (this.#isBusy) return;
    this.#isBusy = true;
    while (!this.#isStalled && (await this.#step()));
    this.#isBusy = false;
  }

  async #step(): Promise<boolean> {
    switch (this.#reading) {
      case 'proxy':
        return this.#stepProxy();
      case 'commands':
        return this.#stepCommand();
      case 'data':
        return this.#stepData();
      case 'chunk':
        return this.#stepChunk();
    }
  }

  async #stepProxy(): Promise<boolean> {
    if (this.#buffer.length < 16) return false;
    const size = this.#buffer.readUInt16BE(14);
    if (this.#buffer.length < 16 + size) return false;
    const isV2 = this.#buffer.toString('latin1', 0, 12) === '\r\n\r\n\0\r\nQUIT\n';
    const [command, family] = [this.#buffer[12], this.#buffer[13]];
    if (!isV2 || (command !== 0x20 && command !== 0x21)) this.#complain('no PROXY header');
    const octets = this.#buffer.subarray(16, 16 + size);
    if (command === 0x20) this.#proxied = 'LOCAL';
    else if (family === 0x11) this.#proxied = `${octets.subarray(0, 4).join('.')}:${octets.readUInt16BE(8)}`;
    else this.#proxied = `${octets.toString('hex', 0, 16)}:${octets.readUInt16BE(32)}`;
    this.#buffer = this.#buffer.subarray(16 + size);
    const isTls = this.#sink.options.tls === 'implicit';
    if (this.#buffer.length > 0 && !isTls) this.#complain('octets behind the PROXY header, before the greeting');
    this.#reading = 'commands';
    this.#begin();
    return true;
  }

  async #stepCommand(): Promise<boolean> {
    const end = this.#buffer.indexOf('\n');
    if (end < 0) return false;
    const line = this.#buffer.toString('latin1', 0, end + 1);
    this.#buffer = this.#buffer.subarray(end + 1);
    if (!/^[^\r\n]*\r\n$/.test(line)) this.#complain(`not a line: ${JSON.stringify(line)}`);
    const text = line.trimEnd();
    this.commands.push(text);
    const onLine = this.#onLine;
    if (onLine !== undefined) {
      this.#onLine = undefined;
      onLine(text);
      return true;
    }
    const space = text.indexOf(' ');
    const verb = (space < 0 ? text : text.slice(0, space)).toUpperCase();
    if (this.#buffer.length > 0 && !this.#mayFollow(verb)) this.#complain(`octets behind ${verb}, which must be last`);
    await this.#command(verb, space < 0 ? '' : text.slice(space + 1));
    return true;
  }

  /** RFC 2920: what may stand before another command in one go. Content may stand behind BDAT. */
  #mayFollow(verb: string): boolean {
    if (verb === 'BDAT') return true;
    return ['MAIL', 'RCPT', 'RSET', 'NOOP', 'XFORWARD'].includes(verb) && this.#has('PIPELINING');
  }

  async #command(verb: string, argument: string): Promise<void> {
    switch (verb) {
      case 'EHLO':
      case 'LHLO':
        return this.#hello(verb, argument);
      case 'HELO':
        this.#offers = [];
        this.#forget();
        await this.#answer(verb, argument, '250 sink.test\r\n');
        return;
      case 'STARTTLS':
        return this.#startTls();
      case 'AUTH':
        this.#onAuth(argument);
        return;
      case 'XCLIENT':
        this.#checkAttributes(verb, argument);
        if (isYes(await this.#answer(verb, argument, '220 sink.test ESMTP\r\n'))) {
          for (const word of argument.split(' ')) this.#xclient.set(word.split('=', 1)[0] ?? '', word);
          this.#user = undefined;
          this.#forget();
        }
        return;
      case 'XFORWARD':
        this.#checkAttributes(verb, argument);
        if (isYes(await this.#answer(verb, argument, '250 2.0.0 Ok\r\n')))
          this.#xforward = `${this.#xforward} ${argument}`.trim();
        return;
      case 'MAIL':
        return this.#onMail(argument);
      case 'RCPT':
        return this.#onRcpt(argument);
      case 'DATA':
        return this.#onData354(argument);
      case 'BDAT':
        return this.#onBdat(argument);
      case 'RSET':
        this.#forget();
        await this.#answer(verb, argument, '250 2.0.0 Ok\r\n');
        return;
      case 'QUIT':
        if (isYes(await this.#answer(verb, argument, '221 2.0.0 Bye\r\n'))) this.end('close');
        return;
      default:
        await this.#answer(verb, argument, verb === 'NOOP' ? '250 2.0.0 Ok\r\n' : '500 5.5.2 What?\r\n');
    }
  }

  #checkAttributes(verb: string, argument: string): void {
    if (this.#mail !== undefined) this.#complain(`${verb} within a mail`);
    if (argument.length + verb.length > 509) this.#complain(`${verb} is too long`);
    const announced = this.#offers.find((line) => line.split(' ')[0] === verb)?.split(' ') ?? [];
    for (const word of argument.split(' '))
      if (!announced.includes(word.split('=')[0] ?? '')) this.#complain(`${verb} ${word} was not announced`);
  }

  /** Not waited for: its lines come through `#stepCommand`. */
  #onAuth(argument: string): void {
    const [mechanism = '', initial] = argument.split(' ');
    const { user } = this.#sink.options;
    const offered = this.#offers.find((line) => line.startsWith('AUTH '))?.split(' ') ?? [];
    if (!offered.includes(mechanism)) this.#complain(`AUTH ${mechanism} not offered`);
    const ask = async (challenge: string): Promise<Buffer> => {
      await this.#answer('CHALLENGE', '', `334 ${Buffer.from(challenge).toString('base64')}\r\n`);
      const line = await new Promise<string>((resolve) => {
        this.#onLine = resolve;
      });
      return Buffer.from(line, 'base64');
    };
    const first = initial === undefined ? undefined : Buffer.from(initial, 'base64');
    const run = async (): Promise<void> => {
      const isRight = user !== undefined && (await authenticate(user, mechanism, first, ask));
      const usual = isRight ? '235 2.7.0 Welcome\r\n' : '535 5.7.8 Authentication failed\r\n';
      if (isYes(await this.#answer('AUTH', argument, usual))) this.#user = user?.user;
    };
    void run();
  }

  async #hello(verb: string, argument: string): Promise<void> {
    if ((verb === 'LHLO') !== (this.#sink.options.lmtp === true)) this.#complain(`${verb} is the wrong greeting`);
    this.#helo = argument;
    this.#forget();
    this.#offers = [...(this.#sink.options.offers ?? SINK_OFFERS)];
    if (this.#sink.options.tls === true && !this.isSecure) this.#offers = [...this.#offers, 'STARTTLS'];
    const lines = ['sink.test', ...this.#offers];
    const said = lines.map((line, i) => `250${i === lines.length - 1 ? ' ' : '-'}${line}\r\n`).join('');
    const answer = await this.#answer(verb, argument, said);
    if (!isYes(answer)) this.#offers = [];
    // A scripted answer is what counts for the client, and so for our complaints.
    else if (answer !== said) this.#offers = [...answer.matchAll(/^250[ -](.*)\r$/gm)].slice(1).map((m) => m[1] ?? '');
  }

  async #startTls(): Promise<void> {
    if (!this.#has('STARTTLS')) this.#complain('STARTTLS not offered');
    const answer = await this.#answer('STARTTLS', '', '220 2.0.0 Go ahead\r\n');
    if (answer !== '220 2.0.0 Go ahead\r\n') return;
    this.#secure();
  }

  #secure(): void {
    const plain = this.#socket;
    plain.removeAllListeners('data');
    // A ClientHello may have come together with the PROXY header.
    plain.pause();
    if (this.#buffer.length > 0) plain.unshift(this.#buffer);
    this.#buffer = Buffer.alloc(0);
    this.#forget();
    this.#offers = [];
    this.isSecure = true;
    const secureContext = this.#sink.secureContext();
    const secure = new TLSSocket(plain, { isServer: true, secureContext });
    secure.once('secure', () => {
      this.isResumed = secure.isSessionReused();
    });
    this.#socket = secure;
    this.#listen(this.#socket);
  }

  async #onMail(argument: string): Promise<void> {
    if (this.#mail !== undefined) this.#complain('MAIL within a mail');
    for (const word of argument.replace(/^FROM:<[^>]*>/i, '').split(' ')) {
      const name = (word.split('=', 1)[0] ?? '').toUpperCase();
      const needs =
        name === 'BODY' ? '8BITMIME' : name.startsWith('OPES') ? 'OPES' : /^(RET|ENVID)$/.test(name) ? 'DSN' : name;
      if (name !== '' && !this.#has(needs)) this.#complain(`${name} not offered`);
    }
    if (isYes(await this.#answer('MAIL', argument, '250 2.1.0 Ok\r\n'))) {
      this.#mail = argument.replace(/^FROM:/i, '');
      this.#rcpts = [];
    }
  }

  async #onRcpt(argument: string): Promise<void> {
    this.#isPipelined = this.#buffer.length > 0;
    const usual = this.#mail === undefined ? '503 5.5.1 MAIL first\r\n' : '250 2.1.5 Ok\r\n';
    if (isYes(await this.#answer('RCPT', argument, usual))) this.#rcpts.push(argument.replace(/^TO:/i, ''));
  }

  async #onData354(argument: string): Promise<void> {
    if (this.#rcpts.length === 0 && !this.#isPipelined) this.#complain('DATA without a recipient');
    const usual = this.#rcpts.length === 0 ? '554 5.5.1 No valid recipients\r\n' : '354 Go ahead\r\n';
    const answer = await this.#answer('DATA', argument, usual);
    if (!answer.startsWith('354')) return;
    this.#reading = 'data';
    this.#content = [];
    this.#contentOctets = 0;
    this.#tail = Buffer.from('\r\n');
  }

  async #onBdat(argument: string): Promise<void> {
    const found = /^(\d+)( LAST)?$/i.exec(argument);
    if (found === null || !this.#has('CHUNKING')) {
      this.#complain(`BDAT ${argument}`);
      await this.#answer('BDAT', argument, '501 5.5.4 No\r\n');
      return;
    }
    this.#chunkLeft = Number(found[1]);
    this.#isLastChunk = found[2] !== undefined;
    this.#reading = 'chunk';
  }

  async #stepData(): Promise<boolean> {
    const piece = this.#buffer;
    if (piece.length === 0) return false;
    this.#content.push(piece);
    this.#contentOctets += piece.length;
    const whole = Buffer.concat([this.#tail, piece]);
    const at = whole.indexOf('\r\n.\r\n');
    this.#buffer = at < 0 ? Buffer.alloc(0) : whole.subarray(at + 5);
    if (at < 0) {
      this.#tail = whole.subarray(-4);
      this.#tell();
      return false;
    }
    const stuffed = Buffer.concat(this.#content);
    const wire = stuffed.toString('latin1', 0, stuffed.length - this.#buffer.length - 3);
    const content = `\r\n${wire}`.replaceAll('\r\n.', '\r\n').slice(2);
    this.#reading = 'commands';
    await this.#end(Buffer.from(content, 'latin1'), 'DATA');
    return true;
  }

  async #stepChunk(): Promise<boolean> {
    const piece = this.#buffer.subarray(0, this.#chunkLeft);
    this.#buffer = this.#buffer.subarray(piece.length);
    this.#chunkLeft -= piece.length;
    this.#contentOctets += piece.length;
    this.#content.push(piece);
    if (this.#chunkLeft > 0) {
      if (piece.length > 0) this.#tell();
      return false;
    }
    this.#reading = 'commands';
    if (this.#isLastChunk) await this.#end(Buffer.concat(this.#content), 'BDAT');
    else if (!isYes(await this.#answer('BDAT', '', '250 2.0.0 Octets received\r\n'))) this.#forget();
    return true;
  }

  #tell(): void {
    const answer = this.#sink.options.duringContent?.(this.#contentOctets, this.#index);
    if (answer !== undefined) this.#perform(answer);
  }

  async #end(content: Buffer, by: 'DATA' | 'BDAT'): Promise<void> {
    const { isSecure } = this;
    const whose = {
      xclient: [...this.#xclient.values()].join(' '),
      xforward: this.#xforward,
      proxied: this.#proxied,
      helo: this.#helo,
    };
    const rcpts = this.#rcpts;
    const mail = this.#mail ?? '?';
    const envelope = { mail, rcpts, content, by, isSecure, connection: this.#index, user: this.#user, ...whose };
    this.#forget();
    if (rcpts.length === 0) {
      if (content.length > 0) this.#complain('content without a recipient');
      await this.#answer('CONTENT', '', '554 5.5.1 No valid recipients\r\n');
      return;
    }
    const usual = `250 2.0.0 Ok: queued as ${this.#sink.mails.length}\r\n`;
    if (this.#sink.options.lmtp === true) {
      for (const rcpt of rcpts) {
        const answer = await this.#answer('CONTENT', rcpt, usual);
        if (isYes(answer)) this.#sink.mails.push({ ...envelope, rcpts: [rcpt], answer });
        if (this.#isStalled) break;
      }
    } else {
      const answer = await this.#answer('CONTENT', '', usual);
      this.#sink.mails.push({ ...envelope, answer });
    }
    this.#sink.changed();
  }

  #forget(): void {
    this.#mail = undefined;
    this.#rcpts = [];
    this.#content = [];
    this.#contentOctets = 0;
    this.#xforward = '';
  }

  async #answer(verb: string, argument: string, usual: string): Promise<string> {
    const nth = this.#counts.get(verb) ?? 0;
    this.#counts.set(verb, nth + 1);
    const scripted = this.#sink.options.answer?.({ verb, argument, connection: this.#index, nth });
    return this.#perform((scripted instanceof Promise ? await scripted : scripted) ?? usual);
  }

  #perform(answer: SinkAnswer): string {
    const say = typeof answer === 'string' ? answer : (answer.say ?? '');
    if (say !== '') this.#write(say);
    if (typeof answer !== 'string') {
      this.#isStalled = true;
      if (answer.next === 'stall') this.#socket.pause();
      else this.end(answer.next);
    }
    return say;
  }

  #write(wire: string): void {
    const dieAt = this.#sink.options.dieAfterWritten?.(this.#index) ?? Number.POSITIVE_INFINITY;
    const octets = Buffer.from(wire, 'latin1').subarray(0, Math.max(0, dieAt - this.writtenOctets));
    this.writtenOctets += octets.length;
    if (octets.length > 0 && this.#socket.writable) this.#socket.write(octets);
    if (this.writtenOctets >= dieAt) {
      this.#isStalled = true;
      this.end('close');
    }
  }

  #has(keyword: string): boolean {
    return this.#offers.some((line) => line.split(' ', 1)[0] === keyword);
  }

  #complain(what: string): void {
    this.#sink.complaints.push(what.slice(0, 200));
  }
}

function isYes(answer: string): boolean {
  return answer.startsWith('2');
}

/** For tests only, signed by itself, for `sink.test`, good for a hundred years. */
export const SINK_KEY = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgdbUUuykv0BBvpeq8
C8K0RrRlUZZH3m9v3vpTq21tFWGhRANCAARugEpOZmN9XigMCKvmecxden+HjtBL
u5XujugP25CBbKBYaGJVCziU8im8TVFOMbRR5i7E58vfpRmfUJZN1k/I
-----END PRIVATE KEY-----
`;
export const SINK_CERT = `-----BEGIN CERTIFICATE-----
MIIBpTCCAUygAwIBAgIUNQp++T8cYhZVeiTyeu5Uvo4ynR8wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJc2luay50ZXN0MCAXDTI2MTEyMjAyMDcxNVoYDzIxMjYxMDI5
MDIwNzE1WjAUMRIwEAYDVQQDDAlzaW5rLnRlc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAARugEpOZmN9XigMCKvmecxden+HjtBLu5XujugP25CBbKBYaGJVCziU
8im8TVFOMbRR5i7E58vfpRmfUJZN1k/Io3oweDAdBgNVHQ4EFgQU08DzEy6d/xFQ
pDgtdpJEz41EaaUwHwYDVR0jBBgwFoAU08DzEy6d/xFQpDgtdpJEz41EaaUwDwYD
VR0TAQH/BAUwAwEB/zAlBgNVHREEHjAcgglzaW5rLnRlc3SCCWxvY2FsaG9zdIcE
fwAAATAKBggqhkjOPQQDAgNHADBEAiAiFvxR8eelfH/Nfq7aAE15liQor02wLYTm
4FtKvrDk2wIgAP4zvSkNoKUQyMVG0YRaeOhacNSRNdTfLOI64cFo4Z0=
-----END CERTIFICATE-----
`;
