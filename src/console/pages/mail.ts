/** One mail: its way through the services, and before and after side by side. */
import { html } from 'hono/html';
import { type CallRecord, type DeliveryRecord, hopSilence, type MailRecord } from '../../gateway/options.ts';
import { shownClock, shownReply, shownSize, shownTime, visible } from '../text.ts';
import type { ConsoleOptions } from '../view.ts';
import { comparison } from './comparison.ts';
import { type Html, layout } from './layout.ts';
import { title } from './mails.ts';
import { address, outcomeBadge, replyLines, route, verdictBadge } from './parts.ts';

export function mailPage(options: ConsoleOptions, mail: MailRecord): Html {
  const body = html`<div class="head">
<p class="back"><a href="/">← Last mails</a></p>
<h1>${title(mail)}</h1>
<p class="sub">${outcomeBadge(mail)} ${route(mail)}</p>
<p class="sub dim">${shownClock(mail.atMs, options.now())} · ${shownTime(mail.tookMs)} · listener ${mail.listener} · <span class="id">${mail.id}</span></p>
</div>
${journey(mail)}
${deliveries(options, mail)}
${edits(mail)}
${contents(options, mail)}
${trace(mail)}
${envelope(mail)}`;
  return layout(options, { title: 'Mail', here: 'mails', body });
}

/** Client, services, next hop: who said what, and how long it took. */
function journey(mail: MailRecord): Html {
  const { client, nextHop } = mail;
  const longest = Math.max(1, nextHop?.tookMs ?? 0, ...mail.calls.map((call) => call.tookMs));
  return html`<section><h2>The way it took</h2>
<ol class="journey">
<li class="step end"><h3>Client</h3><p class="what">${client.address}</p><p class="dim">${visible(client.helo)}${client.tls ? ' · TLS' : ''}</p></li>
${mail.calls.map((call) => callStep(call, longest))}
<li class="step end"><h3>Next hop</h3>${
    nextHop === undefined
      ? html`<p class="dim">${mail.outcome === 'stored' ? 'stored first' : 'not asked'}</p>`
      : html`<p class="what">${nextHop.address}</p>${bar(nextHop.tookMs, longest)}<p class="dim">${nextHop.reply === undefined ? hopSilence({ ...mail, nextHop }) : shownReply(nextHop.reply).at(-1)}</p>`
  }</li>
<li class="step end"><h3>Answer to the client</h3>${replyLines(mail.reply)}<p class="dim">${shownTime(mail.tookMs)} from MAIL to here</p></li>
</ol></section>`;
}

function callStep(call: CallRecord, longest: number): Html {
  const wasCalled = call.endpoint !== undefined;
  return html`<li class="step ${call.verdict}"><h3><a href="/services/${encodeURIComponent(call.service)}">${call.service}</a></h3>
<p>${verdictBadge(call.verdict)}</p>
${wasCalled ? bar(call.tookMs, longest) : ''}
<p class="dim">${visible(call.detail)}</p>
${wasCalled ? html`<p class="dim">saw ${call.parts.join(' ')} · ${shownSize(call.octetsSent)} out, ${shownSize(call.octetsReceived)} back</p>` : ''}</li>`;
}

/** As a meter and not as a style attribute: the content security policy allows no inline styles. */
function bar(tookMs: number, longest: number): Html {
  return html`<p class="time"><meter min="0" max="${longest}" value="${tookMs}"></meter> ${shownTime(tookMs)}</p>`;
}

const STATES: Readonly<Record<DeliveryRecord['state'], string>> = {
  delivered: 'delivered',
  reported: 'failed, its sender is told',
  excepted: 'ended, nobody is told',
  removed: 'removed',
  held: 'kept aside',
  queued: 'to be tried again',
};

/** How the deliveries of a stored mail ended so far. */
function deliveries(options: ConsoleOptions, mail: MailRecord): Html {
  if (mail.deliveries.length === 0) return html``;
  return html`<section><h2>What became of it</h2>
<div class="scroll"><table class="plain"><thead><tr><th scope="col">Recipient</th><th scope="col">State</th><th scope="col">When</th><th scope="col">Next hop</th><th scope="col">Said</th></tr></thead>
<tbody>${mail.deliveries.map(
    (one) =>
      html`<tr><td>${address(one.to)}</td><td>${STATES[one.state]}</td><td>${shownClock(one.atMs, options.now())}</td><td>${one.nextHop ?? ''}</td><td>${visible(one.said)}</td></tr>`,
  )}</tbody></table></div></section>`;
}

function edits(mail: MailRecord): Html {
  if (mail.edits.length === 0) return html``;
  return html`<section><h2>What the services changed</h2><ul class="edits">${mail.edits.map(
    (edit) => html`<li><b>${edit.service}</b> <span class="part">${edit.part}</span> ${visible(edit.what)}</li>`,
  )}</ul></section>`;
}

function contents(options: ConsoleOptions, mail: MailRecord): Html {
  if (mail.before === undefined) {
    const why = options.showMail
      ? 'The mail ended before its content came.'
      : 'Content is not shown: write showMail: true below console: in the configuration, and reload.';
    return html`<section><h2>Before and after</h2><p class="dim">${why}</p></section>`;
  }
  return html`<section><h2>Before and after</h2>${comparison(mail, mail.before)}</section>`;
}

function trace(mail: MailRecord): Html {
  if (mail.trace.length === 0) return html``;
  return html`<section><h2>Trace</h2><dl class="trace">${mail.trace.map((field) => {
    const colon = field.indexOf(':');
    return html`<dt>${visible(field.slice(0, colon))}</dt><dd>${visible(field.slice(colon + 1).trim())}</dd>`;
  })}</dl></section>`;
}

function envelope(mail: MailRecord): Html {
  const { relayedSender } = mail;
  return html`<section><h2>Envelope</h2>
<div class="scroll"><table class="plain"><thead><tr><th scope="col">Command</th><th scope="col">As the client sent it</th><th scope="col">As it went on</th><th scope="col">Answer</th></tr></thead>
<tbody><tr><th scope="row">MAIL</th><td>${address(mail.sender)}</td><td>${changed(mail.sender, relayedSender)}</td><td></td></tr>
${mail.recipients.map(
  (one) =>
    html`<tr><th scope="row">RCPT</th><td>${address(one.address)}</td><td>${changed(one.address, one.relayedAs)}</td><td>${one.reply === undefined ? '' : replyLines(one.reply)}</td></tr>`,
)}</tbody></table></div></section>`;
}

function changed(was: string, is: string | undefined): Html {
  return is === undefined || is === was ? html`<span class="dim">the same</span>` : html`<mark>${address(is)}</mark>`;
}
