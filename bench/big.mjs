// Memory with large mails: COUNT mails of MEGABYTES sent at once over as many connections; prints the peak resident memory of
// the server's processes and when all were answered.
//
//   node big.mjs --name g1 --port 2525 --root PID[,PID] [--count 50] [--megabytes 25]
import net from 'node:net';
import { parseArgs } from 'node:util';
import { memory, short } from './processes.mjs';

const text = (d) => ({ type: 'string', ...(d === undefined ? {} : { default: d }) });
const { values: opt } = parseArgs({
  options: { name: text(), port: text(), root: text(), count: text('50'), megabytes: text('25') },
});
const roots = opt.root.split(',').map(Number);
const CHUNK = Buffer.from(
  `${'the quick brown fox jumps over the lazy dog, and then '.padEnd(76, '.')}\r\n`.repeat(1000),
);
const OCTETS = Number(opt.megabytes) * 1e6;

async function mail(number) {
  const socket = net.connect(Number(opt.port), '127.0.0.1');
  socket.setNoDelay(true);
  let heard = '';
  let wake = () => undefined;
  socket.on('data', (b) => {
    heard += b;
    wake();
  });
  const closed = new Promise((_, reject) => {
    socket.once('error', reject);
    socket.once('close', () => reject(new Error(`closed: ${heard}`)));
  });
  closed.catch(() => undefined);
  const reply = async () => {
    while (!/^\d{3} .*\r\n/m.test(heard)) {
      await Promise.race([
        closed,
        new Promise((resolve) => {
          wake = resolve;
        }),
      ]);
    }
    const code = heard.slice(0, 3);
    heard = '';
    return code;
  };
  const say = async (line) => {
    socket.write(`${line}\r\n`);
    return await reply();
  };
  await reply();
  await say('EHLO load.test');
  await say(`MAIL FROM:<a@src.test>`);
  await say(`RCPT TO:<b${number}@dst.test>`);
  if ((await say('DATA')) !== '354') throw new Error('no 354');
  socket.write(`Subject: big ${number}\r\n\r\n`);
  for (let sent = 0; sent < OCTETS; sent += CHUNK.length) {
    if (!socket.write(CHUNK)) await Promise.race([closed, new Promise((resolve) => socket.once('drain', resolve))]);
  }
  const code = await say('.');
  socket.destroy();
  return code;
}

const t0 = Date.now();
const codes = await Promise.all(Array.from({ length: Number(opt.count) }, (_, i) => mail(i).catch((e) => e.message)));
const { peak } = memory(roots);
const accepted = codes.filter((c) => c === '250').length;
console.log(
  JSON.stringify({
    kind: 'big',
    name: opt.name,
    count: codes.length,
    megabytes: Number(opt.megabytes),
    accepted,
    other: [...new Set(codes.filter((c) => c !== '250'))],
    peak_mib: short(peak / 1024),
    seconds: (Date.now() - t0) / 1000,
  }),
);
