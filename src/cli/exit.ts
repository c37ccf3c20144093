/** Exit codes, part of the API (design D22). */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  /** EX_CONFIG of sysexits.h. */
  config: 78,
} as const;

/** What a command ends with that a person can mend: printed as it stands, without a stack. */
export class Failure extends Error {
  override readonly name = 'Failure';
  readonly exitCode: number;

  constructor(message: string, exitCode: number = EXIT.failed) {
    super(message);
    this.exitCode = exitCode;
  }
}

const SOCKET_PROBLEMS: ReadonlyMap<string | undefined, (place: string) => string> = new Map([
  ['EADDRINUSE', (place) => `${place} is already in use: another program, or another opes, listens there`],
  ['EACCES', (place) => `this user may not listen on ${place} (ports below 1024 need root or CAP_NET_BIND_SERVICE)`],
  ['ENOENT', (place) => `there is no ${place}`],
  ['EADDRNOTAVAIL', (place) => `${place} is no address of this machine`],
  ['ECONNREFUSED', (place) => `nobody listens on ${place}`],
  ['ETIMEDOUT', (place) => `${place} cannot be reached`],
  ['EHOSTUNREACH', (place) => `${place} cannot be reached`],
  ['ENETUNREACH', (place) => `${place} cannot be reached`],
  ['ENOTFOUND', (place) => `there is no host of the name in ${place}`],
  ['EAI_AGAIN', (place) => `there is no host of the name in ${place}`],
]);

/** Says why a socket could not be opened or reached, in words; `undefined` for what is no such error. */
export function socketProblem(error: unknown, place: string): string | undefined {
  return SOCKET_PROBLEMS.get((error as NodeJS.ErrnoException).code)?.(place);
}
