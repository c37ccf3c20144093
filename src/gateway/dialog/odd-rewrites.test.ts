/** Services that rewrite a command to what is none: the failure is theirs, and not the next service's. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import type { Script } from '../../../test/support/memory-callout.ts';
import { finish, keepAll, keepData, MAIL, rigWith } from '../../../test/support/scripted-services.ts';
import { answerBlock } from '../../profile/index.ts';

const NO_PATH = Buffer.from('<new@dst.example>\r\nRCPT TO:<other@dst.example>');

/** Rewrites a recipient that holds `bad` to two commands. */
const rewrites: Script = {
  ...keepAll(['RCPT', 'RAWDATA']),
  onPart(tx, one, all) {
    if (all.length === 1) tx.startMessage();
    if (one.part !== 'RCPT') return;
    if (one.octets.includes('bad')) tx.sendData(answerBlock('RCPT', {}), [NO_PATH], NO_PATH.length);
    else tx.useYours(one.offset, one.octets.length);
  },
};

/** Ends with a failure where it is shown what is no argument, as a server of ours does. */
const strict: Script = {
  ...keepAll(['RCPT', 'RAWDATA']),
  onPart(tx, part, all) {
    if (all.length === 1) tx.startMessage();
    if (part.octets.equals(NO_PATH)) tx.end({ code: 400, reason: 'argument' });
    else if (part.part === 'RCPT') tx.useYours(part.offset, part.octets.length);
  },
  onOriginalEnd(tx, all) {
    keepData(tx, all);
    finish(tx);
  },
};

test('a recipient rewritten to no path makes no later service fail, and no mail pass without it', async () => {
  const each = [{}, { onFailure: 'skip' as const, bypassable: 'allowed' as const }];
  const { rig, callouts } = rigWith([rewrites, strict], { each });
  const { rcpts, final } = await rig.send(MAIL, ['bad@dst.example', 'b@dst.example']);
  const failed = rig.logged.filter(({ event }) => event === 'callout.failed').map(({ fields }) => fields);
  assert.deepEqual(
    failed.map(({ service, reason, detail }) => [service, reason, detail]),
    [['s1', 'invalid', 'rewritten-to-no-argument']],
  );
  assert.equal(rcpts[0]?.code, 451);
  assert.equal(final?.code ?? 451, 451);
  assert.ok(callouts.seen.every((parts) => parts.every(({ octets }) => !octets.equals(NO_PATH))));
});
