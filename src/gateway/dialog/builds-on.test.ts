/** What becomes of services that build on one that failed and was skipped (decision 0058). */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { askedSession, says } from '../../../test/support/asked-services.ts';
import type { Script } from '../../../test/support/memory-callout.ts';
import { RecordingSpool } from '../../../test/support/recording-spool.ts';
import { adds, body, dies, keepAll, MAIL, type RigOptions, rigWith } from '../../../test/support/scripted-services.ts';
import type { FailureAction } from '../options.ts';

const skip = { onFailure: 'skip' as const, bypassable: 'allowed' as const };

/** Fails at the first recipient. */
const diesAtRcpt: Script = {
  ...keepAll(['RCPT', 'RAWDATA']),
  onPart(tx, part, all) {
    if (all.length === 1) tx.startMessage();
    if (part.part === 'RCPT') tx.end({ code: 400, reason: 'broken' });
  },
};

const marks = (text: string): string[] =>
  [...text.matchAll(/svc\.example\/(s\d);outcome=([a-z-]+(?:;reason=[a-z]+)?)/g)].map((m) => `${m[1]} ${m[2]}`);

async function outcome(scripts: readonly Script[], options: RigOptions) {
  const made = rigWith(scripts, options);
  const { rcpts, final } = await made.rig.send(MAIL);
  const services = made.callouts.seen.map((parts) => parts.map(({ part }) => part).join(' '));
  const failed = made.rig.logged.filter(({ event }) => event === 'callout.failed').map(({ fields }) => fields);
  return { ...made, code: (final ?? rcpts[0])?.code, services, failed, marks: marks(body(made.rig.delivered[0])) };
}

test('it fails with it, for the same reason, and is not called; what does not build on it is', async () => {
  const each = [skip, { ...skip, buildsOn: ['s1'] }, skip];
  const { code, services, failed, marks: told } = await outcome([dies, adds('X-2: 1'), adds('X-3: 1')], { each });
  assert.equal(code, 250);
  assert.deepEqual(told, ['s1 skipped;reason=crash', 's2 skipped;reason=crash', 's3 header-added']);
  // No transaction with the second has the message.
  assert.equal(services.filter((parts) => parts.endsWith('RAWDATA')).length, 2);
  const [, second] = failed;
  assert.equal(second?.['service'], 's2');
  assert.equal(second['action'], 'skip');
  assert.equal(second['detail'], 'builds on s1, which failed and was skipped');
});

const POLICIES: readonly (readonly [FailureAction, number])[] = [
  ['tempfail', 451],
  ['reject', 554],
  ['quarantine', 250],
  ['spool', 250],
];

for (const [at, script] of [
  ['the content', dies],
  ['a recipient', diesAtRcpt],
] as const)
  for (const [onFailure, expected] of POLICIES)
    test(`its own policy holds: ${onFailure}, where the other failed at ${at}`, async () => {
      const spool = new RecordingSpool();
      const each = [skip, { ...skip, onFailure, buildsOn: ['s1'] }];
      const { code, rig, services } = await outcome([script, keepAll(['RCPT', 'RAWDATA'])], { each, spool });
      assert.equal(code, expected);
      assert.equal(rig.delivered.filter(({ isComplete }) => isComplete).length, 0);
      assert.equal(spool.taken.length, expected === 250 ? 1 : 0);
      assert.deepEqual(
        spool.taken[0]?.fates,
        expected === 250 ? [onFailure === 'spool' ? 'deliver' : 'hold'] : undefined,
      );
      const via = [{ uri: 'http://svc.example/s1', outcome: 'skipped', reason: 'crash', bypass: undefined }];
      if (onFailure === 'spool') assert.deepEqual(spool.taken[0]?.resume, { service: 's2', via, late: [] });
      // At a recipient the second is not even begun.
      if (script === diesAtRcpt) assert.equal(services.length, 1);
    });

test('whichever fail of a chain of five, no service is called without what it builds on', async () => {
  const builtOn: readonly (readonly string[])[] = [[], ['s1'], [], ['s2', 's3'], ['s4']];
  for (let subset = 1; subset < 1 << builtOn.length; subset++)
    for (const failing of [dies, diesAtRcpt]) {
      const scripts = builtOn.map((_, i) => ((subset & (1 << i)) === 0 ? adds(`X-${i + 1}: 1`) : failing));
      const each = builtOn.map((buildsOn) => ({ ...skip, buildsOn }));
      const { code, marks: told } = await outcome(scripts, { each });
      assert.equal(code, 250);
      const skipped = new Set<string>();
      for (const [i, names] of builtOn.entries())
        if ((subset & (1 << i)) !== 0 || names.some((name) => skipped.has(name))) skipped.add(`s${i + 1}`);
      assert.deepEqual(
        told,
        builtOn.map((_, i) => {
          const name = `s${i + 1}`;
          return skipped.has(name) ? `${name} skipped;reason=crash` : `${name} header-added`;
        }),
        `${subset}`,
      );
    }
});

test('also where the recipients are taken apart behind the one that was skipped (decision 0043)', async () => {
  const spool = new RecordingSpool();
  const when = "recipient.local == 'vip' && message.headers['subject'] == 'test'";
  const each = [skip, { ...skip, when }, { ...skip, buildsOn: ['s1'] }];
  const { rig } = rigWith([dies, adds('X-2: 1'), adds('X-3: 1')], { each, spool });
  const { final } = await rig.send(MAIL, ['plain@dst.example', 'vip@dst.example']);
  assert.equal(final?.code, 250);
  const [first, third] = ['s1 skipped;reason=crash', 's3 skipped;reason=crash'];
  assert.deepEqual(
    spool.taken.map(({ to, octets }) => [to, marks(octets?.toString('latin1') ?? '')]),
    [
      [['<plain@dst.example>'], [first, third]],
      [['<vip@dst.example>'], [first, 's2 header-added', third]],
    ],
  );
});

test('at a command outside of mails: it is not asked, and its own policy holds', async () => {
  const fails = says((_, text) => (text === 'x' ? 'two\r\nlines' : undefined));
  for (const [onFailure, expected] of [
    ['skip', /^252 /],
    ['tempfail', /^451-4\.7\.1 Command could not be checked now/],
  ] as const) {
    const each = [skip, { ...skip, onFailure, buildsOn: ['s1'] }];
    const { client, parts } = askedSession([fails, says(() => '550 5.7.1 no')], { each, commands: ['VRFY'] });
    assert.match(await client.say('VRFY x'), expected);
    assert.deepEqual(
      parts().map((all) => all.at(-1)),
      ['VRFY x'],
    );
    assert.match(await client.say('VRFY y'), /^550-5\.7\.1 no/);
  }
});
