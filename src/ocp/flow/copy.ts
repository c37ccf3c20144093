/** [from, to) of a chunk whose memory is read into again, in memory of its own and no larger: free to keep. */
export function copyOctets(chunk: Buffer, from: number, to: number): Buffer {
  const octets = Buffer.allocUnsafeSlow(to - from);
  chunk.copy(octets, 0, from, to);
  return octets;
}
