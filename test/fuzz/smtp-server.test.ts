/**
 * Mutated dialogs and made-up lines against the server session: nothing throws, hangs or grows; replies are well-formed
 * and in order; the handler is asked only what its contract says, and gets only clean content; what is said does not
 * depend on the cuts, nor on how late the handler answers.
 *
 * FUZZ_RUNS says how many inputs. A failure prints FUZZ_SEED and FUZZ_AT; set both to run that one input again.
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { test } from 'vitest';
import {
  type AuthQuestion,
  makeServerOptions,
  type Reply,
  replies,
  reply,
  type ServerHandler,
  type ServerOptions,
  type ServerOut,
  ServerSession,
  serverLimits,
  type Ticket,
} from '../../src/smtp/index.ts';
import { type Dice, makeDice } from './ocp-inputs.ts';

const runs = Number(process.env['FUZZ_RUNS'] ?? 100_000);
const seed = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 32));
const only = process.env['FUZZ_AT'];

const BATCH = 1000;

/** Caps that small inputs reach. */
const tight = makeServerOptions({
  hostname: 'mx.example.com',
  maxSize: 60,
  tls: 'offered',
  limits: {
    ...serverLimits,
    commandLine: 60,
    contentLine: 30,
    recipients: 2,
    pending: 2,
    held: 40,
    errors: 4,
    junk: 6,
    commands: 30,
  },
});
const wide = makeServerOptions({ hostname: 'mx.example.com', chunking: true, dsn: true });
const bare = makeServerOptions({
  hostname: 'mx.example.com',
  chunking: false,
  eightBitMime: false,
  smtpUtf8: false,
  tls: 'required',
});

/** All that may be asked of a client before its mail. */
const entry = makeServerOptions({
  hostname: 'mx.example.com',
  auth: 'always',
  xclient: true,
  xforward: true,
  limits: { ...serverLimits, commandLine: 80, held: 60, errors: 8, authFailures: 3 },
});

/** Those with several replies at the end of a mail. */
const lmtp = makeServerOptions({
  ...tight,
  protocol: 'lmtp',
  limits: { ...tight.limits, recipients: 9, commandLine: 80 },
});
const prdr = makeServerOptions({ ...wide, prdr: true });
const opes = makeServerOptions({ ...wide, opes: true });

const MAIL = 'EHLO a\r\nMAIL FROM:<a@b.c>\r\nRCPT TO:<d@e.f>\r\n';
const DIALOGS = [
  `${MAIL}DATA\r\n`,
  `L${MAIL.slice(1)}RCPT TO:<g@h.i>\r\nDATA\r\n`,
  `L${MAIL.slice(1)}RCPT TO:<g@h.i>\r\nBDAT 3\r\na\r\nBDAT 3 LAST\r\nb\r\n`,
  `${MAIL.replace('b.c>', 'b.c> OPESBYPASS=urn:x:y,urn:x:z+2Cb OPESTRACE OPESAUTH')}RCPT TO:<g@h.i> OPESBYPASS=*\r\nDATA\r\n`,
  `${MAIL.replace('b.c>', 'b.c> PRDR')}RCPT TO:<g@h.i>\r\nRCPT TO:<unknown@h.i>\r\nBDAT 3 LAST\r\nb\r\n`,
  'Subject: x\r\n\r\n..dot\r\nbody\r\n.\r\n',
  `${MAIL}BDAT 5\r\nab\r\ncBDAT 4 LAST\r\nd\r\n.`,
  `${MAIL}RCPT TO:<unknown@e.f>\r\nRCPT TO:<later@e.f>\r\nRSET\r\nNOOP\r\nQUIT\r\n`,
  'EHLO a\r\nMAIL FROM:<> SIZE=10 BODY=8BITMIME SMTPUTF8\r\nRCPT TO:<"a b"@[192.0.2.1]>\r\nBDAT 0 LAST\r\n',
  'EHLO a\r\nMAIL FROM:<> RET=HDRS ENVID=a+2Bb\r\nRCPT TO:<d@e.f> NOTIFY=SUCCESS,DELAY ORCPT=utf-8;\\x{E9}@e.f\r\nBDAT 0 LAST\r\n',
  'HELO a\r\nVRFY x\r\nEXPN y\r\nHELP\r\nSTARTTLS\r\n',
  'MAIL FROM:<banned@b.c>\r\nRCPT TO:<d@e.f>\r\nDATA\r\n',
  // user, pencil; then LOGIN; then SCRAM up to its proof (RFC 7677, 3, with our nonce)
  'EHLO a\r\nAUTH PLAIN AHVzZXIAcGVuY2ls\r\nMAIL FROM:<a@b.c> AUTH=<>\r\nRCPT TO:<d@e.f>\r\n',
  'EHLO a\r\nAUTH LOGIN\r\ndXNlcg==\r\ncGVuY2ls\r\n',
  'EHLO a\r\nAUTH SCRAM-SHA-256 biwsbj11c2VyLHI9YQ==\r\nYz1iaXdzLHI9YWIscD1BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBPQ==\r\n\r\n',
  'EHLO a\r\nXCLIENT ADDR=192.0.2.1 NAME=c LOGIN=x\r\nEHLO b\r\nXFORWARD ADDR=IPV6:2001:db8::1\r\nMAIL FROM:<a@b.c> RET=HDRS\r\n',
];
const TOKENS = [
  ...'\r\n|\n|\r|\r\n.\r\n|\n.\n|\r\n.\n|\n.\r\n|\r.\r|.|..|\0|\xff|\xc3\xa9| |:|<|>|@|"|=|\t'.split('|'),
  ...'EHLO a\r\n|HELO\r\n|MAIL FROM:<a@b.c>\r\n|MAIL FROM:<\xc3\xa9@b.c> SMTPUTF8\r\n|RCPT TO:<d@e.f>\r\n|DATA\r\n|RSET\r\n'.split(
    '|',
  ),
  ...'NOOP\r\n|QUIT\r\n|STARTTLS\r\n|BDAT 3\r\n|BDAT 0 LAST\r\n|BDAT 9999999\r\n| LAST|GET / HTTP/1.1\r\n|VRFY x\r\n'.split(
    '|',
  ),
  ...' RET=FULL| ENVID=x+| NOTIFY=NEVER| ORCPT=rfc822;|,NEVER|+0A|\\x{|}'.split('|'),
  ...'AUTH PLAIN\r\n|AUTH LOGIN\r\n|AUTH SCRAM-SHA-256 |AUTH CRAM-MD5\r\n|*\r\n|=|AHVzZXIAcGVuY2ls\r\n|AHVzZXIAeA==\r\n|AGdvbmUAeA==\r\n'.split(
    '|',
  ),
  ...'XCLIENT |XFORWARD |NAME=[UNAVAILABLE]|ADDR=192.0.2.1|ADDR=IPV6:::1|LOGIN=|PROTO=ESMTP|+3D|+0|[TEMPUNAVAIL]\r\n'.split(
    '|',
  ),
  'PROXY TCP4 192.0.2.1 198.51.100.1 56324 25\r\n',
  '\r\n\r\n\0\r\nQUIT\n!\x11\0\x0c',
  'x'.repeat(100),
  'x\r\n'.repeat(30),
  `AUTH PLAIN ${'A'.repeat(300)}`,
];

function inputAt(dice: Dice): Buffer {
  let text = dice(4) === 0 ? '' : Array.from({ length: 1 + dice(3) }, () => pick(DIALOGS, dice)).join('');
  if (text === '') text = Array.from({ length: dice(15) }, () => pick(TOKENS, dice)).join('');
  for (let i = dice(4); i > 0; i--) {
    const from = dice(text.length + 1);
    const to = Math.min(text.length, from + dice(6));
    const middle = text.slice(from, to);
    const put = [
      () => '',
      () => middle + middle,
      () => pick(TOKENS, dice),
      () => middle + pick(TOKENS, dice),
      () => String.fromCharCode(dice(256)),
      () => pick(DIALOGS, dice),
    ][dice(6)];
    text = text.slice(0, from) + (put?.() ?? '') + text.slice(to);
  }
  return Buffer.from(text, 'latin1');
}

function pick(list: readonly string[], dice: Dice): string {
  return list[dice(list.length)] ?? '';
}

/** Chunks lie where the next one will. */
const socketMemory = Buffer.alloc(65_536);

/** A handler that holds the session to the contract of `ServerHandler`, and answers by what it is asked about. */
class Judge implements ServerHandler, ServerOut {
  readonly session: ServerSession;
  readonly #options: ServerOptions;
  readonly #isLate: boolean;
  readonly #owed: (() => void)[] = [];
  readonly #tickets = new Set<Ticket>();
  said = '';
  mails = '';
  isClosed = false;
  isOver = false;
  isPaused = false;
  hasRefusedMail = false;
  #transaction: 'none' | 'open' | 'asked' | 'receiving' | 'ended' = 'none';
  #accepted = 0;
  #mail = 0;
  #isPrdr = false;
  #content: Buffer[] = [];
  /** What was said when the content was asked for. */
  #saidBefore = 0;

  constructor(options: ServerOptions, isLate: boolean) {
    this.#options = options;
    this.#isLate = isLate;
    this.session = new ServerSession(options, this, this);
    this.session.greet();
  }

  send(chunk: Buffer): void {
    if (this.isClosed) return;
    chunk.copy(socketMemory);
    this.session.recv(socketMemory.subarray(0, chunk.length));
    socketMemory.fill('#', 0, chunk.length);
  }

  /** Gives one answer that is owed. */
  answerOne(dice: Dice): boolean {
    const [answer] = this.#owed.splice(dice(Math.max(1, this.#owed.length)), 1);
    answer?.();
    return answer !== undefined;
  }

  #ask(ticket: Ticket, answer: () => void): void {
    assert.ok(!this.isOver, 'asked after the end');
    if (this.#transaction !== 'ended') {
      assert.ok(!this.#tickets.has(ticket), 'a ticket twice');
      this.#tickets.add(ticket);
    }
    if (this.#isLate) this.#owed.push(answer);
    else answer();
  }

  onHello(verb: 'EHLO' | 'HELO', name: string, ticket: Ticket): void {
    this.#ask(ticket, () => {
      if (name === 'b') this.session.answer(ticket, reply(550, '5.7.1', `${verb} refused`));
      else this.session.answerHello(ticket);
    });
  }

  onMail({ reversePath, params }: Parameters<ServerHandler['onMail']>[0], ticket: Ticket): void {
    assert.equal(this.#transaction, 'none');
    this.#isPrdr = params.has('PRDR');
    this.#transaction = 'open';
    this.#mail++;
    this.#accepted = 0;
    this.#content = [];
    this.#ask(ticket, () => {
      const isBanned = reversePath?.local === 'banned';
      if (isBanned && this.#transaction === 'open') this.#transaction = 'none';
      this.hasRefusedMail ||= isBanned;
      this.session.answer(ticket, isBanned ? reply(550, undefined, 'no\r\n250 yes') : replies.mailOk);
    });
  }

  onRcpt({ forwardPath }: Parameters<ServerHandler['onRcpt']>[0], ticket: Ticket): void {
    // MAIL may have been refused meanwhile, in which case the session does not ask any more.
    assert.equal(this.#transaction, 'open');
    const { local } = forwardPath;
    const answer: Reply =
      local === 'unknown' ? reply(550, '5.1.1', 'no') : local === 'later' ? reply(451, '4.2.0', 'no') : replies.rcptOk;
    const mail = this.#mail;
    this.#ask(ticket, () => {
      // An answer that comes when its MAIL has been refused, and another begun, counts for neither.
      if (answer.code === 250 && mail === this.#mail) this.#accepted++;
      this.session.answer(ticket, answer);
    });
  }

  onData(ticket: Ticket): void {
    this.#saidBefore = this.said.length;
    assert.equal(this.#transaction, 'open');
    assert.ok(this.#accepted > 0, 'no recipient');
    this.#transaction = 'asked';
    this.#ask(ticket, () => {
      if (this.#transaction !== 'asked') return;
      this.#transaction = 'receiving';
      this.session.go(ticket);
    });
  }

  onContent(octets: Buffer): void {
    assert.equal(this.#transaction, 'receiving');
    assert.ok(octets.length > 0);
    this.#content.push(octets);
  }

  onContentEnd(ticket: Ticket): void {
    assert.equal(this.#transaction, 'receiving');
    this.#transaction = 'ended';
    const content = Buffer.concat(this.#content).toString('latin1');
    assert.doesNotMatch(content, /\r(?!\n)|(?<!\r)\n/);
    // Only a chunk may end within a line; content that was asked for with 354 cannot.
    if (this.said.slice(this.#saidBefore).includes('354 ')) assert.ok(content === '' || content.endsWith('\r\n'));
    assert.ok(content.length <= this.#options.maxSize + 2, 'too much');
    this.#ask(ticket, () => {
      if (this.#transaction !== 'ended') return;
      this.#transaction = 'none';
      this.mails += `${JSON.stringify(content)}\n`;
      this.#answerEnd(ticket, content);
    });
  }

  /** Each recipient's word is said once, in order; the content decides how it is given. */
  #answerEnd(ticket: Ticket, content: string): void {
    const { protocol } = this.#options;
    const each = Array.from({ length: this.#accepted }, (_, i) => reply(250, '2.0.0', `recipient ${i}`));
    const count = protocol === 'lmtp' ? each.length : this.#isPrdr && each.length > 1 ? each.length + 1 : 1;
    const isOneWord = content.length % 2 === 0;
    const before = this.said.length;
    if (isOneWord) this.session.answer(ticket, replies.accepted);
    else this.session.answerEach(ticket, each);
    const lines = this.said.slice(before).split('\r\n').slice(0, count);
    for (const [i, line] of lines.entries())
      assert.equal(line, isOneWord ? '250 2.0.0 OK, message accepted' : `250 2.0.0 recipient ${i % each.length}`);
  }

  onVerify(_verb: string, argument: string, ticket: Ticket): void {
    assert.notEqual(argument, '');
    this.#ask(ticket, () => this.session.answer(ticket, replies.cannotVerify));
  }

  onAuth(question: AuthQuestion, ticket: Ticket): void {
    assert.equal(this.#transaction, 'none', 'AUTH in a mail');
    assert.equal(this.session.user, '', 'AUTH twice');
    assert.notEqual(question.user, '');
    this.#ask(ticket, () => {
      const { kind } = question;
      if (question.user === 'gone') this.session.answer(ticket, reply(421, '4.7.0', 'Go away'));
      else if (kind === 'salt')
        this.session.answerAuth(ticket, { kind: 'salted', salt: Buffer.from('salt'), iterations: 4096, nonce: 'b' });
      else if (kind === 'proof') this.session.answerAuth(ticket, { kind: 'proven', signature: Buffer.alloc(32) });
      else if (question.password === 'pencil') this.session.answerAuth(ticket, { kind: 'accepted' });
      else this.session.answer(ticket, replies.authRefused);
    });
  }

  onReset(): void {
    assert.notEqual(this.#transaction, 'none');
    this.#transaction = 'none';
  }

  onClosed(): void {
    assert.ok(!this.isOver, 'closed twice');
    assert.equal(this.#transaction, 'none');
    this.isOver = true;
  }

  write(latin1: string): void {
    assert.ok(!this.isClosed, 'written after the end');
    this.said += latin1;
  }

  startTls(): void {
    this.said += '<TLS>\r\n';
  }

  close(): void {
    assert.ok(!this.isClosed);
    this.isClosed = true;
  }

  pauseInput(): void {
    assert.ok(!this.isPaused);
    this.isPaused = true;
  }

  resumeInput(): void {
    assert.ok(this.isPaused);
    this.isPaused = false;
  }
}

const REPLY =
  /^(?:(2\d\d|[45]\d\d)[ -](?:(\d)\.\d{1,3}\.\d{1,3} )?[\x20-\x7e]*|35[34] [\x20-\x7e]+|334 [A-Za-z0-9+/=]*|<TLS>)$/;

function assertWellFormed(said: string): void {
  assert.ok(said === '' || said.endsWith('\r\n'));
  let isGreeting = true;
  for (const line of said.slice(0, -2).split('\r\n')) {
    const m = REPLY.exec(line);
    assert.ok(m !== null && line.length <= 510, line);
    const [, code, enhancedClass] = m;
    // XCLIENT is answered by another greeting.
    const isHello =
      (code === '250' || /^220 mx\.example\.com (?:ESMTP|LMTP)$/.test(line)) && enhancedClass === undefined;
    if (code !== undefined && !isGreeting && !isHello) assert.equal(enhancedClass, code[0], line);
    isGreeting = false;
  }
}

/** `closes`: the client closes its side behind all of it, and still listens. */
function run(input: readonly Buffer[], options: ServerOptions, late: Dice | undefined, closes = false): Judge {
  const judge = new Judge(options, late !== undefined);
  for (const chunk of input) {
    judge.send(chunk);
    if (late === undefined) continue;
    for (let n = late(3); n > 0; n--) judge.answerOne(late);
  }
  if (closes) judge.session.halfClosed();
  if (late !== undefined) while (judge.answerOne(late)) {}
  assert.ok(!closes || judge.isOver || judge.session.waitsFor === 'tls', 'waits for one that has gone');
  judge.session.ended();
  assert.ok(judge.isOver && (judge.isClosed || !judge.isPaused));
  assertWellFormed(judge.said);
  return judge;
}

function cut(octets: Buffer, dice: Dice): Buffer[] {
  const chunks: Buffer[] = [];
  const longest = dice(8) === 0 ? 1 : 1 + dice(octets.length + 1);
  for (let at = 0; at < octets.length; ) {
    const to = Math.min(octets.length, at + 1 + dice(longest));
    chunks.push(octets.subarray(at, to));
    at = to;
  }
  return chunks;
}

/** Where octets came before a reply that had to be waited for, the cuts decide whether they came too soon. */
const DEPENDS_ON_TIME = /wait for the reply|<TLS>/;

function check(input: Buffer, dice: Dice): void {
  const options = [tight, wide, bare, entry, lmtp, prdr, opes][dice(7)] ?? wide;
  const whole = run([input], options, undefined);
  if (dice(4) === 0) run(cut(input, dice), options, dice, true);
  const isLate = dice(2) === 0;
  const other = run(cut(input, dice), options, isLate ? dice : undefined);
  if (DEPENDS_ON_TIME.test(whole.said) || DEPENDS_ON_TIME.test(other.said)) return;
  // Of a MAIL refused late, bad RCPTs hear that they are bad, and not that there is no MAIL.
  if (isLate && other.hasRefusedMail) return;
  assert.equal(other.said, whole.said);
  assert.equal(other.mails, whole.mails);
}

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function heapAfterCollection(): number {
  // Buffers that one collection found are freed beside it; the next waits for that.
  collect();
  collect();
  return process.memoryUsage().heapUsed + process.memoryUsage().external;
}

test(`${only === undefined ? runs : 1} inputs, FUZZ_SEED=${seed}`, () => {
  const first = only === undefined ? 0 : Number(only);
  const last = only === undefined ? runs : first + 1;
  let before = 0;
  for (let at = first; at < last; at++) {
    const dice = makeDice(seed, at);
    const input = inputAt(dice);
    const started = at % BATCH === 0 ? performance.now() : 0;
    try {
      check(input, dice);
    } catch (error) {
      throw new Error(`FUZZ_SEED=${seed} FUZZ_AT=${at} ${JSON.stringify(input.toString('latin1'))}`, { cause: error });
    }
    if (started !== 0) assert.ok(performance.now() - started < 1000, 'one input took a second');
    if (at === Math.trunc(last / 2)) before = heapAfterCollection();
  }
  const grown = only === undefined ? heapAfterCollection() - before : 0;
  assert.ok(grown < 8 * 1024 * 1024, `grown by ${grown} octets over half of the inputs`);
});

/** What may be sent for ever, and what it is sent behind. */
const ENDLESS: readonly (readonly [name: string, before: string, chunk: string])[] = [
  ['octets without a line end', '', 'x'],
  ['content in one line', `${MAIL}DATA\r\n`, 'x'.repeat(1000)],
  ['content of dots', `${MAIL}DATA\r\n`, '.\r\n..\r\n'.repeat(100)],
  ['content of bare newlines', `${MAIL}DATA\r\n`, '\n\r'.repeat(100)],
  ['a chunk', `${MAIL}BDAT 40000000\r\n`, 'x\r\n'.repeat(300)],
  ['chunks that are refused', 'EHLO a\r\n', `BDAT 1000\r\n${'x'.repeat(1000)}`],
  ['recipients', 'EHLO a\r\nMAIL FROM:<a@b.c>\r\n', 'RCPT TO:<d@e.f>\r\n'.repeat(50)],
  ['commands', 'EHLO a\r\n', 'NOOP\r\n'.repeat(50)],
  ['answers to challenges', 'EHLO a\r\n', 'AUTH LOGIN\r\nQUFB\r\n*\r\n'.repeat(20)],
  ['an answer without a line end', 'EHLO a\r\nAUTH PLAIN\r\n', 'A'.repeat(1000)],
  ['passwords', 'EHLO a\r\n', 'AUTH PLAIN AHVzZXIAeA==\r\n'],
  ['clients', '', 'XCLIENT ADDR=192.0.2.1\r\nXFORWARD ADDR=192.0.2.1\r\n'.repeat(20)],
];

for (const [name, before, chunk] of ENDLESS) {
  test(`${name} for ever: nothing is kept`, () => {
    const judge = new Judge({ ...wide, auth: 'always', xclient: true, xforward: true }, false);
    judge.onContent = () => undefined;
    judge.send(Buffer.from(before));
    const octets = Buffer.from(chunk);
    const heap = heapAfterCollection();
    for (let sent = 0; sent < 20_000_000 && !judge.isClosed; sent += octets.length) {
      judge.send(octets);
      judge.said = '';
    }
    const grown = heapAfterCollection() - heap;
    assert.ok(grown < 1024 * 1024, `grown by ${grown} octets`);
    judge.session.ended();
  });
}

test('input behind an answer that is owed for ever: the shell is told to stop, and what is kept is bounded', () => {
  const judge = new Judge(wide, true);
  judge.send(Buffer.from('EHLO a\r\n'));
  const octets = Buffer.from('NOOP\r\n'.repeat(100));
  let sent = 0;
  for (; !judge.isPaused && sent < 1_000_000; sent += octets.length) judge.send(octets);
  assert.ok(sent <= wide.limits.held + 2 * octets.length, `${sent}`);
});
