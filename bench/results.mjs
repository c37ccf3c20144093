// Turns the lines of results.jsonl into RESULTS.md: every figure issue 2 names beside its limit, then the whole table.
//
//   node results.mjs results.jsonl RESULTS.md
//
// A ratio is taken within each round (both sides within a minute of each other), and the median of the rounds' ratios counts.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { median, short } from './processes.mjs';

const [from, to] = process.argv.slice(2);
const rows = fs
  .readFileSync(from, 'utf8')
  .split('\n')
  .filter(Boolean)
  .map((l) => JSON.parse(l));
const good = rows.filter((r) => r.error === undefined);
const K10 = 10240;
const MIB = 1048576;

const cells = (name, size, sessions, mode) =>
  good.filter(
    (r) => r.kind === 'load' && r.name === name && r.size === size && r.sessions === sessions && r.mode === mode,
  );

/** Ratios of CPU per mail, one for each round both sides were measured in. */
function ratios(a, b, size, sessions, mode) {
  const below = new Map(cells(b, size, sessions, mode).map((r) => [r.round, r.cpu_us]));
  return cells(a, size, sessions, mode)
    .filter((r) => below.has(r.round))
    .map((r) => r.cpu_us / below.get(r.round));
}

/** Of mails a second, by round. */
function rates(a, b, key) {
  const below = new Map(cells(b, K10, 50, 'keep').map((r) => [r.round, r[key]]));
  return cells(a, K10, 50, 'keep')
    .filter((r) => below.has(r.round))
    .map((r) => r[key] / below.get(r.round));
}

const latencies = (name, key) =>
  good.filter((r) => r.kind === 'latency' && r.name === name).map((r) => [r.round, r[key]]);
function added(key) {
  const below = new Map(latencies('g0', key));
  return latencies('g1', key)
    .filter(([round]) => below.has(round))
    .map(([round, ms]) => ms - below.get(round));
}
const figures = (kind, name, key) => good.filter((r) => r.kind === kind && r.name === name).map((r) => r[key]);

const toMb = (mib) => (mib * 2 ** 20) / 1e6;

/** [what, values, limit, 'max' or 'min', unit] */
const wanted = [
  ['g0 / h-min, 10 KiB, 50 sessions, connections kept', ratios('g0', 'h-min', K10, 50, 'keep'), 1.2, 'max', ''],
  ['g0 / h-min, 10 KiB, 50 sessions, new connections', ratios('g0', 'h-min', K10, 50, 'new'), 1.2, 'max', ''],
  ['g0 / h-min, 1 MiB', ratios('g0', 'h-min', MIB, 10, 'keep'), 1.6, 'max', ''],
  ['g1 / h-min, 10 KiB, 50 sessions, kept', ratios('g1', 'h-min', K10, 50, 'keep'), 1.5, 'max', ''],
  ['g1 / h-min, 10 KiB, 10 sessions, kept', ratios('g1', 'h-min', K10, 10, 'keep'), 1.8, 'max', ''],
  ['g1 / h-min, 1 MiB', ratios('g1', 'h-min', MIB, 10, 'keep'), 2.8, 'max', ''],
  ['haraka / g1, 10 KiB, 50 sessions, kept', ratios('haraka', 'g1', K10, 50, 'keep'), 7, 'min', ''],
  ['haraka / g1, 10 KiB, 50 sessions, new', ratios('haraka', 'g1', K10, 50, 'new'), 5, 'min', ''],
  ['gb / c1, 10 KiB, 10 sessions, kept', ratios('gb', 'c1', K10, 10, 'keep'), 1, 'max', ''],
  ['gb / c1, 10 KiB, 10 sessions, new', ratios('gb', 'c1', K10, 10, 'new'), 1, 'max', ''],
  ['hb / c1, 10 KiB, 10 sessions, kept (for comparison)', ratios('hb', 'c1', K10, 10, 'keep'), undefined, 'max', ''],
  ['hb / c1, 10 KiB, 10 sessions, new (for comparison)', ratios('hb', 'c1', K10, 10, 'new'), undefined, 'max', ''],
  ['gs / postfix, accepted for good, 10 KiB, 50 sessions', rates('gs', 'postfix', 'rate'), 3, 'min', ''],
  ['gs / postfix, accepted and drained', rates('gs', 'postfix', 'drained'), 3, 'min', ''],
  ['gs / postfix, CPU a mail, delivered', ratios('gs', 'postfix', K10, 50, 'keep'), 0.2, 'max', ''],
  ['added by OCP at 500 mails/s, median (g1 - g0)', added('p50_ms'), 0.5, 'max', ' ms'],
  ['added by OCP at 500 mails/s, p99 (g1 - g0)', added('p99_ms'), 2, 'max', ' ms'],
  ['callout server to gateway, per 1 MiB mail', figures('octets', 'g1', 'from_callout'), 2048, 'max', ' octets'],
  ['OCP connections used', figures('octets', 'g1', 'connections'), 1, 'max', ''],
  ['idle session, g0', figures('idle', 'g0', 'kib_each'), 14, 'max', ' KiB'],
  ['idle session, g1', figures('idle', 'g1', 'kib_each'), 14, 'max', ' KiB'],
  [
    '50 mails of 25 MB at once, gateway and callout server',
    figures('big', 'g1', 'peak_mib').map(toMb),
    400,
    'max',
    ' MB',
  ],
];

const show = (x) => (x === undefined ? '' : String(x >= 100 ? Math.round(x) : Number(x.toPrecision(3))));

function line([what, values, limit, side, unit]) {
  const m = median(values);
  if (m === undefined) return `| ${what} | not measured | | ${limit ?? ''} | |`;
  const range = values.length > 1 ? `${show(Math.min(...values))} to ${show(Math.max(...values))}` : '';
  const met = limit === undefined ? '' : (side === 'max' ? m <= limit : m >= limit) ? 'met' : '**not met**';
  const bound = limit === undefined ? '' : `${side === 'max' ? 'at most' : 'at least'} ${limit}${unit}`;
  return `| ${what} | ${show(m)}${unit} | ${range} | ${bound} | ${met} |`;
}

function loadTable() {
  const groups = new Map();
  for (const r of good.filter((x) => x.kind === 'load')) {
    const key = [r.name, r.size, r.sessions, r.mode].join('|');
    groups.set(key, [...(groups.get(key) ?? []), r]);
  }
  const out = [
    '| target | size | sessions | connections | rounds | mails/s | server CPU, µs a mail (user + system) | smtp-sink, µs | neighbours, cores |',
    '|---|---|---|---|---|---|---|---|---|',
  ];
  for (const group of groups.values()) {
    const [r] = group;
    const m = (key) => show(median(group.map((x) => x[key])));
    const size = r.size >= MIB ? `${r.size / MIB} MiB` : `${r.size / 1024} KiB`;
    const worst = show(short(Math.max(...group.map((x) => x.other_cores))));
    out.push(
      `| ${r.name} | ${size} | ${r.sessions} | ${r.mode} | ${group.length} | ${m('rate')} | ${m('cpu_us')} (${m('user_us')} + ${m('sys_us')}) | ${m('sink_us')} | ${m('other_cores')}, worst ${worst} |`,
    );
  }
  return out;
}

/** What `npm run test:crash` said last, for each store. */
function crashTable() {
  const out = [
    '| store | kills | promised | lost | twice (at most) | seed | minutes |',
    '|---|---|---|---|---|---|---|',
  ];
  for (const store of ['sqlite', 'postgres']) {
    const r = rows.findLast((one) => one.event === 'crash-campaign' && one.store === store);
    if (r === undefined) continue;
    const kills = Object.entries(r.kills).map(([what, times]) => `${what} ${times}`);
    out.push(
      `| ${store} | ${kills.join(', ')} | ${r.accepted} | ${r.lost} | ${r.duplicates} (${r.permitted}) | ${r.seed} | ${show(r.tookMs / 60_000)} |`,
    );
  }
  return out;
}

function latencyTable() {
  const out = ['| target | rounds | p50 | p90 | p99 | failures | neighbours, cores |', '|---|---|---|---|---|---|---|'];
  for (const name of ['h-min', 'g0', 'g1']) {
    const all = good.filter((r) => r.kind === 'latency' && r.name === name);
    if (all.length === 0) continue;
    const m = (key) => show(median(all.map((r) => r[key])));
    const failed = all.reduce((n, r) => n + r.failures, 0);
    out.push(
      `| ${name} | ${all.length} | ${m('p50_ms')} ms | ${m('p90_ms')} ms | ${m('p99_ms')} ms | ${failed} | ${m('other_cores')} |`,
    );
  }
  return out;
}

const version = (command, args, pattern) => {
  try {
    return pattern.exec(execFileSync(command, args, { encoding: 'utf8' }))?.[1] ?? 'unknown';
  } catch {
    return 'unknown';
  }
};
const postfix = version('/usr/sbin/postconf', ['-h', 'mail_version'], /(\S+)/);
const errors = rows
  .filter((r) => r.error !== undefined)
  .map((r) => `- ${r.name} ${r.size}:${r.sessions}:${r.mode}: ${r.error}`);

const text = `# Results

Written by \`bench/run.sh table\` from the lines that \`bench/run.sh all\` measured. Machine: ${os.cpus().length} cores
(${os.cpus()[0]?.model.trim()}), ${Math.round(os.totalmem() / 2 ** 30)} GiB, ${os.type()} ${os.release()}, Node ${process.versions.node},
Postfix ${postfix}, everything on 127.0.0.1, nothing pinned. What is measured, and how to read it: [README.md](README.md).

## The figures asked for

| figure | median | range of rounds | limit | |
|---|---|---|---|---|
${wanted.map(line).join('\n')}

## CPU per mail

${loadTable().join('\n')}

## Processes killed under load

\`KILLS=200 npm run test:crash\`: gateway, callout server, two next hops and the database's server are killed (SIGKILL; PostgreSQL with its
children) at random moments and started again while eight clients send. \`promised\` counts mails at a next hop a client had its 250 for.
That the store's log is synchronised before a promise is shown by a trace of system calls in \`test/interop/store-crash.test.ts\`.

${crashTable().join('\n')}

## Time from MAIL to the last 250, 500 mails/s over 20 connections, 10 KiB

${latencyTable().join('\n')}
${errors.length > 0 ? `\n## Cells that failed\n\n${errors.join('\n')}\n` : ''}`;
fs.writeFileSync(to, text);
console.log(wanted.map(line).join('\n'));
