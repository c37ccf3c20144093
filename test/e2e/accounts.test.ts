/**
 * Mail that was accepted and does not arrive, to its end (RFC 4902 section 4, decision 0045): what was released from quarantine and
 * whose service then never works is reported with the System and the service; what a verdict on the content of an unknown sender
 * holds is told to its recipient, and ends as a counted exception. The counters balance all the way.
 */
import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { afterEach, test } from 'vitest';
import { run } from '../support/child.ts';
import { Draft00 } from '../support/draft00.ts';
import { config, Gateway, OPES, SYSTEM_URI, serve } from '../support/gateway.ts';
import { NextHop } from '../support/next-hop.ts';
import { SmtpTalk, verdict } from '../support/smtp-talk.ts';

const ends: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function send(gateway: Gateway, to: readonly string[]): Promise<number> {
  const talk = await SmtpTalk.hello(gateway.port());
  const content = Buffer.from('From: <a@src.test>\r\nSubject: account\r\n\r\nHello\r\n');
  const outcome = await talk.mail({ from: 'a@src.test', to, content });
  await talk.quit();
  return verdict(outcome);
}

async function opes(gateway: Gateway, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(OPES, [...args, '--config', gateway.file]);
  assert.equal(code, 0, stderr);
  return stdout;
}

type Counters = Readonly<Record<string, number>>;

async function counters(gateway: Gateway): Promise<Counters> {
  const { accepted, ...rest } = JSON.parse(await opes(gateway, 'queue', 'counters', '--json')) as Counters;
  assert.equal(
    Object.values(rest).reduce((sum, one) => sum + one, 0),
    accepted,
    'they balance',
  );
  return { accepted: accepted ?? 0, ...rest };
}

/** What just happened is counted a moment later. */
async function reaches(gateway: Gateway, wanted: Counters): Promise<void> {
  let found: Counters = {};
  for (let i = 0; i < 50; i++) {
    found = await counters(gateway);
    if (Object.entries(wanted).every(([name, count]) => found[name] === count)) return;
  }
  assert.fail(`${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`);
}

test('released, and its service never works again: the report names the System and the service', async () => {
  const hop = await NextHop.listen();
  const filter = await Draft00.start();
  ends.push(
    () => hop.close(),
    () => filter.stop(),
  );
  await filter.listen(false);
  await filter.drop();
  const with_ = (onFailure: 'quarantine' | 'tempfail') => {
    const plain = config(
      hop.url,
      { filter: { connect: filter.endpoint, onFailure } },
      { quarantine: { notice: true }, queue: { retry: ['1s'], lifetime: '2s' } },
    );
    const services = plain['services'] as Record<string, object>;
    return { ...plain, services: { filter: { ...services['filter'], bypassable: 'never' } } };
  };
  const gateway = await Gateway.start(with_('quarantine'));
  ends.push(() => gateway.stop());
  assert.equal(await send(gateway, ['b@dst.test']), 250);
  await hop.waitForMails(1); // the notice
  await reaches(gateway, { accepted: 2, delivered: 1, held: 1 });

  await gateway.reload(with_('tempfail'));
  assert.match(await opes(gateway, 'quarantine', 'release', '--by', 'filter'), /released/);
  const [, report] = await hop.waitForMails(2, 60_000);
  assert.deepEqual([report?.mail, report?.rcpts], ['<>', ['<a@src.test>']]);
  const text = report?.content.toString('latin1') ?? '';
  assert.match(text, /^Content-Type: message\/delivery-status/m);
  assert.match(text, /^Action: failed\r$/m);
  assert.ok(text.includes(`OPES-System: ${SYSTEM_URI}?id=`), text);
  assert.match(text, new RegExp(`^OPES-Cause: .*${SYSTEM_URI}/filter`, 'm'));
  await reaches(gateway, { accepted: 3, delivered: 2, reported: 1, held: 0, queued: 0 });
});

test('a verdict on the content of an unknown sender, for one of two: held, the recipient told, and counted to its end', async () => {
  const hop = await NextHop.listen();
  const refuses = await serve(fileURLToPath(new URL('services/refuses.ts', import.meta.url)));
  ends.push(
    () => hop.close(),
    () => refuses.child.stop(),
  );
  const gateway = await Gateway.start(
    config(
      hop.url,
      {
        refuses: { connect: refuses.endpoint, when: "recipient.local == 'strict'" },
      },
      { quarantine: { notice: true, keep: '3s' } },
    ),
  );
  ends.push(() => gateway.stop());
  assert.equal(await send(gateway, ['b@dst.test', 'strict@dst.test']), 250);
  const mails = await hop.waitForMails(2);
  const told = mails.map(({ mail, rcpts }) => `${mail} ${rcpts.join()}`).toSorted();
  // Nothing to the sender, who may be anybody.
  assert.deepEqual(told, ['<> <strict@dst.test>', '<a@src.test> <b@dst.test>']);
  const isExpired = ({ event }: Record<string, unknown>): boolean => event === 'quarantine.expired';
  const expired = await gateway.child.until(() => gateway.logs().find(isExpired), 'its end in the log', 60_000);
  assert.deepEqual([expired['to'], expired['service']], ['strict@dst.test', 'refuses']);
  await reaches(gateway, { accepted: 3, delivered: 2, excepted: 1, held: 0, queued: 0, reported: 0 });
  assert.equal(hop.mails.length, 2, 'nobody is written to');
});

test('a report that nobody takes ends there: none is made about it, and it is not tried for ever (REQ-050)', async () => {
  const hop = await NextHop.listen({ replies: { RCPT: (to) => `550 5.1.1 no ${to}` } });
  ends.push(() => hop.close());
  const gateway = await Gateway.start(config(hop.url, {}, { queue: { mode: 'spool' } }));
  ends.push(() => gateway.stop());
  assert.equal(await send(gateway, ['b@dst.test']), 250);
  await reaches(gateway, { accepted: 2, reported: 1, excepted: 1, queued: 0 });
  assert.deepEqual(
    hop.commands.filter((command) => /^(MAIL|RCPT)/.test(command)).map((command) => /<.*?>/.exec(command)?.[0]),
    ['<a@src.test>', '<b@dst.test>', '<>', '<a@src.test>'],
  );
});
