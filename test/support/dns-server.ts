/**
 * A DNS server on loopback, by UDP and TCP on one port, that answers from a small zone as a recursive resolver would, and
 * that lies, stalls and babbles where its script says so.
 *
 *     const server = await DnsTestServer.listen({ zone: { 'example.com': ['MX 10 mx.example.com'] } });
 */
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from 'node:dgram';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import * as packet from 'dns-packet';

/** One record as text, such as `A 192.0.2.1`, `MX 10 mx.example.com`, `TLSA 3 1 1 0a0b`; with a TTL in front: `60 A 192.0.2.1`. */
export type Zone = Readonly<Record<string, readonly string[]>>;

export interface Heard {
  readonly name: string;
  readonly type: string;
  readonly via: 'udp' | 'tcp';
  readonly id: number;
  readonly hasEdns: boolean;
  readonly flags: number;
  readonly remotePort: number;
  /** The right answer, to be bent. */
  readonly right: packet.Packet;
}

/** What to do in place of the right answer. */
export type Lie =
  | { readonly kind: 'silent' }
  /** These messages, one after the other. */
  | { readonly kind: 'say'; readonly messages: readonly (packet.Packet | Buffer)[] }
  /** From another port of this machine; then, from the right one, `truth`. */
  | { readonly kind: 'spoof'; readonly message: packet.Packet; readonly truth: packet.Packet }
  /** TCP: these octets as they are, without a length before them, and the end. */
  | { readonly kind: 'raw'; readonly octets: Buffer }
  /** The right answer, when told. */
  | { readonly kind: 'hold'; readonly until: Promise<unknown> };

export interface DnsScript {
  readonly zone?: Zone;
  /** Whether the answer to a question is said to be validated (AD). */
  readonly isAuthentic?: (name: string, type: string) => boolean;
  readonly lie?: (heard: Heard) => Lie | undefined;
  /** Of the SOA record in negative answers; undefined: there is none. */
  readonly negativeTtl?: number | undefined;
}

export const RCODE = { FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 } as const;

export class DnsTestServer {
  /** Every question, in order. */
  readonly heard: Heard[] = [];
  readonly #udp: UdpSocket;
  readonly #tcp: Server;
  readonly #spoofer: UdpSocket;
  readonly #connections = new Set<Socket>();
  #script: DnsScript;

  private constructor(udp: UdpSocket, tcp: Server, spoofer: UdpSocket, script: DnsScript) {
    this.#udp = udp;
    this.#tcp = tcp;
    this.#spoofer = spoofer;
    this.#script = script;
    udp.on('message', (octets, from) => this.#onDatagram(octets, from));
    // A client that was closed in the meantime is told so by ICMP.
    udp.on('error', () => {});
    tcp.on('connection', (socket) => this.#onConnection(socket));
  }

  static async listen(script: DnsScript): Promise<DnsTestServer> {
    for (let left = 20; ; left--) {
      const udp = createSocket('udp4');
      await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve));
      const tcp = createServer();
      const isFree = await new Promise<boolean>((resolve) => {
        tcp.once('error', () => resolve(false));
        tcp.listen(udp.address().port, '127.0.0.1', () => resolve(true));
      });
      if (isFree) {
        const spoofer = createSocket('udp4');
        await new Promise<void>((resolve) => spoofer.bind(0, '127.0.0.1', resolve));
        return new DnsTestServer(udp, tcp, spoofer, script);
      }
      udp.close();
      if (left === 0) throw new Error('no port is free for both UDP and TCP');
    }
  }

  get server(): { host: string; port: number } {
    return { host: '127.0.0.1', port: (this.#tcp.address() as AddressInfo).port };
  }

  /** From now on. */
  play(script: DnsScript): void {
    this.#script = script;
  }

  /** The questions as `TYPE name`, with `/tcp` behind those by TCP. */
  get questions(): string[] {
    return this.heard.map(({ type, name, via }) => `${type} ${name}${via === 'tcp' ? '/tcp' : ''}`);
  }

  async close(): Promise<void> {
    for (const socket of this.#connections) socket.destroy();
    await Promise.all([
      new Promise<void>((resolve) => this.#udp.close(resolve)),
      new Promise<void>((resolve) => this.#spoofer.close(resolve)),
      new Promise((resolve) => this.#tcp.close(resolve)),
    ]);
  }

  #onDatagram(octets: Buffer, from: RemoteInfo): void {
    const heard = this.#hear(octets, 'udp', from.port);
    const say = (message: packet.Packet | Buffer): void =>
      this.#udp.send(Buffer.isBuffer(message) ? message : packet.encode(message), from.port, from.address);
    const lie = this.#script.lie?.(heard);
    switch (lie?.kind) {
      case undefined:
        say(heard.right);
        return;
      case 'silent':
        return;
      case 'say':
        lie.messages.forEach(say);
        return;
      case 'spoof':
        this.#spoofer.send(packet.encode(lie.message), from.port, from.address, () => say(lie.truth));
        return;
      case 'hold':
        void lie.until.then(() => say(heard.right));
        return;
      case 'raw':
        throw new Error('raw octets go by TCP');
    }
  }

  #onConnection(socket: Socket): void {
    this.#connections.add(socket);
    socket.on('close', () => this.#connections.delete(socket));
    socket.on('error', () => {});
    socket.once('data', (octets: Buffer) => {
      const heard = this.#hear(octets.subarray(2), 'tcp', socket.remotePort ?? 0);
      const say = (message: packet.Packet | Buffer): void => {
        const body = Buffer.isBuffer(message) ? message : packet.encode(message);
        const size = Buffer.alloc(2);
        size.writeUInt16BE(body.length);
        // In three writes: an answer comes in whatever pieces it likes.
        socket.write(size.subarray(0, 1));
        socket.write(Buffer.concat([size.subarray(1), body.subarray(0, 5)]));
        socket.write(body.subarray(5));
      };
      const lie = this.#script.lie?.(heard);
      if (lie === undefined) say(heard.right);
      else if (lie.kind === 'raw') socket.end(lie.octets);
      else if (lie.kind === 'say') lie.messages.forEach(say);
      else if (lie.kind === 'hold') void lie.until.then(() => say(heard.right));
    });
  }

  #hear(octets: Buffer, via: 'udp' | 'tcp', remotePort: number): Heard {
    const query = packet.decode(octets);
    const [question] = query.questions ?? [];
    if (question === undefined) throw new Error('a query without a question');
    const heard: Heard = {
      name: question.name,
      type: question.type,
      via,
      id: query.id ?? 0,
      hasEdns: (query.additionals ?? []).some((record) => record.type === 'OPT'),
      flags: query.flags ?? 0,
      remotePort,
      right: this.#answer(query, question),
    };
    this.heard.push(heard);
    return heard;
  }

  #answer(query: packet.Packet, question: packet.Question): packet.Packet {
    const { zone = {}, isAuthentic, negativeTtl } = this.#script;
    const answers: packet.Answer[] = [];
    let name = question.name.toLowerCase();
    let rcode: number = 0;
    for (let links = 0; links < 20; links++) {
      const records = zone[name]?.map((text) => makeRecord(name, text));
      if (records === undefined) rcode = RCODE.NXDOMAIN;
      const found = records?.filter((record) => record.type === question.type) ?? [];
      answers.push(...found);
      const alias = records?.find((record) => record.type === 'CNAME');
      if (found.length > 0 || alias === undefined) break;
      answers.push(alias);
      name = String((alias as packet.StringAnswer).data);
    }
    const isEmpty = !answers.some((record) => record.type === question.type);
    const ad = isAuthentic?.(question.name, question.type) === true ? packet.AUTHENTIC_DATA : 0;
    return {
      type: 'response',
      id: query.id ?? 0,
      flags: packet.RECURSION_DESIRED | packet.RECURSION_AVAILABLE | ad | rcode,
      questions: [question],
      answers,
      authorities: isEmpty && negativeTtl !== undefined ? [makeSoa(negativeTtl)] : [],
    };
  }
}

function makeSoa(minimum: number): packet.Answer {
  const data = { mname: 'ns.example', rname: 'host.example', serial: 1, refresh: 1, retry: 1, expire: 1, minimum };
  return { type: 'SOA', name: 'example', ttl: 86_400, class: 'IN', data };
}

/** See `Zone`. */
export function makeRecord(name: string, text: string): packet.Answer {
  const words = text.split(' ');
  const ttl = /^\d+$/.test(words[0] ?? '') ? Number(words.shift()) : 300;
  const [type = '', ...rest] = words;
  const owned = { name, ttl, class: 'IN' as const };
  switch (type) {
    case 'A':
    case 'AAAA':
    case 'CNAME':
      return { ...owned, type, data: rest[0] ?? '' };
    case 'MX':
      return { ...owned, type, data: { preference: Number(rest[0]), exchange: rest[1] ?? '' } };
    case 'TXT':
      return { ...owned, type, data: [rest.join(' ')] };
    case 'TLSA': {
      const [usage, selector, matchingType] = rest.map(Number);
      const certificate = Buffer.from(rest[3] ?? '', 'hex');
      return {
        ...owned,
        type,
        data: { usage: usage ?? 0, selector: selector ?? 0, matchingType: matchingType ?? 0, certificate },
      };
    }
    default:
      throw new Error(`no such record in a test: ${text}`);
  }
}

/** The right answer with another code and nothing in it. */
export function withRcode(heard: Heard, rcode: number): packet.Packet {
  return { ...heard.right, flags: ((heard.right.flags ?? 0) & ~0xf) | rcode, answers: [] };
}
