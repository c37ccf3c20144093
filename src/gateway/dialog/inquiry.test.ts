/** Commands outside of mails, as services that are asked about them have them answered (decision 0051). */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { LISTENER } from '../../../test/support/mail-rig.ts';
import type { Script } from '../../../test/support/memory-callout.ts';
import { RecordingSpool } from '../../../test/support/recording-spool.ts';
import { finish, keepAll, MAIL, type RigOptions, rigWith } from '../../../test/support/scripted-services.ts';
import { SessionClient } from '../../../test/support/session-client.ts';
import { answerBlock, type Part } from '../../profile/index.ts';
import type { ServerOptions } from '../../smtp/index.ts';
import { checkMail } from '../check/check-mail.ts';
import type { ListenerOptions } from '../options.ts';
import type { SpooledSession } from '../spool/port.ts';
import { spooledIdentity } from '../spool/rows.ts';
import { makeSessionView } from './session-view.ts';

const TRACE = 'OPES-System: https://mail.example.com/opes?id=session.';
const COMMANDS = ['EHLO', 'VRFY', 'EXPN'] as const;
const ADAPTIVE = ['EHLO', 'HELO', 'VRFY', 'EXPN', 'RAWDATA'] as const;

/** What it says of a command, by its text: a refusal (`550 ...`), another argument, nothing at all, or that it stays. */
type Says = (part: Part, text: string) => string | 'nothing' | undefined;

function says(answer: Says, adaptive: readonly Part[] = ADAPTIVE): Script {
  const kept = keepAll(adaptive);
  return {
    ...kept,
    informative: (['IP', 'EHLO', 'HELO', 'MAIL', 'RCPT'] as const).filter((part) => !adaptive.includes(part)),
    onPart(tx, part, all) {
      const said =
        part.part === undefined || part.replayed || !adaptive.includes(part.part) || part.part === 'RAWDATA'
          ? undefined
          : answer(part.part, part.octets.toString('latin1'));
      if (said === undefined && !part.replayed) kept.onPart?.(tx, part, all);
      else if (all.length === 1) tx.startMessage();
      if (said === undefined || said === 'nothing') return;
      if (/^[2-5]\d\d[ -]/.test(said)) tx.sendData(answerBlock(part.part, { smtpError: said }), [], 0);
      else tx.sendData(answerBlock(part.part, {}), [Buffer.from(said, 'latin1')], said.length);
    },
    onOriginalEnd(tx, all) {
      if (all.some(({ part }) => part === 'RAWDATA')) kept.onOriginalEnd?.(tx, all);
      else finish(tx);
    },
  };
}

function session(
  scripts: readonly Script[],
  options: RigOptions = {},
  listener: Partial<ListenerOptions> = {},
  server: Partial<ServerOptions> = {},
) {
  const made = rigWith(scripts, { commands: COMMANDS, ...options });
  const client = new SessionClient(made.rig, listener, server);
  const lines = (event: string) => made.rig.logged.filter((one) => one.event === event).map(({ fields }) => fields);
  const parts = () =>
    made.callouts.seen.map((all) =>
      all.map(
        ({ part, octets, replayed }) =>
          `${part} ${part === 'RAWDATA' ? '' : octets.toString('latin1')}${replayed ? ' (replayed)' : ''}`,
      ),
    );
  return {
    ...made,
    client,
    lines,
    parts,
    delivered: () => made.rig.delivered.at(-1)?.content.toString('latin1') ?? '',
  };
}

const turns = async (n = 20): Promise<void> => {
  for (let i = 0; i < n; i++) await new Promise(setImmediate);
};

test('nobody who did not ask for it is asked: EHLO is taken at once, VRFY and EXPN have our own answers', async () => {
  const { client, callouts } = session([says(() => '550 5.7.1 no')], { commands: [] });
  client.send('EHLO client.example\r\nVRFY ann\r\nEXPN list\r\n');
  const heard = client.heard();
  assert.match(heard, /^250-mx\.example\.com\r\n/);
  assert.match(heard, /\r\n252 2\.5\.0 [^\r]+\r\n502 5\.5\.1 [^\r]+\r\n$/);
  await turns();
  assert.deepEqual(callouts.seen, []);
});

for (const chunk of [1 << 20, 1])
  test(`a refused greeting: the service's reply with our trace, and no mail (octets in pieces of ${chunk})`, async () => {
    const refuses = says((part, text) =>
      text === 'bad.example' ? `554 5.7.1 ${part} ${text} is not welcome` : undefined,
    );
    const { client, parts, lines, rig } = session([refuses], { chunk });
    assert.equal(await client.say('EHLO bad.example'), `554-5.7.1 EHLO bad.example is not welcome|554 5.7.1 ${TRACE}1`);
    assert.deepEqual(parts(), [['IP [192.0.2.1]', 'EHLO bad.example']]);
    assert.equal(await client.say('MAIL FROM:<a@src.example>'), '503 5.5.1 Send EHLO first');
    const [line] = lines('command');
    assert.equal(line?.['mail'], 'session.1');
    assert.equal(line?.['command'], 'EHLO');
    assert.equal(line?.['argument'], 'bad.example');
    assert.equal(line?.['outcome'], 'refused');
    assert.match(String(line?.['services']), /^s1 refused [\d.]+ms$/);
    // The session goes on: with another name it is welcome.
    assert.equal(await client.say('HELO good.example'), '250 mx.example.com');
    assert.match(await client.mail(), /^250 /);
    assert.match(rig.delivered[0]?.content.toString() ?? '', /^Received: from good\.example /);
  });

test('a greeting that is refused leaves an accepted one, and the mail under way, as they were', async () => {
  const { client, delivered } = session([says((_, text) => (text === 'bad' ? '550 5.7.1 no' : undefined))]);
  await client.say('EHLO good.example');
  await client.say('MAIL FROM:<a@src.example>');
  assert.match(await client.say('EHLO bad'), /^550/);
  await client.say('RCPT TO:<b@dst.example>');
  await client.say('DATA');
  assert.match(await client.say('Subject: x\r\n\r\nx\r\n.'), /^250/);
  assert.match(delivered(), /^Received: from good\.example /);
});

test('the connection itself is refused by its address, in the answer to EHLO', async () => {
  const script = says(() => undefined);
  const byAddress: Script = {
    ...script,
    onPart(tx, part, all) {
      if (part.part === 'EHLO' && all[0]?.octets.toString() === '[192.0.2.1]') {
        tx.sendData(answerBlock('EHLO', { smtpError: '554 5.7.1 Listed' }), [], 0);
      } else script.onPart?.(tx, part, all);
    },
  };
  const { client } = session([byAddress]);
  assert.match(await client.say('EHLO client.example'), /^554-5\.7\.1 Listed\|/);
});

test('a changed greeting: the next service, rules, mails and next hops have it; Received and log keep the first', async () => {
  const normalises = says((part, text) => (part === 'EHLO' && text === 'CLIENT' ? 'client.example' : undefined));
  const { client, parts, delivered, lines, rig } = session([normalises, says(() => undefined)], {
    each: [{}, { when: "session.helo == 'client.example'" }],
  });
  assert.match(await client.say('EHLO CLIENT'), /^250-/);
  // The second is left out where rules are judged by what was presented: nobody had changed it yet.
  assert.deepEqual(parts(), [['IP [192.0.2.1]', 'EHLO CLIENT']]);
  assert.match(await client.mail(), /^250 /);
  assert.deepEqual(
    parts()
      .slice(1)
      .map((all) => all.slice(0, 3)),
    [1, 2].map(() => ['IP [192.0.2.1]', 'EHLO client.example (replayed)', 'MAIL <a@src.example>']),
  );
  const content = delivered();
  assert.match(content, /^Received: from CLIENT \(/);
  const trace = /OPES-Via: [^\r]+(?:\r\n\t[^\r]+)*/.exec(content)?.[0].replaceAll('\r\n\t', ' ');
  const via = ['s1;outcome=greeting-edited', 's1;outcome=unchanged', 's2;outcome=unchanged'];
  assert.equal(
    trace,
    `OPES-Via: https://mail.example.com/opes?id=session.2, ${via.map((one) => `http://svc.example/${one}`).join(', ')}`,
  );
  assert.equal(lines('command')[0]?.['changedTo'], 'client.example');
  assert.equal(lines('mail')[0]?.['helo'], 'CLIENT');
  assert.equal(lines('mail')[0]?.['heloAs'], 'client.example');
  assert.equal(rig.records[0]?.client.helo, 'CLIENT');
  // Another greeting is another question.
  assert.match(await client.say('HELO other.example'), /^250/);
  assert.deepEqual(parts().at(-1), ['IP [192.0.2.1]', 'HELO other.example']);
});

test('the services are asked in their order, each about what the one before made of it, and the first refusal ends it', async () => {
  const adds = (mark: string) => says((_, text) => (text.endsWith(mark) ? undefined : `${text}.${mark}`));
  const { client, parts } = session([adds('one'), adds('two'), says(() => '550 5.7.1 no'), says(() => undefined)]);
  assert.match(await client.say('HELO a'), /^550-/);
  assert.deepEqual(
    parts().map((all) => all.at(-1)),
    ['HELO a', 'HELO a.one', 'HELO a.one.two'],
  );
});

test('what stands behind a greeting in a pipeline waits for its answer, in order', async () => {
  const { client, callouts } = session([says(() => undefined)]);
  client.send('EHLO a\r\nNOOP\r\nMAIL FROM:<a@src.example>\r\n');
  assert.equal(client.heard(), '');
  const [hello, noop, mail] = await client.replies(3);
  assert.match(hello ?? '', /^250-/);
  assert.match(noop ?? '', /^250 2\.0\.0/);
  assert.match(mail ?? '', /^250 2\.1\.0/);
  assert.equal(callouts.seen.length, 1);
});

test('with LMTP it is LHLO that is asked about, as EHLO', async () => {
  const { client, parts } = session([says(() => '550 5.7.1 no')], {}, { protocol: 'lmtp' }, { protocol: 'lmtp' });
  assert.match(await client.say('LHLO a'), /^550-/);
  assert.deepEqual(parts(), [['IP [192.0.2.1]', 'EHLO a']]);
});

test('by XCLIENT it is the client behind the proxy that is asked about', async () => {
  const { client, parts } = session([says(() => undefined)], {}, {}, { xclient: true });
  await client.say('EHLO proxy.example');
  assert.match(await client.say('XCLIENT ADDR=198.51.100.7 HELO=far.example PROTO=SMTP'), /^220/);
  await client.say('VRFY ann');
  await client.say('EHLO proxy.example');
  assert.deepEqual(parts(), [
    ['IP [192.0.2.1]', 'EHLO proxy.example'],
    ['IP [198.51.100.7]', 'HELO far.example (replayed)', 'VRFY ann'],
    ['IP [198.51.100.7]', 'HELO far.example'],
  ]);
});

test('VRFY and EXPN: refused, changed, and otherwise answered by us as if the client had said so', async () => {
  const script = says((part, text) => {
    if (part === 'EHLO') return undefined;
    if (text === 'boss') return '550-5.1.1 Nobody\r\n550 5.1.1 of that name';
    return text === 'ann' ? '<ann@dst.example>' : undefined;
  });
  const { client, parts, lines } = session([script, script]);
  await client.say('EHLO client.example');
  assert.equal(await client.say('VRFY boss'), `550-5.1.1 Nobody|550-5.1.1 ${TRACE}2|550 5.1.1 of that name`);
  assert.match(await client.say('VRFY ann'), /^252 2\.5\.0 /);
  assert.match(await client.say('EXPN boss'), /^550-/);
  assert.equal(await client.say('EXPN list'), '502 5.5.1 Command not implemented');
  assert.deepEqual(parts().slice(2, 5), [
    ['IP [192.0.2.1]', 'EHLO client.example (replayed)', 'VRFY boss'],
    ['IP [192.0.2.1]', 'EHLO client.example (replayed)', 'VRFY ann'],
    ['IP [192.0.2.1]', 'EHLO client.example (replayed)', 'VRFY <ann@dst.example>'],
  ]);
  assert.deepEqual(
    lines('command').map((line) =>
      `${line['command']} ${line['argument']} ${line['outcome']} ${line['changedTo'] ?? ''}`.trim(),
    ),
    [
      'EHLO client.example passed',
      'VRFY boss refused',
      'VRFY ann changed <ann@dst.example>',
      'EXPN boss refused',
      'EXPN list passed',
    ],
  );
});

test('look-ups are counted as guesses are, and there is a last one', async () => {
  const { client, callouts } = session([says((part) => (part === 'VRFY' ? '550 5.1.1 no' : undefined))]);
  await client.say('EHLO client.example');
  let said = '';
  for (let i = 0; i < 500 && !said.startsWith('421'); i++) said = await client.say(`VRFY guess${i}`);
  assert.match(said, /^421 4\.7\.0 Too many/);
  assert.ok(client.isClosed);
  assert.ok(callouts.seen.length < 200, `${callouts.seen.length}`);
});

test('who has to log in asks about nobody before', async () => {
  const auth = { users: [], isClearAllowed: true };
  const { client, parts } = session([says(() => undefined)], {}, { side: 'sender', auth }, { auth: 'always' });
  await client.say('EHLO client.example');
  assert.equal(await client.say('VRFY ann'), '530 5.7.0 Authentication required');
  assert.equal(parts().length, 1);
});

test('a rule decides who is asked', async () => {
  const { client, parts } = session([says(() => '550 5.7.1 no')], { when: "client.ip == '203.0.113.9'" });
  assert.match(await client.say('EHLO client.example'), /^250-/);
  assert.deepEqual(parts(), []);
});

test('a service that only listens is told, and nobody waits for it', async () => {
  const { client, parts } = session([says(() => undefined, ['RAWDATA'])], { commands: ['EHLO'], may: ['add-header'] });
  assert.match(await client.say('EHLO client.example'), /^250-/);
  await turns();
  assert.deepEqual(parts(), [['IP [192.0.2.1]', 'EHLO client.example']]);
});

// What a service can do wrong, and what the client hears by each policy.

const lies: readonly (readonly [string, Script, string])[] = [
  ['says nothing', says(() => 'nothing'), 'timeout'],
  ['refuses the transaction', { ...says(() => undefined), refuse: { code: 400, reason: 'busy' } }, 'overload'],
  ['ends it with a failure', acting((tx) => tx.end({ code: 400, reason: 'broken' })), 'crash'],
  ['ends it well without an answer', acting((tx) => finish(tx)), 'invalid'],
  ['answers another part', acting((tx) => tx.sendData(answerBlock('MAIL', {}), [Buffer.from('<>')], 2)), 'invalid'],
  ['answers content', acting((tx) => tx.sendData(answerBlock('RAWDATA', {}), [Buffer.from('x')], 1)), 'invalid'],
  ['keeps less than the part', acting((tx, at) => tx.useYours(at, 3)), 'invalid'],
  [
    'gives advice',
    acting((tx) => tx.sendData(answerBlock('EHLO', { advice: { kind: 'quarantine', reason: '' } }), [], 0)),
    'invalid',
  ],
  ['changes it to two words', says(() => 'two words'), 'invalid'],
  ['changes it to two commands', says(() => 'x\r\nMAIL FROM:<a@b>'), 'invalid'],
  ['changes it to nothing', acting((tx) => tx.sendData(answerBlock('EHLO', {}), [], 0)), 'invalid'],
  ['changes it to a very long name', says(() => 'x'.repeat(3000)), 'invalid'],
  ['was asked and did not select it', says(() => undefined, ['RAWDATA']), 'not-selected'],
];

/** Does this to EHLO. */
function acting(act: (tx: Parameters<NonNullable<Script['onPart']>>[0], at: number) => void): Script {
  return {
    ...keepAll(ADAPTIVE),
    onPart(tx, part, all) {
      if (all.length === 1) tx.startMessage();
      if (part.part === 'EHLO' && !part.replayed) act(tx, part.offset);
    },
  };
}

for (const [what, script, reason] of lies)
  for (const [action, expected] of [
    ['tempfail', /^451-4\.7\.1 Command could not be checked now; try again later\|451 4\.7\.1 OPES-System: /],
    ['quarantine', /^451-4\.7\.1 /],
    ['spool', /^451-4\.7\.1 /],
    ['reject', /^550-5\.7\.1 Command could not be checked; not accepted\|/],
    ['skip', /^250-mx/],
  ] as const)
    test(`a service that ${what}: ${action}`, async () => {
      const isUnselected = reason === 'not-selected';
      const one: Script = isUnselected ? { ...script, informative: ['IP', 'MAIL'] } : script;
      const { client, lines, rig, delivered } = session([one], { onFailure: action, timeoutMs: 5000 });
      client.send('EHLO client.example\r\n');
      await turns();
      if (reason === 'timeout') rig.world.deadlines.tick(rig.world.deadlines.nowMs + 6000);
      assert.match((await client.replies(1))[0] ?? '', expected);
      const [failed] = lines('callout.failed');
      assert.equal(failed?.['reason'], isUnselected ? 'invalid' : reason);
      assert.equal(failed?.['action'], action);
      assert.equal(lines('command').length, 1);
      if (action !== 'skip' || reason !== 'invalid' || what !== 'changes it to two words') return;
      // Its mail says so.
      assert.match(await client.mail(), /^250 /);
      assert.match(delivered(), /s1;outcome=skipped;reason=invalid,\r\n\thttp:\/\/svc\.example\/s1;outcome=unchanged/);
    });

test('a failure where nobody listens, and one beyond what the service may do', async () => {
  const nobody = session([says(() => undefined)]);
  nobody.callouts.servers.clear();
  assert.match(await nobody.client.say('EHLO client.example'), /^451-4\.7\.1 /);
  assert.equal(nobody.lines('callout.failed')[0]?.['reason'], 'unreachable');
  const beyond = session([says((_, text) => `${text}.x`)], { may: ['refuse'] });
  assert.match(await beyond.client.say('EHLO client.example'), /^451-4\.7\.1 /);
  assert.equal(beyond.lines('callout.failed')[0]?.['detail'], 'no permission: rewrite-command');
});

test('a second answer to a greeting changes nothing', async () => {
  const twice = acting((tx, at) => {
    tx.useYours(at, 'client.example'.length);
    tx.sendData(answerBlock('EHLO', { smtpError: '550 5.7.1 no' }), [], 0);
  });
  const { client, lines } = session([twice]);
  assert.match(await client.say('EHLO client.example'), /^250-/);
  await turns();
  assert.deepEqual(lines('callout.failed'), []);
  assert.deepEqual(lines('mail.fault'), []);
});

test('an acceptance where a refusal belongs is no acceptance, and 421 closes no session', async () => {
  const { client } = session([says((_, text) => (text === 'a' ? '250 2.0.0 Welcome' : '421 4.7.0 Go away'))]);
  assert.match(await client.say('EHLO a'), /^451-4\.3\.0 /);
  assert.match(await client.say('EHLO b'), /^451-4\.7\.0 Go away/);
  assert.equal(client.isClosed, false);
});

test('a connection lost with a greeting on it is tried once more, and no third time', async () => {
  let seen = 0;
  const dying = (times: number): Script => {
    const kept = says(() => undefined);
    return {
      ...kept,
      onPart(tx, part, all) {
        if (part.part === 'EHLO' && seen++ < times) setImmediate(() => current.callouts.kill());
        else kept.onPart?.(tx, part, all);
      },
    };
  };
  let current = session([dying(1)]);
  assert.match(await current.client.say('EHLO client.example'), /^250-/);
  assert.equal(current.lines('callout.again').length, 1);
  seen = 0;
  current = session([dying(2)]);
  assert.match(await current.client.say('EHLO client.example'), /^451-4\.7\.1 /);
  assert.equal(current.lines('callout.failed')[0]?.['reason'], 'crash');
});

test('one deadline runs over all services of a command', async () => {
  const { client, rig, lines } = session([says(() => 'nothing')], { timeoutMs: 3_600_000 });
  client.send('EHLO client.example\r\n');
  await turns();
  rig.world.deadlines.tick(rig.world.deadlines.nowMs + 61_000);
  assert.match((await client.replies(1))[0] ?? '', /^451-4\.4\.7 Processing took too long/);
  assert.equal(lines('command')[0]?.['outcome'], 'tempfailed');
});

test('a client that hangs up is waited for no longer', async () => {
  const { client, agents, lines, rig } = session([says(() => 'nothing')]);
  client.send('EHLO client.example\r\n');
  await turns();
  assert.equal(agents[0]?.liveTransactions, 1);
  client.hangUp();
  await turns();
  assert.equal(agents[0]?.liveTransactions, 0);
  assert.equal(lines('command')[0]?.['outcome'], 'aborted');
  rig.world.deadlines.tick(rig.world.deadlines.nowMs + 100_000);
  assert.equal(lines('command').length, 1);
  assert.deepEqual(lines('callout.failed'), []);
});

test('each transaction is short: nothing of it is left when the command is answered', async () => {
  const { client, agents } = session([says(() => undefined), says(() => undefined)]);
  await client.say('EHLO client.example');
  await client.say('VRFY ann');
  assert.deepEqual(
    agents.map(({ liveTransactions }) => liveTransactions),
    [0, 0],
  );
});

test('a bare server that knows no replays answers the greeting again in each mail, and that counts for nothing', async () => {
  for (const [n, again] of [
    (tx: Parameters<NonNullable<Script['onPart']>>[0], at: number, octets: Buffer) => tx.useYours(at, octets.length),
    (tx: Parameters<NonNullable<Script['onPart']>>[0], _: number, octets: Buffer) =>
      tx.sendData(answerBlock('EHLO', {}), [octets], octets.length),
  ].entries()) {
    const adaptive = ['EHLO', 'MAIL', 'RCPT', 'RAWDATA'] as const;
    const kept = keepAll(adaptive);
    const bare: Script = {
      ...kept,
      onPart(tx, part, all) {
        if (all.length === 1) tx.startMessage();
        if (part.part === 'EHLO') again(tx, part.offset, part.octets);
        else kept.onPart?.(tx, part, all.length === 1 ? [part, part] : all);
      },
      onOriginalEnd(tx, all) {
        if (all.some(({ part }) => part === 'RAWDATA')) kept.onOriginalEnd?.(tx, all);
        else finish(tx);
      },
    };
    const { client, lines } = session([bare], { commands: ['EHLO'] });
    assert.match(await client.say('EHLO client.example'), /^250-/);
    assert.match(await client.mail(), /^250 /, `manner ${n}`);
    assert.deepEqual(lines('callout.failed'), []);
  }
});

test("an exception of ours is that command's alone", async () => {
  const { client, rig, lines } = session([says(() => undefined)]);
  const { deadlines } = rig.world;
  const arm = deadlines.arm.bind(deadlines);
  let isArmed = true;
  deadlines.arm = (...args) => {
    if (isArmed) throw new Error('on purpose');
    arm(...args);
  };
  client.send('EHLO client.example\r\n');
  assert.equal((await client.replies(1))[0], '451 4.3.0 Internal fault; try again later');
  assert.match(String(lines('mail.fault')[0]?.['error']), /on purpose/);
  isArmed = false;
  assert.match(await client.say('EHLO client.example'), /^250-/);
});

test('what is stored of a session brings the greeting in force, and its trace, back', async () => {
  const spool = new RecordingSpool('spool');
  const sessions: SpooledSession[] = [];
  const accept = spool.accept.bind(spool);
  spool.accept = (acceptance, done) => {
    sessions.push(JSON.parse(JSON.stringify(acceptance.session)) as SpooledSession);
    accept(acceptance, done);
  };
  const changes = says((part, text) => (part === 'EHLO' && text === 'CLIENT' ? 'client.example' : undefined));
  const { client } = session([changes], { spool });
  await client.say('EHLO CLIENT');
  assert.match(await client.mail(), /^250 /);
  const [stored] = sessions;
  assert.ok(stored !== undefined);
  assert.equal(spooledIdentity(stored).helo, 'client.example');
  const view = makeSessionView('mx.example.com', { ...stored, listener: LISTENER });
  assert.deepEqual(view.parts, [
    ['IP', '[192.0.2.1]'],
    ['EHLO', 'client.example'],
  ]);
  assert.deepEqual(view.via, [{ uri: 'http://svc.example/s1', outcome: 'greeting-edited' }]);
  assert.equal(view.helo, 'CLIENT');
  assert.match(spool.taken[0]?.octets.toString() ?? '', /s1;outcome=greeting-edited/);
});

test('opes check asks about the greeting first', async () => {
  const script = says((part, text) =>
    part !== 'EHLO' ? undefined : text === 'bad' ? '550 5.7.1 Not you' : text.toLowerCase(),
  );
  const { rig } = session([script]);
  const queue = {
    mode: 'inline',
    retryMs: [1],
    lifetimeMs: 1,
    warnAfterMs: undefined,
    perDestination: 1,
    keepMs: 1,
    notice: true,
  } as const;
  const check = (helo: string) =>
    checkMail(
      rig.world,
      { listeners: [LISTENER], queue },
      {
        listener: undefined,
        client: '192.0.2.1',
        user: undefined,
        helo,
        from: 'a@src.example',
        to: ['b@dst.example'],
        content: Buffer.from(MAIL),
      },
    );
  const { decision, mail } = await check('CLIENT');
  assert.deepEqual(
    decision.map(({ stage, service, called }) => `${stage} ${service} ${called}`),
    ['greeting s1 true', 'recipient s1 true'],
  );
  assert.deepEqual(
    mail.calls.map(({ verdict, parts }) => `${verdict} ${parts.join(' ')}`),
    ['changed IP EHLO', 'unchanged IP EHLO MAIL RCPT RAWDATA'],
  );
  assert.deepEqual(mail.edits, [{ service: 's1', part: 'EHLO', what: 'rewrote CLIENT to client' }]);
  await assert.rejects(check('bad'), /EHLO bad from this client is refused: 550 5\.7\.1 Not you/);
});
