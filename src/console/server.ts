/**
 * The console's web server: a few pages for reading, on loopback (D16). Mail is shown to whoever asks, so only this
 * machine may ask, and only under its own name: a page elsewhere that makes a browser look up its name as 127.0.0.1 (DNS
 * rebinding) is told apart by the Host header. Content is escaped text under a policy that runs no script at all.
 */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createAdaptorServer } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { html } from 'hono/html';
import { showHostPort } from '../config/index.ts';
import { type Html, layout } from './pages/layout.ts';
import { mailPage } from './pages/mail.ts';
import { mailsPage } from './pages/mails.ts';
import { servicePage, servicesPage } from './pages/services.ts';
import { ICON, STYLE } from './style.ts';
import type { ConsoleOptions } from './view.ts';

export interface ConsoleServer {
  readonly url: string;
  close(): Promise<void>;
}

/** No script, no frame, no form, nothing from elsewhere. */
const POLICY =
  "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HEADERS: Record<string, string> = {
  'Content-Security-Policy': POLICY,
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'X-Frame-Options': 'DENY',
  'Cache-Control': 'no-store',
};

/** Long enough for a browser on this machine, short for anybody who only holds connections. */
const REQUEST_MS = 10_000;
const MAX_CONNECTIONS = 100;

export async function openConsole(options: ConsoleOptions): Promise<ConsoleServer> {
  const port = { current: options.port };
  const app = makeApp(options, () => port.current);
  const serverOptions = { requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS };
  const server = createAdaptorServer({ fetch: app.fetch, serverOptions }) as Server;
  server.maxConnections = MAX_CONNECTIONS;
  await listen(server, options);
  port.current = (server.address() as AddressInfo).port;
  return {
    url: `http://${showHostPort({ host: options.host, port: port.current })}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** The pages as a function from request to response; `port` is known once the server listens. */
export function makeApp(options: ConsoleOptions, port: () => number): Hono {
  const app = new Hono();
  app.use(async (c, next) => {
    if (!isOurName(c.req.header('host'), options.host, port()))
      return c.text('This is not the name of this server.\n', 421, HEADERS);
    if (c.req.method !== 'GET' && c.req.method !== 'HEAD') return c.text('This page only shows.\n', 405, HEADERS);
    await next();
    for (const [name, value] of Object.entries(HEADERS)) c.res.headers.set(name, value);
    return undefined;
  });
  app.get('/', async (c) => {
    // The System's URI in a trace ends with the id of the mail.
    const id = c.req.query('id');
    return id === undefined ? await show(c, mailsPage(options)) : c.redirect(`/mail/${encodeURIComponent(id)}`);
  });
  app.get('/mail/:id', (c) => {
    const mail = options.recent.find(c.req.param('id'));
    return mail === undefined
      ? show(c, notFound(options, 'This mail is not kept here: only the last ones are.'), 404)
      : show(c, mailPage(options, mail));
  });
  app.get('/services', (c) => show(c, servicesPage(options)));
  app.get('/services/:name', (c) => {
    const service = options.services.find((one) => one.name === c.req.param('name'));
    return service === undefined
      ? show(c, notFound(options, 'There is no such service.'), 404)
      : show(c, servicePage(options, service));
  });
  app.get('/style.css', (c) => c.body(STYLE, 200, { 'Content-Type': 'text/css; charset=utf-8' }));
  app.get('/icon.svg', (c) => c.body(ICON, 200, { 'Content-Type': 'image/svg+xml' }));
  app.notFound((c) => show(c, notFound(options, 'There is no such page.'), 404));
  return app;
}

function isOurName(host: string | undefined, listening: string, port: number): boolean {
  const names = ['127.0.0.1', 'localhost', '[::1]', listening.includes(':') ? `[${listening}]` : listening];
  return host !== undefined && names.some((name) => host.toLowerCase() === `${name}:${port}`);
}

async function show(c: Context, page: Html, status: 200 | 404 = 200): Promise<Response> {
  return c.html(await page, status);
}

function notFound(options: ConsoleOptions, text: string): Html {
  return layout(options, {
    title: 'Not found',
    here: 'mails',
    body: html`<section class="empty"><h1>Not here</h1><p>${text}</p><p><a href="/">To the last mails</a></p></section>`,
  });
}

function listen(server: Server, place: { readonly host: string; readonly port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: place.host, port: place.port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
