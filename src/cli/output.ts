/** What a command was asked for, on stdout. A reader that goes away (`| head`) has seen enough: that is no failure. */
import { EXIT } from './exit.ts';

let isListening = false;

/** Resolves when it is written, so that a long output waits for its reader. */
export async function out(octets: string | Uint8Array): Promise<void> {
  if (!isListening) {
    isListening = true;
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      process.exit(error.code === 'EPIPE' ? EXIT.ok : EXIT.failed);
    });
  }
  await new Promise<void>((resolve) => {
    process.stdout.write(octets, () => resolve());
  });
}
