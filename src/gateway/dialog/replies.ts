/** The gateway's own replies: what a mail is told that neither the session nor a hop nor a service has a say in. */
import { reply } from '../../smtp/index.ts';

export const gatewayReplies = {
  noRoute: reply(550, '5.7.1', 'Relaying denied: no route for this recipient'),
  /** D14: this client may not send wherever it wants. */
  relayDenied: reply(550, '5.7.1', 'Relaying denied: log in first, or send to a domain of ours'),
  senderDenied: reply(553, '5.7.1', 'Sender address is not one of this login'),
  /** The client sends it again, alone or with others of its kind (design, section 2, step 7). */
  otherGroup: reply(452, '4.5.3', 'Recipient needs a transaction of its own; send again'),
  storageFull: reply(452, '4.3.1', 'Insufficient system storage'),
  headerTooLarge: reply(552, '5.3.4', 'Header section too large'),
  loop: reply(554, '5.4.6', 'Too many hops: mail loop detected'),
  badRewrite: reply(451, '4.3.0', 'Requested action aborted: error in processing'),
  /** Nobody else is told of it, so the sender is (design D18). */
  keptAside: reply(554, '5.7.1', 'Message could not be passed on; a copy is kept, ask the postmaster'),
  /** A command outside of mails, where a service that was to be asked about it failed. */
  commandUnchecked: reply(451, '4.7.1', 'Command could not be checked now; try again later'),
  /** Nobody was asked: too many of its kind are under way (decision 0059). */
  commandsCrowded: reply(451, '4.4.5', 'Too many commands are being checked; try again later'),
  commandRejected: reply(550, '5.7.1', 'Command could not be checked; not accepted'),
  /** A fault of ours: nothing of the mail was passed on. */
  fault: reply(451, '4.3.0', 'Internal fault; try again later'),
  tooSlow: reply(451, '4.4.7', 'Processing took too long; try again later'),
} as const;
