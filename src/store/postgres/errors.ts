/** What PostgreSQL and the way to it say, in the words of the store. */
import { DatabaseError } from 'pg';
import { StoreError, type StoreErrorCode } from '../ports.ts';

/** Two transactions waited for each other, and this one was chosen to be tried again. */
const TRY_AGAIN = new Set(['40P01', '40001']);

const OF_CODE: ReadonlyMap<string, readonly [StoreErrorCode, string]> = new Map([
  ['23505', ['duplicate', 'this id is there already']],
  ['53100', ['full', "the server's disk is full; make room, and mail is taken again"]],
  ['28P01', ['denied', 'check user and password in `store`']],
  ['28000', ['denied', 'check user, database and the pg_hba.conf of the server']],
  ['42501', ['denied', 'the user must be allowed to create tables there']],
  ['25006', ['denied', 'this server only reads; name the primary one in `store`']],
  ['3D000', ['denied', 'create the database first']],
  ['XX001', ['corrupt', 'the database is damaged; restore it']],
  ['XX002', ['corrupt', 'the database is damaged; rebuild its indexes or restore it']],
]);

/** Classes of errors that say the server is not there for us: connection, operator intervention, resources. */
const UNREACHABLE = /^(?:08|57P|53)/;

export function isToBeTriedAgain(error: unknown): boolean {
  return error instanceof DatabaseError && TRY_AGAIN.has(error.code ?? '');
}

/** `where`: the server and database, without password. */
export function toStoreError(error: unknown, where: string): StoreError {
  if (error instanceof StoreError) return error;
  const message = error instanceof Error ? error.message : String(error);
  // A mistake of ours, which no other try will mend.
  if (error instanceof TypeError || error instanceof RangeError)
    return new StoreError('failed', `${where}: ${message}`, { cause: error });
  if (!(error instanceof DatabaseError))
    return unreachable(message || (error as NodeJS.ErrnoException).code, where, error);
  const { code = '' } = error;
  const known = OF_CODE.get(code);
  if (known !== undefined)
    return new StoreError(known[0], `${where}: ${message} (${code}): ${known[1]}`, { cause: error });
  if (UNREACHABLE.test(code)) return unreachable(`${message} (${code})`, where, error);
  return new StoreError('failed', `${where}: ${message} (${code})`, { cause: error });
}

/** The connection failed, or the server is going: what was sent may have been done or not. */
export function isLost(error: unknown): boolean {
  return toStoreError(error, '').code === 'unreachable';
}

/** Nothing can be asked: the server is not there for us, or another gateway of our name is. Both may pass. */
export function isAway({ code }: StoreError): boolean {
  return code === 'unreachable' || code === 'owned';
}

function unreachable(why: string | undefined, where: string, cause: unknown): StoreError {
  const advice = 'see that the server runs and can be reached; it is tried again';
  return new StoreError('unreachable', `${where}: ${why ?? 'no answer'}: ${advice}`, { cause });
}
