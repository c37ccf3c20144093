/** `opes trace`: what a running gateway knows of a mail, found by whatever of its trace a person has. */
import { findMailId } from '../../gateway/index.ts';
import { EXIT, Failure } from '../exit.ts';
import { loadConfig } from '../load.ts';
import { out } from '../output.ts';
import { type AdminOptions, withGateway } from '../queue/queue.ts';
import { showTrace } from './show-trace.ts';

/** `words`: an id, a URI or a whole field; a shell that was not told otherwise has divided it. */
export async function trace(words: readonly string[], options: AdminOptions): Promise<number> {
  const { system } = loadConfig(options.config, () => undefined);
  const id = idIn(words.join(' '), system.uri);
  return await withGateway(options, async (client) => {
    const report = await client.ask({ do: 'trace', id });
    const isKnown = report.record !== undefined || report.entries.length > 0;
    if (!isKnown)
      throw new Failure(`nothing is known of ${id}: ${whereLooked(report.remembered)}; look for it in the log`);
    await out(options.json === true ? `${JSON.stringify(report)}\n` : showTrace(report, Date.now()));
    return EXIT.ok;
  });
}

function whereLooked(remembered: number): string {
  if (remembered > 0) return `it is neither in the queue nor among the last ${remembered} mails`;
  return 'it is not in the queue, and no mail that has left is remembered (console.keep)';
}

function idIn(text: string, systemUri: string): string {
  const finding = findMailId(text, systemUri);
  switch (finding.kind) {
    case 'id':
      return finding.id;
    case 'foreign':
      throw new Failure(`that is no trace of this gateway (${systemUri}); ask there: ${finding.uris.join(' ')}`);
    case 'none':
      throw new Failure('no id in it: give a mail id, or an OPES-System or OPES-Via line in quotes', EXIT.usage);
  }
}
