import assert from 'node:assert/strict';
import { test } from 'vitest';
import { SentMail, sendMail, withHop } from '../../../test/support/outbound.ts';
import type { Sink, SinkAnswer, SinkOptions } from '../../../test/support/sink.ts';

/** Holds every answer to the end of data until told. */
class Gate {
  readonly #held: (() => void)[] = [];

  readonly answer: NonNullable<SinkOptions['answer']> = (command) => {
    if (command.verb !== 'CONTENT') return undefined;
    return new Promise<SinkAnswer | undefined>((resolve) => {
      this.#held.push(() => resolve(undefined));
    });
  };

  get held(): number {
    return this.#held.length;
  }

  open(which: number): void {
    this.#held[which]?.();
  }

  /** Until so many mails in all were held. */
  async until(sink: Sink, count: number): Promise<void> {
    await sink.until(
      () =>
        sink.connections
          .flatMap((c) => c.heard)
          .join('')
          .split('\r\n.\r\n').length > count,
    );
    while (this.held < count) await new Promise(setImmediate);
  }
}

const turn = () => new Promise(setImmediate);

test('mails at once have a connection each; then the one freed last is used first', async () => {
  const gate = new Gate();
  await withHop({ answer: gate.answer }, {}, async (hop, sink) => {
    const sent = [0, 1, 2].map(() => new SentMail(hop, {}));
    await gate.until(sink, 3);
    assert.equal(hop.stats.connections, 3);
    // `held` is in the order the sink read the dots: find each mail's connection behind its final reply.
    for (const which of [2, 0, 1]) {
      gate.open(which);
      await sink.until(() => sink.mails.length > [2, 0, 1].indexOf(which));
    }
    await Promise.all(sent.map((mail) => mail.done));
    const lastFreed = sink.mails[2]?.connection;
    for (let i = 3; i < 6; i++) {
      const next = new SentMail(hop, {});
      await gate.until(sink, i + 1);
      gate.open(i);
      await next.done;
      assert.equal(sink.mails[i]?.connection, lastFreed);
    }
    assert.equal(hop.stats.opened, 3);
  });
});

test('beyond the cap mails wait, first come first served, each bounded in number', async () => {
  const gate = new Gate();
  await withHop({ answer: gate.answer }, { limits: { connections: 1, waiting: 2 } }, async (hop, sink) => {
    const names = ['<0@c>', '<1@c>', '<2@c>', '<3@c>'];
    const sent: SentMail[] = [];
    for (const name of names) {
      sent.push(new SentMail(hop, { rcpts: [name] }));
      if (name === '<0@c>') await gate.until(sink, 1);
    }
    await sent[3]?.done;
    assert.deepEqual(sent[3]?.events, ['failed connect busy']);
    assert.equal(hop.stats.waiting, 2);
    for (let i = 0; i < 3; i++) {
      await gate.until(sink, i + 1);
      gate.open(i);
    }
    await Promise.all(sent.map((mail) => mail.done));
    assert.deepEqual(
      sink.mails.map((mail) => mail.rcpts[0]),
      ['<0@c>', '<1@c>', '<2@c>'],
    );
    assert.equal(sink.connections.length, 1);
  });
});

test('a mail waits no longer than allowed, and one given up while waiting leaves nothing behind', async () => {
  const gate = new Gate();
  await withHop({ answer: gate.answer }, { limits: { connections: 1, waitMs: 400 } }, async (hop, sink) => {
    const first = new SentMail(hop, {});
    await gate.until(sink, 1);
    const late = new SentMail(hop, {});
    const gone = new SentMail(hop, {});
    gone.out.abort();
    await late.done;
    assert.deepEqual(late.events, ['failed connect busy']);
    assert.equal(hop.stats.waiting, 0);
    gate.open(0);
    await first.done;
    assert.equal(first.result, 250);
    assert.equal(sink.mails.length, 1);
  });
});

test('a connection serves so many mails, then says QUIT', async () => {
  await withHop({}, { limits: { transactions: 2 } }, async (hop, sink) => {
    for (let i = 0; i < 5; i++) assert.equal((await sendMail(hop)).result, 250);
    assert.equal(sink.connections.length, 3);
    await sink.until(() => sink.open === 1);
    assert.equal(sink.connections[0]?.commands.at(-1), 'QUIT');
    assert.deepEqual(
      sink.mails.map((mail) => mail.connection),
      [0, 0, 1, 1, 2],
    );
  });
});

test('an idle connection says QUIT after a while, and no timer is left', async () => {
  await withHop({}, { limits: { idleMs: 20 } }, async (hop, sink) => {
    await sendMail(hop);
    await sink.until(() => sink.open === 0);
    assert.equal(sink.connections[0]?.commands.at(-1), 'QUIT');
    while (hop.stats.connections > 0) await turn();
    assert.equal((await sendMail(hop)).result, 250);
  });
});

test('a hop that does not answer QUIT is left', async () => {
  await withHop(
    { answer: (c) => (c.verb === 'QUIT' ? { next: 'stall' } : undefined) },
    { limits: { idleMs: 10, quitMs: 10 } },
    async (hop, sink) => {
      await sendMail(hop);
      await sink.until(() => sink.connections[0]?.commands.includes('QUIT') === true);
      await hop.close(10_000);
      assert.equal(hop.stats.connections, 0);
    },
  );
});

test('whatever an idle connection says, it is not used again', async () => {
  for (const said of ['421 4.4.2 Idle too long\r\n', '250 hello\r\n', '2', 'junk\r\n']) {
    await withHop({}, {}, async (hop, sink) => {
      await sendMail(hop);
      sink.connections[0]?.say(said);
      while (hop.stats.connections > 0) await turn();
      assert.equal((await sendMail(hop)).result, 250);
      assert.equal(hop.stats.retried, 0);
    });
  }
});

test('a hop that refuses a further connection while others live: mails wait for those', async () => {
  const gate = new Gate();
  const script: SinkOptions = {
    answer: (c) =>
      c.verb === 'CONNECT' && c.connection > 0
        ? { say: '421 4.7.0 Too many connections\r\n', next: 'close' }
        : gate.answer(c),
  };
  await withHop(script, {}, async (hop, sink) => {
    const first = new SentMail(hop, { rcpts: ['<0@c>'] });
    await gate.until(sink, 1);
    const second = new SentMail(hop, { rcpts: ['<1@c>'] });
    await sink.until(() => sink.connections[1]?.isClosed === true);
    while (hop.stats.connections > 1) await turn();
    assert.equal(second.result, undefined);
    gate.open(0);
    await first.done;
    await gate.until(sink, 2);
    gate.open(1);
    await second.done;
    assert.equal(second.result, 250);
    assert.equal(sink.connections.length, 2, 'no new connection while the hop holds us off');
  });
});

test('held off by the hop, a new connection is tried again after a while', async () => {
  const gate = new Gate();
  const script: SinkOptions = {
    answer: (c) =>
      c.verb === 'CONNECT' && c.connection === 1 ? { say: '421 Too many\r\n', next: 'close' } : gate.answer(c),
  };
  await withHop(script, { limits: { holdMs: 20 } }, async (hop, sink) => {
    const first = new SentMail(hop, {});
    await gate.until(sink, 1);
    const second = new SentMail(hop, {});
    await gate.until(sink, 2);
    assert.equal(sink.connections.length, 3);
    gate.open(0);
    gate.open(1);
    await Promise.all([first.done, second.done]);
  });
});

test('every mail that waits for a hop that is down is told, one attempt each', async () => {
  await withHop(
    { answer: (c) => (c.verb === 'CONNECT' ? { say: '554 5.7.1 No\r\n', next: 'close' } : undefined) },
    { limits: { connections: 2 } },
    async (hop, sink) => {
      const sent = await Promise.all(Array.from({ length: 7 }, () => sendMail(hop)));
      for (const { events } of sent) assert.deepEqual(events, ['failed hello refused']);
      assert.equal(sink.connections.length, 7);
      assert.equal(hop.stats.waiting, 0);
    },
  );
});

test('close: idle connections leave, begun mails end, new ones are refused', async () => {
  const gate = new Gate();
  await withHop({ answer: gate.answer }, {}, async (hop, sink) => {
    const begun = new SentMail(hop, {});
    await gate.until(sink, 1);
    const waiting = new SentMail(hop, {});
    const closing = Promise.all([hop.close(60_000), hop.close(60_000)]);
    const late = await sendMail(hop);
    assert.deepEqual(late.events, ['failed connect shutdown']);
    gate.open(0);
    await begun.done;
    await gate.until(sink, 2);
    gate.open(1);
    await waiting.done;
    assert.equal(begun.result, 250);
    assert.equal(waiting.result, 250);
    await closing;
    await sink.until(() => sink.open === 0);
    for (const { commands } of sink.connections) assert.equal(commands.at(-1), 'QUIT');
  });
});

test('close is bounded: what is not done by then fails, and is told whether it may have arrived', async () => {
  const gate = new Gate();
  await withHop({ answer: gate.answer }, { limits: { connections: 2 } }, async (hop, sink) => {
    const sent = new SentMail(hop, {});
    await gate.until(sink, 1);
    let unsent: SentMail | undefined;
    await new Promise<void>((resolve) => {
      unsent = new SentMail(hop, { onEnvelope: () => resolve() });
    });
    const waiting = new SentMail(hop, {});
    await hop.close(0);
    assert.deepEqual(sent.events.at(-1), 'failed final shutdown sent');
    assert.deepEqual(unsent?.events.at(-1), 'failed envelope shutdown');
    assert.deepEqual(waiting.events, ['failed connect shutdown']);
  });
});

test('many mails at once, few connections: each arrives once', async () => {
  await withHop({}, { limits: { connections: 4 } }, async (hop, sink) => {
    const sent = await Promise.all(
      Array.from({ length: 200 }, (_, i) => sendMail(hop, { rcpts: [`<${i}@c>`], content: [Buffer.from(`${i}\r\n`)] })),
    );
    assert.ok(sent.every((mail) => mail.result === 250));
    assert.equal(new Set(sink.mails.map((mail) => mail.rcpts[0])).size, 200);
    for (const mail of sink.mails) assert.equal(`<${mail.content.toString().trim()}@c>`, mail.rcpts[0]);
    assert.equal(sink.connections.length, 4);
  });
});
