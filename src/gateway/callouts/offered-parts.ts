/** What a service is offered of a mail, by what its configuration lets it do. */
import type { Part } from '../../profile/index.ts';
import type { CommandName, Permission } from '../options.ts';

export interface OfferedParts {
  readonly adaptive: readonly Part[];
  readonly informative: readonly Part[];
}

/**
 * What a service is offered follows from what it may do: a part is adaptive only if an answer to it would be taken
 * (draft-ietf-opes-smtp-00 section 3.2.3), else it can be had for reading. The client's greeting is answered, and look-ups
 * are told at all, only where the service is asked about them.
 */
export function offeredParts(may: ReadonlySet<Permission>, commands: ReadonlySet<CommandName>): OfferedParts {
  const adaptive: Part[] = [];
  const informative: Part[] = ['IP'];
  const refuses = may.has('refuse') || may.has('tempfail');
  const offer = (part: Part, takesAnswers: boolean): void => {
    (takesAnswers ? adaptive : informative).push(part);
  };
  const answersCommands = refuses || may.has('rewrite-command');
  offer('EHLO', commands.has('EHLO') && answersCommands);
  offer('HELO', commands.has('EHLO') && answersCommands);
  if (commands.has('VRFY')) offer('VRFY', answersCommands);
  if (commands.has('EXPN')) offer('EXPN', answersCommands);
  offer('MAIL', refuses || may.has('rewrite-sender'));
  offer('RCPT', refuses || may.has('rewrite-recipient'));
  const advises = may.has('quarantine') || may.has('delay');
  const edits = may.has('add-header') || may.has('edit-header') || may.has('edit-content');
  offer('RAWDATA', refuses || advises || edits);
  return { adaptive, informative };
}
