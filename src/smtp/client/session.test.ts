import assert from 'node:assert/strict';
import { test } from 'vitest';
import { replyLimits } from '../limits.ts';
import type { Reply } from '../reply.ts';
import type { Awaited, MailEvents } from './mail-transaction.ts';
import type { TlsMode } from './opening.ts';
import type { OutboundFailure } from './outbound.ts';
import { type ClientOut, ClientSession } from './session.ts';

/** A session whose every sign is kept in one list. A relay in small: it goes on as far as the hop lets it. */
class Talk implements ClientOut, MailEvents {
  readonly said: string[] = [];
  readonly session: ClientSession;
  awaited: Awaited = 'nothing';
  readonly #rcpts: readonly string[];
  readonly #content: readonly string[];
  readonly #exact: boolean;
  readonly #ahead: boolean;
  #mails: number;
  #owed = 0;
  #accepted = 0;

  constructor(
    options: {
      tls?: TlsMode;
      protocol?: 'smtp' | 'lmtp';
      rcpts?: readonly string[];
      content?: readonly string[];
      exact?: boolean;
      mails?: number;
      /** DATA leaves with the recipients. */
      ahead?: boolean;
    } = {},
  ) {
    this.#rcpts = options.rcpts ?? ['<b@c>'];
    this.#content = options.content ?? ['Hi\r\n'];
    this.#exact = options.exact ?? false;
    this.#ahead = options.ahead ?? false;
    this.#mails = options.mails ?? 1;
    const { tls = 'none', protocol = 'smtp' } = options;
    this.session = new ClientSession({ helo: 'us.example', protocol, tls, reply: replyLimits }, this);
    this.session.connected();
  }

  write(commands: string): void {
    this.said.push(...commands.trimEnd().split('\r\n'));
  }
  content(parts: Uint8Array[], octets: number): void {
    const whole = Buffer.concat(parts);
    assert.equal(whole.length, octets);
    this.said.push(JSON.stringify(whole.toString('latin1')));
  }
  holdsContent(): boolean {
    return false;
  }
  startTls(): void {
    this.said.push('(tls)');
  }
  derive(): void {
    this.said.push('(derive)');
  }
  isPrivate(): boolean {
    return false;
  }
  onDeclined(reply: Reply): void {
    this.said.push(`(declined ${reply.code})`);
  }
  onEachReply(reply: Reply): void {
    this.said.push(`(each ${reply.code})`);
  }
  awaits(what: Awaited): void {
    this.awaited = what;
  }
  onReady(): void {
    this.said.push('(ready)');
    if (this.#mails-- <= 0) return;
    this.#owed = this.#rcpts.length;
    this.#accepted = 0;
    this.session.mail('<a@b>', this);
    for (const rcpt of this.#rcpts) this.session.rcpt(rcpt);
    if (this.#ahead) this.session.data(this.#exact);
  }
  onOver({ stage, reason, sent, reply, detail }: OutboundFailure): void {
    const more = [reply?.code, detail, sent ? 'sent' : undefined].filter((word) => word !== undefined);
    this.said.push(`(over ${[stage, reason, ...more].join(' ')})`);
  }
  onMailReply(reply: Reply): void {
    this.said.push(`(mail ${reply.code})`);
  }
  onRcptReply(reply: Reply): void {
    this.said.push(`(rcpt ${reply.code})`);
    if (reply.code < 300) this.#accepted++;
    if (--this.#owed > 0) return;
    if (this.#accepted === 0) this.session.abort();
    else if (!this.#ahead && this.session.data(this.#exact) === 'go') this.#pour();
  }
  onDataReply(reply: Reply): void {
    this.said.push(`(data ${reply.code})`);
    if (reply.code === 354) this.#pour();
  }
  onFinalReply(reply: Reply): void {
    this.said.push(`(final ${reply.code})`);
  }
  #pour(): void {
    this.#content.forEach((text, i) => {
      this.session.content([Buffer.from(text, 'latin1')], i === this.#content.length - 1);
    });
  }
}

const EHLO = '250-hop\r\n250-PIPELINING\r\n250 CHUNKING\r\n';
const UP = ['220 hop\r\n', EHLO];
const UP_SAID = ['EHLO us.example', '(ready)', 'MAIL FROM:<a@b>', 'RCPT TO:<b@c>'];
const SLOW = ['220 hop\r\n', '250 hop\r\n'];

interface Dialog {
  readonly name: string;
  readonly hop: readonly string[];
  readonly said: readonly string[];
  readonly options?: ConstructorParameters<typeof Talk>[0];
  readonly awaited?: Awaited;
}

const dialogs: readonly Dialog[] = [
  {
    name: 'a mail, pipelined',
    hop: [...UP, '250 ok\r\n250 ok\r\n', '354 go\r\n', '250 done\r\n'],
    said: [...UP_SAID, '(mail 250)', '(rcpt 250)', 'DATA', '(data 354)', '"Hi\\r\\n.\\r\\n"', '(ready)', '(final 250)'],
  },
  {
    name: 'without PIPELINING every command waits',
    options: { rcpts: ['<b@c>', '<d@e>'] },
    hop: [...SLOW, '250 ok\r\n', '550 no\r\n', '250 ok\r\n', '354 go\r\n', '250 done\r\n'],
    said: [
      'EHLO us.example',
      '(ready)',
      'MAIL FROM:<a@b>',
      'RCPT TO:<b@c>',
      '(mail 250)',
      'RCPT TO:<d@e>',
      '(rcpt 550)',
      '(rcpt 250)',
      'DATA',
      '(data 354)',
      '"Hi\\r\\n.\\r\\n"',
      '(ready)',
      '(final 250)',
    ],
  },
  {
    name: 'DATA ahead: the envelope and DATA in one go',
    options: { ahead: true, rcpts: ['<b@c>', '<d@e>'] },
    hop: [...UP, '250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n', '250 done\r\n'],
    said: [
      ...UP_SAID,
      'RCPT TO:<d@e>',
      'DATA',
      '(mail 250)',
      '(rcpt 550)',
      '(rcpt 250)',
      '(data 354)',
      '"Hi\\r\\n.\\r\\n"',
      '(ready)',
      '(final 250)',
    ],
    awaited: 'nothing',
  },
  {
    name: 'DATA ahead, refused: RSET, then ready',
    options: { ahead: true },
    hop: [...UP, '250 ok\r\n250 ok\r\n451 no\r\n', '250 reset\r\n'],
    said: [...UP_SAID, 'DATA', '(mail 250)', '(rcpt 250)', 'RSET', '(data 451)', '(ready)'],
  },
  {
    name: 'DATA ahead for nobody, refused: RSET, then ready',
    options: { ahead: true },
    hop: [...UP, '250 ok\r\n550 no\r\n554 nobody\r\n', '250 reset\r\n'],
    said: [...UP_SAID, 'DATA', '(mail 250)', '(rcpt 550)', 'RSET', '(ready)'],
  },
  {
    name: 'DATA ahead for nobody, taken: a single dot (RFC 2920), then ready',
    options: { ahead: true },
    hop: [...UP, '250 ok\r\n550 no\r\n354 go\r\n', '554 nobody\r\n'],
    said: [...UP_SAID, 'DATA', '(mail 250)', '(rcpt 550)', '.', '(ready)'],
    awaited: 'nothing',
  },
  {
    name: 'DATA ahead for nobody, taken, and the single dot too: such a hop is not used again',
    options: { ahead: true },
    hop: [...UP, '250 ok\r\n550 no\r\n354 go\r\n', '250 done\r\n'],
    said: [...UP_SAID, 'DATA', '(mail 250)', '(rcpt 550)', '.', '(over final out-of-place 250)'],
  },
  {
    name: 'DATA ahead for nobody, taken in LMTP: no reply to a dot would follow',
    options: { ahead: true, protocol: 'lmtp' },
    hop: [...UP, '250 ok\r\n550 no\r\n354 go\r\n'],
    said: ['LHLO us.example', ...UP_SAID.slice(1), 'DATA', '(mail 250)', '(rcpt 550)', '(over data out-of-place 354)'],
  },
  {
    name: 'DATA ahead, MAIL refused: what is owed is read, then ready',
    options: { ahead: true },
    hop: [...UP, '552 too big\r\n503 what\r\n503 what\r\n'],
    said: [...UP_SAID, 'DATA', '(mail 552)', '(ready)'],
    awaited: 'nothing',
  },
  {
    name: 'DATA ahead, MAIL refused, DATA taken: a single dot',
    options: { ahead: true },
    hop: [...UP, '552 too big\r\n503 what\r\n354 go\r\n', '554 nobody\r\n'],
    said: [...UP_SAID, 'DATA', '(mail 552)', '.', '(ready)'],
  },
  {
    name: 'DATA ahead, and one answer too many: no content goes',
    options: { ahead: true },
    hop: [...UP, '250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n'],
    said: [...UP_SAID, 'DATA', '(mail 250)', '(rcpt 250)', '(over data out-of-place 250)'],
  },
  {
    name: 'DATA ahead, and one refusal too many: it counts as that of DATA, and no content goes',
    options: { ahead: true },
    hop: [...UP, '250 ok\r\n250 ok\r\n550 no\r\n354 go\r\n'],
    said: [...UP_SAID, 'DATA', '(mail 250)', '(rcpt 250)', 'RSET', '(data 550)', '(over envelope out-of-place 354)'],
  },
  {
    name: 'DATA ahead, then 421',
    options: { ahead: true },
    hop: [...UP, '250 ok\r\n421 bye\r\n'],
    said: [...UP_SAID, 'DATA', '(mail 250)', '(over envelope closing 421)'],
  },
  {
    name: 'DATA ahead in LMTP: a final reply for each recipient that was accepted',
    options: { ahead: true, protocol: 'lmtp', rcpts: ['<b@c>', '<d@e>', '<f@g>'] },
    hop: [...UP, '250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n354 go\r\n', '250 done\r\n452 full\r\n'],
    said: [
      'LHLO us.example',
      ...UP_SAID.slice(1),
      'RCPT TO:<d@e>',
      'RCPT TO:<f@g>',
      'DATA',
      '(mail 250)',
      '(rcpt 250)',
      '(rcpt 550)',
      '(rcpt 250)',
      '(data 354)',
      '"Hi\\r\\n.\\r\\n"',
      '(each 250)',
      '(each 452)',
      '(ready)',
      '(final 452)',
    ],
  },
  {
    name: 'two mails on one connection',
    options: { mails: 2 },
    hop: [
      ...UP,
      '250 ok\r\n250 ok\r\n',
      '354 go\r\n',
      '250 done\r\n',
      '250 ok\r\n250 ok\r\n',
      '354 go\r\n',
      '451 no\r\n',
    ],
    said: [
      ...UP_SAID,
      '(mail 250)',
      '(rcpt 250)',
      'DATA',
      '(data 354)',
      '"Hi\\r\\n.\\r\\n"',
      '(ready)',
      'MAIL FROM:<a@b>',
      'RCPT TO:<b@c>',
      '(final 250)',
      '(mail 250)',
      '(rcpt 250)',
      'DATA',
      '(data 354)',
      '"Hi\\r\\n.\\r\\n"',
      '(ready)',
      '(final 451)',
    ],
  },
  {
    name: 'MAIL refused: the replies to the recipients are read and mean nothing',
    options: { rcpts: ['<b@c>', '<d@e>'] },
    hop: [...UP, '552 too big\r\n503 what\r\n', '503 what\r\n'],
    said: [...UP_SAID, 'RCPT TO:<d@e>', '(mail 552)', '(ready)'],
    awaited: 'nothing',
  },
  {
    name: 'MAIL refused without PIPELINING: the recipients are not asked for',
    hop: [...SLOW, '550 no\r\n'],
    said: ['EHLO us.example', '(ready)', 'MAIL FROM:<a@b>', '(ready)', '(mail 550)'],
  },
  {
    name: 'MAIL refused, yet a recipient accepted: the hop counts otherwise than we do',
    hop: [...UP, '550 no\r\n250 ok\r\n'],
    said: [...UP_SAID, '(mail 550)', '(over envelope out-of-place 250)'],
  },
  {
    name: 'all recipients refused: RSET, then ready',
    hop: [...UP, '250 ok\r\n550 no\r\n', '250 reset\r\n'],
    said: [...UP_SAID, '(mail 250)', '(rcpt 550)', 'RSET', '(ready)'],
  },
  {
    name: 'a refused RSET ends the connection',
    hop: [...UP, '250 ok\r\n550 no\r\n', '500 what\r\n'],
    said: [...UP_SAID, '(mail 250)', '(rcpt 550)', 'RSET', '(over envelope out-of-place 500)'],
  },
  {
    name: 'DATA refused: RSET, then ready',
    hop: [...UP, '250 ok\r\n250 ok\r\n', '451 no\r\n', '250 reset\r\n'],
    said: [...UP_SAID, '(mail 250)', '(rcpt 250)', 'DATA', 'RSET', '(data 451)', '(ready)'],
  },
  {
    name: 'DATA answered with a yes that is not 354',
    hop: [...UP, '250 ok\r\n250 ok\r\n', '250 ok\r\n'],
    said: [...UP_SAID, '(mail 250)', '(rcpt 250)', 'DATA', '(over data out-of-place 250)'],
  },
  {
    name: '354 to RCPT',
    hop: [...UP, '250 ok\r\n354 go\r\n'],
    said: [...UP_SAID, '(mail 250)', '(over envelope out-of-place 354)'],
  },
  {
    name: '421 to MAIL',
    hop: [...UP, '421 bye\r\n'],
    said: [...UP_SAID, '(over envelope closing 421)'],
  },
  {
    name: '421 to the final dot: refused, and said so',
    hop: [...UP, '250 ok\r\n250 ok\r\n', '354 go\r\n', '421 bye\r\n'],
    said: [
      ...UP_SAID,
      '(mail 250)',
      '(rcpt 250)',
      'DATA',
      '(data 354)',
      '"Hi\\r\\n.\\r\\n"',
      '(over final closing 421 sent)',
    ],
  },
  {
    name: '354 to the final dot',
    hop: [...UP, '250 ok\r\n250 ok\r\n', '354 go\r\n', '354 go\r\n'],
    said: [
      ...UP_SAID,
      '(mail 250)',
      '(rcpt 250)',
      'DATA',
      '(data 354)',
      '"Hi\\r\\n.\\r\\n"',
      '(over final out-of-place 354 sent)',
    ],
  },
  {
    name: 'junk',
    hop: [...UP, '250 ok\r\nHTTP/1.1 400\r\n'],
    said: [...UP_SAID, '(mail 250)', '(over envelope bad-reply reply-code)'],
  },
  {
    name: 'greeting refused',
    hop: ['554 no service\r\n'],
    said: ['(over hello refused 554)'],
  },
  {
    name: 'greeting 421',
    hop: ['421 too many\r\n'],
    said: ['(over hello closing 421)'],
  },
  {
    name: 'greeting out of place',
    hop: ['354 go\r\n'],
    said: ['(over hello out-of-place 354)'],
  },
  {
    name: 'HELO where EHLO is refused',
    options: { mails: 0 },
    hop: ['220 hop\r\n', '502 what\r\n', '250 hop\r\n'],
    said: ['EHLO us.example', 'HELO us.example', '(ready)'],
  },
  {
    name: 'HELO refused too',
    hop: ['220 hop\r\n', '502 what\r\n', '502 what\r\n'],
    said: ['EHLO us.example', 'HELO us.example', '(over hello refused 502)'],
  },
  {
    name: 'EHLO refused for now is no reason for HELO',
    hop: ['220 hop\r\n', '451 later\r\n'],
    said: ['EHLO us.example', '(over hello refused 451)'],
  },
  {
    name: 'BDAT, chunk by chunk, where the content must arrive as it is',
    options: { exact: true, content: ['.a\n', '', 'b'] },
    hop: [...UP, '250 ok\r\n250 ok\r\n', '250 3\r\n', '250 done\r\n'],
    said: [
      ...UP_SAID,
      '(mail 250)',
      '(rcpt 250)',
      '"BDAT 3\\r\\n.a\\n"',
      '"BDAT 1 LAST\\r\\nb"',
      '(ready)',
      '(final 250)',
    ],
  },
  {
    name: 'exact content without CHUNKING goes by DATA',
    options: { exact: true, content: ['b'] },
    hop: [...SLOW, '250 ok\r\n', '250 ok\r\n', '354 go\r\n', '250 done\r\n'],
    said: [
      'EHLO us.example',
      '(ready)',
      'MAIL FROM:<a@b>',
      'RCPT TO:<b@c>',
      '(mail 250)',
      '(rcpt 250)',
      'DATA',
      '(data 354)',
      '"b\\r\\n.\\r\\n"',
      '(ready)',
      '(final 250)',
    ],
  },
  {
    name: 'a chunk refused is the answer to the mail, and the end of the connection',
    options: { exact: true, content: ['a', 'b'] },
    hop: [...UP, '250 ok\r\n250 ok\r\n', '552 full\r\n503 what\r\n'],
    said: [
      ...UP_SAID,
      '(mail 250)',
      '(rcpt 250)',
      '"BDAT 1\\r\\na"',
      '"BDAT 1 LAST\\r\\nb"',
      '(final 552)',
      '(over final out-of-place 552)',
    ],
  },
  {
    name: 'the last chunk refused: RSET clears what the hop may have kept (RFC 3030)',
    options: { exact: true },
    hop: [...UP, '250 ok\r\n250 ok\r\n', '552 full\r\n', '250 reset\r\n'],
    said: [...UP_SAID, '(mail 250)', '(rcpt 250)', '"BDAT 4 LAST\\r\\nHi\\r\\n"', 'RSET', '(final 552)', '(ready)'],
  },
  {
    name: 'a hop that refuses for now after STARTTLS was offered goes on in clear',
    options: { tls: 'may', mails: 0 },
    hop: ['220 hop\r\n', '250-hop\r\n250 STARTTLS\r\n', '454 not now\r\n'],
    said: ['EHLO us.example', 'STARTTLS', '(ready)'],
  },
  {
    name: 'STARTTLS answered 421',
    options: { tls: 'may' },
    hop: ['220 hop\r\n', '250-hop\r\n250 STARTTLS\r\n', '421 bye\r\n'],
    said: ['EHLO us.example', 'STARTTLS', '(over hello closing 421)'],
  },
  {
    name: 'no STARTTLS where it is not wanted',
    options: { mails: 0 },
    hop: ['220 hop\r\n', '250-hop\r\n250 STARTTLS\r\n'],
    said: ['EHLO us.example', '(ready)'],
  },
];

for (const { name, hop, said, options, awaited } of dialogs) {
  test(`${name}, at every cut`, () => {
    const most = Math.max(...hop.map((text) => text.length));
    for (let cut = 0; cut <= most; cut++) {
      const talk = new Talk(options);
      for (const text of hop) {
        const octets = Buffer.from(text, 'latin1');
        // Cut 0 is octet by octet.
        const chunks =
          cut === 0 ? [...octets].map((o) => Buffer.of(o)) : [octets.subarray(0, cut), octets.subarray(cut)];
        for (const chunk of chunks) talk.session.recv(chunk);
      }
      assert.deepEqual(talk.said, said, `cut ${cut}`);
      if (awaited !== undefined) assert.equal(talk.awaited, awaited);
    }
  });
}

/** Feeds whole texts: what must arrive in one read, or at a certain time. */
function talk(options: ConstructorParameters<typeof Talk>[0], ...hop: readonly string[]): Talk {
  const made = new Talk(options);
  for (const text of hop) made.session.recv(Buffer.from(text, 'latin1'));
  return made;
}
const last = (made: Talk, count = 1) => made.said.slice(-count);

test('octets behind the 220 to STARTTLS are an attack, whole or half a reply', () => {
  for (const more of ['250 evil\r\n', '2']) {
    const made = talk({ tls: 'may' }, '220 hop\r\n', '250-hop\r\n250 STARTTLS\r\n', `220 go\r\n${more}`);
    assert.deepEqual(last(made), ['(over hello starttls-injection)']);
    assert.ok(!made.said.includes('(tls)'));
  }
});

test('octets in clear while TLS begins are an attack too', () => {
  const made = talk({ tls: 'may' }, '220 hop\r\n', '250-hop\r\n250 STARTTLS\r\n', '220 go\r\n', '2');
  assert.deepEqual(last(made), ['(over hello starttls-injection)']);
});

test('after TLS everything is asked for again, and nothing learned before counts', () => {
  const made = talk(
    { tls: 'may', mails: 0 },
    '220 hop\r\n',
    '250-hop\r\n250-PIPELINING\r\n250 STARTTLS\r\n',
    '220 go\r\n',
  );
  assert.deepEqual(last(made, 2), ['STARTTLS', '(tls)']);
  assert.equal(made.awaited, 'tls');
  made.session.secured();
  assert.equal(made.session.hop.offers.size, 0);
  made.session.recv(Buffer.from('250-hop\r\n250 STARTTLS\r\n'));
  assert.deepEqual(last(made, 2), ['EHLO us.example', '(ready)']);
  assert.equal(made.session.hop.pipelining, false);
  assert.equal(made.session.isSecure, true);
});

test('HELO is no way out after TLS', () => {
  const made = talk({ tls: 'may' }, '220 hop\r\n', '250-hop\r\n250 STARTTLS\r\n', '220 go\r\n');
  made.session.secured();
  made.session.recv(Buffer.from('502 what\r\n'));
  assert.deepEqual(last(made), ['(over hello refused 502)']);
});

test('a TLS handshake that fails is told as such', () => {
  const made = talk({ tls: 'may' }, '220 hop\r\n', '250-hop\r\n250 STARTTLS\r\n', '220 go\r\n');
  made.session.ended('ECONNRESET');
  assert.deepEqual(last(made), ['(over hello tls ECONNRESET)']);
});

test('a reply nobody asked for ends an idle connection', () => {
  assert.deepEqual(last(talk({ mails: 0 }, ...UP, '250 hello\r\n')), ['(over envelope unsolicited 250)']);
  assert.deepEqual(last(talk({ mails: 0 }, ...UP, '421 idle\r\n')), ['(over envelope closing 421)']);
  assert.deepEqual(last(talk({ mails: 0 }, ...UP, '4')), ['(over envelope unsolicited)']);
});

test('a hop that answers twice is not used again, and the first answer counts', () => {
  const one = [...UP, '250 ok\r\n250 ok\r\n', '354 go\r\n'];
  assert.deepEqual(last(talk({ mails: 2 }, ...one, '250 done\r\n250 done\r\n'), 2), [
    '(final 250)',
    '(over envelope unsolicited 250)',
  ]);
  assert.deepEqual(last(talk({ mails: 2 }, ...one, '250 done\r\n25'), 2), [
    '(final 250)',
    '(over envelope unsolicited)',
  ]);
});

test('one answer too many within the envelope never lets content go', () => {
  const made = talk({}, ...UP, '250 ok\r\n250 ok\r\n250 ok\r\n');
  assert.deepEqual(last(made, 2), ['DATA', '(over data out-of-place 250)']);
  // Behind DATA it arrives in place of the 354, or beside it.
  assert.deepEqual(last(talk({}, ...UP, '250 ok\r\n250 ok\r\n', '550 ok\r\n'), 2), ['RSET', '(data 550)']);
});

test('a refusal in the middle of content is the answer; a yes there is none', () => {
  const upTo354 = [...UP, '250 ok\r\n250 ok\r\n', '354 go\r\n'];
  const open = () => {
    const made = talk({ content: [] }, ...upTo354);
    made.session.content([Buffer.from('part')], false);
    return made;
  };
  const refused = open();
  refused.session.recv(Buffer.from('552 too big\r\n'));
  assert.deepEqual(last(refused, 2), ['(final 552)', '(over final out-of-place 552)']);
  refused.session.content([Buffer.from('more')], true);
  assert.equal(refused.said.filter((line) => line.startsWith('"')).length, 1, 'content behind the end');
  const accepted = open();
  accepted.session.recv(Buffer.from('250 ok\r\n'));
  assert.deepEqual(last(accepted), ['(over data unsolicited 250)']);
  const closing = open();
  closing.session.recv(Buffer.from('421 bye\r\n'));
  assert.deepEqual(last(closing), ['(over data closing 421)']);
});

test('a mail is taken back by RSET before DATA, by the end of the connection after it', () => {
  const pipelined = talk({}, ...UP, '250 ok\r\n');
  pipelined.session.abort();
  assert.deepEqual(last(pipelined, 2), ['(mail 250)', 'RSET']);
  pipelined.session.recv(Buffer.from('250 ok\r\n250 reset\r\n'));
  assert.deepEqual(last(pipelined), ['(ready)']);

  const slow = talk({}, ...SLOW);
  slow.session.abort();
  assert.deepEqual(last(slow), ['MAIL FROM:<a@b>'], 'RSET waits for the reply to MAIL');
  slow.session.recv(Buffer.from('250 ok\r\n'));
  assert.deepEqual(last(slow), ['RSET']);
  slow.session.recv(Buffer.from('250 ok\r\n'));
  assert.deepEqual(last(slow), ['(ready)']);

  const asked = talk({}, ...UP, '250 ok\r\n250 ok\r\n');
  asked.session.abort();
  assert.deepEqual(last(asked), ['(over data shutdown)'], '354 may be on its way, and then no command would be one');
  for (const replies of [[], ['250 ok\r\n'], ['250 ok\r\n250 ok\r\n']]) {
    const ahead = talk({ ahead: true }, ...UP, ...replies);
    ahead.session.abort();
    const stage = replies[0]?.length === 16 ? 'data' : 'envelope';
    assert.deepEqual(last(ahead), [`(over ${stage} shutdown)`], 'RSET behind DATA could become content');
  }
  const poured = talk({}, ...UP, '250 ok\r\n250 ok\r\n', '354 go\r\n');
  poured.session.abort();
  assert.deepEqual(last(poured), ['(over final shutdown sent)']);
});

test('the end of the transport is told with the stage and whether the hop may have the mail', () => {
  const stages: readonly (readonly [string, readonly string[]])[] = [
    ['(over hello lost end)', []],
    ['(over hello lost end)', ['220 hop\r\n']],
    ['(over envelope lost end)', UP],
    ['(over envelope lost end)', [...UP, '250 ok\r\n']],
    ['(over data lost end)', [...UP, '250 ok\r\n250 ok\r\n']],
    ['(over final lost end sent)', [...UP, '250 ok\r\n250 ok\r\n', '354 go\r\n']],
  ];
  for (const [said, hop] of stages) {
    const made = talk({}, ...hop);
    made.session.ended('end');
    made.session.ended('close');
    made.session.recv(Buffer.from('250 late\r\n'));
    assert.deepEqual(last(made), [said]);
    assert.equal(made.said.filter((line) => line.startsWith('(over')).length, 1);
  }
});

test('DATA ahead has the deadlines of its replies', () => {
  const made = talk({ ahead: true }, ...UP);
  assert.equal(made.awaited, 'envelope');
  made.session.recv(Buffer.from('250 ok\r\n'));
  assert.equal(made.awaited, 'envelope');
  made.session.recv(Buffer.from('550 no\r\n'));
  assert.equal(made.awaited, 'data');
  made.session.recv(Buffer.from('354 go\r\n'));
  assert.equal(made.awaited, 'final');
});

test('each reply has its deadline, and none runs while we owe the next word', () => {
  const made = new Talk();
  const after: string[] = [made.awaited];
  for (const text of [...UP, '250 ok\r\n', '250 ok\r\n', '354 go\r\n', '250 done\r\n']) {
    made.session.recv(Buffer.from(text));
    after.push(made.awaited);
  }
  assert.deepEqual(after, ['greeting', 'hello', 'envelope', 'envelope', 'data', 'final', 'nothing']);
});

test('QUIT where nothing is under way, else the end', () => {
  const idle = talk({ mails: 0 }, ...UP);
  idle.session.quit();
  assert.deepEqual(last(idle), ['QUIT']);
  idle.session.recv(Buffer.from('221 bye\r\n'));
  assert.deepEqual(last(idle), ['(over hello shutdown)']);
  const busy = talk({}, ...UP);
  busy.session.quit();
  assert.deepEqual(last(busy), ['(over envelope shutdown)']);
});

test('TLS that must be: STARTTLS, or the end', () => {
  assert.deepEqual(last(talk({ tls: 'must' }, '220 hop\r\n', '250 hop\r\n')), [
    '(over hello no-tls STARTTLS is not offered)',
  ]);
  const offered = ['220 hop\r\n', '250-hop\r\n250 STARTTLS\r\n'];
  assert.deepEqual(last(talk({ tls: 'must' }, ...offered, '454 no\r\n')), [
    '(over hello no-tls 454 STARTTLS is refused)',
  ]);
  assert.deepEqual(last(talk({ tls: 'must' }, '220 hop\r\n', '502 what\r\n', '250 hop\r\n')), [
    '(over hello no-tls STARTTLS is not offered)',
  ]);
  const untrusted = talk({ tls: 'must' }, ...offered, '220 go\r\n');
  untrusted.session.untrusted('somebody else');
  assert.deepEqual(last(untrusted), ['(over hello untrusted somebody else)']);
});

test('TLS from the start: the greeting comes behind it, and a greeting in clear is no greeting', () => {
  const made = talk({ tls: 'implicit', mails: 0 });
  assert.deepEqual([made.said, made.awaited], [['(tls)'], 'tls']);
  made.session.secured();
  assert.equal(made.awaited, 'greeting');
  for (const text of ['220 hop\r\n', '250-hop\r\n250 STARTTLS\r\n']) made.session.recv(Buffer.from(text));
  assert.deepEqual(made.said, ['(tls)', 'EHLO us.example', '(ready)']);
  assert.deepEqual(last(talk({ tls: 'implicit' }, '220 hop\r\n')), ['(over hello starttls-injection)']);
});

test('LMTP: LHLO, and a final reply for each recipient that was accepted', () => {
  const options = { protocol: 'lmtp', rcpts: ['<b@c>', '<no@c>', '<d@e>'] } as const;
  const up = ['220 hop\r\n', '250-hop\r\n250 PIPELINING\r\n', '250 ok\r\n250 ok\r\n550 no\r\n250 ok\r\n', '354 go\r\n'];
  const made = talk(options, ...up, '250 one\r\n');
  assert.equal(made.said[0], 'LHLO us.example');
  assert.deepEqual(last(made), ['(each 250)']);
  assert.equal(made.awaited, 'final');
  made.session.recv(Buffer.from('452 two\r\n'));
  assert.deepEqual(last(made, 3), ['(each 452)', '(ready)', '(final 452)']);
  made.session.recv(Buffer.from('250 three\r\n'));
  assert.deepEqual(last(made), ['(over envelope unsolicited 250)']);
  assert.deepEqual(last(talk(options, ...up, '354 go\r\n')), ['(over final out-of-place 354 sent)']);
});

test('XFORWARD goes before MAIL and decides nothing; XCLIENT begins the session anew', () => {
  const made = talk({ mails: 0 }, '220 hop\r\n', '250-hop\r\n250 PIPELINING\r\n');
  made.session.mail('<a@b>', made, ['XFORWARD ADDR=192.0.2.1', 'XFORWARD IDENT=x']);
  assert.deepEqual(last(made, 3), ['XFORWARD ADDR=192.0.2.1', 'XFORWARD IDENT=x', 'MAIL FROM:<a@b>']);
  made.session.recv(Buffer.from('250 ok\r\n501 no\r\n250 ok\r\n'));
  assert.deepEqual(last(made, 2), ['(declined 501)', '(mail 250)']);

  const other = talk({ mails: 0 }, '220 hop\r\n', '250-hop\r\n250 XCLIENT ADDR\r\n');
  other.session.identify(['XCLIENT ADDR=192.0.2.1', 'XCLIENT HELO=h'], 'h');
  assert.equal(other.session.isReady, false);
  for (const text of ['220 hop\r\n', '220 hop\r\n', '250 hop\r\n']) other.session.recv(Buffer.from(text));
  assert.deepEqual(last(other, 4), ['XCLIENT ADDR=192.0.2.1', 'XCLIENT HELO=h', 'EHLO h', '(ready)']);
  assert.equal(other.session.hop.offers.size, 0, 'what it offered before is forgotten');
  other.session.identify(['XCLIENT ADDR=192.0.2.2'], undefined);
  other.session.recv(Buffer.from('550 no\r\n'));
  assert.deepEqual(last(other), ['(over hello identity 550 XCLIENT is refused)']);
});
