/**
 * The campaign's next hop, a process of its own: `node hop.ts PORT FILE`. It writes the token of a mail into FILE before it
 * says 250, so that what it took is known whatever becomes of it. No line of src.
 */
import { appendFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';

const [port = '0', file = ''] = process.argv.slice(2);

function serve(socket: Socket): void {
  let held = '';
  let inContent = false;
  const answer = (line: string): void => {
    socket.write(`${line}\r\n`);
  };
  const command = (line: string): void => {
    const verb = line.slice(0, 4).toUpperCase();
    if (verb === 'EHLO') answer('250-hop.test\r\n250 PIPELINING');
    else if (verb === 'DATA') {
      inContent = true;
      answer('354 go on');
    } else if (verb === 'QUIT') socket.end('221 bye\r\n');
    else answer('250 ok');
  };
  socket.setNoDelay(true);
  socket.on('error', () => undefined);
  socket.on('data', (chunk) => {
    held += chunk.toString('latin1');
    for (;;) {
      const end = inContent ? held.indexOf('\r\n.\r\n') : held.indexOf('\r\n');
      if (end < 0) return;
      const taken = held.slice(0, end);
      held = held.slice(end + (inContent ? 5 : 2));
      if (!inContent) command(taken);
      else {
        inContent = false;
        const token = /^X-Token: (\S+)/m.exec(taken)?.[1] ?? 'none';
        const size = /^X-Size: (\d+)/m.exec(taken)?.[1] ?? '0';
        const body = taken.slice(taken.indexOf('\r\n\r\n') + 4);
        // A mail that is not whole must not count as one that arrived.
        if (body.length !== Number(size)) appendFileSync(file, `broken ${token} ${body.length} of ${size}\n`);
        appendFileSync(file, `${token}\n`);
        answer('250 ok');
      }
    }
  });
  socket.write('220 hop.test\r\n');
}

createServer(serve).listen(Number(port), '127.0.0.1', 4096, () => console.log('{"event":"ready"}'));
