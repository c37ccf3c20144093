// h-min: the do-nothing Node proxy, the floor our figures are compared with. It knows just enough SMTP to pass mail on over
// pooled next-hop connections: no limits, no checks, no error paths, end of data looked for only at the end of a read.
// Taken over unchanged in substance from the harness the baseline was measured with, so that figures stay comparable.
//
//   node node-smtp-min.mjs LISTENPORT TARGETPORT
import net from 'node:net';

const [listenPort, targetPort] = process.argv.slice(2).map(Number);
const EOD = Buffer.from('\r\n.\r\n');
const NOTHING = Buffer.alloc(0);
const idle = [];

function upstream(ready) {
  while (idle.length > 0) {
    const u = idle.pop();
    if (!u.destroyed) return ready(u);
  }
  const u = net.connect({ port: targetPort, host: '127.0.0.1', noDelay: true });
  let step = 0;
  let acc = '';
  u.client = null;
  u.on('data', (b) => {
    if (step === 2) {
      if (u.client) u.client.reply(b);
      return;
    }
    acc += b.toString('latin1');
    if (!/^\d{3} .*\r\n/m.test(acc)) return;
    acc = '';
    step++;
    if (step === 1) u.write('EHLO proxy.test\r\n');
    else ready(u);
  });
  u.on('error', () => {});
  u.on('close', () => {
    if (u.client) u.client.sock.destroy();
    const i = idle.indexOf(u);
    if (i >= 0) idle.splice(i, 1);
  });
  return undefined;
}

class Client {
  constructor(sock) {
    this.sock = sock;
    this.buf = null;
    this.u = null;
    this.state = 0; // 0 command, 1 waiting for 354, 2 data, 3 waiting for the last reply
    this.tail = null;
    sock.write('220 proxy.test ESMTP\r\n');
    sock.on('data', (b) => this.data(b));
    sock.on('error', () => {});
    sock.on('close', () => {
      if (this.u) {
        this.u.client = null;
        this.u.destroy();
        this.u = null;
      }
    });
  }
  withUp(cb) {
    if (this.u) return cb(this.u);
    this.sock.pause();
    return upstream((u) => {
      this.u = u;
      u.client = this;
      this.sock.resume();
      cb(u);
    });
  }
  data(b) {
    if (this.state === 2) return this.body(b);
    if (this.buf) {
      b = Buffer.concat([this.buf, b]);
      this.buf = null;
    }
    let at = 0;
    for (let nl = b.indexOf(10, at); nl >= 0; nl = b.indexOf(10, at)) {
      const verb = b.toString('latin1', at, at + 4).toUpperCase();
      const line = b.subarray(at, nl + 1);
      at = nl + 1;
      if (verb === 'EHLO' || verb === 'HELO') {
        this.sock.write('250-proxy.test\r\n250-PIPELINING\r\n250 8BITMIME\r\n');
      } else if (verb === 'QUIT') {
        this.release();
        this.sock.end('221 bye\r\n');
      } else if (verb === 'DATA') {
        this.state = 1;
        this.withUp((u) => u.write(line));
        if (at < b.length) this.buf = b.subarray(at);
        return undefined;
      } else this.withUp((u) => u.write(line));
    }
    if (at < b.length) this.buf = b.subarray(at);
    return undefined;
  }
  reply(b) {
    if (this.state === 1) {
      this.state = 2;
      this.tail = null;
    } else if (this.state === 3) this.state = 0;
    this.sock.write(b);
    if (this.state === 0 && this.sock.isPaused()) this.sock.resume();
  }
  body(b) {
    // The terminator is the last thing sent (a client waits for the answer): only the last 5 octets are looked at.
    const u = this.u;
    const joined = b.length >= 5 ? b : Buffer.concat([this.tail ?? NOTHING, b]);
    const last = joined.subarray(-5);
    const end = last.equals(EOD);
    this.tail = last;
    if (end) this.state = 3;
    if (!u.write(b) && !end) {
      this.sock.pause();
      u.once('drain', () => this.sock.resume());
    }
  }
  release() {
    if (this.u) {
      this.u.client = null;
      idle.push(this.u);
      this.u = null;
    }
  }
}

net.createServer({ noDelay: true }, (s) => new Client(s)).listen(listenPort, '127.0.0.1', 4096);
