import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished, test } from 'vitest';
import { silentLog } from '../../base/index.ts';
import { loadText } from '../../config/index.ts';
import { isOpenRelay } from '../../gateway/index.ts';
import { Dialog } from '../send/dialog.ts';
import { DEMO_YAML } from '../start/demo.ts';
import { Mailbox } from './mailbox.ts';
import { Maildrop } from './maildrop.ts';

function scratch(): string {
  const dir = mkdtempSync(join(tmpdir(), 'opes-mailbox-'));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  return dir;
}

const mailsIn = (dir: string) => readdirSync(dir).filter((name) => name.endsWith('.eml'));

test('a delivered mail is one whole file for its owner only', async () => {
  const ports = {
    builtins: new Set(['banner', 'attachments']),
    findGroup: () => undefined,
    isOpenRelay,
    checkRule: () => undefined,
    checkUri: () => undefined,
  };
  const loaded = loadText('demo', DEMO_YAML, scratch(), ports);
  assert.ok(loaded.kind === 'loaded');
  const mailbox = await Mailbox.open(loaded.config, silentLog);
  onTestFinished(() => mailbox.close());
  const content = Buffer.from(`Subject: x\r\n\r\n${'.line\r\n'.repeat(200_000)}`);
  const said: string[] = [];
  const dialog = new Dialog(mailbox, (line) => said.push(line));
  assert.ok(await dialog.send({ from: '', to: ['a@b.example', 'c@d.example'], content, helo: 'h' }), said.join('\n'));
  const dir = join(loaded.config.dataDir, 'mailbox');
  const [name = ''] = mailsIn(dir);
  const head = 'Return-Path: <>\r\nDelivered-To: a@b.example\r\nDelivered-To: c@d.example\r\n';
  assert.ok(readFileSync(join(dir, name)).equals(Buffer.concat([Buffer.from(head), content])));
  assert.equal(statSync(join(dir, name)).mode & 0o777, 0o600);
  assert.ok(said.includes(`S: 250 2.0.0 kept as ${name}`));
  assert.deepEqual(readdirSync(join(dir, 'tmp')), []);
});

test('a mail is not there before it is whole, and not at all where it was given up', async () => {
  const dir = scratch();
  const drop = new Maildrop(dir);
  const kept = drop.begin();
  kept.write(Buffer.from('half'), () => undefined);
  assert.deepEqual(mailsIn(dir), []);
  await kept.keep();
  assert.deepEqual(mailsIn(dir), [kept.name]);
  const given = drop.begin();
  given.write(Buffer.from('half'), () => undefined);
  given.discard();
  assert.deepEqual(mailsIn(dir), [kept.name]);
  await assert.rejects(given.keep());
});

test('a directory that cannot be written to: the mail is not kept, and nothing breaks', async () => {
  const dir = join(scratch(), 'gone');
  const drop = new Maildrop(dir);
  rmSync(dir, { recursive: true });
  const delivery = drop.begin();
  delivery.write(Buffer.from('x'), () => undefined);
  await assert.rejects(delivery.keep(), { code: 'ENOENT' });
  delivery.discard();
});
