/** The services: who they are, what they may do, and how they did with the last mails. */
import { html } from 'hono/html';
import { showHostPort } from '../../config/index.ts';
import type { CallRecord } from '../../gateway/options.ts';
import { shownTime } from '../text.ts';
import type { ConsoleOptions } from '../view.ts';
import { type Html, layout } from './layout.ts';
import { verdictChip } from './parts.ts';

type Service = ConsoleOptions['services'][number];

export function servicesPage(options: ConsoleOptions): Html {
  const { contact, privacyPolicy, uri } = options.system;
  const body = html`<h1>Services</h1>
<p class="sub">Mail through <b>${options.hostname}</b> passes these services, in this order. They may do what is said here and nothing else.</p>
<div class="cards">${options.services.map((service) => card(options, service))}</div>
${options.services.length === 0 ? html`<p class="dim">None: mail passes unchanged.</p>` : ''}
<h2>This system</h2>
<dl class="facts"><dt>Identity</dt><dd>${uri}</dd><dt>Contact</dt><dd>${contact ?? 'none given'}</dd><dt>Privacy statement</dt><dd>${privacyPolicy ?? 'none given'}</dd></dl>`;
  return layout(options, { title: 'Services', here: 'services', body });
}

export function servicePage(options: ConsoleOptions, service: Service): Html {
  const calls = callsOf(options, service.name);
  const body = html`<p class="back"><a href="/services">← Services</a></p>
<h1>${service.name}</h1>
${card(options, service)}
<h2>With the last mails</h2>
<ul class="chips list">${calls.map((call) => html`<li>${verdictChip(call)} <span class="dim">${call.detail}</span></li>`)}</ul>
${calls.length === 0 ? html`<p class="dim">No mail yet.</p>` : ''}`;
  return layout(options, { title: service.name, here: 'services', body });
}

function card(options: ConsoleOptions, service: Service): Html {
  const times = callsOf(options, service.name)
    .filter((call) => call.endpoint !== undefined)
    .map((call) => call.tookMs)
    .toSorted((a, b) => a - b);
  const median = times[Math.floor(times.length / 2)];
  return html`<article class="card">
<h3><a href="/services/${encodeURIComponent(service.name)}">${service.name}</a></h3>
<dl class="facts">
<dt>Identity</dt><dd>${service.uri}</dd>
<dt>Runs</dt><dd>${place(service)}</dd>
<dt>May</dt><dd>${service.may.size === 0 ? 'only read' : [...service.may].join(', ')}</dd>
<dt>Can be left out</dt><dd>${service.neverBecause === undefined ? 'on request' : `never: ${service.neverBecause}`}</dd>
<dt>Agreed by</dt><dd>${service.consent}</dd>
<dt>Time</dt><dd>${median === undefined ? 'not called yet' : html`${shownTime(median)} at the median of ${times.length}`}</dd>
</dl></article>`;
}

function place({ from }: Service): string {
  if (from.kind !== 'connect') return 'here, as a process of its own';
  return from.endpoints
    .map((one) => (one.kind === 'unix' ? one.path : `${showHostPort(one)}${one.kind === 'tls' ? ' (TLS)' : ''}`))
    .join(', ');
}

function callsOf(options: ConsoleOptions, name: string): CallRecord[] {
  return options.recent.list().flatMap((mail) => mail.calls.filter((call) => call.service === name));
}
