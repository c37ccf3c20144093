/**
 * Reads of accepted sockets into one buffer for all of them. Node otherwise allocates 64 KiB for each read, makes a buffer
 * object of it and leads it through a stream: a third of what a read costs, and memory that whoever kept a part held on to.
 *
 * `net.connect` has the option `onread` for this, `net.Server` has not. What the option does to a new socket is done here to
 * an accepted one: two properties, and a word to its handle (docs/decisions/0013-one-read-buffer.md). Where Node does not
 * show them under the names it has today, the accepted socket is read as a stream.
 */
import type { Socket } from 'node:net';

/** As much as Node reads at once. */
export const READ_OCTETS = 65_536;

/** The octets are there until the function returns: whoever keeps some copies them. */
export type OnOctets = (octets: Buffer) => void;

/** The system's socket, as far as it is used here. */
interface Handle {
  useUserBuffer(buffer: Buffer): void;
}

/** Node's names for what `onread` sets. */
interface Names {
  readonly buffer: symbol;
  readonly callback: symbol;
}

/** `undefined`: not looked for yet. */
let known: Names | 'missing' | undefined;

/**
 * Starts to read `accepted`, which must be paused (`pauseOnConnect`), into `buffer`, which all sockets may share: a read is
 * over when `onOctets` returns, before the next of any socket begins.
 */
export function readShared(accepted: Socket, buffer: Buffer, onOctets: OnOctets): void {
  const { _handle: handle } = accepted as { _handle?: Handle | null };
  // What is no socket of the system's tells nothing of those that are.
  if (handle?.useUserBuffer !== undefined) known ??= findNames(accepted);
  if (handle?.useUserBuffer === undefined || known === undefined || known === 'missing') {
    accepted.on('data', onOctets);
    accepted.resume();
    return;
  }
  const callback = (octets: number): boolean => {
    onOctets(buffer.subarray(0, octets));
    return true;
  };
  const fields = accepted as unknown as Record<symbol, unknown>;
  fields[known.buffer] = buffer;
  fields[known.callback] = callback;
  handle.useUserBuffer(buffer);
  accepted.read(0);
}

function findNames(socket: Socket): Names | 'missing' {
  const symbols = Object.getOwnPropertySymbols(socket);
  const named = (name: string): symbol | undefined => symbols.find(({ description }) => description === name);
  const [buffer, callback] = [named('kBuffer'), named('kBufferCb')];
  return buffer === undefined || callback === undefined ? 'missing' : { buffer, callback };
}
