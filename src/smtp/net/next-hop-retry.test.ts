import assert from 'node:assert/strict';
import { test } from 'vitest';
import { SentMail, sendMail, type TestMail, withHop } from '../../../test/support/outbound.ts';
import type { SinkAnswer, SinkCommand, SinkOptions } from '../../../test/support/sink.ts';

/** On the first connection, from the second mail on, `what` happens at `verb`. */
function dying(verb: string, what: SinkAnswer, nth = 1): NonNullable<SinkOptions['answer']> {
  return (c: SinkCommand) => (c.connection === 0 && c.verb === verb && c.nth >= nth ? what : undefined);
}

const DEATHS: readonly (readonly [string, SinkAnswer])[] = [
  ['closed', { next: 'close' }],
  ['reset', { next: 'reset' }],
  ['half a reply, then closed', { say: '25', next: 'close' }],
  ['421', { say: '421 4.3.2 Closing\r\n', next: 'close' }],
];

for (const [name, death] of DEATHS) {
  for (const verb of ['MAIL', 'RCPT', 'DATA'] as const) {
    test(`a pooled connection found ${name} at ${verb}: the mail goes over a new one, and its sender learns nothing`, async () => {
      await withHop({ answer: dying(verb, death) }, {}, async (hop, sink) => {
        await sendMail(hop);
        const sent = await sendMail(hop, { content: [Buffer.from('two\r\n')] });
        assert.deepEqual(sent.events, ['rcpt 0 250', 'data 354', 'final 250']);
        assert.equal(sink.mails[1]?.content.toString(), 'two\r\n');
        assert.equal(sink.mails[1]?.connection, 1);
        assert.equal(hop.stats.retried, 1);
        assert.equal(sink.mails.length, 2);
      });
    });

    test(`a pooled connection found ${name} at ${verb}, DATA ahead: the mail goes over a new one`, async () => {
      await withHop({ answer: dying(verb, death) }, {}, async (hop, sink) => {
        await sendMail(hop);
        const sent = await sendMail(hop, { content: [Buffer.from('two\r\n')], ahead: true });
        assert.deepEqual(sent.events, ['rcpt 0 250', 'data 354', 'final 250']);
        assert.equal(sink.mails[1]?.content.toString(), 'two\r\n');
        assert.equal(hop.stats.retried, 1);
        assert.equal(sink.mails.length, 2);
      });
    });
  }
}

test('a second try goes to a new connection, not to another pooled one', async () => {
  const script: SinkOptions = {
    answer: (c) => (c.connection < 2 && c.verb === 'MAIL' && c.nth === 1 ? { next: 'reset' } : undefined),
  };
  await withHop(script, {}, async (hop, sink) => {
    await Promise.all([sendMail(hop), sendMail(hop)]);
    assert.equal(hop.stats.idle, 2);
    assert.equal((await sendMail(hop)).result, 250);
    assert.equal(sink.mails[2]?.connection, 2);
  });
});

test('only once: a new connection that dies too fails the mail', async () => {
  const script: SinkOptions = {
    answer: (c) => (c.verb === 'MAIL' && (c.nth === 1 || c.connection > 0) ? { next: 'reset' } : undefined),
  };
  await withHop(script, {}, async (hop, sink) => {
    await sendMail(hop);
    const sent = await sendMail(hop);
    assert.equal(sent.failure?.reason, 'lost');
    assert.equal(sent.failure?.sent, false);
    assert.equal(sink.connections.length, 2);
  });
});

test('only once, also where the second connection gets further', async () => {
  const script: SinkOptions = {
    answer: (c) => {
      if (c.connection === 0) return c.verb === 'MAIL' && c.nth === 1 ? { next: 'reset' } : undefined;
      return c.verb === 'DATA' ? { next: 'reset' } : undefined;
    },
  };
  await withHop(script, {}, async (hop, sink) => {
    await sendMail(hop);
    const sent = await sendMail(hop);
    assert.deepEqual(sent.events, ['rcpt 0 250', 'failed data lost']);
    assert.equal(sink.connections.length, 2);
    assert.equal(hop.stats.retried, 1);
  });
});

test('a new connection that dies before it took MAIL is not tried again', async () => {
  await withHop(
    { answer: (c) => (c.verb === 'MAIL' ? { say: '421 4.7.0 Go away\r\n', next: 'close' } : undefined) },
    {},
    async (hop, sink) => {
      const sent = await sendMail(hop);
      assert.deepEqual(sent.events, ['failed envelope closing']);
      assert.equal(sent.failure?.reply?.code, 421);
      assert.equal(sink.connections.length, 1);
    },
  );
});

test('never after the final dot, nor after BDAT LAST', async () => {
  for (const [, death] of DEATHS) {
    for (const exact of [false, true]) {
      await withHop({ answer: dying('CONTENT', death) }, {}, async (hop, sink) => {
        await sendMail(hop);
        const sent = await sendMail(hop, { exact });
        assert.match(sent.events.at(-1) ?? '', /^failed final (lost|closing) sent$/);
        assert.equal(sink.connections.length, 1);
        assert.equal(hop.stats.retried, 0);
      });
    }
  }
});

/** The recipients have their replies; then the hop loses its patience; then the relay goes on. */
async function patienceLost(said: string, script: SinkOptions, mail: TestMail, goOn: (sent: SentMail) => void) {
  let events: string[] = [];
  let mails = 0;
  let connections = 0;
  await withHop(script, {}, async (hop, sink) => {
    const answered = Promise.withResolvers<void>();
    const sent = new SentMail(hop, { rcpts: ['<b@c>', '<d@e>'], ...mail, onEnvelope: () => answered.resolve() });
    await answered.promise;
    if (said !== '') sink.connections[0]?.say(said);
    sink.connections[0]?.end('close');
    await sink.until(() => sink.connections[0]?.isClosed === true && sink.connections.length > 1);
    goOn(sent);
    await sent.done;
    events = sent.events;
    mails = sink.mails.length;
    connections = sink.connections.length;
  });
  return { events, mails, connections };
}

for (const said of ['', '421 4.4.2 Timeout\r\n']) {
  test(`an open transaction the hop gives up (${said === '' ? 'closed' : '421'}) is made again before DATA`, async () => {
    const { events, mails } = await patienceLost(said, {}, {}, (sent) => sent.goOn());
    assert.deepEqual(events, ['rcpt 0 250', 'rcpt 1 250', 'data 354', 'final 250']);
    assert.equal(mails, 1);
  });
}

test('made again with DATA ahead, to a hop that refuses now: no content goes', async () => {
  const script: SinkOptions = {
    answer: (c) => {
      if (c.connection === 0 && c.nth === 1) return c.verb === 'DATA' ? { next: 'close' } : undefined;
      return c.connection === 1 && c.verb === 'RCPT' ? '450 greylisted\r\n' : undefined;
    },
  };
  await withHop(script, {}, async (hop, sink) => {
    await sendMail(hop);
    const sent = await sendMail(hop, { ahead: true });
    assert.deepEqual(sent.events, ['rcpt 0 250', 'failed envelope changed']);
    assert.equal(sink.mails.length, 1);
  });
});

test('made again, refused recipients stay out', async () => {
  const rcpts: string[] = [];
  const script: SinkOptions = {
    answer: ({ verb, argument, connection }) => {
      if (verb !== 'RCPT') return undefined;
      rcpts.push(`${connection} ${argument}`);
      return argument === 'TO:<b@c>' ? '550 no\r\n' : undefined;
    },
  };
  const { events } = await patienceLost('', script, {}, (sent) => sent.goOn());
  assert.deepEqual(events, ['rcpt 0 550', 'rcpt 1 250', 'data 354', 'final 250']);
  assert.deepEqual(rcpts, ['0 TO:<b@c>', '0 TO:<d@e>', '1 TO:<d@e>']);
});

test('a recipient asked for while the transaction is made again has its reply', async () => {
  const { events } = await patienceLost('', {}, {}, (sent) => {
    sent.out.rcpt('<f@g>');
    sent.out.data();
  });
  assert.deepEqual(
    events.filter((event) => event !== 'data 354'),
    ['rcpt 0 250', 'rcpt 1 250', 'rcpt 2 250', 'final 250'],
  );
});

const CHANGES: readonly (readonly [string, SinkAnswer, string])[] = [
  ['MAIL', '550 no\r\n', 'failed envelope changed'],
  ['RCPT', '450 greylisted\r\n', 'failed envelope changed'],
  ['EHLO', '451 later\r\n', 'failed hello refused'],
  ['CONNECT', '554 no\r\n', 'failed hello refused'],
];
for (const [verb, answer, event] of CHANGES) {
  test(`made again, ${verb} is answered otherwise: the mail fails, nothing is sent`, async () => {
    const script: SinkOptions = { answer: (c) => (c.connection > 0 && c.verb === verb ? answer : undefined) };
    const { events, mails } = await patienceLost('', script, {}, (sent) => {
      if (sent.result === undefined) sent.goOn();
    });
    assert.equal(events.at(-1), event);
    assert.equal(mails, 0);
  });
}

test('made again over a hop that offers less now', async () => {
  const script: SinkOptions = {
    answer: (c) => (c.connection > 0 && c.verb === 'EHLO' ? '250 sink.test\r\n' : undefined),
  };
  const { events, mails } = await patienceLost('', script, { params: new Map([['BODY', '8BITMIME']]) }, (sent) => {
    if (sent.result === undefined) sent.goOn();
  });
  assert.equal(events.at(-1), 'failed envelope cannot-carry');
  assert.equal(mails, 0);
});

test('dead between 354 and the content: DATA is asked for again, and 354 told once', async () => {
  await withHop({}, {}, async (hop, sink) => {
    const go = Promise.withResolvers<void>();
    const sent = new SentMail(hop, { onGo: () => go.resolve() });
    await go.promise;
    sink.connections[0]?.end('close');
    await sink.until(() => sink.connections.length > 1);
    sent.pour();
    await sent.done;
    assert.deepEqual(sent.events, ['rcpt 0 250', 'data 354', 'final 250']);
    assert.equal(sink.mails.length, 1);
  });
});

for (const exact of [false, true]) {
  test(`dead within content of a bounded size (${exact ? 'BDAT' : 'DATA'}): all of it is sent again`, async () => {
    let died = false;
    const script: SinkOptions = {
      duringContent: (octets) => {
        if (died || octets < 5) return undefined;
        died = true;
        return { next: 'reset' };
      },
      answer: (c) => (c.connection === 0 && c.verb === 'BDAT' ? { next: 'reset' } : undefined),
    };
    await withHop(script, {}, async (hop, sink) => {
      const go = Promise.withResolvers<void>();
      const sent = new SentMail(hop, { exact, onGo: () => go.resolve() });
      await go.promise;
      sent.out.content([Buffer.from('.one\r\n'), Buffer.from('two\r\n')], false);
      await sink.until(() => sink.connections.length > 1);
      sent.out.content([Buffer.from('three')], true);
      await sent.done;
      assert.deepEqual(sent.events, ['rcpt 0 250', 'data 354', 'final 250']);
      assert.equal(sink.mails[0]?.content.toString(), `.one\r\ntwo\r\nthree${exact ? '' : '\r\n'}`);
      assert.equal(sink.mails.length, 1);
    });
  });
}

test('dead within content that was too much to keep: the mail fails, not sent', async () => {
  const script: SinkOptions = { duringContent: (octets) => (octets > 3000 ? { next: 'reset' } : undefined) };
  await withHop(script, { limits: { replayOctets: 2000 } }, async (hop, sink) => {
    await sendMail(hop);
    const sent = await sendMail(hop, { onGo: ({ out }) => void out.content([Buffer.alloc(5000, 'x')], false) });
    assert.deepEqual(sent.events, ['rcpt 0 250', 'data 354', 'failed data lost']);
    assert.equal(sink.connections.length, 1);
  });
});

test('content given while no connection takes it is held back, and asked for again when one does', async () => {
  const gate = Promise.withResolvers<undefined>();
  const script: SinkOptions = { answer: (c) => (c.verb === 'EHLO' && c.connection === 1 ? gate.promise : undefined) };
  await withHop(script, { limits: { pendingOctets: 1000 } }, async (hop, sink) => {
    const go = Promise.withResolvers<void>();
    const sent = new SentMail(hop, { onGo: () => go.resolve() });
    await go.promise;
    sink.connections[0]?.end('close');
    await sink.until(() => sink.connections.length > 1);
    assert.equal(sent.out.content([Buffer.alloc(900, 'x')], false), true);
    assert.equal(sent.out.content([Buffer.alloc(900, 'y')], false), false);
    assert.equal(sent.drains, 0);
    const drained = Promise.withResolvers<void>();
    sent.onDrain = () => drained.resolve();
    gate.resolve(undefined);
    await drained.promise;
    sent.out.content([Buffer.from('\r\n')], true);
    await sent.done;
    assert.equal(sink.mails[0]?.content.length, 1802);
  });
});

test('given up while it is made again: no event, and the new connection serves others', async () => {
  await withHop({ answer: dying('MAIL', { next: 'reset' }) }, {}, async (hop, sink) => {
    await sendMail(hop);
    const sent = new SentMail(hop, {});
    await sink.until(() => sink.connections.length > 1);
    sent.out.abort();
    assert.equal((await sendMail(hop)).result, 250);
    assert.deepEqual(sent.events, []);
    assert.equal(sink.mails.length, 2);
  });
});
