// A callout server of the 2005 draft, written for the tests from the specifications alone: the independent peer of issue
// 2, "Shown by" 2. It imports nothing of src/.
//
//   node draft00-server.mjs [--listen HOST:PORT | --listen /path] [--script JSON | --script FILE] [--control]
//
// Without a script it negotiates the receiver profile on connection scope, looks at IP, HELO/EHLO and MAIL, answers every RCPT
// and sends the data back unchanged. One line of JSON on stdout says {"event":"ready",...}; further lines tell what it
// saw. With --control it reads lines of JSON on stdin: {"script":{...}} takes a new script (connections included),
// {"listen":false} and {"listen":true} close and open the door, {"drop":true} cuts all connections. It ends with stdin.
//
// The script: { feature, adaptive, informative, alias: send `-Commands`, yours: answer by DUY where P keeps, modp: false for
// none, addHeaderForm: 'atom' | 'list', chunk: OCTETS of new content in a DUM,
//   overstep: take no notice of Allow,
//   rules: [{ part, match: REGEXP, error: REPLY | rewrite: TEXT | upper: true | replace: [A, B] | content: TEXT | advice: ATOM,
//            addHeader: [LINE] }],
//   fault: { times, lie: NAME } or { times, kind: 'die' | 'reset' | 'exit' | 'mute' | 'slow' | 'garbage' | 'end',
//            on: MESSAGE-or-PART, nth | sent: OCTETS | received: OCTETS, since: 'connection' } }

import fs from 'node:fs';
import net from 'node:net';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { Connection, RECEIVER } from './draft00/connection.mjs';

const { values } = parseArgs({
  options: {
    listen: { type: 'string', default: '127.0.0.1:0' },
    script: { type: 'string', default: '{}' },
    control: { type: 'boolean', default: false },
  },
});

const DEFAULTS = {
  feature: RECEIVER,
  adaptive: ['RCPT', 'RAWDATA'],
  informative: ['IP', 'EHLO', 'HELO', 'MAIL'],
  rules: [],
};

const complete = (given) => ({
  ...DEFAULTS,
  ...given,
  fault: given.fault === undefined ? undefined : { times: 1_000_000_000, ...given.fault },
});
const say = (o) => process.stdout.write(`${JSON.stringify(o)}\n`);

let script = complete(
  JSON.parse(values.script.startsWith('{') ? values.script : fs.readFileSync(values.script, 'utf8')),
);
const sockets = new Map();
let server;

function accept(socket) {
  socket.setNoDelay(true);
  say({ event: 'connected' });
  const connection = new Connection(socket, script, say);
  sockets.set(socket, connection);
  socket.on('data', (chunk) => connection.feed(chunk));
  socket.on('error', () => undefined);
  socket.on('close', () => {
    sockets.delete(socket);
    say({ event: 'disconnected' });
  });
}

function listen(where) {
  server = net.createServer(accept);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    if (where.path !== undefined) server.listen(where.path, resolve);
    else server.listen(where.port, where.host, resolve);
  });
}

function drop() {
  for (const socket of sockets.keys()) socket.destroy();
}

const where = values.listen.startsWith('/')
  ? { path: values.listen }
  : {
      host: values.listen.slice(0, values.listen.lastIndexOf(':')),
      port: Number(values.listen.slice(values.listen.lastIndexOf(':') + 1)),
    };
await listen(where);
if (where.path === undefined) where.port = server.address().port;
say({ event: 'ready', ...(where.path === undefined ? { address: where.host, port: where.port } : where) });

async function command(c) {
  if (c.script !== undefined) {
    script = complete(c.script);
    for (const connection of sockets.values()) connection.script = script;
  }
  if (c.drop === true) drop();
  if (c.listen === false && server.listening) {
    const closed = new Promise((resolve) => server.close(resolve));
    drop();
    await closed;
  }
  if (c.listen === true && !server.listening) await listen(where);
  say({ event: 'done', id: c.id });
}

if (values.control) {
  const lines = createInterface({ input: process.stdin });
  let before = Promise.resolve();
  lines.on('line', (line) => {
    before = before.then(() => command(JSON.parse(line)));
  });
  lines.on('close', () => process.exit(0));
}
process.on('SIGTERM', () => process.exit(0));
