/** Which senders a login may use (design, section 9: sender bound to login). */
import type { Address } from '../../smtp/index.ts';
import type { UserOptions } from '../options.ts';

/**
 * The null path is everybody's: reports and notices have it. A login that is in no users file (a proxy vouched for it by
 * XCLIENT) may use itself, where it is an address.
 */
export function maySend(name: string, user: UserOptions | undefined, sender: Address | null): boolean {
  if (sender === null) return true;
  const senders = user?.senders ?? [name];
  const address = `${sender.local}@${sender.domain}`.toLowerCase();
  const domain = `@${sender.domain}`.toLowerCase();
  return senders.some((one) => one.toLowerCase() === address || one.toLowerCase() === domain);
}
