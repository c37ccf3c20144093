// Memory of idle sessions: opens N connections (greeting heard, EHLO answered, then silence) and prints what the server grew by.
//
//   node idle.mjs --name g0 --port 2525 --root PID[,PID] [--sessions 1000] [--mail]     --mail: with MAIL and RCPT sent, too
import net from 'node:net';
import { parseArgs } from 'node:util';
import { memory, short, sleep } from './processes.mjs';

const text = (d) => ({ type: 'string', ...(d === undefined ? {} : { default: d }) });
const { values: opt } = parseArgs({
  options: {
    name: text(),
    port: text(),
    root: text(),
    sessions: text('1000'),
    mail: { type: 'boolean', default: false },
  },
});
const roots = opt.root.split(',').map(Number);
const script = ['EHLO load.test\r\n', ...(opt.mail ? ['MAIL FROM:<a@src.test>\r\n', 'RCPT TO:<b@dst.test>\r\n'] : [])];

const one = () =>
  new Promise((resolve, reject) => {
    const socket = net.connect(Number(opt.port), '127.0.0.1');
    let step = 0;
    let heard = '';
    socket.setTimeout(60_000, () => reject(new Error(`silence at step ${step}`)));
    socket.on('error', reject);
    socket.on('data', (b) => {
      heard += b;
      if (!/^\d{3} .*\r\n/m.test(heard)) return;
      heard = '';
      if (step < script.length) socket.write(script[step++]);
      else {
        socket.setTimeout(0);
        resolve(socket);
      }
    });
  });

async function open(count) {
  const out = [];
  while (out.length < count) {
    out.push(...(await Promise.all(Array.from({ length: Math.min(50, count - out.length) }, one))));
  }
  return out;
}

for (const socket of await open(50)) socket.destroy(); // warm
await sleep(2000);
const before = memory(roots);
const sockets = await open(Number(opt.sessions));
await sleep(2000);
const after = memory(roots);
const each = short((after.pss - before.pss) / sockets.length);
console.log(
  JSON.stringify({
    kind: 'idle',
    name: opt.name,
    sessions: sockets.length,
    mail: opt.mail,
    kib_each: each,
    pss_kib: after.pss,
  }),
);
for (const socket of sockets) socket.destroy();
