/** `opes send`: one mail to a server, the dialog on stdout. Ends well only where the server said 250 to the mail. */

import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { readListenAddress } from '../../config/index.ts';
import { EXIT, Failure } from '../exit.ts';
import { Dialog } from './dialog.ts';

export interface SendOptions {
  readonly server: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly helo?: string;
  readonly lmtp?: boolean;
}

export async function send(file: string, options: SendOptions): Promise<number> {
  const place = readListenAddress(options.server);
  if ('wrong' in place) throw new Failure(`--server: ${place.wrong}`, EXIT.usage);
  const content = await readMail(file);
  const print = (line: string) => process.stdout.write(`${line}\n`);
  const dialog = new Dialog(place.value, print);
  const { from, to, helo = heloName(), lmtp } = options;
  const sent = await dialog.send({ from, to, content, helo, lmtp });
  return sent ? EXIT.ok : EXIT.failed;
}

/** The file (`-` is stdin) with lines ended by CRLF, as mail is sent whatever the editor wrote. */
export async function readMail(file: string): Promise<Buffer> {
  let octets: Buffer;
  try {
    octets = file === '-' ? await readStdin() : await readFile(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new Failure(
      code === 'ENOENT' ? `there is no file ${file}` : `${file} cannot be read (${code ?? String(error)})`,
      EXIT.usage,
    );
  }
  return Buffer.from(octets.toString('latin1').replace(/\r\n|\r|\n/g, '\r\n'), 'latin1');
}

async function readStdin(): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of process.stdin) chunks.push(Buffer.from(chunk as Uint8Array));
  return Buffer.concat(chunks);
}

/** RFC 5321, 4.1.1.1 wants a name or an address; many a laptop's name is neither. */
function heloName(): string {
  const name = hostname();
  return /^[A-Za-z0-9][A-Za-z0-9.-]{0,254}$/.test(name) ? name : '[127.0.0.1]';
}
