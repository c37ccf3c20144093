/** The frame of every page. `html` escapes whatever is put into it; nothing else makes markup here. */
import { html } from 'hono/html';
import type { ConsoleOptions } from '../view.ts';

export type Html = ReturnType<typeof html>;

export interface Page {
  readonly title: string;
  readonly here: 'mails' | 'services';
  /** Seconds until the page is loaded anew; undefined: never. */
  readonly refresh?: number;
  readonly body: Html;
}

export function layout(options: ConsoleOptions, page: Page): Html {
  const current = (name: Page['here']) => (page.here === name ? html` aria-current="page"` : '');
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
${page.refresh === undefined ? '' : html`<meta http-equiv="refresh" content="${page.refresh}">`}
<title>${page.title} - OPES/SMTP</title>
<link rel="stylesheet" href="/style.css">
<link rel="icon" href="/icon.svg" type="image/svg+xml">
</head>
<body>
<header class="top">
<a class="brand" href="/"><img src="/icon.svg" alt="" width="26" height="26"><span>OPES<b>/SMTP</b></span></a>
<span class="host">${options.hostname}</span>
<nav><a href="/"${current('mails')}>Mails</a><a href="/services"${current('services')}>Services</a></nav>
</header>
<main>
${page.body}
</main>
</body>
</html>`;
}
