/** What the socket shells of both engines share. */
export * from './shared-reads.ts';
