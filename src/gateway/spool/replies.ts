/** What deliveries of the spool are told by us, where no hop said anything. */
import { reply } from '../../smtp/index.ts';

export const spoolReplies = {
  noRoute: reply(451, '4.4.4', 'No route leads to this recipient at present'),
  unreadable: reply(451, '4.3.0', 'The stored message cannot be read at present'),
  fault: reply(451, '4.3.0', 'An internal fault; the message is tried again later'),
  down: reply(451, '4.4.1', 'The next hop did not answer; it is tried again later'),
  serviceFailed: reply(451, '4.7.1', 'The message could not be checked; it is tried again later'),
  delayed: reply(451, '4.7.1', 'The message was put off by a service; it is shown to it again later'),
} as const;
