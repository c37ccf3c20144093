// Octets on the OCP connection, per mail and direction: stands between gateway and callout server and counts, while smtp-source
// sends mails to the gateway.
//
//   node octets.mjs --name g1 --port SMTPPORT --listen 4038 --callout 4037 [--size 1048576] [--mails 50]
import { spawn } from 'node:child_process';
import net from 'node:net';
import { parseArgs } from 'node:util';
import { short, sleep } from './processes.mjs';

const text = (d) => ({ type: 'string', ...(d === undefined ? {} : { default: d }) });
const { values: opt } = parseArgs({
  options: { name: text(), port: text(), listen: text(), callout: text(), size: text('1048576'), mails: text('50') },
});
const count = { connections: 0, to: 0, back: 0 };

const server = net.createServer({ noDelay: true }, (gateway) => {
  count.connections++;
  const callout = net.connect({ port: Number(opt.callout), host: '127.0.0.1', noDelay: true });
  gateway.on('data', (b) => {
    count.to += b.length;
  });
  callout.on('data', (b) => {
    count.back += b.length;
  });
  gateway.pipe(callout).pipe(gateway);
  for (const socket of [gateway, callout]) socket.on('error', () => undefined);
});
await new Promise((resolve) => server.listen(Number(opt.listen), '127.0.0.1', resolve));

/** The gateway is started behind us: it needs somebody to talk to. */
async function gatewayIsUp() {
  const isOpen = () =>
    new Promise((resolve) => {
      const socket = net.connect(Number(opt.port), '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => resolve(false));
    });
  for (let i = 0; i < 300; i++) {
    if (await isOpen()) return;
    await sleep(100);
  }
  throw new Error(`nobody listens at ${String(opt.port)}`);
}

const send = (mails) =>
  new Promise((resolve, reject) => {
    const args = [
      '-d',
      '-l',
      opt.size,
      '-s',
      '5',
      '-m',
      mails,
      '-f',
      'a@src.test',
      '-t',
      'b@dst.test',
      '-M',
      'load.test',
      '-C',
      '50',
    ];
    const p = spawn('smtp-source', [...args, `127.0.0.1:${String(opt.port)}`].map(String), { stdio: 'inherit' });
    p.on('error', reject);
    p.on('exit', (code) => (code === 0 ? resolve() : reject(new Error(`smtp-source exit ${code}`))));
  });

await gatewayIsUp();
await send(5); // connections and negotiation are not counted
const before = { ...count };
const mails = Number(opt.mails);
await send(mails);
await sleep(200);
console.log(
  JSON.stringify({
    kind: 'octets',
    name: opt.name,
    size: Number(opt.size),
    mails,
    connections: count.connections,
    to_callout: short((count.to - before.to) / mails),
    from_callout: short((count.back - before.back) / mails),
  }),
);
process.exit(0);
