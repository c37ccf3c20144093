/** Runs test/dialogs/*.dlg against a session: each whole, octet by octet, and cut at every place. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'vitest';
import { type DialogPeer, readDialog, runDialog } from '../../../test/support/dialog.ts';
import { everyCut, type Question, SessionRig } from '../../../test/support/server-session.ts';
import { parseReplyText, replies, type ServerOptions, serverLimits } from '../index.ts';

const folder = new URL('../../../test/dialogs/', import.meta.url);

/**
 * `O: maxSize 100`, `O: limits.errors 3`, `O: tls required`; `O: cuts no` where what the server says is meant to depend
 * on what came together. `H: hold rcpt` and `H: answer rcpt [reply]`; `H: say data 451 4.3.0 No`; `H: greet`, `H: tls`,
 * `H: shutdown`, `H: cut`, `H: gone`, `H: half-closes`.
 */
class SessionPeer implements DialogPeer {
  readonly rig: SessionRig;

  constructor(options: Partial<ServerOptions>) {
    this.rig = new SessionRig(options);
  }

  send(octets: Buffer): void {
    this.rig.send(octets);
  }

  heard(): string {
    return this.rig.heard();
  }

  happens(words: string): void {
    const [what, question, ...rest] = words.split(' ');
    const said = rest.length === 0 ? undefined : parseReplyText(rest.join(' '));
    const { rig } = this;
    if (what === 'greet') rig.session.greet();
    else if (what === 'tls') rig.session.secured();
    else if (what === 'shutdown') rig.session.shutdown(replies.shuttingDown);
    else if (what === 'cut') rig.session.cut(replies.timeout);
    else if (what === 'gone') rig.session.ended();
    else if (what === 'half-closes') rig.session.halfClosed();
    else if (what === 'hold') rig.holding.add(question as Question);
    else if (what === 'answer') rig.answer(question as Question, said);
    else if (what === 'say' && said !== undefined) rig.answers.set(question as Question, said);
    else throw new Error(`H: ${words}?`);
  }

  /** `= mail <a@b> to <c@d> <e@f>: "content"`, `= no mail`, `= reset RSET`, `= closed`, `= open`, `= tls asked`; of each MAIL in turn
   * `= user ann client ADDR=192.0.2.1 forwarded`. */
  check(words: string): string | undefined {
    const { rig } = this;
    if (words === 'closed') return rig.isClosed ? undefined : 'the session is open';
    if (words === 'open') return rig.isClosed ? 'the session is closed' : undefined;
    if (words === 'tls asked') return rig.tlsStarts === 1 ? undefined : 'no TLS was asked for';
    if (words === 'no mail') return rig.mails.length === 0 ? undefined : 'there is a mail';
    if (words.startsWith('user ')) {
      const found = rig.identities.shift();
      return found === words ? undefined : `it is ${found}`;
    }
    if (words.startsWith('reset ')) {
      const found = rig.resets.shift();
      return found === words.slice(6) ? undefined : `the reset is ${found}`;
    }
    const mail = rig.mails.shift();
    const found =
      mail && `mail ${mail.from} to ${mail.to.join(' ')}: ${JSON.stringify(mail.content.toString('latin1'))}`;
    return found === words ? undefined : `there is ${found}`;
  }

  /** Nothing that the dialog did not mention may have happened. */
  rest(): string | undefined {
    const { resets, mails, closedCalls, isClosed } = this.rig;
    if (resets.length > 0) return `reset ${resets.join(' ')}`;
    if (mails.length > 0) return `${mails.length} more mails`;
    return isClosed && closedCalls !== 1 ? `onClosed was called ${closedCalls} times` : undefined;
  }
}

function optionsOf(text: string): Partial<ServerOptions> {
  const options: Record<string, unknown> = {};
  const limits: Record<string, unknown> = { ...serverLimits };
  for (const { kind, text: line } of readDialog(text)) {
    if (kind !== 'O') continue;
    const [name = '', value = ''] = line.split(' ');
    const parsed = /^\d+$/.test(value) ? Number(value) : value === 'no' ? false : value === 'yes' ? true : value;
    if (name.startsWith('limits.')) limits[name.slice('limits.'.length)] = parsed;
    else if (name !== 'cuts') options[name] = parsed;
  }
  return { ...options, limits: limits as never };
}

const files = readdirSync(folder).filter((name) => name.endsWith('.dlg'));

test('there are dialogs', () => assert.ok(files.length >= 25, `${files.length}`));

for (const name of files) {
  const text = readFileSync(new URL(name, folder), 'utf8');
  const lines = readDialog(text);
  const options = optionsOf(text);
  const run = (cut?: (octets: Buffer) => readonly Buffer[]): string | undefined => {
    const peer = new SessionPeer(options);
    if (lines.find(({ kind }) => kind !== 'O')?.kind.startsWith('S')) peer.rig.session.greet();
    return runDialog(lines, peer, cut) ?? peer.rest();
  };

  test(name, () => {
    assert.equal(run(), undefined);
    if (text.includes('O: cuts no')) return;
    assert.equal(
      run((octets) => Array.from(octets, (_, i) => octets.subarray(i, i + 1))),
      undefined,
      'octet by octet',
    );
    const longest = Math.max(...lines.map((line) => line.text.length)) * 4;
    for (let at = 1; at < longest; at++) {
      const cut = (octets: Buffer): readonly Buffer[] => [octets.subarray(0, at), octets.subarray(at)];
      assert.equal(run(cut), undefined, `cut at ${at}`);
    }
  });
}

test('everyCut gives every way in two', () => {
  assert.deepEqual(
    [...everyCut(Buffer.from('abc'))].map((chunks) => chunks.map(String)),
    [['abc'], ['a', 'b', 'c'], ['a', 'bc'], ['ab', 'c']],
  );
});
