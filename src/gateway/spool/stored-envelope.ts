/**
 * The envelope of stored mail, as commands again: for services what those before them made of it, for rules what the client
 * named. And the way back: what the services of a run made of it.
 */
import {
  type Address,
  type MailCommand,
  type Parameters,
  parseMailArgument,
  parseRcptArgument,
  type RcptCommand,
  writePath,
} from '../../smtp/index.ts';
import type { StoredMail } from '../../store/index.ts';
import { type CommandRequest, partMail, partRcpt } from '../bypass/index.ts';
import { relayedParameters } from '../dialog/envelope.ts';
import type { Variant } from '../dialog/variant.ts';
import {
  mailAsSent,
  mailNotes,
  notesOf,
  parametersOf,
  type QueuedDelivery,
  type Rewritten,
  recipientArgument,
  withoutBrackets,
} from './rows.ts';

/** A command, and what it asks OPES processors for, where it does. */
interface Stored<Command> {
  readonly command: Command;
  readonly request: CommandRequest | undefined;
}

/** As the services of earlier runs left it: deliveries of one run have it in common, so that `first` tells of all. */
export function storedSender(mail: StoredMail, first: QueuedDelivery | undefined): Stored<MailCommand> {
  const { reversePath, params } = first === undefined ? mail : mailAsSent(mail, first);
  const stored = {
    argument: `<${reversePath}>`,
    reversePath: parsedSender(reversePath),
    params: parametersOf(params),
  };
  const parted = partMail(stored);
  const command = parted === undefined ? stored : { ...stored, params: parted.command.params };
  return { command, request: parted?.request };
}

/** `delivery` as sent. Services see what those before them made of the recipient; rules are judged by what the client named. */
export function storedRecipient(delivery: QueuedDelivery): Stored<RcptCommand> {
  const argument = recipientArgument(delivery);
  const { params, path } = parsedRecipient(argument);
  const parted = partRcpt({ argument, forwardPath: path, params });
  const shown = parted?.command ?? { argument, params };
  return { command: { ...shown, forwardPath: namedRecipient(delivery) }, request: parted?.request };
}

/** As the client named it. */
export function namedSender(mail: StoredMail): Address | null {
  return parsedSender(mailNotes(mail).sender ?? mail.reversePath);
}

/** As the client named it. */
export function namedRecipient(delivery: QueuedDelivery): Address {
  const { named } = notesOf(delivery);
  return parsedRecipient(named === undefined ? recipientArgument(delivery) : `<${named}>`).path;
}

function parsedSender(path: string): Address | null {
  const parsed = parseMailArgument(`<${path}>`);
  if (parsed.kind !== 'got') throw new Error('a stored reverse-path that is none');
  return parsed.value.path;
}

function parsedRecipient(argument: string): { readonly path: Address; readonly params: Parameters } {
  const parsed = parseRcptArgument(argument);
  if (parsed.kind !== 'got') throw new Error('a stored recipient that is none');
  return parsed.value;
}

/** What the services of a run made of the envelope, by the deliveries' numbers: those are the tickets of its recipients. */
export function rewrittenBy({ sender, accepted }: Variant): ReadonlyMap<number, Rewritten> {
  const from =
    sender.rewritten === undefined
      ? undefined
      : { path: withoutBrackets(sender.path), params: Object.fromEntries(sender.hopParameters) };
  const all = new Map<number, Rewritten>();
  for (const recipient of accepted) {
    const { ticket, relayed } = recipient;
    if (from === undefined && relayed === undefined) continue;
    const to = relayed && {
      path: withoutBrackets(writePath(relayed.path)),
      params: Object.fromEntries(relayedParameters(recipient) ?? []),
      destination: relayed.path.domain,
    };
    all.set(ticket, { ...(from && { from }), ...(to && { to }) });
  }
  return all;
}
