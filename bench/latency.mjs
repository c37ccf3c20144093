// Time from MAIL to the last 250 at a fixed rate: mails of SIZE octets at RATE a second over CONNECTIONS connections, command by
// command. The clock sets the pace, not the answers: a mail that finds no connection free waits, and its wait counts.
//
//   node latency.mjs --name g1 --port 2525 [--rate 500] [--connections 20] [--size 10240] [--seconds 8] [--round N]
import net from 'node:net';
import { parseArgs } from 'node:util';
import { cpu, machine, short, sleep } from './processes.mjs';

const text = (d) => ({ type: 'string', ...(d === undefined ? {} : { default: d }) });
const { values: opt } = parseArgs({
  options: {
    name: text(),
    port: text(),
    rate: text('500'),
    connections: text('20'),
    size: text('10240'),
    seconds: text('8'),
    round: text('1'),
    root: text(''),
    quiet: text('9'),
  },
});
const line = `${'x'.repeat(76)}\r\n`;
const CONTENT = `Subject: latency\r\nFrom: <a@src.test>\r\nTo: <b@dst.test>\r\n\r\n${line.repeat(Math.ceil(Number(opt.size) / line.length))}.\r\n`;
const STEPS = ['MAIL FROM:<a@src.test>\r\n', 'RCPT TO:<b@dst.test>\r\n', 'DATA\r\n', CONTENT];
const EXPECT = ['2', '2', '3', '2'];
const now = () => Number(process.hrtime.bigint()) / 1e6;

const free = [];
const waiting = []; // due times
let times = [];
let failures = 0;

class Session {
  constructor(ready) {
    this.step = -1;
    this.due = 0;
    this.held = '';
    this.socket = net.connect({ port: Number(opt.port), host: '127.0.0.1', noDelay: true });
    this.socket.on('error', () => failures++);
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
    if (reply[0] !== EXPECT[this.step]) {
      failures++;
      this.socket.write('RSET\r\n');
      this.step = STEPS.length - 1;
      EXPECT_RESET.add(this);
      return;
    }
    if (this.step < STEPS.length - 1) {
      this.step++;
      this.socket.write(STEPS[this.step]);
      return;
    }
    if (!EXPECT_RESET.delete(this)) times.push(now() - this.due);
    const due = waiting.shift();
    if (due === undefined) free.push(this);
    else this.start(due);
  }
}
const EXPECT_RESET = new Set();

async function drive(seconds) {
  const start = now();
  const total = Math.round(seconds * Number(opt.rate));
  for (let sent = 0; sent < total; ) {
    const due = Math.min(total, Math.floor(((now() - start) * Number(opt.rate)) / 1000));
    for (; sent < due; sent++) {
      const at = start + (sent * 1000) / Number(opt.rate);
      // Our own timer comes up to a millisecond late: that is not the server's doing.
      const session = free.shift();
      if (session === undefined) waiting.push(Math.max(at, now() - 1));
      else session.start(now());
    }
    await sleep(1);
  }
  for (let i = 0; i < 500 && free.length < Number(opt.connections); i++) await sleep(10);
}

free.push(
  ...(await Promise.all(
    Array.from({ length: Number(opt.connections) }, () => new Promise((ready) => new Session(ready))),
  )),
);
await drive(3); // warm
const roots = opt.root.split(',').filter(Boolean).map(Number);
const TRIES = 4;

/** One run; what neither we nor the server used of the machine is the neighbours' doing. */
async function measure() {
  times = [];
  const [before, t0, own, server] = [machine(), now(), process.cpuUsage(), cpu(roots)];
  await drive(Number(opt.seconds));
  const seconds = (now() - t0) / 1000;
  const used = process.cpuUsage(own);
  const after = cpu(roots);
  const ours = (used.user + used.system) / 1e6 + after.user + after.system - server.user - server.system;
  const sorted = times.sort((a, b) => a - b);
  const at = (p) => short(sorted[Math.min(sorted.length - 1, Math.floor((sorted.length * p) / 100))]);
  return {
    n: sorted.length,
    failures,
    p50_ms: at(50),
    p90_ms: at(90),
    p99_ms: at(99),
    max_ms: at(100),
    other_cores: short((machine() - before - ours) / seconds),
  };
}

let best;
for (let i = 0; i < TRIES; i++) {
  const m = await measure();
  if (best === undefined || m.other_cores < best.other_cores) best = m;
  if (best.other_cores <= Number(opt.quiet)) break;
}
console.log(JSON.stringify({ kind: 'latency', round: Number(opt.round), name: opt.name, ...best }));
process.exit(0);
