/**
 * A callout server that lies: wrong offsets, references it may not make, parts it was not offered, replies that are none, forged
 * trace, too much of everything. Under `tempfail`, `skip` and `reject` nothing of it reaches the next hop or the client.
 */
import assert from 'node:assert/strict';
import { afterAll, beforeAll, describe, test } from 'vitest';
import { Draft00 } from '../support/draft00.ts';
import { config, type FailureAction, Gateway, type TestService, withoutTrace } from '../support/gateway.ts';
import { type Delivered, NextHop } from '../support/next-hop.ts';
import { type Outcome, SmtpTalk, verdict } from '../support/smtp-talk.ts';

/**
 * What a lie may lead to: `policy`, nothing but the failure policy; `refused`, the policy or another refusal (a
 * reply or a recipient that is none may be answered by a reply of ours); `harmless`, also a delivery in which nothing of the lie is left.
 */
type Bound = 'policy' | 'refused' | 'harmless';
const lies: Readonly<Record<string, Bound>> = {
  gap: 'policy',
  overlap: 'policy',
  'offset-of-original': 'policy',
  'yours-outside': 'policy',
  'yours-beyond': 'policy',
  'yours-huge': 'policy',
  'dpi-grows': 'policy',
  'yours-disposed': 'policy',
  'part-not-selected': 'policy',
  'part-unknown': 'policy',
  'part-missing': 'policy',
  'allow-from-server': 'harmless',
  'no-payload': 'policy',
  'duplicate-name': 'policy',
  unanswered: 'policy',
  'partial-206': 'policy',
  'partial-te': 'policy',
  'message-400': 'policy',
  'transaction-400': 'harmless',
  'code-unknown': 'policy',
  'data-after-end': 'harmless',
  'second-start': 'policy',
  'error-2yz': 'refused',
  'error-3yz': 'refused',
  'error-text': 'refused',
  'error-mixed': 'refused',
  'error-injected': 'refused',
  'error-number': 'refused',
  'advice-unpermitted': 'policy',
  'advice-discard': 'policy',
  'advice-no-time': 'policy',
  'advice-and-error': 'policy',
  'advice-unknown': 'harmless',
  'bare-lf': 'policy',
  'bare-cr': 'policy',
  'smuggled-end': 'policy',
  'trace-forged': 'harmless',
  'trace-stripped': 'harmless',
  'trace-changed': 'harmless',
  'header-injected': 'harmless',
  'header-forbidden': 'harmless',
  'header-broken': 'harmless',
  oversized: 'policy',
  amplified: 'policy',
  'empty-flood': 'harmless',
  'rcpt-unanswered': 'policy',
  'rcpt-twice': 'policy',
  'rcpt-advice': 'policy',
  'rcpt-empty': 'refused',
  'rcpt-injected': 'refused',
  'rcpt-no-path': 'refused',
  'rcpt-null-path': 'refused',
  'rcpt-data': 'policy',
  'rcpt-2yz': 'refused',
  'rcpt-yours-outside': 'policy',
  'rcpt-gap': 'policy',
  'rcpt-message-end': 'policy',
  'rcpt-te': 'policy',
  'rcpt-te-400': 'policy',
};
const offerLies: Readonly<Record<string, Bound>> = {
  'nr-part-not-offered': 'policy',
  'nr-both-lists': 'policy',
  'nr-feature-not-offered': 'policy',
  'nr-unexpected-sg': 'policy',
  'nr-twice': 'harmless',
  'nr-negative': 'policy',
  'nr-without-parts': 'policy',
  'nr-never': 'policy',
};

const CONTENT = Buffer.from('From: <a@src.test>\r\nSubject: truth\r\n\r\nall of it\r\n.dot\r\n');
const policies: readonly FailureAction[] = ['tempfail', 'skip', 'reject'];

let hop: NextHop;
let gateway: Gateway;
const servers = new Map<FailureAction, Draft00>();

beforeAll(async () => {
  hop = await NextHop.listen();
  const services: Record<string, TestService> = {};
  for (const policy of policies) {
    const server = await Draft00.start();
    servers.set(policy, server);
    services[policy] = {
      connect: server.endpoint,
      requires: ['RCPT', 'RAWDATA'],
      onFailure: policy,
      timeout: '800ms',
      when: `listener.name == '${policy}'`,
    };
  }
  const listeners = policies.map((name) => ({ name, address: '127.0.0.1:0', side: 'recipient', maxSize: '1MB' }));
  gateway = await Gateway.start(config(hop.url, services, { listeners }));
});
afterAll(async () => {
  await gateway.stop();
  for (const server of servers.values()) await server.stop();
  await hop.close();
});

/** One mail to a recipient of its own name. */
async function send(talk: SmtpTalk, id: string): Promise<{ outcome: Outcome; got: Delivered | undefined }> {
  const outcome = await talk.mail({ from: 'a@src.test', to: [`${id}@dst.test`], content: CONTENT });
  const got = hop.mails.filter((m) => m.rcpts.some((r) => r === `<${id}@dst.test>`));
  assert.ok(got.length <= 1, `${id} arrived ${got.length} times`);
  if (verdict(outcome) !== 250) await talk.say('RSET');
  return { outcome, got: got[0] };
}

function judge(policy: FailureAction, bound: Bound, outcome: Outcome, got: Delivered | undefined, what: string): void {
  const code = verdict(outcome);
  const heard = JSON.stringify(outcome.content ?? outcome.rcpts[0]);
  if (code !== 250) {
    assert.equal(got, undefined, `${what}: ${heard}, and delivered`);
    const fits = policy === 'skip' ? false : Math.floor(code / 100) === (policy === 'reject' ? 5 : 4);
    assert.ok(fits || (bound !== 'policy' && code >= 400), `${what}: ${heard}`);
    return;
  }
  assert.ok(got !== undefined, `${what}: 250 and not delivered`);
  assert.ok(bound === 'harmless' || policy === 'skip', `${what}: delivered under ${policy}`);
  const { trace, rest } = withoutTrace(got.content);
  assert.equal(rest.toString('latin1'), CONTENT.toString('latin1'), `${what}: what arrived is not what was sent`);
  assert.ok(!got.content.includes('evil'), `${what}: ${got.content.toString('latin1')}`);
  assert.ok(
    ['Received:', 'OPES-System:'].every((name, i) => trace[i]?.startsWith(name)),
    `${what}: ${trace.join('\n')}`,
  );
  assert.ok(got.rcpts.length === 1 && !got.mail.includes('evil'), what);
}

async function recovers(talk: SmtpTalk, id: string): Promise<void> {
  const end = Date.now() + 20_000;
  for (let n = 0; ; n++) {
    const { outcome, got } = await send(talk, `${id}r${n}`);
    const scanned = got?.content.includes('X-Scan: honest') ?? false;
    if (verdict(outcome) === 250 && scanned) return;
    assert.ok(Date.now() < end, `${id}: not served again within 20 s`);
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
}
const HONEST = { yours: true, rules: [{ part: 'RAWDATA', addHeader: ['X-Scan: honest'] }] } as const;

describe.for(policies)('%s', (policy) => {
  test.for(Object.entries(lies))('%s', async ([lie, bound]) => {
    const server = servers.get(policy);
    const talk = await SmtpTalk.hello(gateway.port(policy));
    const before = server?.child.events('fault').length ?? 0;
    await server?.script({ ...HONEST, fault: { lie, count: 20_000, octets: 8 << 20 } });
    const { outcome, got } = await send(talk, `${policy}-${lie}`);
    await server?.script(HONEST);
    assert.ok((server?.child.events('fault').length ?? 0) > before, 'the lie was told');
    judge(policy, bound, outcome, got, `${lie} under ${policy}`);
    await recovers(talk, `${policy}-${lie}`);
    await talk.quit();
  });

  test.for(Object.entries(offerLies))('%s', async ([lie, bound]) => {
    const server = servers.get(policy);
    const talk = await SmtpTalk.hello(gateway.port(policy));
    await server?.script({ ...HONEST, fault: { lie } });
    await server?.renegotiate();
    const { outcome, got } = await send(talk, `${policy}-${lie}`);
    if (bound === 'policy' || verdict(outcome) !== 250) judge(policy, bound, outcome, got, `${lie} under ${policy}`);
    await server?.script(HONEST);
    await server?.drop();
    await recovers(talk, `${policy}-${lie}`);
    await talk.quit();
  });
});
