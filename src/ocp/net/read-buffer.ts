import { READ_OCTETS } from '../../base/net/index.ts';

/**
 * All plain channels of both ends read into one buffer (docs/decisions/0013-one-read-buffer.md): whatever is kept of a chunk is
 * copied, and nothing is set aside for each read. Reads are over before the next one begins.
 */
export const readBuffer = Buffer.allocUnsafeSlow(READ_OCTETS);
