/** What a configuration comes to, with every default in place, for `opes check`. */
import { type EffectiveConfig, showHostPort } from '../../config/index.ts';
import { type FailureReason, type ListenAddress, showListenAddress, showNextHop } from '../../gateway/options.ts';
import { shownMs, shownOctets, table } from './table.ts';

export function showConfig(config: EffectiveConfig): string {
  const { system, hostname, dataDir, deadlineMs } = config;
  const page = config.console;
  const general = [
    ['system', `${system.uri} (${hostname})`],
    ['data', dataDir],
    ['queue', queue(config.queue)],
    ['deadline', `${shownMs(deadlineMs)} from the final dot to the answer`],
    [
      'console',
      page === undefined ? 'none' : `http://${showHostPort(page)}/${page.showMail ? '' : ', without content'}`,
    ],
    ['metrics', config.metrics === undefined ? 'none' : `http://${showHostPort(config.metrics)}/metrics`],
    ...(config.user === undefined
      ? []
      : [
          [
            'user',
            `${config.user}${config.group === undefined ? '' : `, group ${config.group}`}, where it starts as root`,
          ],
        ]),
  ];
  return [
    `${config.source} is good\n`,
    table(general),
    section('listeners', listeners(config)),
    section('routes (the first match wins)', routes(config)),
    section('services', services(config)),
    section('pipeline (in this order)', pipeline(config)),
  ].join('');
}

/** When the client gets its 250. */
function queue({ mode }: EffectiveConfig['queue']): string {
  return mode === 'spool'
    ? 'spool: 250 when a mail is stored, and then it is delivered'
    : 'inline: 250 when the next hop gave one; what one cannot serve is stored';
}

function section(name: string, rows: string[][]): string {
  return `\n${name}\n${rows.length === 0 ? '  none\n' : table(rows)}`;
}

function listeners(config: EffectiveConfig): string[][] {
  return config.listeners.map((one) => [
    one.name,
    place(one.address),
    `${one.side} side${one.protocol === 'lmtp' ? ', LMTP' : ''}`,
    `up to ${shownOctets(one.maxSizeOctets)}`,
    one.tls === undefined ? 'no TLS' : one.tls.implicit ? 'TLS first' : one.requireTls ? 'STARTTLS first' : 'STARTTLS',
    entry(one),
  ]);
}

/** A Unix socket with who may open it. */
function place(address: ListenAddress): string {
  const mode = address.kind === 'unix' ? ` (mode ${address.mode.toString(8).padStart(4, '0')})` : '';
  return `${showListenAddress(address)}${mode}`;
}

/** Who may come in, as whom, and how far. */
function entry({
  auth,
  relayFrom,
  proxyFrom,
  xclientFrom,
  xforwardFrom,
  bypassFrom,
}: EffectiveConfig['listeners'][number]): string {
  const said: string[] = [];
  const users = auth?.users.length;
  if (users !== undefined) said.push(`${users} ${users === 1 ? 'user' : 'users'} may log in`);
  if (relayFrom.length > 0) said.push(`anywhere for ${relayFrom.join(', ')}`);
  if (proxyFrom !== undefined) said.push(`PROXY from ${proxyFrom.join(', ')}`);
  if (xclientFrom.length > 0) said.push(`XCLIENT from ${xclientFrom.join(', ')}`);
  if (xforwardFrom.length > 0) said.push(`XFORWARD from ${xforwardFrom.join(', ')}`);
  if (bypassFrom.length > 0) said.push(`bypass by the word of ${bypassFrom.join(', ')}`);
  return said.join('; ');
}

function routes(config: EffectiveConfig): string[][] {
  return config.routes.map((route) => {
    const { to, nextHop, identity, auth } = route;
    if (nextHop === 'mailbox') return [to, '->', 'mailbox', 'files in the data directory'];
    const name = showNextHop(nextHop);
    const more = [
      identity === 'none' ? '' : `, client by ${identity}`,
      auth === undefined ? '' : `, login ${auth.user}`,
    ];
    return [to, '->', nextHop.kind === 'smtp' ? `smtp://${name}` : name, tlsText(route) + more.join('')];
  });
}

function tlsText({ tls, tlsName, tlsCa }: EffectiveConfig['routes'][number]): string {
  switch (tls) {
    case 'none':
      return 'no TLS';
    case 'may':
      return 'TLS where offered';
    case 'require':
      return 'TLS required, any certificate';
    case 'verify':
      return `TLS verified${tlsName === undefined ? '' : ` as ${tlsName}`}${tlsCa === undefined ? '' : ' by tlsCa'}`;
    case 'dane':
    case 'mta-sts':
      return `TLS by ${tls}`;
  }
}

function services(config: EffectiveConfig): string[][] {
  return config.services.map(({ name, from, may, commands, neverBecause, uri }) => [
    name,
    provider(from),
    `may ${may.size === 0 ? 'only read' : [...may].join(', ')}${commands.size === 0 ? '' : `; asked about ${[...commands].join(', ')}`}`,
    neverBecause === undefined ? 'bypassable' : 'never bypassed',
    uri,
    neverBecause === undefined ? '' : `never: ${neverBecause}`,
  ]);
}

function provider(from: EffectiveConfig['services'][number]['from']): string {
  if (from.kind === 'builtin') return `builtin:${from.name}`;
  if (from.kind === 'run') return from.file;
  return from.endpoints
    .map((one) =>
      one.kind === 'unix' ? `ocp+unix:${one.path}` : `ocp${one.kind === 'tls' ? '+tls' : ''}://${showHostPort(one)}`,
    )
    .join(' ');
}

function pipeline(config: EffectiveConfig): string[][] {
  return config.pipeline.map(({ service, when, requires, onFailure, timeoutMs }, at) => [
    `${at + 1}.`,
    service,
    when === undefined ? 'always' : `when ${when}`,
    `on failure ${failures(onFailure)}`,
    `timeout ${shownMs(timeoutMs)}`,
    requires.size === 0 ? '' : `must see ${[...requires].join(' ')}`,
  ]);
}

/** `tempfail`, or `timeout skip, else tempfail`. */
function failures(actions: Readonly<Record<FailureReason, string>>): string {
  const entries = Object.entries(actions);
  const counts = new Map<string, number>();
  for (const [, action] of entries) counts.set(action, (counts.get(action) ?? 0) + 1);
  const [usual = ''] = [...counts].toSorted((a, b) => b[1] - a[1])[0] ?? [];
  const others = entries.filter(([, action]) => action !== usual).map(([reason, action]) => `${reason} ${action}`);
  return others.length === 0 ? usual : `${others.join(', ')}, else ${usual}`;
}
