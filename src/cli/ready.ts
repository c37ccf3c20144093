import type { ListeningAt } from '../gateway/index.ts';

/** The one line on stdout that says everything is up (design, section 4). Its form is part of the API. */
export interface Ready {
  readonly listeners: readonly ListeningAt[];
  readonly ocp: readonly ({ readonly address: string; readonly port: number } | { readonly path: string })[];
  readonly console?: string;
  readonly metrics?: string;
}

export function sayReady(ready: Ready): void {
  process.stdout.write(`${JSON.stringify({ event: 'ready', ...ready, pid: process.pid })}\n`);
}
