// Time from MAIL to the last 250 at a fixed rate: mails of SIZE octets at RATE a second over CONNECTIONS connections, command by
// command. The clock sets the pace, not the answers: a mail that finds no connection free waits, and its wait counts.
//
//   node latency.mjs --target NAME:PORT:PID[,PID] [--target ...] --sink PID [--rate 500] [--connections 20] [--size 10240]
//     [--seconds 4] [--rounds N] [--quiet CORES]
//
// All targets are alive and warm, and each has a short run in every round (as in load.mjs): a neighbour that takes the machine for a
// tenth of a second decides the p99 of the run it meets, and of no other.
import net from 'node:net';
import { parseArgs } from 'node:util';
import { cpu, machine, short, sleep } from './processes.mjs';

const text = (d) => ({ type: 'string', ...(d === undefined ? {} : { default: d }) });
const { values: opt } = parseArgs({
  options: {
    target: { type: 'string', multiple: true, default: [] },
    sink: text(''),
    rate: text('500'),
    connections: text('20'),
    size: text('10240'),
    seconds: text('4'),
    rounds: text('1'),
    quiet: text('9'),
  },
});
const line = `${'x'.repeat(76)}\r\n`;
const CONTENT = `Subject: latency\r\nFrom: <a@src.test>\r\nTo: <b@dst.test>\r\n\r\n${line.repeat(Math.ceil(Number(opt.size) / line.length))}.\r\n`;
const STEPS = ['MAIL FROM:<a@src.test>\r\n', 'RCPT TO:<b@dst.test>\r\n', 'DATA\r\n', CONTENT];
const EXPECT = ['2', '2', '3', '2'];
const now = () => Number(process.hrtime.bigint()) / 1e6;
const pids = (s) => s.split(',').filter(Boolean).map(Number);

class Session {
  constructor(target, ready) {
    this.target = target;
    this.step = -1;
    this.isResetting = false;
    this.due = 0;
    this.held = '';
    this.socket = net.connect({ port: target.port, host: '127.0.0.1', noDelay: true });
    this.socket.on('error', () => target.failures++);
    let greeted = 0;
    this.socket.on('data', (b) => {
      this.held += b.toString('latin1');
      if (!/^\d{3} .*\r\n/m.test(this.held)) return;
      const reply = this.held;
      this.held = '';
      if (greeted === 0) this.socket.write('EHLO load.test\r\n');
      else if (greeted === 1) ready(this);
      else this.onReply(reply);
      greeted = Math.min(2, greeted + 1);
    });
  }
  start(due) {
    this.due = due;
    this.step = 0;
    this.socket.write(STEPS[0]);
  }
  onReply(reply) {
    if (!this.isResetting && reply[0] !== EXPECT[this.step]) {
      this.target.failures++;
      this.isResetting = true;
      this.socket.write('RSET\r\n');
      return;
    }
    if (!this.isResetting && this.step < STEPS.length - 1) {
      this.step++;
      this.socket.write(STEPS[this.step]);
      return;
    }
    if (!this.isResetting) this.target.times.push(now() - this.due);
    this.isResetting = false;
    this.target.free(this);
  }
}

class Target {
  constructor(given) {
    const [name, port, roots] = given.split(':');
    this.name = name;
    this.port = Number(port);
    this.roots = pids(roots ?? '');
    this.times = [];
    this.failures = 0;
    this.idle = [];
    this.waiting = []; // due times
  }
  async connect() {
    const all = Array.from({ length: Number(opt.connections) }, () => new Promise((ready) => new Session(this, ready)));
    this.idle.push(...(await Promise.all(all)));
  }
  free(session) {
    const due = this.waiting.shift();
    if (due === undefined) this.idle.push(session);
    else session.start(due);
  }
  async drive(seconds) {
    const start = now();
    const total = Math.round(seconds * Number(opt.rate));
    for (let sent = 0; sent < total; ) {
      const due = Math.min(total, Math.floor(((now() - start) * Number(opt.rate)) / 1000));
      for (; sent < due; sent++) {
        const at = start + (sent * 1000) / Number(opt.rate);
        // Our own timer comes up to a millisecond late: that is not the server's doing.
        const session = this.idle.shift();
        if (session === undefined) this.waiting.push(Math.max(at, now() - 1));
        else session.start(now());
      }
      await sleep(1);
    }
    for (let i = 0; i < 500 && this.idle.length < Number(opt.connections); i++) await sleep(10);
  }
}

const TRIES = 4;
const sinks = pids(opt.sink);

/** One run; what neither we nor the servers used of the machine is the neighbours' doing. */
async function measure(target) {
  target.times = [];
  target.failures = 0;
  const processes = [...target.roots, ...sinks];
  const [before, t0, own, server] = [machine(), now(), process.cpuUsage(), cpu(processes)];
  await target.drive(Number(opt.seconds));
  const seconds = (now() - t0) / 1000;
  const used = process.cpuUsage(own);
  const after = cpu(processes);
  const ours = (used.user + used.system) / 1e6 + after.user + after.system - server.user - server.system;
  const sorted = target.times.sort((a, b) => a - b);
  const at = (p) => short(sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * p) / 100))]);
  return {
    name: target.name,
    n: sorted.length,
    failures: target.failures,
    p50_ms: at(50),
    p90_ms: at(90),
    p99_ms: at(99),
    max_ms: at(100),
    other_cores: short((machine() - before - ours) / seconds),
  };
}

const targets = opt.target.map((given) => new Target(given));
for (const target of targets) {
  await target.connect();
  await target.drive(3); // warm
}
for (let round = 1; round <= Number(opt.rounds); round++) {
  let best;
  for (let i = 0; i < TRIES; i++) {
    const runs = [];
    for (const target of targets) runs.push(await measure(target));
    const worst = Math.max(...runs.map((run) => run.other_cores));
    if (best === undefined || worst < best.worst) best = { worst, runs };
    if (worst <= Number(opt.quiet)) break;
  }
  for (const run of best.runs) console.log(JSON.stringify({ kind: 'latency', round, ...run }));
}
process.exit(0);
