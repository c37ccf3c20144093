/** Services that are asked about commands outside of mails, scripted, and a client at a session before them. */
import type { ListenerOptions } from '../../src/gateway/options.ts';
import { answerBlock, type Part } from '../../src/profile/index.ts';
import type { ServerOptions } from '../../src/smtp/index.ts';
import type { Script } from './memory-callout.ts';
import { finish, keepAll, type RigOptions, rigWith } from './scripted-services.ts';
import { SessionClient } from './session-client.ts';

export const COMMANDS = ['EHLO', 'VRFY', 'EXPN'] as const;
export const ADAPTIVE = ['EHLO', 'HELO', 'VRFY', 'EXPN', 'RAWDATA'] as const;

/** What it says of a command, by its text: a refusal (`550 ...`), another argument, that it stays (undefined), or `nothing` at all. */
export type Says = (part: Part, text: string) => string | undefined;

export function says(answer: Says, adaptive: readonly Part[] = ADAPTIVE): Script {
  const kept = keepAll(adaptive);
  return {
    ...kept,
    informative: (['IP', 'EHLO', 'HELO', 'MAIL', 'RCPT'] as const).filter((part) => !adaptive.includes(part)),
    onPart(tx, part, all) {
      const said =
        part.part === undefined || part.replayed || !adaptive.includes(part.part) || part.part === 'RAWDATA'
          ? undefined
          : answer(part.part, part.octets.toString('latin1'));
      if (said === undefined && !part.replayed) kept.onPart?.(tx, part, all);
      else if (all.length === 1) tx.startMessage();
      if (said === undefined || said === 'nothing') return;
      if (/^[2-5]\d\d[ -]/.test(said)) tx.sendData(answerBlock(part.part, { smtpError: said }), [], 0);
      else tx.sendData(answerBlock(part.part, {}), [Buffer.from(said, 'latin1')], said.length);
    },
    onOriginalEnd(tx, all) {
      if (all.some(({ part }) => part === 'RAWDATA')) kept.onOriginalEnd?.(tx, all);
      else finish(tx);
    },
  };
}

export function askedSession(
  scripts: readonly Script[],
  options: RigOptions = {},
  listener: Partial<ListenerOptions> = {},
  server: Partial<ServerOptions> = {},
) {
  const made = rigWith(scripts, { commands: COMMANDS, ...options });
  const client = new SessionClient(made.rig, listener, server);
  const lines = (event: string) => made.rig.logged.filter((one) => one.event === event).map(({ fields }) => fields);
  const parts = () =>
    made.callouts.seen.map((all) =>
      all.map(
        ({ part, octets, replayed }) =>
          `${part} ${part === 'RAWDATA' ? '' : octets.toString('latin1')}${replayed ? ' (replayed)' : ''}`,
      ),
    );
  return {
    ...made,
    client,
    lines,
    parts,
    delivered: () => made.rig.delivered.at(-1)?.content.toString('latin1') ?? '',
  };
}

export const turns = async (n = 20): Promise<void> => {
  for (let i = 0; i < n; i++) await new Promise(setImmediate);
};
