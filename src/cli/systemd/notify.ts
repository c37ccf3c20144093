/**
 * Tells the service manager how we are (sd_notify(3)), where it asks (NOTIFY_SOCKET). The socket takes datagrams, which Node
 * does not speak on Unix sockets; `systemd-notify` does, and is there wherever systemd is (docs/decisions/0034). Each word
 * waits for the one before it; none is waited for by mail.
 */
import { execFile } from 'node:child_process';
import type { Log } from '../../base/index.ts';

const PROGRAM = 'systemd-notify';
const PATH = '/usr/bin:/bin:/usr/sbin:/sbin';
const PATIENCE_MS = 5000;

export class Notifier {
  readonly #socket: string | undefined;
  readonly #log: Log;
  #said: Promise<void> = Promise.resolve();

  constructor(socket: string | undefined, log: Log) {
    this.#socket = socket;
    this.#log = log;
  }

  ready(status: string): Promise<void> {
    return this.#say(['READY=1', `STATUS=${status}`]);
  }

  /** With the moment it began, which systemd 253 and newer match with their request. `ready` ends it. */
  reloading(): Promise<void> {
    return this.#say(['RELOADING=1', `MONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`]);
  }

  stopping(why: string): Promise<void> {
    return this.#say(['STOPPING=1', `STATUS=${why}`]);
  }

  #say(words: readonly string[]): Promise<void> {
    const socket = this.#socket;
    if (socket === undefined) return this.#said;
    this.#said = this.#said.then(() => this.#send(socket, words));
    return this.#said;
  }

  #send(socket: string, words: readonly string[]): Promise<void> {
    return new Promise((resolve) => {
      const options = { env: { NOTIFY_SOCKET: socket, PATH }, timeout: PATIENCE_MS };
      execFile(PROGRAM, [...words], options, (error) => {
        if (error !== null) this.#log.warn('notify-failed', { words: words[0], error: error.message });
        resolve();
      });
    });
  }
}
