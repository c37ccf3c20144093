/** The list of the last mails. */
import { html } from 'hono/html';
import type { MailRecord } from '../../gateway/options.ts';
import { shownClock, shownSize, shownTime, subjectOf } from '../text.ts';
import type { ConsoleOptions } from '../view.ts';
import { type Html, layout } from './layout.ts';
import { outcomeBadge, route, verdictChip } from './parts.ts';

/** A newcomer sends a mail and looks: the page should have it without being asked again. */
const REFRESH_SECONDS = 5;

export function mailsPage(options: ConsoleOptions): Html {
  const mails = options.recent.list();
  const body =
    mails.length === 0
      ? nothingYet()
      : html`<h1>Last mails</h1>
<ol class="mails">${mails.map((mail) => row(mail, options))}</ol>`;
  return layout(options, { title: 'Last mails', here: 'mails', refresh: REFRESH_SECONDS, body });
}

function row(mail: MailRecord, options: ConsoleOptions): Html {
  return html`<li><a class="mail" href="/mail/${encodeURIComponent(mail.id)}">
<span class="line">${outcomeBadge(mail)}<strong>${title(mail)}</strong><time>${shownClock(mail.atMs, options.now())}</time></span>
<span class="line second"><span>${route(mail)}</span><span class="figures">${shownSize(mail.sizeBefore)} · ${shownTime(mail.tookMs)}</span></span>
<span class="line chips">${mail.calls.map(verdictChip)}</span>
</a></li>`;
}

/** The subject, where content is shown at all. */
export function title(mail: MailRecord): string | Html {
  if (mail.before === undefined) return html`<span class="dim">${mail.id}</span>`;
  const subject = subjectOf(mail.before);
  return subject === '' ? html`<span class="dim">(no subject)</span>` : subject;
}

function nothingYet(): Html {
  return html`<section class="empty">
<h1>No mail yet</h1>
<p>Send one, and it shows up here: what came in, what each service did, and what went on.</p>
<pre>bin/opes send --from ann@example.org --to bob@example.com examples/mails/hello.eml</pre>
</section>`;
}
