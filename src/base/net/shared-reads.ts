/**
 * Reads of accepted sockets into one buffer for all of them. Node otherwise allocates 64 KiB for each read, makes a buffer
 * object of it and leads it through a stream: a third of what a read costs, and memory that whoever kept a part held on to.
 *
 * `net.connect` has the option `onread` for this, `net.Server` has not. So the system's socket is taken out of the one that
 * the server made and put into one made with `onread`, by the same two names by which Node's own cluster and TLS modules
 * pass it on (docs/decisions/0013-one-read-buffer.md). Where they are missing, the accepted socket is used as it is.
 */
import { Socket, type SocketConstructorOpts } from 'node:net';

/** As much as Node reads at once. */
export const READ_OCTETS = 65_536;

/** The octets are there until the function returns: whoever keeps some copies them. */
export type OnOctets = (octets: Buffer) => void;

interface Holder {
  _handle?: object | null;
}

/**
 * The socket to use in place of `accepted`, which must be paused (`pauseOnConnect`). It reads at once, into `buffer`, which
 * all sockets may share: a read is over when `onOctets` returns, before the next of any socket begins.
 */
export function readShared(accepted: Socket, buffer: Buffer, onOctets: OnOctets): Socket {
  const holder = accepted as Holder;
  const handle = holder._handle;
  if (handle === undefined || handle === null || !('useUserBuffer' in handle)) {
    accepted.on('data', onOctets);
    accepted.resume();
    return accepted;
  }
  const callback = (octets: number): boolean => {
    onOctets(buffer.subarray(0, octets));
    return true;
  };
  const options: unknown = { handle, allowHalfOpen: accepted.allowHalfOpen, onread: { buffer, callback } };
  const socket = new Socket(options as SocketConstructorOpts);
  // The server counts its sockets: this one is gone, and what is left of it has nothing to close.
  holder._handle = null;
  accepted.destroy();
  return socket;
}
