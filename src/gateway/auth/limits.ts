/** Caps and delays of logging in, a reason each. */

/** Passwords looked at at one time: each takes a thread of Node's pool of four, and files need some, too. */
export const PARALLEL_CHECKS = 2;
/** Those that wait for a turn: at 50 ms each, some seconds. More get 454. */
export const MAX_WAITING_CHECKS = 100;
/** From question to answer, delays apart. A client gives up soon after that. */
export const CHECK_DEADLINE_MS = 30_000;

/** Failures that cost no time beyond the check: a person mistypes, a program tries what it has. */
export const FREE_FAILURES = 2;
/** The answer to the next one is held back so long, and twice as long to each further one, up to the longest. */
export const FIRST_DELAY_MS = 1000;
export const LONGEST_DELAY_MS = 8000;
/** After so many, an address is told to go (421). An office behind one address mistypes less often than that within the time. */
export const MAX_ADDRESS_FAILURES = 20;
/** After so many, a login is not looked at (454), unless from where it last succeeded: nobody shall lock out its owner. */
export const MAX_USER_FAILURES = 50;
/** Without a further failure, all is forgotten after this. */
export const FORGET_MS = 15 * 60_000;
/** Addresses, and logins, that are remembered; the longest unseen goes first. */
export const MAX_REMEMBERED = 10_000;
