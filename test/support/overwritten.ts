/** Gives octets to an agent in memory that is used again as soon as they were read, as a socket's is. */
export function recvOver(to: { recv(chunk: Buffer): void }, octets: Uint8Array): void {
  const chunk = Buffer.from(octets);
  to.recv(chunk);
  chunk.fill('#');
}
