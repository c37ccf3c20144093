/** Pieces that several pages show. */
import { html } from 'hono/html';
import { type CallRecord, type CallVerdict, fateOf, type MailOutcome, type MailRecord } from '../../gateway/options.ts';
import { shownReply, shownTime, visible } from '../text.ts';
import type { Html } from './layout.ts';

/** In words, and how it looks: good, quiet, warning or bad. */
const OUTCOMES: Readonly<Record<MailOutcome, readonly [string, string]>> = {
  relayed: ['relayed', 'good'],
  stored: ['stored', 'good'],
  refused: ['refused', 'bad'],
  tempfailed: ['try later', 'warn'],
  aborted: ['aborted', 'quiet'],
};

/** Of a stored mail, as far as its deliveries have ended. */
const FATES: Readonly<Record<ReturnType<typeof fateOf>, readonly [string, string]>> = {
  stored: OUTCOMES.stored,
  delivered: ['delivered', 'good'],
  failed: ['not delivered', 'bad'],
  held: ['kept aside', 'warn'],
  removed: ['removed', 'quiet'],
};

const VERDICTS: Readonly<Record<CallVerdict, readonly [string, string]>> = {
  unchanged: ['unchanged', 'good'],
  changed: ['changed', 'edit'],
  refused: ['refused', 'bad'],
  quarantined: ['kept aside', 'warn'],
  delayed: ['put off', 'warn'],
  skipped: ['skipped', 'warn'],
  failed: ['failed', 'bad'],
  bypassed: ['bypassed', 'warn'],
  'not-called': ['not called', 'quiet'],
};

export function outcomeBadge(mail: MailRecord): Html {
  const [word, look] = mail.outcome === 'stored' ? FATES[fateOf(mail)] : OUTCOMES[mail.outcome];
  return html`<span class="badge ${look}">${word}</span>`;
}

export function verdictBadge(verdict: CallVerdict): Html {
  const [word, look] = VERDICTS[verdict];
  return html`<span class="badge ${look}">${word}</span>`;
}

/** One service in a list of mails: name, and verdict as a colour and a word. */
export function verdictChip(call: CallRecord): Html {
  const [word, look] = VERDICTS[call.verdict];
  const time =
    call.verdict === 'not-called' || call.verdict === 'bypassed' ? '' : html` <i>${shownTime(call.tookMs)}</i>`;
  return html`<span class="chip ${look}"><b>${call.service}</b> ${word}${time}</span>`;
}

export function address(text: string): string {
  return text === '' ? '<>' : visible(Buffer.from(text, 'latin1').toString('utf8'));
}

export function route(mail: MailRecord): Html {
  const [first, ...others] = mail.recipients;
  const more = others.length === 0 ? '' : html` <small>and ${others.length} more</small>`;
  return html`<span class="addr">${address(mail.sender)}</span> <span class="arrow">→</span> <span class="addr">${first === undefined ? 'nobody' : address(first.address)}</span>${more}`;
}

export function replyLines(reply: MailRecord['reply']): Html {
  if (reply === undefined) return html`<span class="dim">none: the client had gone</span>`;
  return html`<code class="reply r${Math.trunc(reply.code / 100)}">${shownReply(reply).join('\n')}</code>`;
}
