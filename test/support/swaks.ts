/** swaks, the Swiss army knife of SMTP: a client of another make, and its own account of the dialog. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './child.ts';
import { needPrograms } from './programs.ts';
import { scratchFolder } from './scratch.ts';

export interface SwaksMail {
  readonly port: number;
  readonly from: string;
  readonly to: readonly string[];
  /** The whole message, as it should arrive. */
  readonly content: Buffer;
  /** Further options of swaks, such as `--auth PLAIN`. */
  readonly options?: readonly string[];
}

export interface SwaksResult {
  /** 0 sent; 24 no recipient was accepted, 26 the data was refused (of swaks's own list). */
  readonly code: number | null;
  readonly transcript: readonly string[];
  /** Replies in order, the lines of one joined by LF: `250 2.1.5 ok`. */
  readonly replies: readonly string[];
}

export async function swaks(mail: SwaksMail): Promise<SwaksResult> {
  const programs = await needPrograms('swaks');
  const file = join(scratchFolder('swaks'), 'mail.eml');
  writeFileSync(file, stuffed(mail.content));
  const args = ['--server', '127.0.0.1', '--port', String(mail.port), '--helo', 'swaks.test', '--timeout', '30'];
  args.push(
    '--from',
    mail.from,
    '--to',
    mail.to.join(','),
    '--data',
    `@${file}`,
    '--no-data-fixup',
    ...(mail.options ?? []),
  );
  const done = await run(programs.swaks, args, { timeoutMs: 60_000 });
  const transcript = done.stdout.split('\n');
  return { code: done.code, transcript, replies: replies(transcript) };
}

/** With `--no-data-fixup` swaks sends the file as it is: doubling dots and the end of data are ours. */
function stuffed(content: Buffer): Buffer {
  const text = content.toString('latin1').replace(/^\./, '..').replaceAll('\r\n.', '\r\n..');
  return Buffer.from(`${text}${text.endsWith('\r\n') || text === '' ? '' : '\r\n'}.\r\n`, 'latin1');
}

/** swaks marks what the server said by `<-  `, and `<** ` where it dislikes it; by `<~  ` and `<~* ` inside of TLS. */
function replies(transcript: readonly string[]): string[] {
  const out: string[] = [];
  let open = '';
  for (const line of transcript) {
    if (!/^<(?:[-~] |[*~]\*) /.test(line)) continue;
    open += `${open === '' ? '' : '\n'}${line.slice(4)}`;
    if (line[7] !== '-') {
      out.push(open);
      open = '';
    }
  }
  return out;
}
