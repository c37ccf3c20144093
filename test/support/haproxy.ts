/** A private HAProxy before one of our listeners, as operators put it: TCP in, a PROXY header and the same TCP out. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from './child.ts';
import { needPrograms } from './programs.ts';
import { eventually, freePort, isOpen, scratchFolder } from './scratch.ts';

export interface HaproxyOptions {
  /** Where our listener is: a port of loopback, or the path of a Unix socket. */
  readonly to: number | string;
  readonly header: 'send-proxy' | 'send-proxy-v2';
}

export class Haproxy {
  readonly port: number;
  readonly #child: Child;

  private constructor(port: number, child: Child) {
    this.port = port;
    this.#child = child;
  }

  static async start({ to, header }: HaproxyOptions): Promise<Haproxy> {
    const { haproxy } = await needPrograms('haproxy');
    for (let tries = 1; ; tries++) {
      const port = await freePort();
      const file = join(scratchFolder('haproxy'), 'haproxy.cfg');
      writeFileSync(file, configuration(port, to, header));
      const child = new Child(haproxy, ['-db', '-f', file]);
      try {
        await eventually(() => isOpen(port), 'haproxy listens', 5_000);
        return new Haproxy(port, child);
      } catch (error) {
        await child.stop();
        if (tries === 3) throw new Error(`haproxy does not start: ${String(error)}\n${child.stderr.join('\n')}`);
      }
    }
  }

  async stop(): Promise<void> {
    await this.#child.stop();
  }
}

/** Its health checks come with a header of their own (LOCAL in version 2). */
function configuration(port: number, to: number | string, header: string): string {
  const server = typeof to === 'string' ? `unix@${to}` : `127.0.0.1:${to}`;
  return `global
  maxconn 50
defaults
  mode tcp
  timeout connect 10s
  timeout client 60s
  timeout server 60s
listen smtp
  bind 127.0.0.1:${port}
  server opes ${server} ${header} check check-send-proxy inter 500ms
`;
}
