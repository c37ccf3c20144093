/** Where content goes that memory has no room for. Made in `gateway/fs`; a test brings its own. */
export interface SpillSpace {
  /** A new empty file of its own. Opening is part of the first `append`; so are its errors. */
  open(): SpillFile;
  /** Whether the quota or the disk is spent: new mail is answered 452 4.3.1 at MAIL. */
  readonly isFull: boolean;
}

export interface SpillFile {
  /** Returns the offset at which the octets will stand. `done` is called once the file has them. */
  append(octets: Buffer, done: (error: Error | undefined) => void): number;
  /** Octets that an `append` has finished with. */
  read(offset: number, size: number, done: (error: Error | undefined, octets: Buffer) => void): void;
  /** The file is gone from the disk at the latest now; reads and appends still under way are answered with an error. */
  close(): void;
}
