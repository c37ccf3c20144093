/** The commands' side of the admin socket. */
import { connect, type Socket } from 'node:net';
import { EXIT, Failure } from '../exit.ts';
import { OctetReader, ReadProblem, writeAll } from './octet-reader.ts';
import { findPlace } from './place.ts';
import {
  type AnswerLine,
  type Answers,
  type ErrorAnswer,
  type ErrorCode,
  MAX_ANSWER_OCTETS,
  type Request,
  VERSION,
} from './protocol.ts';

/** A gateway that is asked to retry a very long queue takes a while; one that is stopped or stuck is not waited for. */
const PATIENCE_MS = 120_000;

/** The gateway answered, and could not do what was asked. The connection goes on. */
export class AnswerFailure extends Failure {
  readonly code: ErrorCode;

  constructor({ code, message }: ErrorAnswer) {
    super(message, EXIT.failed);
    this.code = code;
  }
}

export class AdminClient {
  readonly #socket: Socket;
  readonly #reader: OctetReader;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#reader = new OctetReader(socket, PATIENCE_MS);
  }

  static async connect(dataDir: string): Promise<AdminClient> {
    const path = findPlace(dataDir);
    if (path === undefined) throw noGateway(dataDir);
    const socket = connect(path);
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once('connect', resolve).once('error', reject);
      });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EACCES' || code === 'EPERM')
        throw new Failure(`this user may not reach the gateway on ${dataDir}: run the command as the gateway's user`);
      throw noGateway(dataDir);
    }
    // What goes wrong later is found where it is read or written.
    socket.on('error', () => undefined);
    return new AdminClient(socket);
  }

  async ask<D extends keyof Answers>(request: Request & { readonly do: D }): Promise<Answers[D]> {
    try {
      await writeAll(this.#socket, `${JSON.stringify({ v: VERSION, ...request })}\n`, PATIENCE_MS);
      return await this.#answer<D>();
    } catch (error) {
      throw lost(error);
    }
  }

  /** The message of a mail, whole, or it rejects at its end. */
  async *message(id: string): AsyncGenerator<Buffer> {
    const { octets } = await this.ask({ do: 'message', id });
    try {
      yield* this.#reader.octets(octets);
      await this.#answer<'message'>();
    } catch (error) {
      throw lost(error);
    }
  }

  close(): void {
    this.#socket.destroy();
  }

  async #answer<D extends keyof Answers>(): Promise<Answers[D]> {
    const line = await this.#reader.line(MAX_ANSWER_OCTETS);
    if (line === undefined) throw new ReadProblem('cut');
    const answer = JSON.parse(line) as AnswerLine<Answers[D]>;
    if ('error' in answer) throw new AnswerFailure(answer.error);
    return answer.ok;
  }
}

function noGateway(dataDir: string): Failure {
  return new Failure(`no gateway is running on ${dataDir} (start it, or name its configuration with --config)`);
}

function lost(error: unknown): Failure {
  if (error instanceof Failure) return error;
  if (error instanceof ReadProblem && error.code === 'too-slow')
    return new Failure('the gateway does not answer; its log may say why');
  return new Failure('the gateway ended, or could not read the message, before the answer was whole; its log says why');
}
