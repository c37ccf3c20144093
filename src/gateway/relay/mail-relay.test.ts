import assert from 'node:assert/strict';
import { test } from 'vitest';
import { withHop } from '../../../test/support/outbound.ts';
import { plainRoute } from '../../../test/support/routes.ts';
import { SINK_OFFERS, type SinkMail, type SinkOptions } from '../../../test/support/sink.ts';
import type { OutboundEnvelope, OutboundEvents, Parameters, Reply } from '../../smtp/index.ts';
import { Content, FixedOctets } from '../content/index.ts';
import type { Source } from '../content/octet-store.ts';
import { MailRelay } from './mail-relay.ts';

const REQUEST = 'OPES-Bypass: *\r\n';
const HEAD = 'Subject: x\r\n\r\n';
const ASKING: Parameters = new Map([['OPESBYPASS', '*']]);

/** Octets on a slow disk: all but the last two are there when `opens` resolves. They come in a portion of their own. */
class SlowOctets implements Source {
  readonly isDotFree = true;
  readonly size: number;
  readonly #octets: FixedOctets;
  readonly #opens: Promise<void>;

  constructor(text: string, opens: Promise<void>) {
    this.#octets = new FixedOctets(Buffer.from(text, 'latin1'));
    this.size = this.#octets.size;
    this.#opens = opens;
  }

  view(offset: number, size: number): Buffer[] | undefined {
    return size <= 2 ? this.#octets.view(offset, size) : undefined;
  }

  load(offset: number, size: number, done: (error: Error | undefined, octets: Buffer[]) => void): void {
    void this.#opens.then(() => done(undefined, this.#octets.view(offset, size)));
  }
}

/** The mail that the hop has in the end. It offers `offers[n]` on its nth connection, and dies within the content on all but the last. */
async function relay(
  offers: readonly (readonly string[])[],
  params: Parameters = ASKING,
  tail = 'one\r\ntwo\r\n',
): Promise<SinkMail | undefined> {
  const isLast = (connection: number): boolean => connection === offers.length - 1;
  const script: SinkOptions = {
    answer: ({ verb, connection }) => {
      if (verb === 'EHLO') return asLines(['sink.test', ...SINK_OFFERS, ...(offers[connection] ?? [])]);
      return verb === 'BDAT' && !isLast(connection) ? { next: 'reset' } : undefined;
    },
    duringContent: (octets, connection) => (octets > 5 && !isLast(connection) ? { next: 'reset' } : undefined),
  };
  const relayed = Promise.withResolvers<Reply>();
  let mail: SinkMail | undefined;
  await withHop(script, {}, async (hop, sink) => {
    const content = new Content();
    for (const source of [
      new FixedOctets(Buffer.from(HEAD)),
      new SlowOctets(
        tail,
        sink.until(() => sink.connections.length === offers.length),
      ),
    ])
      content.append(source, 0, source.size);
    const open = (_route: unknown, envelope: OutboundEnvelope, events: OutboundEvents) => hop.open(envelope, events);
    const route = plainRoute('*', '127.0.0.1', sink.port);
    const sent = new MailRelay(
      { open },
      route,
      { mail: '<a@example.org>', params },
      {
        onRcptReply: () => {},
        onRelayed: relayed.resolve,
        onLost: (_reply, why) => relayed.reject(new Error(why)),
        onStoreFailed: relayed.reject,
        onFault: relayed.reject,
      },
    );
    sent.rcpt('<b@example.com>');
    sent.send(content, params.size === 0 ? undefined : () => REQUEST);
    assert.equal((await relayed.promise).code, 250);
    assert.equal(sink.connections.length, offers.length);
    assert.equal(sink.mails.length, 1);
    [mail] = sink.mails;
  });
  return mail;
}

function asLines(words: readonly string[]): string {
  return words.map((word, i) => `250${i === words.length - 1 ? ' ' : '-'}${word}\r\n`).join('');
}

for (const [by, tail] of [
  ['DATA', '.one\r\ntwo\r\n'],
  ['BDAT', 'one\r\nno line end'],
] as const) {
  test(`a request reaches the hop in one form, whatever it offers where the mail is begun again (${by})`, async () => {
    for (const [offers, params, ahead] of [
      [[['OPES']], ' OPESBYPASS=*', ''],
      [[[]], '', REQUEST],
      [[['OPES'], []], '', REQUEST],
      [[[], ['OPES']], ' OPESBYPASS=*', ''],
      [[[], []], '', REQUEST],
      [[['OPES'], ['OPES']], ' OPESBYPASS=*', ''],
    ] as const) {
      const mail = await relay(offers, ASKING, tail);
      const shown = JSON.stringify(offers);
      assert.equal(mail?.by, by);
      assert.equal(mail.mail, `<a@example.org>${params}`, shown);
      assert.equal(mail.content.toString('latin1'), ahead + HEAD + tail, shown);
    }
  });
}

test('a mail that asks for nothing has nothing ahead of it', async () => {
  const mail = await relay([['OPES'], []], new Map());
  assert.equal(mail?.content.toString('latin1'), `${HEAD}one\r\ntwo\r\n`);
});

for (const [by, tail] of [
  ['DATA', 'one\r\n'],
  ['BDAT', 'no line end'],
] as const) {
  test(`a fault while the field is made is the mail's own, and the hop goes without it (${by})`, async () => {
    const faulted = Promise.withResolvers<unknown>();
    const answer: SinkOptions['answer'] = ({ verb }) =>
      verb === 'EHLO' ? asLines(['sink.test', ...SINK_OFFERS]) : undefined;
    await withHop({ answer }, {}, async (hop, sink) => {
      const octets = new FixedOctets(Buffer.from(HEAD + tail));
      const content = new Content();
      content.append(octets, 0, octets.size);
      const unexpected = (why: unknown): void => faulted.reject(new Error(`not a fault: ${String(why)}`));
      const sent = new MailRelay(
        { open: (_route, envelope, events) => hop.open(envelope, events) },
        plainRoute('*', '127.0.0.1', sink.port),
        { mail: '<a@example.org>', params: ASKING, client: undefined, domain: 'example.com' },
        {
          onRcptReply: () => {},
          onRelayed: unexpected,
          onLost: unexpected,
          onStoreFailed: unexpected,
          onFault: faulted.resolve,
        },
      );
      sent.rcpt('<b@example.com>');
      sent.send(content, () => {
        throw new Error('no field');
      });
      assert.match(String(await faulted.promise), /no field/);
      assert.deepEqual(sink.mails, []);
    });
  });
}
