/** Decision 0038: what is being stored when the client stops waiting is stored, delivered once, and never answered twice. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'vitest';
import { MAIL, rigWith } from '../../../test/support/scripted-services.ts';
import { SpoolRig } from '../../../test/support/spool-rig.ts';
import type { Store } from '../../store/index.ts';

let spools: SpoolRig;
afterEach(() => spools.stop());

/** A store whose next commit waits until it is let go. */
async function heldStore(): Promise<() => void> {
  spools = new SpoolRig();
  const { promise, resolve } = Promise.withResolvers<void>();
  await spools.start({}, (store) =>
    Object.assign(Object.create(store) as Store, {
      ...Object.fromEntries(
        (
          ['claim', 'claimExpired', 'renew', 'release', 'mail', 'content', 'read', 'list', 'counters', 'close'] as const
        ).map((name) => [name, (...args: never[]) => (store[name] as (...all: never[]) => unknown)(...args)]),
      ),
      commit: async (unit: Parameters<Store['commit']>[0]) => {
        await promise;
        await store.commit(unit);
      },
    }),
  );
  return resolve;
}

for (const [what, code] of [
  ['the deadline passes', 451],
  ['the client is lost', undefined],
] as const)
  test(`${what} while a mail is being stored: it is delivered, once, and no 250 is said`, async () => {
    const letGo = await heldStore();
    const { rig } = rigWith([], { spool: spools.spool });
    const { mail } = await rig.begin();
    await mail.rcpt('b@one.example');
    const answers: number[] = [];
    const answer = mail.answer.bind(mail);
    mail.answer = (ticket, reply) => {
      answers.push(reply.code);
      answer(ticket, reply);
    };
    const final = mail.content(MAIL);
    while (!answers.includes(354)) await new Promise(setImmediate);
    for (let i = 0; i < 10; i++) await new Promise(setImmediate);
    if (code === undefined) mail.reset();
    else {
      rig.world.deadlines.tick(rig.world.deadlines.nowMs + 61_000);
      assert.deepEqual([(await final).code, (await final).enhanced], [code, '4.4.7']);
    }
    assert.equal(spools.sent.length, 0);
    letGo();
    await spools.until(async () => (await spools.store.counters()).delivered === 1, 'delivered');
    assert.equal(spools.sent.length, 1);
    assert.ok(spools.sent[0]?.octets.endsWith(MAIL));
    assert.deepEqual(answers, code === undefined ? [354] : [354, code]);
    const lines = rig.logged.filter(({ event }) => event === 'mail.stored-unheard' || event === 'mail.fault');
    assert.deepEqual(
      lines.map(({ event, fields }) => [event, fields['mail']]),
      [['mail.stored-unheard', 'session.1']],
    );
  });
