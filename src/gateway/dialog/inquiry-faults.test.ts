/**
 * What a service that is asked about a command outside of mails can do wrong, and what its client hears by each policy
 * (decision 0051).
 */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { ADAPTIVE, askedSession, says, turns } from '../../../test/support/asked-services.ts';
import type { Script } from '../../../test/support/memory-callout.ts';
import { finish, keepAll } from '../../../test/support/scripted-services.ts';
import { answerBlock } from '../../profile/index.ts';

const lies: readonly (readonly [string, Script, string])[] = [
  ['says nothing', says(() => 'nothing'), 'timeout'],
  ['refuses the transaction', { ...says(() => undefined), refuse: { code: 400, reason: 'busy' } }, 'crash'],
  [
    'refuses it for load',
    { ...says(() => undefined), refuse: { code: 400, reason: 'busy', cause: 'overload' } },
    'overload',
  ],
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
      const { client, lines, rig, delivered } = askedSession([one], { onFailure: action, timeoutMs: 5000 });
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
  const nobody = askedSession([says(() => undefined)]);
  nobody.callouts.servers.clear();
  assert.match(await nobody.client.say('EHLO client.example'), /^451-4\.7\.1 /);
  assert.equal(nobody.lines('callout.failed')[0]?.['reason'], 'unreachable');
  const beyond = askedSession([says((_, text) => `${text}.x`)], { may: ['refuse'] });
  assert.match(await beyond.client.say('EHLO client.example'), /^451-4\.7\.1 /);
  assert.equal(beyond.lines('callout.failed')[0]?.['detail'], 'no permission: rewrite-command');
});

test('a second answer to a greeting changes nothing', async () => {
  const twice = acting((tx, at) => {
    tx.useYours(at, 'client.example'.length);
    tx.sendData(answerBlock('EHLO', { smtpError: '550 5.7.1 no' }), [], 0);
  });
  const { client, lines } = askedSession([twice]);
  assert.match(await client.say('EHLO client.example'), /^250-/);
  await turns();
  assert.deepEqual(lines('callout.failed'), []);
  assert.deepEqual(lines('mail.fault'), []);
});

test('an acceptance where a refusal belongs is no acceptance, and 421 closes no session', async () => {
  const { client } = askedSession([says((_, text) => (text === 'a' ? '250 2.0.0 Welcome' : '421 4.7.0 Go away'))]);
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
  let current = askedSession([dying(1)]);
  assert.match(await current.client.say('EHLO client.example'), /^250-/);
  assert.equal(current.lines('callout.again').length, 1);
  seen = 0;
  current = askedSession([dying(2)]);
  assert.match(await current.client.say('EHLO client.example'), /^451-4\.7\.1 /);
  assert.equal(current.lines('callout.failed')[0]?.['reason'], 'crash');
});

test('one deadline runs over all services of a command', async () => {
  const { client, rig, lines } = askedSession([says(() => 'nothing')], { timeoutMs: 3_600_000 });
  client.send('EHLO client.example\r\n');
  await turns();
  rig.world.deadlines.tick(rig.world.deadlines.nowMs + 61_000);
  assert.match((await client.replies(1))[0] ?? '', /^451-4\.4\.7 Processing took too long/);
  assert.equal(lines('command')[0]?.['outcome'], 'tempfailed');
});

test('a client that hangs up is waited for no longer', async () => {
  const { client, agents, lines, rig } = askedSession([says(() => 'nothing')]);
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
    const { client, lines } = askedSession([bare], { commands: ['EHLO'] });
    assert.match(await client.say('EHLO client.example'), /^250-/);
    assert.match(await client.mail(), /^250 /, `manner ${n}`);
    assert.deepEqual(lines('callout.failed'), []);
  }
});

test("an exception of ours is that command's alone", async () => {
  const { client, rig, lines } = askedSession([says(() => undefined)]);
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

function onPurpose(): never {
  throw new Error('on purpose');
}

test('an exception out of its end: the client has its answer, and the session its next command', async () => {
  for (const said of [undefined, '550 5.7.1 no']) {
    const { client, rig, lines } = askedSession([says(() => said)]);
    const { metrics } = rig.world;
    Object.assign(rig.world, { metrics: { ...metrics, count: onPurpose } });
    client.send('EHLO client.example\r\n');
    await turns();
    assert.equal(client.heard(), '451 4.3.0 Internal fault; try again later\r\n');
    assert.match(String(lines('mail.fault')[0]?.['error']), /on purpose/);
    Object.assign(rig.world, { metrics });
    assert.match(await client.say('EHLO client.example'), said === undefined ? /^250-/ : /^550-/);
  }
});

test('a client that hangs up while the end of its command fails: the session is over all the same', async () => {
  const { client, rig } = askedSession([says(() => 'nothing')]);
  client.send('EHLO client.example\r\n');
  await turns();
  Object.assign(rig.world, { metrics: { ...rig.world.metrics, count: onPurpose } });
  client.hangUp();
  assert.equal(client.isOver, true);
});

test('an exception out of an answer of a callout server: the command has its answer, and the connection goes on', async () => {
  const { client, rig, lines } = askedSession([says((_, text) => (text === 'bad' ? '550 5.7.1 no' : undefined))]);
  const { system } = rig.world;
  let isArmed = true;
  Object.defineProperty(rig.world, 'system', {
    get() {
      if (isArmed) throw new Error('on purpose');
      return system;
    },
  });
  assert.equal(await client.say('EHLO bad'), '451 4.3.0 Internal fault; try again later');
  assert.match(String(lines('mail.fault')[0]?.['error']), /on purpose/);
  isArmed = false;
  assert.match(await client.say('EHLO bad'), /^550-/);
  assert.match(await client.say('EHLO good'), /^250-/);
});

test('an exception while a command comes to its end: the client has an answer all the same', async () => {
  const { client, rig } = askedSession([says(() => undefined)]);
  const { log } = rig.world;
  const info = log.info.bind(log);
  Object.assign(log, {
    info: (...line: Parameters<typeof info>) => {
      if (line[0] === 'command') throw new Error('on purpose');
      info(...line);
    },
  });
  client.send('EHLO client.example\r\n');
  assert.equal((await client.replies(1))[0], '451 4.3.0 Internal fault; try again later');
});
