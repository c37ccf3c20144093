/**
 * Mutated next hops: whatever octets a hop answers with, in whatever pieces, the client session neither throws nor hangs,
 * keeps within its caps, tells its owner of the end once, and lets no mail count as delivered whose end was not asked for.
 * FUZZ_RUNS says how many dialogs; FUZZ_SEED repeats a run.
 */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import {
  type Awaited,
  type ClientOut,
  ClientSession,
  type FailureReason,
  type MailEvents,
  mapNextHopReply,
  type OutboundFailure,
  type Reply,
  ReplyParser,
  replyToFailure,
  writeReply,
} from '../../src/smtp/index.ts';

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 100_000);
const SEED = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000_007);
const LIMITS = { line: 128, lines: 8 };
const MODES = ['none', 'none', 'may', 'must', 'implicit'] as const;
const NO_CRYPTO = { hash: () => Buffer.alloc(32), hmac: () => Buffer.alloc(32), nonce: () => 'nonce' };

/** mulberry32: small, and the same everywhere. */
function makeRandom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4294967296) * below);
  };
}

const REASONS: ReadonlySet<FailureReason> = new Set([
  'refused',
  'lost',
  'closing',
  'tls',
  'no-tls',
  'auth',
  'identity',
  'starttls-injection',
  'timeout',
  'bad-reply',
  'unsolicited',
  'out-of-place',
  'shutdown',
]);

const HELLO =
  '250-hop\r\n250-PIPELINING\r\n250-AUTH PLAIN\r\n250-XCLIENT ADDR\r\n250-8BITMIME\r\n250-STARTTLS\r\n250 CHUNKING\r\n';

/** What an honest hop answers, by the command. */
const HONEST: ReadonlyMap<string, string> = new Map([
  ['EHLO', HELLO],
  ['LHLO', HELLO],
  ['XCLIENT', '220 hop\r\n'],
  ['XFORWARD', '250 2.0.0 Ok\r\n'],
  ['AUTH', '235 2.7.0 Ok\r\n'],
  ['HELO', '250 hop\r\n'],
  ['STARTTLS', '220 go\r\n'],
  ['MAIL', '250 2.1.0 Ok\r\n'],
  ['RCPT', '250 2.1.5 Ok\r\n'],
  ['DATA', '354 go\r\n'],
  ['CONTENT', '250 2.0.0 queued\r\n'],
  ['RSET', '250 2.0.0 Ok\r\n'],
  ['QUIT', '221 bye\r\n'],
]);

const WORDS = [
  '250 ok\r\n',
  '250-more\r\n',
  '354 go\r\n',
  '421 bye\r\n',
  '550 5.1.1 no\r\n',
  '451 4.3.0 later\r\n',
  '554-a\r\n554 b\r\n',
  '220 x\r\n',
  '150 x\r\n',
  '250\r\n',
  '25',
  '-',
  '\r',
  '\n',
  '\r\n',
  '\0',
  '999 x\r\n',
  '250-a\r\n550 b\r\n',
  '250-hop\r\n250 PIPELINING\r\n',
  '250 hop\r\n',
  'x'.repeat(200),
  '250-x\r\n'.repeat(9),
  '503 what\r\n',
  '250 \xff\xfe\r\n',
  '571 5.7.1 no\r\n',
];

function mutate(text: string, random: (below: number) => number): string {
  switch (random(9)) {
    case 0:
      return WORDS[random(WORDS.length)] ?? '';
    case 1:
      return text + (WORDS[random(WORDS.length)] ?? '');
    case 2:
      return (WORDS[random(WORDS.length)] ?? '') + text;
    case 3:
      return text.slice(0, random(text.length + 1));
    case 4: {
      const at = random(text.length);
      return text.slice(0, at) + String.fromCharCode(random(256)) + text.slice(at + 1);
    }
    case 5: {
      const at = random(text.length + 1);
      return text.slice(0, at) + (WORDS[random(WORDS.length)] ?? '') + text.slice(at);
    }
    case 6:
      return text + text;
    case 7:
      return '';
    default:
      return `${2 + random(4)}${random(6)}${random(10)}${text.slice(3)}`;
  }
}

/** Owns a session as the pool does, and holds it to its word. */
class Owner implements ClientOut {
  readonly session: ClientSession;
  /** Commands not yet answered by the hop. */
  readonly asked: string[] = ['CONNECT'];
  overs = 0;
  /** Content waits for the socket while the hop speaks already; what has left does not come back. */
  isHolding = false;
  /** Recipients the hop has accepted for the mail. */
  accepted = 0;
  readonly #isLmtp: boolean;
  #mails = 0;
  readonly #random: (below: number) => number;

  constructor(random: (below: number) => number) {
    this.#random = random;
    const protocol = random(3) === 0 ? 'lmtp' : 'smtp';
    const tls = MODES[random(MODES.length)] ?? 'none';
    const auth = random(3) === 0 ? { credentials: { user: 'u', password: 'p' }, crypto: NO_CRYPTO } : undefined;
    this.#isLmtp = protocol === 'lmtp';
    this.session = new ClientSession({ helo: 'us', protocol, tls, auth, reply: LIMITS }, this);
    this.session.connected();
  }

  write(commands: string): void {
    assert.equal(this.overs, 0, 'a command behind the end');
    for (const line of commands.split('\r\n').slice(0, -1)) this.asked.push(line.split(' ', 1)[0] ?? '');
  }
  content(parts: Uint8Array[], octets: number): void {
    assert.equal(this.overs, 0, 'content behind the end');
    const whole = Buffer.concat(parts);
    assert.equal(whole.length, octets);
    this.isHolding ||= this.#random(8) === 0;
    const isChunk = whole.subarray(0, 5).toString() === 'BDAT ';
    const isEnd = isChunk ? whole.includes('LAST') : whole.subarray(-5).toString() === '\r\n.\r\n';
    const replies = isEnd && this.#isLmtp ? this.accepted : isEnd || isChunk ? 1 : 0;
    for (let i = 0; i < replies; i++) this.asked.push('CONTENT');
  }
  holdsContent(): boolean {
    return this.isHolding;
  }
  startTls(): void {
    this.asked.length = 0;
    this.asked.push('TLS');
  }
  awaits(_what: Awaited): void {}
  derive(): void {
    assert.fail('SCRAM was not offered, or its message would have been mutated beyond belief');
  }
  isPrivate(): boolean {
    return this.#random(2) === 0;
  }
  onDeclined(reply: Reply): void {
    assert.ok(reply.code >= 400);
  }

  onReady(): void {
    assert.equal(this.session.isReady, true);
    if (this.#mails < 2 && this.#random(4) === 0) {
      this.#mails++;
      this.session.identify(['XCLIENT ADDR=192.0.2.1'], 'client.example');
    } else if (++this.#mails <= 2) new Mail(this, this.#random);
  }
  onOver(failure: OutboundFailure): void {
    this.overs++;
    assert.ok(REASONS.has(failure.reason), failure.reason);
    const told = writeReply(replyToFailure(failure));
    assert.match(told, /^451 4\.\d\.\d [\x20-\x7e]*\r\n$/);
  }
}

/** Goes on as far as the hop lets it, as a relay does, and sometimes gives up. */
class Mail implements MailEvents {
  readonly #owner: Owner;
  readonly #session: ClientSession;
  readonly #random: (below: number) => number;
  #each = 0;
  #owed: number;
  #accepted = 0;
  #isMailAccepted = false;
  /** DATA left with the recipients. */
  readonly #isAhead: boolean;
  #isSent = false;
  #isOver = false;

  constructor(owner: Owner, random: (below: number) => number) {
    const { session } = owner;
    this.#owner = owner;
    owner.accepted = 0;
    this.#session = session;
    this.#random = random;
    this.#owed = 1 + random(3);
    session.mail('<a@b>', this, random(4) === 0 ? ['XFORWARD ADDR=192.0.2.1'] : undefined);
    for (let i = 0; i < this.#owed; i++) session.rcpt('<b@c>');
    this.#isAhead = session.hop.pipelining && random(2) === 0;
    if (this.#isAhead) assert.equal(session.data(false), 'asked');
  }

  onMailReply(reply: Reply): void {
    this.#check('mail', reply);
    if (reply.code >= 300) this.#isOver = true;
    else this.#isMailAccepted = true;
    if (this.#isMailAccepted && this.#random(20) === 0) this.#abort();
  }
  onRcptReply(reply: Reply): void {
    this.#check('rcpt', reply);
    assert.equal(this.#isMailAccepted, true);
    this.#owed--;
    assert.ok(this.#owed >= 0, 'more answers than recipients');
    if (reply.code < 300) this.#owner.accepted = ++this.#accepted;
    if (this.#owed > 0) return;
    if (this.#accepted === 0 || this.#random(10) === 0) this.#abort();
    else if (!this.#isAhead && this.#session.data(this.#random(2) === 0) === 'go') this.#pour();
  }
  onDataReply(reply: Reply): void {
    assert.equal(this.#isOver, false, 'an answer behind the last');
    assert.ok(reply.code === 354 || reply.code >= 400);
    assert.ok(this.#owed === 0 && this.#accepted > 0, 'DATA is answered for recipients');
    if (reply.code === 354) this.#pour();
    else this.#isOver = true;
  }
  onEachReply(reply: Reply): void {
    this.#check('final', reply);
    assert.equal(this.#isSent, true);
    assert.ok(++this.#each <= this.#accepted, 'more final replies than recipients');
  }
  onFinalReply(reply: Reply): void {
    this.#check('final', reply);
    assert.ok(this.#each === 0 || this.#each === this.#accepted);
    this.#isOver = true;
    if (reply.code < 300) assert.equal(this.#isSent && !this.#owner.isHolding, true, 'a yes to a mail not sent');
  }

  #abort(): void {
    this.#isOver = true;
    this.#session.abort();
  }

  #pour(): void {
    this.#session.content([Buffer.from('a\r\n.b\r\n')], false);
    if (this.#random(8) === 0) return;
    this.#isSent = true;
    this.#session.content([Buffer.from('c\r\n')], true);
  }

  #check(asked: 'mail' | 'rcpt' | 'final', reply: Reply): void {
    const { code } = reply;
    assert.equal(this.#isOver, false, 'an answer behind the last');
    assert.ok((code >= 200 && code < 300) || (code >= 400 && code < 600 && code !== 421), `${code}`);
    assert.ok(reply.text.length >= 1 && reply.text.length <= LIMITS.lines);
    const wire = writeReply(mapNextHopReply(asked, reply));
    for (const line of wire.split('\r\n').slice(0, -1)) assert.match(line, /^[245][0-5]\d[ -][\x20-\x7e]*$/);
  }
}

function dialog(random: (below: number) => number): void {
  const owner = new Owner(random);
  // One change somewhere is likelier to get far than one everywhere.
  const rate = [2, 4, 8, 16][random(4)] ?? 8;
  for (let step = 0; step < 60 && owner.overs === 0; step++) {
    const verb = owner.asked.shift();
    if (random(2) === 0) owner.isHolding = false;
    if (verb === 'TLS') {
      if (random(4) === 0) owner.session.ended('ECONNRESET');
      else owner.session.secured();
      continue;
    }
    if (verb === undefined) break;
    const honest = verb === 'CONNECT' ? '220 hop\r\n' : (HONEST.get(verb) ?? '500 what\r\n');
    const octets = Buffer.from(random(rate) === 0 ? mutate(honest, random) : honest, 'latin1');
    for (let at = 0; at < octets.length; ) {
      const size = random(4) === 0 ? 1 + random(6) : octets.length;
      const chunk = Buffer.from(octets.subarray(at, at + size));
      owner.session.recv(chunk);
      chunk.fill(0x58); // the socket's buffer is used again
      at += size;
    }
  }
  if (random(3) === 0) owner.session.quit();
  else if (random(2) === 0) owner.session.timedOut('reply');
  owner.session.ended('end');
  owner.session.recv(Buffer.from('250 late\r\n'));
  assert.equal(owner.overs, 1, 'the end is told once');
}

test(`no dialog of a mutated hop breaks the client (seed ${SEED})`, () => {
  for (let run = 0; run < RUNS; run++) {
    const seed = (SEED + run) >>> 0;
    try {
      dialog(makeRandom(seed));
    } catch (error) {
      throw new Error(`FUZZ_SEED=${seed} FUZZ_RUNS=1`, { cause: error });
    }
  }
});

test(`no octets break the reply parser, and it keeps no more than its caps (seed ${SEED})`, () => {
  const random = makeRandom(SEED);
  for (let run = 0; run < RUNS / 10; run++) {
    const text = Array.from({ length: 1 + random(6) }, () => WORDS[random(WORDS.length)] ?? '').join('');
    const octets = Buffer.from(random(2) === 0 ? mutate(text, random) : text, 'latin1');
    const results = [octets.length, 1, 1 + random(7)].map((size) => {
      const parser = new ReplyParser(LIMITS);
      const replies: Reply[] = [];
      for (let at = 0; at < octets.length; at += size) {
        parser.feed(octets.subarray(at, at + size));
        for (let reply = parser.next(); reply !== undefined; reply = parser.next()) replies.push(reply);
      }
      for (const { text: lines } of replies)
        assert.ok(lines.length <= LIMITS.lines && lines.every((line) => line.length <= LIMITS.line));
      return { replies, rule: parser.rule };
    });
    assert.deepEqual(results[1], results[0]);
    assert.deepEqual(results[2], results[0]);
  }
});
