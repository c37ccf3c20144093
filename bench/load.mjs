// Drives smtp-source against targets that take turns, and prints one JSON line per target, cell and round: rate, and CPU per
// mail of the server's processes.
//
//   node load.mjs --target NAME:PORT:PID[,PID][:QUEUE] [--target ...] --sink PID --cells SIZE:SESSIONS:keep|new,...
//     [--count MAILS] [--round FIRST] [--rounds N] [--quiet CORES]
//
// QUEUE: Postfix's queue directory, or our admin socket: a run lasts until it is empty. Without --count each target gets as many
// mails as it takes in about two seconds.
// "keep": one connection per session; "new": a connection per mail. All targets are alive and warm, and each has a short run in
// every round, so that what the neighbours do meets all of them. A round in which other processes of the machine used more than
// --quiet cores during a run is done again, up to 4 times; the quietest counts, and the lines say what it met (`other_cores`).
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { cpu, machine, short, sleep, waitedFor } from './processes.mjs';

const text = (d) => ({ type: 'string', ...(d === undefined ? {} : { default: d }) });
const { values: opt } = parseArgs({
  options: {
    target: { type: 'string', multiple: true, default: [] },
    sink: text(''),
    cells: text(),
    round: text('1'),
    rounds: text('1'),
    count: text(),
    quiet: text('9'),
  },
});
const pids = (s) => s.split(',').filter(Boolean).map(Number);
const sinks = pids(opt.sink);
const targets = opt.target.map((t) => {
  const [name, port, roots, queue] = t.split(':');
  return { name, port: Number(port), roots: pids(roots ?? ''), queue };
});
const MIB = 1048576;
const TRIES = 4;

function source(port, size, sessions, mode, mails) {
  return new Promise((resolve, reject) => {
    const args = mode === 'keep' ? ['-d'] : [];
    args.push('-l', size, '-s', sessions, '-m', mails, '-C', '10');
    args.push('-f', 'a@src.test', '-t', 'b@dst.test', '-M', 'load.test', `127.0.0.1:${port}`);
    const t0 = process.hrtime.bigint();
    const p = spawn('smtp-source', args.map(String), { stdio: ['ignore', 'inherit', 'inherit'] });
    const timer = setTimeout(() => p.kill(), 120_000);
    p.on('error', reject);
    p.on('exit', (code) => {
      clearTimeout(timer);
      if (code === 0) resolve(Number(process.hrtime.bigint() - t0) / 1e9);
      else reject(new Error(`smtp-source ${args.join(' ')} exit ${code}`));
    });
  });
}

/** Files in Postfix's queue. */
function queued(folder) {
  const count = (dir) => {
    let n = 0;
    for (const e of fs.readdirSync(dir, { withFileTypes: true }))
      n += e.isDirectory() ? count(path.join(dir, e.name)) : 1;
    return n;
  };
  let n = 0;
  for (const q of ['maildrop', 'incoming', 'active', 'deferred']) {
    try {
      n += count(path.join(folder, q));
    } catch {
      // a file went while we looked
      n++;
    }
  }
  return n;
}

/** Recipients in our own queue, by the admin socket. */
function stored(admin) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(admin, () => socket.end('{"v":1,"do":"counters"}\n'));
    let said = '';
    socket.on('data', (octets) => {
      said += octets;
    });
    socket.on('error', reject);
    socket.on('close', () => resolve(JSON.parse(said).ok.queued));
  });
}

async function drain({ queue }) {
  for (let i = 0; queue !== undefined && i < 2400; i++) {
    if ((queue.endsWith('.sock') ? await stored(queue) : queued(queue)) === 0) return;
    await sleep(50);
  }
}

/** Enough mails for about `seconds`; the tries before also warm the server up. */
async function calibrate(target, size, sessions, mode) {
  if (opt.count !== undefined) return Number(opt.count);
  const seconds = targets.length > 1 ? 1.5 : sessions <= 10 ? 4 : 2.5;
  let n = Math.max(sessions * 2, size >= MIB ? 20 : 200);
  let t = 0;
  for (let i = 0; i < 3 && t < 0.6; i++) {
    if (i > 0) n = Math.ceil(n * Math.min(20, 0.8 / t));
    t = await source(target.port, size, sessions, mode, n);
    await drain(target);
  }
  return Math.min(400_000, Math.max(sessions * 2, Math.round((n / t) * seconds)));
}

async function measure(target, size, sessions, mode, n) {
  const { port, roots, queue } = target;
  const before = {
    server: cpu(roots),
    sink: cpu(sinks),
    source: waitedFor(),
    own: process.cpuUsage(),
    machine: machine(),
  };
  const t0 = process.hrtime.bigint();
  const wall = await source(port, size, sessions, mode, n);
  await drain(target);
  const total = Number(process.hrtime.bigint() - t0) / 1e9;
  await sleep(queue === undefined ? 20 : 50);
  const [server, sink] = [cpu(roots), cpu(sinks)];
  const user = server.user - before.server.user;
  const system = server.system - before.server.system;
  const sinkCpu = sink.user + sink.system - before.sink.user - before.sink.system;
  const sourceCpu = waitedFor() - before.source;
  const own = process.cpuUsage(before.own);
  const sinkIsServer = roots.some((p) => sinks.includes(p));
  const ours = user + system + (sinkIsServer ? 0 : sinkCpu) + sourceCpu + (own.user + own.system) / 1e6;
  return {
    rate: short(n / wall),
    ...(queue === undefined ? {} : { drained: short(n / total) }),
    cpu_us: short((1e6 * (user + system)) / n),
    user_us: short((1e6 * user) / n),
    sys_us: short((1e6 * system) / n),
    sink_us: short((1e6 * sinkCpu) / n),
    other_cores: short(Math.max(0, (machine() - before.machine - ours) / total)),
  };
}

/** One run of each target; the quietest of some tries. */
async function takeTurns(size, sessions, mode, counts) {
  let best;
  for (let i = 0; i < TRIES; i++) {
    const runs = [];
    for (const [at, target] of targets.entries()) runs.push(await measure(target, size, sessions, mode, counts[at]));
    const worst = Math.max(...runs.map((run) => run.other_cores));
    if (best === undefined || worst < best.worst) best = { worst, runs };
    if (worst <= Number(opt.quiet)) break;
  }
  return best.runs;
}

for (const cell of opt.cells.split(',')) {
  const [size, sessions, mode] = cell.split(':');
  const line = { kind: 'load', size: Number(size), sessions: Number(sessions), mode };
  try {
    const counts = [];
    for (const target of targets) counts.push(await calibrate(target, line.size, line.sessions, mode));
    for (let i = 0; i < Number(opt.rounds); i++) {
      const runs = await takeTurns(line.size, line.sessions, mode, counts);
      for (const [at, { name }] of targets.entries())
        console.log(JSON.stringify({ ...line, round: Number(opt.round) + i, name, n: counts[at], ...runs[at] }));
    }
  } catch (e) {
    console.log(JSON.stringify({ ...line, error: String(e.message) }));
    for (const target of targets) await drain(target);
  }
}
