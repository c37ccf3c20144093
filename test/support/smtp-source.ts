/** Postfix's load generator: many sessions, each recipient address numbered so that every mail can be told apart. */
import { run } from './child.ts';
import { needPrograms } from './programs.ts';

export interface SmtpSourceOptions {
  readonly port: number;
  readonly mails: number;
  readonly sessions: number;
  readonly octets: number;
  /** Several mails over one connection (`-d`); else a connection for each. */
  readonly keep?: boolean;
  /** Number the recipients (`-N`): a number in front of `b@dst.test`, each used once. */
  readonly numbered?: boolean;
  readonly timeoutMs?: number;
}

/** Fails when the program does: it stops at the first reply that is no success. */
export async function smtpSource(options: SmtpSourceOptions): Promise<void> {
  const programs = await needPrograms('smtp-source');
  const args = [
    ...(options.keep === true ? ['-d'] : []),
    ...(options.numbered === true ? ['-N'] : []),
    ...[
      '-f',
      'a@src.test',
      '-t',
      'b@dst.test',
      '-M',
      'load.test',
      '-C',
      '10',
      '-l',
      options.octets,
      '-s',
      options.sessions,
      '-m',
      options.mails,
    ].map(String),
    `127.0.0.1:${options.port}`,
  ];
  const done = await run(programs['smtp-source'], args, { timeoutMs: options.timeoutMs ?? 110_000 });
  if (done.code !== 0)
    throw new Error(`smtp-source ${args.join(' ')}: exit ${String(done.code ?? done.signal)}\n${done.stderr}`);
}
