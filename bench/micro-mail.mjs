/**
 * What a mail costs in our own code alone: session engine, dialog, dispatcher, store, trace and log line, without a socket.
 *   node bench/micro-mail.mjs [MAILS]        (after `npm run build`; runs what is in dist)
 */
import { Deadlines, noMetrics, silentLog } from '../dist/base/index.js';
import { AcceptingRelay } from '../dist/gateway/check/accepting-relay.js';
import { MemoryBudget } from '../dist/gateway/content/index.js';
import { Dialog } from '../dist/gateway/dialog/dialog.js';
import { Dispatcher } from '../dist/gateway/dispatch/dispatcher.js';
import { mailLimits } from '../dist/mail/index.js';
import { makeServerOptions, ServerSession } from '../dist/smtp/index.js';

const mails = Number(process.argv[2] ?? 20_000);
const world = {
  hostname: 'gw.test',
  system: { uri: 'https://mail.example.com/opes', contact: undefined, privacyPolicy: undefined },
  limits: {
    memoryOctets: 4 << 20,
    spillOctets: 1 << 30,
    headerOctets: 256 * 1024,
    maxHops: 50,
    nextHopConnections: 10,
  },
  headerLimits: mailLimits,
  deadlineMs: 240_000,
  dispatcher: new Dispatcher([{ to: '*', nextHop: { host: 'hop', port: 25 }, tls: 'none' }], [], silentLog),
  relay: new AcceptingRelay(),
  budget: new MemoryBudget(),
  spill: {
    isFull: false,
    open: () => {
      throw new Error('nothing is spilled here');
    },
  },
  deadlines: new Deadlines(),
  clock: () => performance.now(),
  wallClock: Date.now,
  log: silentLog,
  metrics: noMetrics,
  keep: undefined,
  keepOctets: 0,
};
const listener = { name: 'mx', host: '', port: 0, side: 'recipient', maxSizeOctets: 50e6 };
let replies = '';
const out = {
  write: (text) => {
    replies += text;
  },
  startTls() {},
  close() {},
  pauseInput() {},
  resumeInput() {},
};
const connection = {
  remoteAddress: '127.0.0.1',
  isSecure: false,
  pauseContent() {},
  resumeContent() {},
  answer: (ticket, reply) => session.answer(ticket, reply),
  answerHello: (ticket) => session.answerHello(ticket),
  go: (ticket) => session.go(ticket),
};
const dialog = new Dialog(world, listener, connection, 'abcdefghijkl');
const limits = { ...makeServerOptions({ hostname: 'gw.test' }).limits, commands: 1e9 };
const session = new ServerSession(makeServerOptions({ hostname: 'gw.test', limits }), dialog, out);
session.greet();
const line = (text) => session.recv(Buffer.from(`${text}\r\n`));
const content = Buffer.from(
  `From: a@src.test\r\nTo: b@dst.test\r\nSubject: test\r\nMessage-ID: <1@x>\r\n\r\n${`${'x'.repeat(73)}\r\n`.repeat(136)}.\r\n`,
);
const settled = () => new Promise((resolve) => setImmediate(resolve));
line('EHLO client.test');

async function one() {
  line('MAIL FROM:<a@src.test>');
  line('RCPT TO:<b@dst.test>');
  await settled();
  line('DATA');
  session.recv(content);
  await settled();
  if (!replies.includes('accepted')) throw new Error(replies);
  replies = '';
}
for (let i = 0; i < 5000; i++) await one();
// The best of many short segments: what the code costs when nobody else has the core.
let best = Number.POSITIVE_INFINITY;
for (let segment = 0; segment < mails / 500; segment++) {
  const started = process.cpuUsage();
  for (let i = 0; i < 500; i++) await one();
  const used = process.cpuUsage(started);
  best = Math.min(best, (used.user + used.system) / 500);
}
console.log(`${best.toFixed(1)} us a mail of ${content.length} octets (best of ${mails / 500} segments)`);
