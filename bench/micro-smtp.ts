/**
 * What the SMTP server session costs a mail of 10 KiB, without sockets: its content reader, the ways of finding bare
 * newlines that it was chosen from, and a whole dialog. Each figure is the best of many short rounds, which is the one
 * least disturbed by neighbours.
 *
 *     node -C opes-source bench/micro-smtp.ts
 */
import {
  makeServerOptions,
  replies,
  type ServerHandler,
  type ServerOut,
  ServerSession,
  type Ticket,
} from '../src/smtp/index.ts';
import { DataReader } from '../src/smtp/server/data-reader.ts';
import { Intake } from '../src/smtp/server/intake.ts';
import { NewlineCheck } from '../src/smtp/server/newlines.ts';

const SIZE = 10 * 1024;
const options = makeServerOptions({ hostname: 'mx.example.com' });
const END = Buffer.from('.\r\n');

/** Lines as people and base64 write them, in a buffer of its own as a socket's reads are. */
function mailOf(size: number): Buffer {
  let text = 'Subject: bench\r\n\r\n';
  for (let i = 0; text.length < size; i++) text += `${'lorem ipsum '.repeat(7).slice(0, 60 + ((i * 7) % 17))}\r\n`;
  const mail = Buffer.from(new ArrayBuffer(size));
  mail.write(`${text.slice(0, size - 2)}\r\n`, 'latin1');
  return mail;
}

const mail = mailOf(SIZE);
const wire = Buffer.concat([mail, END]);
const sink = { onContent: () => undefined };

function indexOfEach(): number {
  let at = 0;
  for (let lf = mail.indexOf(10); lf >= 0; lf = mail.indexOf(10, at)) {
    if (mail.indexOf(13, at) !== lf - 1) throw new Error('bare newline');
    at = lf + 1;
  }
  return at;
}

function octetLoop(): number {
  let lines = 0;
  for (let i = 0; i < mail.length; i++) {
    if (mail[i] === 10 && mail[i - 1] !== 13) throw new Error('bare newline');
    if (mail[i] === 13 && mail[i + 1] !== 10) throw new Error('bare newline');
    if (mail[i] === 10) lines++;
  }
  return lines;
}

/** Says yes to everything, and throws everything away. */
class NullPeer implements ServerHandler, ServerOut {
  readonly session = new ServerSession(options, this, this);
  constructor() {
    this.session.greet();
    this.session.recv(Buffer.from('EHLO a\r\n'));
  }
  onHello(_verb: unknown, _name: unknown, ticket: Ticket): void {
    this.session.answerHello(ticket);
  }
  onMail(_mail: unknown, ticket: Ticket): void {
    this.session.answer(ticket, replies.mailOk);
  }
  onRcpt(_rcpt: unknown, ticket: Ticket): void {
    this.session.answer(ticket, replies.rcptOk);
  }
  onData(ticket: Ticket): void {
    this.session.go(ticket);
  }
  onContent(): void {}
  onContentEnd(ticket: Ticket): void {
    this.session.answer(ticket, replies.accepted);
  }
  onVerify(): void {}
  onReset(): void {}
  onClosed(): void {
    throw new Error('the session ended');
  }
  write(): void {}
  startTls(): void {}
  close(): void {}
  pauseInput(): void {}
  resumeInput(): void {}
}

const cases: Readonly<Record<string, () => unknown>> = {
  'search for CRLF and a dot': () => mail.indexOf('\r\n.'),
  'newlines: our check': () => new NewlineCheck(65_536).next(mail, 0, mail.length),
  'newlines: indexOf for each CR and LF': indexOfEach,
  'newlines: a loop over octets': octetLoop,
  'content reader, all of it': () => {
    const intake = new Intake(options, sink);
    const end = new DataReader(intake).next(wire, 0);
    intake.end();
    if (end !== wire.length || intake.flaw !== undefined) throw new Error('not read');
  },
  'a mail: MAIL, RCPT, DATA, content': (() => {
    const peer = new NullPeer();
    const commands = ['MAIL FROM:<a@b.example>\r\n', 'RCPT TO:<d@e.example>\r\n', 'DATA\r\n'].map((text) =>
      Buffer.from(text),
    );
    return () => {
      for (const command of commands) peer.session.recv(command);
      peer.session.recv(wire);
    };
  })(),
};

const ROUND = 200;
const best = new Map<string, number>();
for (let round = 0; round < 100; round++) {
  for (const [name, run] of Object.entries(cases)) {
    const started = process.hrtime.bigint();
    for (let i = 0; i < ROUND; i++) run();
    const ns = Number(process.hrtime.bigint() - started) / ROUND;
    best.set(name, Math.min(ns, best.get(name) ?? Number.POSITIVE_INFINITY));
  }
}
for (const [name, ns] of best) console.log(`${name.padEnd(40)} ${Math.round(ns).toString().padStart(7)} ns`);
