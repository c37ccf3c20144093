/**
 * The page for machines: `/metrics` (Prometheus text, or OpenMetrics where it is asked for), `/healthz` (this process lives)
 * and `/readyz` (mail can be served; else 503 and why, a line each). It has no password: it listens on loopback unless the
 * file says otherwise, and shows figures and ids, no addresses.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type HostPort, showHostPort } from '../../config/index.ts';
import type { Health } from './health.ts';
import type { Prometheus } from './prometheus.ts';

/** A scrape takes milliseconds; whoever is slower only holds a connection. */
const REQUEST_MS = 10_000;
const MAX_CONNECTIONS = 50;

export interface MetricsServer {
  readonly url: string;
  close(): Promise<void>;
}

export async function openMetrics(place: HostPort, metrics: Prometheus, health: Health): Promise<MetricsServer> {
  const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, (request, response) => {
    void answer(request, response, metrics, health);
  });
  server.maxConnections = MAX_CONNECTIONS;
  await listen(server, place);
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${showHostPort({ host: place.host, port })}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const TEXT = 'text/plain; charset=utf-8';

async function answer(
  { method, url = '/', headers }: IncomingMessage,
  response: ServerResponse,
  metrics: Prometheus,
  health: Health,
): Promise<void> {
  const say = (status: number, text: string, type = TEXT): void => {
    response.writeHead(status, {
      'Content-Type': type,
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
    });
    response.end(method === 'HEAD' ? undefined : text);
  };
  if (method !== 'GET' && method !== 'HEAD') {
    say(405, 'GET or HEAD\n');
    return;
  }
  switch (url.split('?', 1)[0] ?? '') {
    case '/metrics': {
      const { text, contentType } = await metrics.text(headers.accept ?? '');
      say(200, text, contentType);
      return;
    }
    case '/healthz':
      say(200, 'alive\n');
      return;
    case '/readyz': {
      const problems = health.problems();
      if (problems.length === 0) say(200, 'ready\n');
      else say(503, `not ready\n${problems.map((one) => `${one}\n`).join('')}`);
      return;
    }
    default:
      say(404, 'there are /metrics, /healthz and /readyz\n');
  }
}

function listen(server: Server, { host, port }: HostPort): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
